r"""Read the field name and the file name of a part of a form as its client meant them.

Clients write the same name in different ways, and a wrong reading would become a wrong label:

| name | browsers, curl | httpx2 | aiohttp |
| --- | --- | --- | --- |
| `a "b"` | `a %22b%22` | `a %22b%22` | `a\ \"b\"` |
| `polar star` | `polar star` | `polar star` | `polar\ star` |
| `a\b` | `a\b` | `a\\b` | `a\\b` |
| `Blüte` | `Blüte` | `Blüte` | `name*=utf-8''Bl%C3%BCte` |

A backslash is read as follows (quoted-pair, RFC 9110, 5.6.4):

- Before a quotation mark or another backslash it is taken off.
- Before a letter, a digit or a character beyond ASCII it stays. No client writes it there, so it is part of the name.
- Before any other character it is taken off if every space has one too, since aiohttp escapes every space. Otherwise the
  name is refused, because both readings are possible.

Source: RFC 2183, RFC 8187 (`name*`), RFC 7578, and the WHATWG HTML standard, "multipart/form-data encoding algorithm" (`%22`).
Differs: RFC 7578, 4.2, forbids `name*`. aiohttp sends it, and nothing else says what such a field is called.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from app.domain.errors import MalformedRequestError

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER = re.compile(rb"\s*%s\s*((?:;\s*%s\s*=\s*(?:\"(?:[^\"\\]|\\.)*\"|[^;\"\s]*)\s*)*);?\s*" % (_TOKEN, _TOKEN), re.DOTALL)
_PARAMETER = re.compile(rb";\s*(%s)\s*=\s*(\"(?:[^\"\\]|\\.)*\"|[^;\"\s]*)" % _TOKEN, re.DOTALL)
_CERTAIN_PAIR = re.compile(rb"\\([\"\\])")
_OTHER_PAIR = re.compile(rb"\\(?![\"\\])([ -/:-@\[-`{-~])")
_BARE_SPACE = re.compile(rb"(?<!\\) ")
_WINDOWS_PATH = re.compile(rb"[A-Za-z]:\\|\\\\")
_CHARSETS = {b"utf-8": "utf-8", b"iso-8859-1": "iso-8859-1"}
_SHOWN_BYTES = 200


@dataclass(frozen=True)
class Disposition:
    """What a part of a form is called."""

    field_name: str
    file_name: str | None
    """None for a text field."""


def read_disposition(header: bytes) -> Disposition:
    """Read a Content-Disposition header.

    Raises:
        MalformedRequestError: it is no such header, has no field name, or the name can be read in more than one way.
    """
    parameters = _parameters(header)
    if b"name*" in parameters:
        field_name = _decode_extended(parameters[b"name*"], header)
    elif b"name" in parameters:
        field_name = _read_field_name(parameters[b"name"], header)
    else:
        raise _malformed("a part without a field name", header)
    file_name: str | None = None
    if b"filename*" in parameters:
        file_name = _decode_extended(parameters[b"filename*"], header)
    elif b"filename" in parameters:
        file_name = _read_file_name(parameters[b"filename"])
    return Disposition(field_name, file_name)


def _parameters(header: bytes) -> dict[bytes, bytes]:
    """Return the parameters by their names; quoted values still in their quotation marks."""
    matched = _HEADER.fullmatch(header)
    if matched is None:
        raise _malformed("a part whose header cannot be read", header)
    return {name.lower(): value for name, value in _PARAMETER.findall(matched[1])}


def _read_field_name(value: bytes, header: bytes) -> str:
    if value.startswith(b'"'):
        value = value[1:-1]
        if _OTHER_PAIR.search(_CERTAIN_PAIR.sub(b"", value)) and _BARE_SPACE.search(value):
            raise _malformed("a field name with a backslash that may belong to the name or not", header)
        value = _without_pairs(value)
    try:
        name = value.decode()
    except UnicodeDecodeError:
        raise _malformed("a field name that is not in UTF-8", header) from None
    return name.replace("%22", '"')


def _read_file_name(value: bytes) -> str:
    """Return a name that is only shown, so that every reading of it will do."""
    if value.startswith(b'"'):
        value = value[1:-1]
        value = value.rpartition(b"\\")[2] if _WINDOWS_PATH.match(value) else _without_pairs(value)
    return value.decode(errors="replace").replace("%22", '"')


def _without_pairs(value: bytes) -> bytes:
    return re.sub(rb"\\([ -/:-@\[-`{-~])", rb"\1", value)


def _decode_extended(value: bytes, header: bytes) -> str:
    """Return the text of a value such as `utf-8''Bl%C3%BCte` (RFC 8187)."""
    charset, _, rest = value.strip(b'"').partition(b"'")
    _, _, encoded = rest.partition(b"'")
    if charset.lower() not in _CHARSETS or rest.count(b"'") < 1:
        raise _malformed("a name* or filename* whose character set is neither UTF-8 nor ISO-8859-1", header)
    try:
        return unquote_to_bytes(encoded).decode(_CHARSETS[charset.lower()])
    except UnicodeDecodeError:
        raise _malformed("a name* or filename* that is not in the character set that it names", header) from None


def _malformed(got: str, header: bytes) -> MalformedRequestError:
    shown = header[:_SHOWN_BYTES].decode(errors="backslashreplace")
    return MalformedRequestError(
        expected="a form whose fields are named like the classes, in UTF-8",
        got=f"{got}: {shown!r}",
        remedy="Write the name in UTF-8 and without backslashes, or send a zip with one folder for each class",
    )
