"""Say what is missing where a folder is named that is no adapter's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vtt_core.contract.errors import AdapterFormatError


def check_adapter_folder(folder: Path, names: Sequence[str]) -> None:
    """Refuse a path that is no folder with these files.

    Args:
        folder: that a user has named.
        names: of the files that are needed.

    Raises:
        AdapterFormatError: with the path and what is missing there.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if not missing:
        return
    if not folder.exists():
        got, remedy = "nothing there", "Check the path"
    elif not folder.is_dir():
        got, remedy = "a file", "Name the folder; unpack an adapter that came as a zip"
    elif len(missing) == len(names):
        got, remedy = f"a folder without {' and '.join(missing)}", "Name the folder that `vtt adapt` wrote"
    else:
        got, remedy = f"a folder without {' and '.join(missing)}", "Copy the whole folder again"
    raise AdapterFormatError(
        expected="the folder of an adapter, as `vtt adapt` writes it", got=f"{str(folder)!r}, {got}", remedy=remedy
    )
