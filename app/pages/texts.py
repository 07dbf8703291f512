"""All texts of the pages, by a language and a key such as `watch.title`.

They are in `texts/<language>/`, a TOML file per page. A text may have places for values, such as `{count}`. A table with `one`
and `other` is a text that depends on the value `n`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

LANGUAGE = "en"
SCRIPT_FILE = "script"
"""The file with the texts that scripts show."""


def text(key: str, **values: Any) -> str:
    """Return a text with its values; raises KeyError if there is none of this key, or a value is missing."""
    found: Any = _texts()
    for part in key.split("."):
        found = found[part]
    if isinstance(found, Mapping):
        found = found["one" if values["n"] == 1 else "other"]
    assert isinstance(found, str), key
    return found.format_map(values) if values else found


def plain_text(key: str) -> str | None:
    """Return a text without values, or None if there is none of this key."""
    return text(key) if key in all_keys() else None


def script_texts() -> dict[str, Any]:
    """Return the texts that scripts show, with the places of their values still open."""
    found: dict[str, Any] = _texts()[SCRIPT_FILE]
    return found


@lru_cache(maxsize=1)
def all_keys() -> frozenset[str]:
    """Return the keys of all texts."""
    return frozenset(_keys(_texts(), ""))


@lru_cache(maxsize=1)
def _texts() -> dict[str, Any]:
    folder = files("app.pages").joinpath("texts", LANGUAGE)
    names = [entry.name for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return {name.removesuffix(".toml"): tomllib.loads(folder.joinpath(name).read_text("utf-8")) for name in names}


def _keys(table: Mapping[str, Any], prefix: str) -> list[str]:
    found: list[str] = []
    for name, value in table.items():
        is_text = isinstance(value, str) or set(value) == {"one", "other"}
        found += [prefix + name] if is_text else _keys(value, f"{prefix}{name}.")
    return found
