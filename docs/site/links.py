"""Check a built site: every link inside it leads somewhere, and no page loads anything from another host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "link": "href"}
"""Elements that a browser fetches by itself, and the attribute with the address."""
STYLE_URL = re.compile(r"""(?:url\(|@import\s+)["']?((?:https?:)?//[^"')\s;]+)""")


class PageFacts(HTMLParser):
    """Addresses and anchors of one page.

    Args:
        page: its HTML.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what one element links to, loads or names."""
        found = {name: value for name, value in attributes if value is not None}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in LOADING and LOADING[tag] in found and found.get("rel") != "canonical":
            self.loaded.append(found[LOADING[tag]])


def faults(site: Path) -> list[str]:
    """Return what is wrong with a built site, a sentence each.

    Args:
        site: folder with its files.
    """
    pages = {path: PageFacts(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [fault for path in pages for fault in _faults_of(path, pages, site)]
    for path in sorted(site.rglob("*.css")):
        foreign = STYLE_URL.findall(path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(site)} loads {address}" for address in foreign]
    return found


def _faults_of(path: Path, pages: dict[Path, PageFacts], site: Path) -> Iterator[str]:
    # Its addresses begin at the root of a server, which is known only there.
    if path.name == "404.html":
        return
    name, facts = path.relative_to(site), pages[path]
    for address in facts.loaded:
        if urlsplit(address).netloc:
            yield f"{name} loads {address}"
    for address in (*facts.links, *facts.loaded):
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        target = target / "index.html" if target.is_dir() else target
        if not target.exists():
            yield f"{name} links to {address}, which does not exist"
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
            yield f"{name} links to {address}, which has no such heading"
