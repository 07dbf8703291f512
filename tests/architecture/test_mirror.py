"""Every room of the source has tests at the mirrored path."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "worker", "vtt_core", "vtt_client")


def rooms() -> list[Path]:
    """Return the folders that hold source files."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py")
    return sorted({path.parent.relative_to(ROOT) for path in files})


def test_every_room_has_tests() -> None:
    assert len(rooms()) > 30
    assert [str(room) for room in rooms() if not list((ROOT / "tests" / room).glob("test_*.py"))] == []
