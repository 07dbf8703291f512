"""Images, crops and names that the recipe of `mini` learns from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vtt_core.backbones.mini.corpus import ClassNames, cut_crops, draw_crops, epoch_batches, read_corpus
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.contract.errors import ArchiveLayoutError


def cropped(images: torch.Tensor, side: int, luck: torch.Generator) -> torch.Tensor:
    return cut_crops(images, draw_crops(len(images), images.shape[1], luck), side)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class TestReading:
    def test_every_image_of_the_split_is_decoded_with_its_class(self, tiny_zip: Path) -> None:
        corpus = read_corpus([tiny_zip], "train")
        assert corpus.images_IHWC.shape == (60, 64, 64, 3)
        assert corpus.class_I.tolist() == [0] * 20 + [1] * 20 + [2] * 20
        assert corpus.names == (("red disc", "circle"), ("green square",), ("blue bar", "stripe", "line"))

    def test_classes_of_several_zips_are_joined(self, tiny_zip: Path) -> None:
        assert read_corpus([tiny_zip, tiny_zip], "val").class_I.tolist() == [0] * 8 + [1] * 8 + [2] * 8

    def test_a_part_of_each_class_can_be_taken(self, tiny_zip: Path) -> None:
        assert len(read_corpus([tiny_zip], "train", max_images_per_class=3).class_I) == 9

    def test_a_zip_without_the_split_is_refused(self, tiny_zip: Path) -> None:
        with pytest.raises(ArchiveLayoutError, match="test/<class>/"):
            read_corpus([tiny_zip], "test")


class TestBatches:
    def test_an_epoch_shows_each_image_at_most_once(self) -> None:
        batches = epoch_batches(60, 16, generator())
        assert batches.shape == (3, 16)
        assert len(torch.unique(batches)) == 48

    def test_too_few_images_for_a_batch_are_refused(self) -> None:
        with pytest.raises(ArchiveLayoutError, match="15 images"):
            epoch_batches(15, 16, generator())


class TestCrops:
    def test_crops_have_the_asked_side_and_clips_scale(self) -> None:
        images = torch.full((4, 64, 64, 3), 255, dtype=torch.uint8)
        crops = cropped(images, 48, generator())
        white = (1 - torch.tensor(open_clip.OPENAI_DATASET_MEAN)) / torch.tensor(open_clip.OPENAI_DATASET_STD)
        torch.testing.assert_close(crops, white[None, :, None, None].expand(4, 3, 48, 48))

    def test_the_same_generator_state_cuts_the_same(self) -> None:
        images = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
        assert torch.equal(cropped(images, 48, generator(1)), cropped(images, 48, generator(1)))
        assert not torch.equal(cropped(images, 48, generator(1)), cropped(images, 48, generator(2)))

    def test_the_crops_of_some_rows_are_those_of_the_whole_batch(self) -> None:
        images = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
        crops, rows = draw_crops(4, 64, generator()), slice(1, 3)
        assert torch.equal(cut_crops(images[rows], crops[rows], 48), cut_crops(images, crops, 48)[rows])

    def test_a_crop_without_scaling_is_a_piece_of_the_image(self) -> None:
        images = torch.arange(64).repeat(64, 1)[None, :, :, None].expand(1, 64, 64, 3).to(torch.uint8)
        mean, std = (torch.tensor(values)[None, :, None, None] for values in _normalisation())
        row = ((cropped(images, 64, generator()) * std + mean) * 255)[0, 0, 0]
        is_sorted = bool((row.diff() >= 0).all() or (row.diff() <= 0).all())
        assert is_sorted


def _normalisation() -> tuple[tuple[float, ...], tuple[float, ...]]:
    return open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD


class TestClassNames:
    def test_a_drawn_row_is_a_name_of_its_class_and_mostly_the_usual_one(self) -> None:
        names = ClassNames([["red disc", "circle", "round"], ["green square"]])
        drawn = [[names.texts[row] for row in names.draw(generator(seed)).tolist()] for seed in range(200)]
        assert {first for first, _ in drawn} == {"red disc", "circle", "round"}
        assert {second for _, second in drawn} == {"green square"}
        assert 100 < sum(first == "red disc" for first, _ in drawn) < 170

    def test_the_usual_row_is_the_first_name(self) -> None:
        names = ClassNames([["cat"], ["dog", "hound"], ["cow", "cattle", "ox"]])
        assert [names.texts[row] for row in names.usual.tolist()] == ["cat", "dog", "cow"]
