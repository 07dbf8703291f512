"""Show the card of a backbone, a Markdown file, as a part of a page."""

from __future__ import annotations

import re
from functools import lru_cache

from markdown_it import MarkdownIt
from markupsafe import Markup

SHIFT = 2
"""By how much headings of a card are lower on the page: its title is that of a part."""
EMPTY_HEAD = re.compile(r"<thead>\s*<tr>\s*(<th></th>\s*)+</tr>\s*</thead>")
"""Head of a table that has none, which Markdown cannot leave out."""
FRAMES = {
    "<table>": '<div class="table" tabindex="0"><table>',
    "</table>": "</table></div>",
    "<pre>": '<pre tabindex="0">',
}
"""What may be wider than a phone, and scrolls by keyboard too."""


@lru_cache(maxsize=8)
def card_html(card: str) -> Markup:
    """Return a card as HTML: no tags of its own, no pictures, its tables in frames that scroll."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = markdown.parse(card)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + SHIFT)}"
    html = EMPTY_HEAD.sub("", markdown.renderer.render(tokens, markdown.options, {}))
    for plain, reachable in FRAMES.items():
        html = html.replace(plain, reachable)
    return Markup(html)
