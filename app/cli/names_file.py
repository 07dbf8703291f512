"""Read class names for folders from a JSON file."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.domain.errors import NamesFileError

LAYOUT = 'JSON such as {"folder": "class name"} or {"data set": {"folder": "class name"}}'


def read_names(names_path: Path, source: Path, folders: Sequence[str]) -> dict[str, str]:
    """Return a class name for each folder.

    In a file with several data sets, the one that names most of the folders is taken, and of equal ones the one that is called
    like the source. A folder that the file does not name keeps its own name.

    Args:
        names_path: JSON file, flat or nested by data set; of a list of names the first is taken.
        source: the folder or zip that the images come from.
        folders: names of the class folders.

    Raises:
        NamesFileError: the file has another layout, names none of the folders, or gives two folders the same name.
    """
    try:
        content = json.loads(names_path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise NamesFileError(
            expected=LAYOUT, got=f"{str(names_path)!r}: {error}", remedy="Pass a readable JSON file to --names"
        ) from error
    names = _names_for(content, names_path, source, folders)
    chosen = {folder: names.get(_key(folder), folder) for folder in folders}
    _check_distinct(chosen)
    return chosen


def _names_for(content: object, names_path: Path, source: Path, folders: Sequence[str]) -> dict[str, str]:
    if not isinstance(content, dict) or not content:
        raise NamesFileError(expected=LAYOUT, got=f"{type(content).__name__} in {str(names_path)!r}", remedy="Write an object")
    tables: dict[str, Mapping[str, Any]] = {key: value for key, value in content.items() if isinstance(value, dict)}
    if not tables:
        tables = {"": content}
    elif len(tables) != len(content):
        raise NamesFileError(
            expected=LAYOUT, got=f"both layouts in {str(names_path)!r}", remedy="Use one of the two layouts throughout"
        )
    cleaned = [_key(folder) for folder in folders]
    flat = {key: _flatten(table, names_path) for key, table in tables.items()}
    best = max(flat, key=lambda key: (sum(folder in flat[key] for folder in cleaned), key == source.stem))
    if not any(folder in flat[best] for folder in cleaned):
        raise NamesFileError(
            expected=f"names for the folders {', '.join(map(repr, folders[:5]))}",
            got=f"names in {str(names_path)!r} for folders that do not exist: {', '.join(map(repr, list(flat[best])[:5]))}",
            remedy="Pass the file that belongs to these images, or leave --names out",
        )
    return flat[best]


def _flatten(table: Mapping[str, Any], names_path: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    for folder, value in table.items():
        name = value[0] if isinstance(value, list) and value else value
        if not isinstance(name, str) or not name.strip():
            raise NamesFileError(
                expected="a class name for every folder", got=f"{value!r} for {folder!r}", remedy=f"Correct {str(names_path)!r}"
            )
        names[_key(folder)] = name
    return names


def _check_distinct(chosen: Mapping[str, str]) -> None:
    first: dict[str, str] = {}
    for folder, name in chosen.items():
        key = _key(name)
        if key in first:
            raise NamesFileError(
                expected="a different class name for every folder",
                got=f"{name!r} for both {first[key]!r} and {folder!r}",
                remedy="Give them different names",
            )
        first[key] = folder


def _key(name: str) -> str:
    """Return the spelling by which folders are compared."""
    return " ".join(unicodedata.normalize("NFC", name).replace("_", " ").split())
