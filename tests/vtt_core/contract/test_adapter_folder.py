from __future__ import annotations

import re
from pathlib import Path

import pytest

from vtt_core.contract.adapter_folder import check_adapter_folder
from vtt_core.contract.errors import AdapterFormatError

NAMES = ("manifest.json", "adapter.safetensors")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "nothing there. Check the path"),
        ("file", "a file. Name the folder"),
        ("photos", "a folder without manifest.json and adapter.safetensors. Name the folder that `vtt adapt` wrote"),
        ("half", "a folder without adapter.safetensors. Copy the whole folder again"),
    ],
)
def test_the_path_and_what_is_missing_are_named(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").write_bytes(b"PK")
    (tmp_path / "photos" / "star").mkdir(parents=True)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "manifest.json").write_text("{}")
    with pytest.raises(AdapterFormatError, match=re.escape(f"{str(tmp_path / name)!r}, {words}")):
        check_adapter_folder(tmp_path / name, NAMES)


def test_a_folder_with_all_files_is_taken(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).write_text("")
    check_adapter_folder(tmp_path, NAMES)
