"""Images, crops and names for training `mini`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.bench.pretraining.corpus import ClassNames, cut_crops, draw_crops, epoch_batches, read_corpus
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

    def test_turned_crops_show_every_orientation_and_some_without_colour(self) -> None:
        image = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
        crops = replace(
            draw_crops(400, 64, generator()), side=64, top_B=torch.zeros(400).long(), left_B=torch.zeros(400).long()
        )
        upright = cut_crops(image, replace(crops, is_mirrored_B=torch.zeros(400).bool())[:1], 64)[0]
        turns = [upright.rot90(quarter, (1, 2)) for quarter in range(4)]
        orientations = torch.stack(turns + [turn.flip(2) for turn in turns])
        shown = cut_crops(image.expand(400, -1, -1, -1), crops.turned(1.0, 0.0, generator(1)), 64)
        found = (shown[:, None] == orientations).flatten(2).all(dim=2)
        assert found.any(dim=1).all()
        assert (found.sum(dim=0) > 20).all()
        assert crops.turned(0.5, 0.0, generator(1)).is_transposed_B.double().mean() == pytest.approx(0.25, abs=0.07)

    def test_a_grey_image_has_one_value_a_pixel(self) -> None:
        images = torch.randint(0, 256, (100, 64, 64, 3), dtype=torch.uint8)
        crops = draw_crops(100, 64, generator()).turned(0.0, 0.3, generator(1))
        mean, std = (torch.tensor(values)[None, :, None, None] for values in _normalisation())
        spread = (cut_crops(images, crops, 48) * std + mean).std(dim=1).amax(dim=(1, 2))
        assert torch.equal(spread < 1e-5, crops.is_grey_B)
        assert 15 < int(crops.is_grey_B.sum()) < 45

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
