"""Write the pieces of generated pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

SECTION = re.compile(r"(Args|Returns|Yields|Raises|Attributes):$")
ENTRY = re.compile(r"(?P<name>\*{0,2}[\w.]+): (?P<text>.*)")


def cell(text: object) -> str:
    """Return text that stays in its cell of a table."""
    return plain(" ".join(str(text).split())).replace("|", "\\|")


def plain(text: str) -> str:
    """Return text in which angle brackets and square brackets outside of code mean nothing to Markdown."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([\[\]<>*_])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def code(text: object) -> str:
    """Return text as code that stays in its cell of a table."""
    return f"`{' '.join(str(text).split())}`".replace("|", "\\|")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown; empty without rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |", *lines, "", ""]) if lines else ""


def fenced(text: str, language: str) -> str:
    """Return a block of code."""
    return f"```{language}\n{text.rstrip()}\n```\n\n"


def docstring(text: str | None) -> str:
    """Return a docstring in Google's form as Markdown: sections become bold words with lists."""
    written: list[str] = []
    is_list = False
    for line in (text or "").splitlines():
        words = line.strip()
        if SECTION.fullmatch(words) and not line.startswith(" "):
            written += ["", f"**{words}**", ""]
            is_list = True
        elif is_list and words and line.startswith(" "):
            written.append(_list_line(line, words))
        elif not words or line.startswith("    "):
            written.append(line)
        else:
            is_list = False
            written.append(plain(line))
    return "\n".join(written).strip() + "\n\n"


def _list_line(line: str, words: str) -> str:
    if line.startswith("        "):
        return f"  {plain(words)}"
    entry = ENTRY.fullmatch(words)
    return f"- `{entry['name']}`: {plain(entry['text'])}" if entry else f"- {plain(words)}"
