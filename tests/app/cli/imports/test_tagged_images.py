"""What is read of a saved project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.cli.imports.export_files import export_files
from app.cli.imports.tagged_images import TaggedImages, tagged_images
from tests.fixtures.http_api import encode_image
from vtt_core.contract.errors import ArchiveLayoutError, NotAZipError, SourcePathError


def read(folder: Path, shot: int | None = None) -> TaggedImages:
    with export_files(folder) as files:
        return tagged_images(files, shot)


def test_images_get_the_tags_that_the_json_gives_to_their_ids(project: Path) -> None:
    found = read(project)
    assert {tag: [file.path.name for file in files] for tag, files in found.by_tag.items()} == {
        "healthy leaf": ["0A_photo.png"],
        "leaf rust": ["0B_photo.png"],
        "Negative": ["0D_photo.png"],
    }
    assert (found.negative, found.iterations, found.num_regions) == ("Negative", ["Iteration 3"], 1)
    assert found.left_out == [
        ("images/0C_photo.png", "it has 2 tags (leaf rust, healthy leaf), and an image is of one class"),
        ("images/0E_photo.png", "it has no tag"),
    ]


def test_without_json_the_folder_is_the_tag(tmp_path: Path) -> None:
    for slot, name in enumerate(("cat/1.png", "cat/2.png", "dog/1.jpg", "dog/.hidden.png", "dog/readme.txt")):
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(slot))
    assert {tag: len(files) for tag, files in read(tmp_path / "project").by_tag.items()} == {"cat": 2, "dog": 1}
    assert {tag: len(files) for tag, files in read(tmp_path / "project", shot=1).by_tag.items()} == {"cat": 1, "dog": 1}


def test_names_of_the_python_client_and_of_saved_files_are_understood(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode_image(1))
    (tmp_path / "b.png").write_bytes(encode_image(2))
    images = [
        {"id": "1", "tags": [{"tag_name": "cat"}], "saved_path": "out\\cat\\a.png"},
        {"id": "2", "tags": ["dog"], "saved_path": "out/dog/b.png"},
    ]
    (tmp_path / "images_metadata.json").write_text(json.dumps({"project_id": "p", "images": images}))
    assert {tag: files[0].path.name for tag, files in read(tmp_path).by_tag.items()} == {"cat": "a.png", "dog": "b.png"}


def test_a_detection_whose_boxes_have_one_tag_is_of_that_tag(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(encode_image(1))
    regions = [{"tagName": "cat"}, {"tagName": "cat"}]
    (tmp_path / "images.json").write_text(json.dumps([{"id": "1", "tags": [], "regions": regions}]))
    assert list(read(tmp_path).by_tag) == ["cat"]


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveLayoutError, match="GetTaggedImages"):
        read(tmp_path)
    with pytest.raises(SourcePathError):
        read(tmp_path / "nowhere")
    (tmp_path / "file.zip").write_text("no zip")
    with pytest.raises(NotAZipError):
        read(tmp_path / "file.zip")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"{x", "'images.json', which cannot be read: it is no JSON"),
        (b"[" * 200_000, "'images.json', which cannot be read: it is nested too deeply"),
        (b"\xff[]", "'images.json', which cannot be read: it is no text"),
        ("[]".encode("utf-16"), "no tag of these images in 'images.json'"),
        (b'[{"id":"1","tags":[],"regions":7}]', "no tag of these images in 'images.json'"),
        (b'[{"id":"1","tags":[null,3,NaN,{"tagName":{"x":1}}]}]', "no tag of these images in 'images.json'"),
    ],
    ids=["no JSON", "deep", "no text", "UTF-16", "regions", "tags"],
)
def test_json_that_says_nothing_is_named_where_it_is_missed(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "1.png").write_bytes(encode_image(1))
    (tmp_path / "images.json").write_bytes(content)
    with pytest.raises(ArchiveLayoutError) as caught:
        read(tmp_path)
    assert caught.value.got.startswith("1 image left out because it has no tag; ")
    assert what in caught.value.got


def test_json_that_cannot_be_read_is_told_beside_the_images_that_are_taken(project: Path) -> None:
    assert [name for name, _ in read(project).unread] == ["notes.json"]
