"""A command says what is wrong with a file, without a traceback."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

import app.cli.main as main_module
from app.cli.file_errors import in_our_words


@pytest.mark.parametrize(
    ("error", "code", "named"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/small/x"), 1, "/small/x"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left"),
        (RuntimeError("database or disk is full"), 1, "room for the database"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/small/x"), 1, "quota"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "map.tif"), 2, "map.tif"),
        (PermissionError(errno.EACCES, "Permission denied", "map.tif"), 2, "Let this user"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a", None, "b"), 2, "shorter"),
    ],
)
def test_an_error_of_a_file_is_said_in_words(
    error: Exception, code: int, named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(main_module, "cli", fail)
    with pytest.raises(SystemExit) as stopped:
        main_module.main()
    assert stopped.value.code == code
    assert named in capsys.readouterr().err


def test_a_real_write_to_a_full_disk_names_the_disk() -> None:
    with pytest.raises(OSError, match="space") as full, Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"x")
    ours = in_our_words(full.value)
    assert ours is not None
    assert ours.code == "disk.full"


@pytest.mark.parametrize("error", [ConnectionRefusedError(errno.ECONNREFUSED, "refused"), ValueError("x"), OSError("plain")])
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    assert in_our_words(error) is None
