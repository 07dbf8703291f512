from pathlib import Path

import yaml

from docs.site.build import write_configuration

ROOT = Path(__file__).parents[2]


def pages_in(entries: list[object]) -> list[str]:
    found: list[str] = []
    for entry in entries:
        values = entry.values() if isinstance(entry, dict) else [entry]
        for value in values:
            found += pages_in(value) if isinstance(value, list) else [str(value)]
    return found


def navigation(work: Path, *more: str) -> list[str]:
    """Return the pages that the navigation lists, of a folder with those of the repository and some more."""
    names = [*(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md")), *map(Path, more)]
    for name in names:
        (work / "pages" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "pages" / name).write_text("# Page\n")
    write_configuration(work)
    return pages_in(yaml.safe_load((work / "mkdocs.yml").read_text())["nav"])


def test_every_page_is_in_the_navigation_once(tmp_path: Path) -> None:
    listed = navigation(tmp_path)
    pages = [str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(page for page in listed if page.startswith("docs/")) == sorted(pages)


def test_a_new_page_and_a_new_decision_are_listed_by_themselves(tmp_path: Path) -> None:
    assert {"docs/new.md", "docs/decisions/99-new.md"} <= set(navigation(tmp_path, "docs/new.md", "docs/decisions/99-new.md"))
