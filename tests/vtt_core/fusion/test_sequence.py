import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vtt_core.contract.errors import LayerMismatchError
from vtt_core.fusion.sequence import interleave_layers, num_scan_steps, pair_layers


class TestPairing:
    def test_equal_depths_pair_layer_by_layer(self) -> None:
        assert pair_layers(12, 12) == (list(range(12)), list(range(12)))

    def test_each_text_layer_meets_two_vision_layers_of_a_tower_twice_as_deep(self) -> None:
        vision, text = pair_layers(24, 12)
        assert vision == list(range(24))
        assert text == [pair // 2 for pair in range(24)]

    def test_the_rule_is_the_same_with_the_towers_exchanged(self) -> None:
        vision, text = pair_layers(12, 24)
        assert vision == [pair // 2 for pair in range(24)]
        assert text == list(range(24))

    @settings(deadline=None, derandomize=True, max_examples=100)
    @given(depths=st.tuples(st.integers(1, 40), st.integers(1, 40)))
    def test_last_layers_meet_and_no_layer_is_left_out(self, depths: tuple[int, int]) -> None:
        pairs = pair_layers(*depths)
        for layers, depth in zip(pairs, depths, strict=True):
            assert layers[-1] == depth - 1
            assert layers == sorted(layers)
            assert set(layers) == set(range(depth))
            assert len(layers) == max(depths)


@pytest.mark.parametrize(("num_vision", "num_text"), [(12, 12), (3, 3), (4, 2), (2, 4), (3, 2), (1, 1)])
def test_the_sequence_equals_a_double_loop(num_vision: int, num_text: int) -> None:
    vision_BLD, text_BLD = torch.randn(2, num_vision, 5), torch.randn(2, num_text, 5)
    num_pairs = max(num_vision, num_text)
    expected = []
    for vision, text in zip(vision_BLD, text_BLD, strict=True):
        steps = [vision[-1]]
        for pair in range(num_pairs, 0, -1):
            steps.append(text[math.ceil(pair * num_text / num_pairs) - 1])
            steps.append(vision[math.ceil(pair * num_vision / num_pairs) - 1])
        expected.append(torch.stack(steps))
    sequence_BSD = interleave_layers(vision_BLD, text_BLD)
    assert torch.equal(sequence_BSD, torch.stack(expected))
    assert sequence_BSD.shape[1] == num_scan_steps(num_vision, num_text)


def test_the_final_image_feature_comes_twice() -> None:
    vision_BLD, text_BLD = torch.randn(1, 3, 5), torch.randn(1, 3, 5)
    sequence_BSD = interleave_layers(vision_BLD, text_BLD)
    assert torch.equal(sequence_BSD[:, 0], vision_BLD[:, -1])
    assert torch.equal(sequence_BSD[:, 1], text_BLD[:, -1])
    assert torch.equal(sequence_BSD[:, 2], vision_BLD[:, -1])


def test_twelve_layers_give_the_released_25_steps() -> None:
    assert num_scan_steps(12, 12) == 25
    assert num_scan_steps(24, 12) == num_scan_steps(12, 24) == 49


@pytest.mark.parametrize("text_shape", [(3, 4, 5), (2, 4, 6)])
def test_features_of_other_images_or_size_are_refused(text_shape: tuple[int, int, int]) -> None:
    with pytest.raises(LayerMismatchError, match="same images and joint size"):
        interleave_layers(torch.zeros(2, 4, 5), torch.zeros(text_shape))


def test_the_paper_puts_vision_first_and_nothing_twice() -> None:
    vision_BLD, text_BLD = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    sequence_BSD = interleave_layers(vision_BLD, text_BLD, "paper")
    expected = [features[:, layer] for layer in (2, 1, 0) for features in (vision_BLD, text_BLD)]
    assert torch.equal(sequence_BSD, torch.stack(expected, dim=1))
    assert sequence_BSD.shape[1] == num_scan_steps(3, 3, "paper") == 6
