"""Folders are listed in order, without system files. Errors say what is missing and how to fix it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vtt_core.bench.datasets.dataset import has_images, list_folders, list_images, shown_contents
from vtt_core.bench.datasets.registry import DATASETS
from vtt_core.contract.errors import DatasetLayoutError


def test_images_come_by_name_without_hidden_files_and_other_kinds(tmp_path: Path, write_image: Callable[..., None]) -> None:
    for name in ("b.JPG", "a.png", ".hidden.png"):
        write_image(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.jpg").mkdir()
    assert [image.name for image in list_images(tmp_path)] == ["a.png", "b.JPG"]
    assert has_images(tmp_path)


def test_folders_come_by_name_and_links_to_folders_count(tmp_path: Path) -> None:
    for name in ("b", "__MACOSX", ".git"):
        (tmp_path / name).mkdir()
    (tmp_path / "a").symlink_to(tmp_path / "b")
    assert [folder.name for folder in list_folders(tmp_path)] == ["a", "b"]


def test_listing_asks_for_no_facts_of_single_files(
    tmp_path: Path, write_image: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(5):
        write_image(tmp_path / f"{index}.png")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a stat per file takes minutes on a million files")

    monkeypatch.setattr(os, "stat", refuse)
    monkeypatch.setattr(os, "lstat", refuse)
    assert len(list_images(str(tmp_path))) == 5


def test_a_path_that_is_no_folder_holds_nothing(tmp_path: Path) -> None:
    assert list_images(tmp_path / "gone") == []
    assert not has_images(tmp_path / "gone")
    assert "No such file" in shown_contents(tmp_path / "gone")


def test_what_is_there_is_shown_shortly(tmp_path: Path) -> None:
    assert shown_contents(tmp_path).startswith("nothing in ")
    for index in range(8):
        (tmp_path / str(index)).touch()
    assert shown_contents(tmp_path).startswith("'0', '1', '2', '3', '4' and 3 more in ")


@pytest.mark.parametrize("name", DATASETS)
def test_another_layout_says_what_is_expected_what_is_there_and_where_to_get_it(name: str, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    dataset = DATASETS[name]
    with pytest.raises(DatasetLayoutError) as caught:
        dataset.read(dataset, tmp_path)
    assert dataset.layout in caught.value.expected
    assert "'holiday'" in caught.value.got
    assert dataset.url in caught.value.remedy
    assert f"{name}=FOLDER" in caught.value.remedy


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetLayoutError, match="No such file"):
        DATASETS[name].read(DATASETS[name], tmp_path / "gone")
