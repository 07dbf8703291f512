"""Build the documentation as a site: `make docs`.

The pages are copied with their folders, so that the links between them stay as they are in the repository; the references are
made from the code. Zensical builds the site strictly, and links.py checks what came out.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from docs.site.api_pages import api_page
from docs.site.command_pages import command_page
from docs.site.error_pages import error_page
from docs.site.links import faults
from docs.site.python_pages import python_pages
from docs.site.setting_pages import setting_page

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SHIM_URL = "https://unpkg.com/iframe-worker/shim"
"""What the plugin `offline` would load in every page: it lets the search run in pages that are opened as files."""
SHIM = "assets/iframe-worker.js"
LINK = re.compile(r"\]\(([^)\s#]+)[^)]*\)")


def main() -> None:
    """Build into the folder that is named, or `site`, and exit with 1 if anything is wrong."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "site"
    work = ROOT / "build" / "docs" if len(sys.argv) < 2 else out.with_name(f"{out.name}-build")
    shutil.rmtree(work, ignore_errors=True)
    write_pages(work / "pages")
    write_configuration(work)
    built = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", str(work / "mkdocs.yml")],
        cwd=work,
        check=False,
    )
    if built.returncode:
        sys.exit(built.returncode)
    html = work / "html"
    keep_shim_here(html)
    wrong = faults(html)
    if wrong:
        sys.exit("\n".join(wrong))
    shutil.rmtree(out, ignore_errors=True)
    shutil.move(html, out)
    sys.stdout.write(f"{len(list(out.rglob('*.html')))} pages: {out / 'index.html'}\n")


def write_pages(folder: Path) -> None:
    """Write all pages: copies of those of the repository, and those that are made from the code.

    Args:
        folder: where to write; made where it is missing.
    """
    folder.mkdir(parents=True)
    for path in ROOT.glob("*.md"):
        shutil.copy(path, folder)
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("site", "__pycache__"))
    for page in sorted(folder.rglob("*.md")):
        _copy_linked(page, folder)
    made = {"commands": command_page(), "settings": setting_page(), "api": api_page(), "errors": error_page()}
    made |= {f"python/{name}": page for name, page in python_pages(ROOT)}
    for name, text in made.items():
        path = folder / "reference" / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _copy_linked(page: Path, folder: Path) -> None:
    """Copy the other files that a page links to, such as the licence."""
    for address in LINK.findall(page.read_text(encoding="utf-8")):
        source = (ROOT / page.relative_to(folder).parent / address).resolve()
        if "://" in address or not source.is_file() or not source.is_relative_to(ROOT):
            continue
        copy = folder / source.relative_to(ROOT)
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
            if copy.suffix == ".md":
                _copy_linked(copy, folder)


def write_configuration(work: Path) -> None:
    """Write the configuration with the pages of each folder that its navigation names.

    Args:
        work: folder that holds the pages.
    """
    configuration = yaml.safe_load((HERE / "mkdocs.yml").read_text(encoding="utf-8"))
    named = set(_named(configuration["nav"]))
    configuration["nav"] = [_listed(entry, work / "pages", named) for entry in configuration["nav"]]
    (work / "mkdocs.yml").write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")
    assets = work / "pages" / "assets"
    assets.mkdir()
    for path in (HERE / "vendor").iterdir():
        shutil.copy(path, assets)


def _named(entries: list[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        (value,) = entry.values()
        yield from _named(value) if isinstance(value, list) else [value]


def _listed(entry: dict[str, Any], pages: Path, named: set[str]) -> dict[str, Any]:
    """Return an entry of the navigation, with the pages that no entry names in place of a folder."""
    ((title, value),) = entry.items()
    if isinstance(value, list):
        inner = [_listed(one, pages, named) for one in value]
        return {title: [one for one in inner if [] not in one.values()]}
    folder = pages / value
    if not folder.is_dir():
        return entry
    first = {"index.md", "README.md"}
    found = sorted(folder.glob("*.md"), key=lambda path: (path.name not in first, path.name))
    return {title: [name for path in found if (name := str(path.relative_to(pages))) not in named]}


def keep_shim_here(html: Path) -> None:
    """Let every page load the copy of the shim that is in the site."""
    for path in html.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        up = "../" * (len(path.relative_to(html).parts) - 1)
        if SHIM_URL in page:
            path.write_text(page.replace(SHIM_URL, f"{up or './'}{SHIM}"), encoding="utf-8")


if __name__ == "__main__":
    main()
