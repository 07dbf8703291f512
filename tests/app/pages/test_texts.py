"""All that people read is in one place: every text that is used is there, and every one that is there is used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.pages.texts import all_keys, text

PAGES = Path(__file__).parents[3] / "app" / "pages"
CALL = re.compile(r"""\b(?:t|text|plain_text)\(\s*["'`]([a-z0-9_.]+)["'`]""")
BUILT = re.compile(r"""\b(?:t|text|plain_text)\(\s*[f]?["'`]([a-z0-9_.]+[._])(?:["'`]\s*(?:\+|~)|[$]?\{)""")


def sources() -> dict[str, str]:
    scripts = {path.name: path.read_text() for path in (PAGES / "assets").glob("*.js")}
    others = {path.name: path.read_text() for suffix in ("*.py", "templates/*.jinja") for path in PAGES.glob(suffix)}
    return scripts | others


def used_keys() -> tuple[set[str], set[str]]:
    """The keys that sources name, and the beginnings of those that they put together."""
    whole, begun = set(), set()
    for name, source in sources().items():
        prefix = "script." if name.endswith(".js") else ""
        whole |= {prefix + key for key in CALL.findall(source)}
        begun |= {prefix + key for key in BUILT.findall(source)}
    return {key for key in whole if not key.endswith((".", "_"))}, begun


def test_every_text_that_is_used_is_there() -> None:
    whole, _ = used_keys()
    assert len(whole) > 20
    assert sorted(whole - all_keys()) == []


def test_every_text_that_is_there_is_used() -> None:
    whole, begun = used_keys()
    assert sorted(key for key in all_keys() - whole if not key.startswith(tuple(begun))) == []


def test_a_text_depends_on_how_many_there_are() -> None:
    assert [text("words.images", n=n) for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]


def test_a_text_without_its_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        text("words.ago", other=1)
