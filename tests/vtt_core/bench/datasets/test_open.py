"""Labelled images by name or path, with class names and groups, read on request."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vtt_core.bench.datasets.open import open_labelled_images, parse_data_option
from vtt_core.bench.episodes.sampling import Protocol, draw_episodes
from vtt_core.contract.errors import DatasetLayoutError, UnknownDatasetError
from vtt_core.contract.limits import DEFAULT_LIMITS


def pack(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(folder))
    return target


class TestParseDataOption:
    def test_a_name_says_the_layout(self) -> None:
        assert parse_data_option("eurosat=/data/eurosat") == ("eurosat", Path("/data/eurosat"))

    @pytest.mark.parametrize("text", ["/data/classes.zip", "relative/folder", "/data/a=b"])
    def test_anything_else_is_a_path(self, text: str) -> None:
        assert parse_data_option(text) == (None, Path(text))

    def test_a_path_with_an_equals_sign_that_exists_is_a_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a=b").mkdir()
        monkeypatch.chdir(tmp_path)
        assert parse_data_option("a=b") == (None, Path("a=b"))

    def test_an_unknown_name_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(UnknownDatasetError, match="eurosat, isic"):
            parse_data_option("eurosta=/data")


class TestOpenLabelledImages:
    def test_a_name_comes_with_its_folder_or_in_one_text(self, tmp_path: Path, write_image: Callable[..., None]) -> None:
        write_image(tmp_path / "2750" / "River" / "River_1.jpg")
        for data, root in (("eurosat", tmp_path), (f"eurosat={tmp_path}", None)):
            with open_labelled_images(data, root=root) as images:
                assert [(image.name, image.label, image.group) for image in images] == [("River/River_1.jpg", "River", None)]
        with pytest.raises(UnknownDatasetError), open_labelled_images("eurosta", root=tmp_path):
            pass

    def test_a_folder_and_a_zip_of_class_folders_give_the_same(self, tmp_path: Path, write_image: Callable[..., None]) -> None:
        for path in ("a_class/1.png", "a_class/2.png", "b/1.png"):
            write_image(tmp_path / "outer" / "set" / path)
        archive = pack(tmp_path / "outer", tmp_path / "set.zip")
        found = []
        for data in (tmp_path / "outer", archive):
            with open_labelled_images(data) as images:
                found.append([(image.name, image.label, image.read()) for image in images])
        assert found[0] == found[1]
        assert [(name, label) for name, label, _ in found[0]] == [
            ("a_class/1.png", "a class"),
            ("a_class/2.png", "a class"),
            ("b/1.png", "b"),
        ]

    def test_the_zip_that_eurosat_comes_in_need_not_be_unpacked(self, tmp_path: Path, write_image: Callable[..., None]) -> None:
        for name in ("AnnualCrop", "SeaLake"):
            write_image(tmp_path / "EuroSAT" / "2750" / name / f"{name}_1.jpg")
        with open_labelled_images("eurosat", root=pack(tmp_path / "EuroSAT", tmp_path / "EuroSAT.zip")) as images:
            assert [image.label for image in images] == ["Annual Crop Land", "Sea or Lake"]

    def test_a_zip_of_other_folders_is_refused(self, tmp_path: Path, write_image: Callable[..., None]) -> None:
        write_image(tmp_path / "set" / "cats" / "1.jpg")
        write_image(tmp_path / "set" / "dogs" / "1.jpg")
        archive = pack(tmp_path / "set", tmp_path / "set.zip")
        with pytest.raises(DatasetLayoutError, match="'cats', 'dogs'"), open_labelled_images("eurosat", root=archive):
            pass
        with pytest.raises(DatasetLayoutError, match="the file"), open_labelled_images("isic", root=archive):
            pass

    def test_a_folder_without_classes_is_refused(self, tmp_path: Path, write_image: Callable[..., None]) -> None:
        write_image(tmp_path / "1.png")
        with pytest.raises(DatasetLayoutError, match=r"'1\.png'"), open_labelled_images(tmp_path):
            pass

    def test_names_replace_folders_and_class_names(self, tmp_path: Path, write_image: Callable[..., None]) -> None:
        for folder in ("AnnualCrop", "River", "SeaLake"):
            write_image(tmp_path / folder / "1.jpg")
        names = {"AnnualCrop": "a field", "Sea or Lake": "open_water"}
        with open_labelled_images("eurosat", root=tmp_path, names=names) as images:
            assert [image.label for image in images] == ["a field", "River", "open water"]

    @pytest.mark.slow
    def test_more_files_than_an_upload_may_hold_are_read(self, tmp_path: Path, write_image: Callable[..., None]) -> None:
        write_image(tmp_path / "set" / "a" / "0.png")
        content = (tmp_path / "set" / "a" / "0.png").read_bytes()
        num_images = DEFAULT_LIMITS.max_archive_entries + 1
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            for index in range(num_images):
                archive.writestr(f"{'ab'[index % 2]}/{index}.png", content)
        with open_labelled_images(tmp_path / "set.zip") as images:
            assert len(images) == num_images

    def test_no_image_is_read_before_it_is_asked_for(self, tmp_path: Path, write_image: Callable[..., None]) -> None:
        for folder in ("a", "b"):
            write_image(tmp_path / folder / "1.png")
        (tmp_path / "b" / "1.png").write_bytes(b"damaged")
        with open_labelled_images(tmp_path) as images:
            assert images[1].read() == b"damaged"


class TestByPatient:
    def test_the_patients_of_plain_class_folders_come_from_the_names(
        self, tmp_path: Path, write_image: Callable[..., None]
    ) -> None:
        for label in ("Mass", "Nodule"):
            for patient in range(6):
                for number in range(2):
                    write_image(tmp_path / label / f"{patient:08}_{number:03}.png")
        with open_labelled_images(tmp_path, by_patient=True) as images:
            groups = [str(image.group) for image in images]
            classes = [["Mass", "Nodule"].index(image.label) for image in images]
        assert groups[:3] == ["00000000", "00000000", "00000001"]
        protocol = Protocol(way=2, shot=1, num_queries=3, num_episodes=5)
        for episode in draw_episodes(classes, protocol, groups):
            support = {groups[index] for index in episode.support_S.tolist()}
            assert support.isdisjoint(groups[index] for index in episode.query_Q.tolist())

    def test_groups_are_given_only_where_they_are_asked_for(self, tmp_path: Path, write_image: Callable[..., None]) -> None:
        header = "Image Index,Finding Labels,Patient ID\n"
        (tmp_path / "Data_Entry_2017.csv").write_text(f"{header}00000004_000.png,Mass,4\n")
        write_image(tmp_path / "images" / "00000004_000.png")
        for by_patient, group in ((True, "4"), (False, None)):
            with open_labelled_images("chestx", root=tmp_path, by_patient=by_patient) as images:
                assert [image.group for image in images] == [group]

    def test_a_data_set_without_groups_is_refused(self, tmp_path: Path, write_image: Callable[..., None]) -> None:
        write_image(tmp_path / "River" / "1.jpg")
        with (
            pytest.raises(DatasetLayoutError, match=r"isic \(lesion\), chestx \(patient\)"),
            open_labelled_images("eurosat", root=tmp_path, by_patient=True),
        ):
            pass

    def test_lesions_without_their_file_are_refused(self, tmp_path: Path, write_image: Callable[..., None]) -> None:
        header = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n"
        (tmp_path / "ISIC2018_Task3_Training_GroundTruth.csv").write_text(f"{header}ISIC_1,1,0,0,0,0,0,0\n")
        write_image(tmp_path / "ISIC_1.jpg")
        with (
            pytest.raises(DatasetLayoutError, match="whose lesion is unknown"),
            open_labelled_images("isic", root=tmp_path, by_patient=True),
        ):
            pass
