"""Names that users send, checked or cleaned so that they can be stored and shown."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, StringConstraints

MAX_FILE_NAME_CHARACTERS = 400


def _check_printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("a name without control characters")
    return name


DisplayName = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True), AfterValidator(_check_printable)]
"""What a person calls a support set, a job or a model."""


FileName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_FILE_NAME_CHARACTERS, strip_whitespace=True),
    AfterValidator(_check_printable),
]
"""What a person calls the file of an image."""


def shown_file_name(name: str) -> str:
    """Return the name with control characters replaced and its end kept, for messages and rows; never a path."""
    printable = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)
    return printable[-MAX_FILE_NAME_CHARACTERS:]


def id_parameter(description: str) -> object:
    """Return the path parameter of an id or alias; control characters never reach the database."""
    return Path(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", description=description)
