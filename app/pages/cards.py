"""Show the card of a backbone, a Markdown file, as a part of a page."""

from __future__ import annotations

from functools import lru_cache

from markdown_it import MarkdownIt
from markupsafe import Markup

SHIFT = 2
"""By how much headings of a card are lower on the page: its title is that of a part."""


@lru_cache(maxsize=8)
def card_html(card: str) -> Markup:
    """Return a card as HTML: no tags of its own, no pictures, its tables in frames that scroll."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = markdown.parse(card)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + SHIFT)}"
    html = markdown.renderer.render(tokens, markdown.options, {})
    return Markup(html.replace("<table>", '<div class="table" tabindex="0"><table>').replace("</table>", "</table></div>"))
