import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.cli.groups_file import PrefixGroups, chosen_groups
from app.cli.selection import select_images, survey_images
from app.cli.synthetic_images import write_folders
from tests.fixtures.dicom_writer import write_dicom
from vtt_core.contract.errors import (
    ArchiveError,
    BadLabelError,
    ConflictingLabelsError,
    DuplicateImageError,
    EmptyClassError,
    InputError,
    NotAnImageError,
    SameTokensError,
    SeveralProblemsError,
    TooFewClassesError,
    TooFewShotsError,
    TooManyShotsError,
)
from vtt_core.contract.limits import Limits
from vtt_core.ingest.groups import ImageGroups


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folders(tmp_path / "drawn", num_images=4)
    return tmp_path / "drawn"


def names_of(images: object) -> list[str]:
    return [image.name.rsplit("/", 1)[-1] for image in images]  # type: ignore[attr-defined]


def test_the_first_images_teach_and_the_next_ones_measure(folder: Path) -> None:
    selection = select_images(folder, shot=2, query=1)
    assert selection.support_set.labels == tuple(sorted(selection.support_set.labels))
    for support_class in selection.support_set.classes:
        assert names_of(support_class.images) == ["000.png", "001.png"]
    assert names_of(query.image for query in selection.query_images) == ["002.png"] * 5
    assert [query.label for query in selection.query_images] == list(selection.support_set.labels)
    assert selection.left_out == ()


def test_without_a_shot_all_images_teach(folder: Path) -> None:
    selection = select_images(folder, shot=None, query=5)
    assert {support_class.shot for support_class in selection.support_set.classes} == {4}
    assert selection.query_images == ()


def test_a_zip_with_an_enclosing_folder_gives_the_same_as_the_folder(folder: Path, tmp_path: Path) -> None:
    zip_path = tmp_path / "set.zip"
    with zipfile.ZipFile(zip_path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, Path("enclosing") / file.relative_to(folder))
    from_zip, from_folder = (select_images(source, shot=3, query=1) for source in (zip_path, folder))
    assert [[image.encoded for image in one.images] for one in from_zip.support_set.classes] == [
        [image.encoded for image in one.images] for one in from_folder.support_set.classes
    ]


def test_a_bad_image_is_named_and_the_next_one_taken(folder: Path) -> None:
    (folder / "rings" / "000.png").write_bytes(b"not an image")
    selection = select_images(folder, shot=2, query=1)
    [left_out] = selection.left_out
    assert left_out.name == "rings/000.png"
    assert isinstance(left_out.error, NotAnImageError)
    rings = next(one for one in selection.support_set.classes if one.label == "rings")
    assert names_of(rings.images) == ["001.png", "002.png"]


def test_too_few_usable_images_are_an_error_that_names_the_class(folder: Path) -> None:
    (folder / "rings" / "000.png").write_bytes(b"not an image")
    with pytest.raises(TooFewShotsError, match=r"3 in 'rings'.*rings/000.png"):
        select_images(folder, shot=4, query=0)


def test_a_class_without_images_is_named(folder: Path) -> None:
    (folder / "nothing").mkdir()
    with pytest.raises(EmptyClassError, match="nothing"):
        select_images(folder, shot=2, query=0)


def test_one_class_only_is_refused(folder: Path) -> None:
    for other in ("rings", "star", "stripes", "polka dots"):
        shutil.rmtree(folder / other)
    with pytest.raises(TooFewClassesError, match="chessboard"):
        select_images(folder, shot=2, query=0)


@pytest.mark.slow
def test_more_images_than_the_limit_ask_for_a_shot(tmp_path: Path) -> None:
    write_folders(tmp_path / "many", num_images=17)
    with pytest.raises(TooManyShotsError, match="--shot 16"):
        select_images(tmp_path / "many", shot=None, query=0)


@pytest.mark.parametrize("shot", [0, 17, -1])
def test_a_shot_outside_the_limits_is_refused(folder: Path, shot: int) -> None:
    with pytest.raises(TooManyShotsError):
        select_images(folder, shot=shot, query=0)


def test_the_same_image_twice_is_used_once(folder: Path) -> None:
    shutil.copy(folder / "star" / "000.png", folder / "star" / "001.png")
    selection = select_images(folder, shot=2, query=0)
    assert [(one.name, type(one.error)) for one in selection.left_out] == [("star/001.png", DuplicateImageError)]


def test_the_same_image_under_two_labels_stays_with_the_first(folder: Path) -> None:
    shutil.copy(folder / "rings" / "000.png", folder / "star" / "000.png")
    selection = select_images(folder, shot=2, query=0)
    assert [(one.name, type(one.error)) for one in selection.left_out] == [("star/000.png", ConflictingLabelsError)]


def test_a_support_image_never_measures(folder: Path) -> None:
    shutil.copy(folder / "star" / "000.png", folder / "star" / "002.png")
    selection = select_images(folder, shot=2, query=2)
    assert names_of(query.image for query in selection.query_images if query.label == "star") == ["003.png"]


def test_labels_come_from_the_names_file(folder: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"drawn": {"star": "five-pointed star"}}))
    selection = select_images(folder, shot=1, query=1, names_path=names)
    assert "five-pointed star" in selection.support_set.labels
    assert "rings" in selection.support_set.labels
    assert "star" not in {query.label for query in selection.query_images}


def test_a_folder_with_an_unusable_name_stops_as_an_empty_one_does(folder: Path) -> None:
    (folder / "star").rename(folder / ("s" * 200))
    with pytest.raises(BadLabelError, match="200 characters"):
        select_images(folder, shot=2, query=0)


def test_a_label_too_long_for_the_prompt_stops_too(folder: Path) -> None:
    (folder / "star").rename(folder / ("plate " + "1234567890" * 8))
    with pytest.raises(BadLabelError, match="at most 75 tokens"):
        select_images(folder, shot=2, query=0)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [("Star", "star"), ("child’s toy", "child's toy"), ("b&amp;w", "b&w")])
def test_two_labels_with_the_same_tokens_stop_by_name(folder: Path, first: str, second: str) -> None:
    (folder / "star").rename(folder / first)
    (folder / "rings").rename(folder / second)
    with pytest.raises(SameTokensError) as caught:
        select_images(folder, shot=2, query=0)
    assert repr(first) in caught.value.got
    assert repr(second) in caught.value.got


def test_all_problems_are_named_at_once(folder: Path) -> None:
    (folder / "star").rename(folder / ("s" * 200))
    (folder / "nothing").mkdir()
    (folder / "rings" / "000.png").write_bytes(b"not an image")
    shutil.copytree(folder / "stripes", folder / "Stripes")
    with pytest.raises(SeveralProblemsError) as caught:
        select_images(folder, shot=4, query=0)
    for part in (
        "'sssss",
        "'Stripes' and 'stripes'",
        "none in 'nothing'",
        "3 in 'rings' (left out: rings/000.png (not a",
    ):
        assert part in caught.value.got


def test_a_linked_class_folder_stops_and_is_called_a_link(folder: Path, tmp_path: Path) -> None:
    (folder / "star").rename(tmp_path / "elsewhere")
    (folder / "star").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EmptyClassError, match=r"none in 'star' \(left out: star \(not an ordinary file or folder\)\)"):
        select_images(folder, shot=2, query=0)


def test_query_images_come_from_val_before_the_rest_of_train(folder: Path, tmp_path: Path) -> None:
    split = tmp_path / "split"
    folder.rename(tmp_path / "train")
    split.mkdir()
    (tmp_path / "train").rename(split / "train")
    for label in ("star", "rings"):
        (split / "val" / label).mkdir(parents=True)
        (split / "train" / label / "003.png").rename(split / "val" / label / "x.png")
    survey = survey_images(split, shot=2, query=2)
    selection = survey.selection()
    assert selection.support_set.way == 5
    assert [query.image.name for query in selection.query_images if query.label == "star"] == ["val/star/x.png", "star/002.png"]
    assert names_of(query.image for query in selection.query_images if query.label == "stripes") == ["002.png", "003.png"]
    assert survey.split is not None
    assert survey.split.sentence(uses_query=True).startswith("The support set was taken from 'train' (18 images).")


def test_a_name_of_the_old_windows_kind_gives_the_same_classes(folder: Path, tmp_path: Path) -> None:
    zip_path = tmp_path / "set.zip"
    with zipfile.ZipFile(zip_path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, str(file.relative_to(folder)).replace("/", "\\"))
    from_zip, from_folder = (select_images(source, shot=2, query=0) for source in (zip_path, folder))
    assert from_zip.support_set.labels == from_folder.support_set.labels


@pytest.mark.parametrize("content", [b"", b"no zip at all"])
def test_a_file_that_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ArchiveError):
        select_images(tmp_path / "x.zip", shot=1, query=0)


def test_a_source_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        select_images(tmp_path / "nowhere", shot=1, query=0)


class TestGroupsAndNegatives:
    def test_every_image_carries_its_group(self, folder: Path) -> None:
        groups = ImageGroups([("rings/000.png", "plot 1"), ("002.png", "plot 2"), ("003.png", "plot 3"), ("9.png", "plot 9")])
        survey = survey_images(folder, shot=2, query=1, groups=groups)
        selection = survey.selection()
        rings = next(one for one in selection.support_set.classes if one.label == "rings")
        assert [image.group for image in rings.images] == ["plot 1", None]
        assert {query.image.group for query in selection.query_images} == {"plot 2"}
        assert len(survey.notices) == 1, "003.png is there, though nothing reads it"
        assert "'9.png'" in survey.notices[0]

    def test_query_images_of_a_group_that_teaches_are_noticed(self, folder: Path) -> None:
        for place in range(4):
            (folder / "rings" / f"00{place}.png").rename(folder / "rings" / f"p{place // 3}_{place}.png")
        survey = survey_images(folder, shot=2, query=2, groups=PrefixGroups())
        (notice,) = survey.notices
        assert notice.startswith("1 of 10 query images belong to groups of the support set")

    def test_the_negative_class_is_not_measured_and_may_have_any_label(self, folder: Path) -> None:
        for file in (folder / "rings").iterdir():
            file.rename(file.with_name(f"of rings {file.name}"))
        (folder / "rings").rename(folder / "Star")
        with pytest.raises(SameTokensError):
            select_images(folder, shot=2, query=2)
        selection = select_images(folder, shot=2, query=2, negative="Star")
        assert selection.support_set.labels == ("chessboard", "polka dots", "star", "stripes")
        assert {query.label for query in selection.query_images} == set(selection.support_set.labels)
        assert all(name.startswith("of rings") for name in names_of(selection.support_set.negatives))
        assert len(selection.support_set.negatives) == 4

    def test_all_its_images_count_whatever_the_shot_up_to_the_limit(self, folder: Path) -> None:
        (folder / "rings").rename(folder / "none_of_these")
        selection = select_images(folder, shot=1, query=1, negative="none of these", groups=ImageGroups([("000.png", "g")]))
        assert names_of(selection.support_set.negatives) == [f"00{place}.png" for place in range(4)]
        assert selection.support_set.negatives[0].group == "g"
        few = select_images(folder, shot=1, query=1, negative="none_of_these", limits=Limits(max_shot=3))
        assert len(few.support_set.negatives) == 3

    def test_it_is_no_second_class(self, folder: Path) -> None:
        for name in ("chessboard", "polka dots", "star"):
            shutil.rmtree(folder / name)
        with pytest.raises(TooFewClassesError):
            select_images(folder, shot=1, query=1, negative="rings")

    def test_a_folder_that_is_not_there_is_named_with_those_that_are(self, folder: Path) -> None:
        with pytest.raises(EmptyClassError, match="a folder 'ring' .* 'chessboard', 'polka"):
            select_images(folder, shot=1, query=1, negative="ring")

    def test_it_needs_an_image_that_can_be_used(self, folder: Path) -> None:
        for file in (folder / "rings").iterdir():
            file.write_bytes(b"text")
        with pytest.raises(EmptyClassError, match="none in 'rings' .left out: rings/000.png"):
            select_images(folder, shot=1, query=1, negative="rings")


def test_dicom_files_of_one_patient_are_one_group_where_asked(folder: Path) -> None:
    pixels = np.arange(256, dtype="u1").reshape(16, 16)
    for place, patient in enumerate(("7", "7", "8")):
        (folder / "chessboard" / f"a{place}.dcm").write_bytes(write_dicom(np.roll(pixels, place), PatientID=patient))
    selection = select_images(folder, shot=None, query=0, groups=chosen_groups(None, by_prefix=False, by_patient=True))
    (images,) = (one.images for one in selection.support_set.classes if one.label == "chessboard")
    drawn, scans = [image.group for image in images[:4]], [image.group for image in images[4:]]
    assert drawn == [None] * 4
    assert scans[0] == scans[1]
    assert None not in scans
    assert scans[1] != scans[2]
