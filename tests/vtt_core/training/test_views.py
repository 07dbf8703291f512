from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from vtt_core.backbones.preprocess import preprocess
from vtt_core.contract.manifest import Preprocessing
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.training.views import VIEW_KINDS, Views, stack_views

PREPROCESSING = Preprocessing(32, "squash", "bilinear", (0.5, 0.25, 0.75), (0.5, 0.25, 0.125))
UNNORMALISED = Preprocessing(32, "squash", "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
PLAIN, ALL_THREE, ROTATED, JITTERED, FLIPPED = range(5)


@pytest.fixture(scope="module")
def images(draw_image: Callable[..., Image.Image]) -> list[Image.Image]:
    return [draw_image(0), draw_image(1, size=(90, 33)), draw_image(2, size=(32, 32))]


def make_views(images: list[Image.Image], preprocessing: Preprocessing, recipe: FinetuneRecipe, seed: int) -> Tensor:
    views = Views(preprocessing, recipe, seed)
    return stack_views([views.of_image(image, index) for index, image in enumerate(images)])


def as_bytes(view_3HW: Tensor) -> np.ndarray:
    return (view_3HW.permute(1, 2, 0) * 255).round().byte().numpy()


def by_kind(images: list[Image.Image], seed: int = 0, **changes: float) -> Tensor:
    """Return views (kind, image, channel, row, column) with channels between 0 and 1."""
    recipe = FinetuneRecipe.from_json(dict(changes))
    return make_views(images, UNNORMALISED, recipe, seed).unflatten(0, (-1, len(images)))


class TestPreprocess:
    def test_channels_are_normalised_by_hand(self) -> None:
        image = Image.new("RGB", (40, 20), (255, 0, 51))
        expected = torch.tensor([(1 - 0.5) / 0.5, (0 - 0.25) / 0.25, (0.2 - 0.75) / 0.125])
        images_B3HW = preprocess([image], PREPROCESSING)
        assert images_B3HW.shape == (1, 3, 32, 32)
        assert images_B3HW.dtype == torch.float32
        torch.testing.assert_close(images_B3HW, expected.view(1, 3, 1, 1).expand(1, 3, 32, 32))

    @pytest.mark.parametrize("size", [(8, 160), (160, 8), (32, 32), (500, 300)])
    def test_any_ratio_is_squashed_to_the_square(self, size: tuple[int, int]) -> None:
        # The right half is white: it stays the right half, whatever the ratio was.
        image = Image.new("RGB", size)
        image.paste((255, 255, 255), (size[0] // 2, 0, size[0], size[1]))
        view = preprocess([image], UNNORMALISED)[0]
        assert view[:, :, :14].max() == 0
        assert view[:, :, 18:].min() == 1

    def test_an_image_of_the_right_size_keeps_its_pixels(self, images: list[Image.Image]) -> None:
        assert np.array_equal(as_bytes(preprocess(images[2:], UNNORMALISED)[0]), np.array(images[2]))


class TestMakeViews:
    def test_five_kinds_of_every_image_come_view_by_view(self, images: list[Image.Image]) -> None:
        views_V3HW = make_views(images, PREPROCESSING, FinetuneRecipe(), seed=0)
        assert views_V3HW.shape == (15, 3, 32, 32)
        for index, image in enumerate(images):
            alone = preprocess([image], PREPROCESSING)[0]
            assert torch.equal(views_V3HW[index], alone)
            assert not any(torch.equal(views_V3HW[3 * kind + index], alone) for kind in (ALL_THREE, ROTATED, JITTERED))

    def test_plain_ones_come_first_and_equal_preprocessing(self, images: list[Image.Image]) -> None:
        views_V3HW = make_views(images, PREPROCESSING, FinetuneRecipe(), seed=0)
        assert torch.equal(views_V3HW[:3], preprocess(images, PREPROCESSING))

    def test_the_same_seed_draws_the_same_views_and_another_others(self, images: list[Image.Image]) -> None:
        assert torch.equal(by_kind(images, seed=3), by_kind(images, seed=3))
        assert not torch.equal(by_kind(images, seed=3), by_kind(images, seed=4))

    @pytest.mark.parametrize("num_views", [1, 2, 3, 4, 5])
    def test_fewer_views_are_the_first_kinds(self, images: list[Image.Image], num_views: int) -> None:
        assert torch.equal(by_kind(images, num_views=num_views), by_kind(images)[:num_views])

    def test_each_image_draws_its_own_change(self, images: list[Image.Image]) -> None:
        twice = by_kind([images[0], images[0]])
        assert not torch.equal(twice[ROTATED, 0], twice[ROTATED, 1])
        assert not torch.equal(twice[JITTERED, 0], twice[JITTERED, 1])

    def test_drawing_does_not_depend_on_global_generators(self, images: list[Image.Image]) -> None:
        first = by_kind(images)
        torch.rand(7)
        np.random.default_rng().random()
        assert torch.equal(by_kind(images), first)


class TestKinds:
    def test_without_strength_every_kind_is_plain(self, images: list[Image.Image]) -> None:
        views = by_kind(images, rotation_degrees=0, jitter_strength=0, flip_probability=0)
        assert all(torch.equal(view, views[PLAIN]) for view in views)

    def test_a_flip_mirrors_left_and_right(self, images: list[Image.Image]) -> None:
        views = by_kind(images, flip_probability=1)
        assert torch.equal(views[FLIPPED], views[PLAIN].flip(-1))

    def test_a_flip_happens_as_often_as_its_probability(self, images: list[Image.Image]) -> None:
        views = by_kind(images[:1] * 200)
        flipped = (views[FLIPPED] != views[PLAIN]).flatten(1).any(dim=1).double().mean().item()
        assert flipped == pytest.approx(0.5, abs=0.1)

    def test_a_rotation_fills_with_zeros_and_invents_no_colour(self) -> None:
        views = by_kind([Image.new("RGB", (64, 64), (255, 255, 255))] * 20)[ROTATED]
        assert set(views.unique().tolist()) == {0.0, 1.0}
        assert (views[:, :, 0, 0] == 0).any()

    def test_a_rotation_goes_either_way_up_to_its_limit(self, images: list[Image.Image]) -> None:
        class Drawn:
            def uniform(self, low: float, high: float) -> float:
                assert (low, high) == (-45, 45)
                return -30.5

        drawn = VIEW_KINDS[ROTATED](images[0], FinetuneRecipe(), Drawn())  # type: ignore[arg-type]
        assert drawn.tobytes() == images[0].rotate(-30.5, Image.Resampling.NEAREST).tobytes()

    def test_jitter_scales_a_grey_image_by_one_brightness(self) -> None:
        # Contrast turns about the mean and colour about grey: neither changes an even grey.
        views = by_kind([Image.new("RGB", (32, 32), (100, 100, 100))] * 200)[JITTERED] * 255
        assert (views == views[:, :1, :1, :1]).all()
        factors = views[:, 0, 0, 0] / 100
        assert 0.59 <= factors.min() < 0.65
        assert 1.35 < factors.max() <= 1.41

    def test_jitter_changes_brightness_then_contrast_then_colour(self, images: list[Image.Image]) -> None:
        class Drawn:
            """Gives 0.5, -0.5, 1 in turn: factors 1.2, 0.8, 1.4."""

            def __init__(self) -> None:
                self.values = [0.5, -0.5, 1.0]

            def uniform(self, low: float, high: float) -> float:
                assert (low, high) == (-1, 1)
                return self.values.pop(0)

        expected = ImageEnhance.Brightness(images[0]).enhance(1.2)
        expected = ImageEnhance.Contrast(expected).enhance(0.8)
        expected = ImageEnhance.Color(expected).enhance(1.4)
        drawn = VIEW_KINDS[JITTERED](images[0], FinetuneRecipe(), Drawn())  # type: ignore[arg-type]
        assert drawn.tobytes() == expected.tobytes()

    def test_the_second_kind_rotates_then_jitters_then_flips(self, images: list[Image.Image]) -> None:
        class Drawn:
            """Gives a rotation of 45 degrees, no jitter, and a flip."""

            def uniform(self, low: float, high: float) -> float:
                return 45.0 if high > 1 else 0.0

            def random(self) -> float:
                return 0.0

        drawn = VIEW_KINDS[ALL_THREE](images[0], FinetuneRecipe(), Drawn())  # type: ignore[arg-type]
        assert drawn.tobytes() == ImageOps.mirror(images[0].rotate(45)).tobytes()
