"""Every source file has a test file at the mirrored path, or says which test file covers it."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "worker", "vtt_core")

TESTED_ELSEWHERE: dict[str, str] = {
    "app/backbones/schemas.py": "tests/architecture/test_openapi.py",
    "app/health/schemas.py": "tests/architecture/test_openapi.py",
    "app/jobs/schemas.py": "tests/architecture/test_openapi.py",
    "app/models/schemas.py": "tests/architecture/test_openapi.py",
    "app/overload/protocol.py": "tests/hostile/test_slow_clients.py",
    "app/predictions/schemas.py": "tests/architecture/test_openapi.py",
    "app/support_sets/schemas.py": "tests/architecture/test_openapi.py",
}
"""Source file -> the test that covers it."""


def source_files() -> list[str]:
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py")
    return sorted(str(path.relative_to(ROOT)) for path in files)


def test_every_source_file_has_a_test_file() -> None:
    tests = {
        source: TESTED_ELSEWHERE.get(source, str(Path("tests") / Path(source).parent / f"test_{Path(source).name}"))
        for source in source_files()
    }
    assert [source for source, test in tests.items() if not (ROOT / test).is_file()] == []


def test_exceptions_are_about_files_that_exist() -> None:
    assert [source for source in TESTED_ELSEWHERE if not (ROOT / source).is_file()] == []
