"""Read which group each image belongs to: patient, plant, plot. Images of one group are not independent."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from vtt_core.contract.errors import GroupsError, shown

LAYOUT = 'JSON such as {"file name": "group"}, or CSV with the columns file and group'
MAX_GROUP_CHARACTERS = 200
NUM_NAMED = 5
"""File names in a notice."""
_DELIMITERS = ",;\t"


class ImageGroups:
    """The groups of images by the names of their files.

    A name without folders means every file of that name. With folders (`cat/1.png`) it means that file, and counts before
    the shorter name.

    Args:
        pairs: file name and group; None for no group.

    Raises:
        GroupsError: a file has two groups, or a group cannot be used.
    """

    def __init__(self, pairs: Iterable[tuple[str, str | None]] = ()) -> None:
        self._groups: dict[str, str | None] = {}
        self._unused: dict[str, str] = {}
        for name, group in pairs:
            key, cleaned = _key(name), clean_group(group, name)
            if key in self._groups and self._groups[key] != cleaned:
                raise GroupsError(
                    expected="one group for each file",
                    got=f"{self._groups[key]!r} and {cleaned!r} for {shown(name)}",
                    remedy="Keep one of the two, or write the folder before the name",
                )
            self._groups[key] = cleaned
            self._unused[key] = name

    def find(self, name: str, labels: Iterable[str] = ()) -> tuple[bool, str | None]:
        """Return whether a file is named, and its group.

        Args:
            name: of the file, perhaps with folders.
            labels: spellings of its class, which may stand before the name like a folder.
        """
        if not self._groups:
            return False, None
        for key in _keys(name, labels):
            if key in self._groups:
                self._unused.pop(key, None)
                return True, self._groups[key]
        return False, None

    def group_of(self, name: str, labels: Iterable[str] = ()) -> str | None:
        """Return the group of a file; arguments as of `find`."""
        return self.find(name, labels)[1]

    def notices(self) -> list[str]:
        """Return which names belong to none of the files that were asked for, as sentences."""
        unused = list(self._unused.values())
        if not unused:
            return []
        named = ", ".join(map(shown, unused[:NUM_NAMED]))
        more = f" and {len(unused) - NUM_NAMED} more" if len(unused) > NUM_NAMED else ""
        return [f"The groups name files that are not here: {named}{more}. They change nothing."]


def parse_groups(text: str, where: str = "") -> ImageGroups:
    """Read groups from JSON or CSV.

    Args:
        text: JSON if it begins with a brace, else CSV. Its first line names the columns; others than `file` and `group` are
            ignored.
        where: file that it comes from, for messages.

    Raises:
        GroupsError: it has another layout, a file has two groups, or a group cannot be used.
    """
    text = text.removeprefix("\N{BYTE ORDER MARK}").strip()
    source = f" in {where}" if where else ""
    return ImageGroups(_from_json(text, source) if text.startswith(("{", "[")) else _from_csv(text, source))


def clean_group(group: object, name: str = "") -> str | None:
    """Return the group as it is stored: NFC, runs of white space as one space; None for an empty one.

    Raises:
        GroupsError: it is no text, too long, or holds control characters.
    """
    if group is None:
        return None
    if not isinstance(group, str):
        raise GroupsError(
            expected="a text as the group of each file, or null for none",
            got=f"{shown(group)} for {shown(name)}",
            remedy="Write it in quotation marks",
        )
    cleaned = " ".join(unicodedata.normalize("NFC", group).split())
    if len(cleaned) > MAX_GROUP_CHARACTERS:
        raise GroupsError(
            expected=f"groups of at most {MAX_GROUP_CHARACTERS} characters",
            got=f"{len(cleaned)} characters for {shown(name)}",
            remedy="Shorten it",
        )
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in cleaned):
        raise GroupsError(
            expected="groups of printable characters",
            got=f"{shown(cleaned)} for {shown(name)}",
            remedy="Remove the control characters",
        )
    return cleaned or None


def _from_json(text: str, source: str) -> list[tuple[str, Any]]:
    objects: list[list[tuple[str, Any]]] = []

    def keep_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        objects.append(pairs)  # a name that comes twice would be lost in a dict
        return {}

    try:
        content = json.loads(text, object_pairs_hook=keep_pairs)
    except (ValueError, RecursionError) as error:
        raise GroupsError(expected=LAYOUT, got=f"JSON that cannot be read{source}: {error}", remedy="Correct it") from error
    if not isinstance(content, dict) or len(objects) != 1:
        got = "an object within the object" if isinstance(content, dict) else f"a JSON {type(content).__name__}"
        raise GroupsError(expected=LAYOUT, got=got + source, remedy="Write one flat object")
    return objects[0]


def _from_csv(text: str, source: str) -> Iterator[tuple[str, str | None]]:
    header = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=header.count), skipinitialspace=True)
    try:
        columns = {name.strip().lower(): name for name in rows.fieldnames or [] if name}
        if not {"file", "group"} <= set(columns):
            raise GroupsError(
                expected=LAYOUT, got=f"{shown(header) if text else 'nothing'} as the first line{source}", remedy="Correct it"
            )
        for row in rows:
            name = row[columns["file"]]
            if name:
                yield name, row[columns["group"]]
    except csv.Error as error:
        raise GroupsError(expected=LAYOUT, got=f"CSV that cannot be read{source}: {error}", remedy="Correct it") from error


def _keys(name: str, labels: Iterable[str]) -> Iterator[str]:
    """Yield the spellings by which a file may be named, the most exact ones first."""
    key = _key(name)
    yield from (f"{_key(label)}/{key}" for label in labels)
    yield key
    while "/" in key:
        key = key.partition("/")[2]
        yield key


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).replace("\\", "/").strip().removeprefix("./")
