from vtt_core.contract.serving import Prediction
from vtt_core.evaluation.compare import paired_difference
from vtt_core.evaluation.evaluate import Judged


def answers(said: str, labels: str = "aaaaaaaa") -> list[Judged]:
    """Letters that were said, and true ones; `-` is a class that the model does not know."""
    return [
        Judged.of("x.png", letter, None if letter == "-" else letter, Prediction({one: 1.0}))
        for one, letter in zip(said, labels, strict=True)
    ]


def test_the_difference_is_of_the_images_on_which_they_disagree() -> None:
    found = paired_difference(answers("aaaaaabb"), answers("aaaabbab"))
    assert found is not None
    assert (found.num_only_this, found.num_only_other, found.num_images) == (2, 1, 8)
    assert found.difference == 1 / 8
    assert found.low < 0 < found.high


def test_the_other_way_round_is_the_opposite() -> None:
    one, two = answers("aaaaaaaa"), answers("aaaabbbb")
    found, opposite = paired_difference(one, two), paired_difference(two, one)
    assert found is not None
    assert opposite is not None
    assert (found.low, found.high) == (-opposite.high, -opposite.low)
    assert found.p_value == opposite.p_value == 1 / 8


def test_only_images_whose_class_both_know_count() -> None:
    found = paired_difference(answers("aaaa", "aa--"), answers("bbbb", "-a-a"))
    assert found is not None
    assert found.num_images == 1
    assert paired_difference(answers("aa", "a-"), answers("aa", "-a")) is None
