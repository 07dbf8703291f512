"""Every source file has a test file at the mirrored path, or says which test file covers it."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "worker", "vtt_core")

TESTED_ELSEWHERE: dict[str, str] = {}
"""Source file -> the test that covers it."""


def source_files() -> list[str]:
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py")
    return sorted(str(path.relative_to(ROOT)) for path in files)


@pytest.mark.parametrize("source", source_files())
def test_a_source_file_has_a_test_file(source: str) -> None:
    path = Path(source)
    expected = ROOT / TESTED_ELSEWHERE.get(source, str(Path("tests") / path.parent / f"test_{path.name}"))
    assert expected.is_file()


@pytest.mark.parametrize("source", sorted(TESTED_ELSEWHERE))
def test_an_exception_is_about_a_file_that_exists(source: str) -> None:
    assert (ROOT / source).is_file()
