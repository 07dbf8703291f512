"""The result of each method on each episode, as JSON lines, so that a killed benchmark resumes where it stopped.

Each line has a key: the hash of everything that its numbers depend on, except the episode. Only lines with the right key are
used.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

from vtt_core.contract.errors import InputError


@dataclass(frozen=True)
class EpisodeLine:
    """The result of one method on one episode."""

    key: str
    """Hash of everything that the numbers depend on, except the episode."""
    method: str
    """As written on the command line."""
    episode: int
    accuracy: float
    """Fraction of the queries classified correctly."""
    seconds: float
    """Its share, if several episodes were computed together."""
    device: str
    """Name of the device that computed it."""
    facts: dict[str, Any] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the line of the file."""
        return json.dumps(asdict(self), ensure_ascii=False).encode() + b"\n"


class EpisodeLog:
    """The lines of one file by key and episode."""

    def __init__(self, lines: Iterable[EpisodeLine] = (), stream: BinaryIO | None = None) -> None:
        self._lines = {(line.key, line.episode): line for line in lines}
        self._stream = stream

    def append(self, line: EpisodeLine) -> None:
        """Write and flush a line, unless there is already one with its key and episode."""
        if (line.key, line.episode) in self._lines:
            return
        self._lines[line.key, line.episode] = line
        if self._stream is not None:
            self._stream.write(line.encode())
            self._stream.flush()

    def encode(self) -> bytes:
        """Return all lines of the file."""
        return b"".join(line.encode() for line in self._lines.values())

    def has(self, key: str, episode: int) -> bool:
        """Return whether the episode is done."""
        return (key, episode) in self._lines

    def of(self, key: str, episodes: Iterable[int]) -> list[EpisodeLine]:
        """Return the known lines of a key, in the order of the episodes."""
        return [self._lines[key, number] for number in episodes if (key, number) in self._lines]


@contextmanager
def open_log(path: Path) -> Iterator[EpisodeLog]:
    """Read a log and append to it inside the `with` block. An incomplete last line is cut off.

    Args:
        path: of the file. It and its folder are created if missing.

    Raises:
        InputError: the file cannot be written, or another process is writing to it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+b")
    except OSError as error:
        raise InputError(
            expected="a folder to write to", got=f"{str(path)!r} ({error.strerror})", remedy="Choose another --out"
        ) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                expected="a log that no other process is writing",
                got=repr(str(path)),
                remedy="Wait for it, or choose another --out",
            ) from error
        stream.seek(0)
        content = stream.read()
        whole = content.rfind(b"\n") + 1
        stream.truncate(whole)
        yield EpisodeLog(decode_lines(content[:whole]), stream)


def decode_lines(content: bytes) -> list[EpisodeLine]:
    """Return the valid lines of a file."""
    found = []
    names = {known.name for known in fields(EpisodeLine)}
    for text in content.splitlines():
        try:
            values = json.loads(text)
        except ValueError:
            continue
        if isinstance(values, Mapping) and set(values) == names:
            found.append(EpisodeLine(**values))
    return found
