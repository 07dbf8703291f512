import pytest

from vtt_core.contract.errors import (
    BadLabelError,
    EmptyClassError,
    TooFewClassesError,
    TooManyClassesError,
    TooManyShotsError,
)
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet, check_shape, clean_label


def test_way_shot_and_labels_follow_the_order_of_the_classes() -> None:
    image = SupportImage("a.png", b"")
    support_set = SupportSet((SupportClass("river", (image, image)), SupportClass("forest", (image,))))
    assert support_set.way == 2
    assert support_set.labels == ("river", "forest")
    assert [support_class.shot for support_class in support_set.classes] == [2, 1]


def test_negatives_are_no_class() -> None:
    image = SupportImage("a.png", b"", group="patient 1")
    support_set = SupportSet((SupportClass("river", (image,)), SupportClass("forest", (image,))), negatives=(image,))
    assert (support_set.way, support_set.labels) == (2, ("river", "forest"))


class TestCleanLabel:
    @pytest.mark.parametrize(
        ("label", "cleaned"),
        [
            ("Annual_Crop__Land", "Annual Crop Land"),
            ("  River \t", "River"),
            ("cafe\u0301", "café"),
            ("日本 語", "日本 語"),
            ("a\nb", "a b"),
            ("x" * 100, "x" * 100),
        ],
    )
    def test_it_becomes_what_a_prompt_says(self, label: str, cleaned: str) -> None:
        assert clean_label(label) == cleaned
        assert clean_label(cleaned) == cleaned

    @pytest.mark.parametrize("label", ["", "   ", "___", "\t\n"])
    def test_nothing_is_refused(self, label: str) -> None:
        with pytest.raises(BadLabelError, match="at least one character"):
            clean_label(label)

    def test_a_label_over_the_limit_is_refused_with_its_beginning(self) -> None:
        with pytest.raises(BadLabelError, match="at most 100 characters, got 101 characters, beginning with 'xxx"):
            clean_label("x" * 101)
        with pytest.raises(BadLabelError, match="at most 3 characters"):
            clean_label("four", Limits(max_label_characters=3))

    @pytest.mark.parametrize("label", ["a\x00b", "a\x1b[31m", "\ud800", "\u202egod", "a\u2066b"])
    def test_control_characters_are_refused(self, label: str) -> None:
        with pytest.raises(BadLabelError, match="printable characters"):
            clean_label(label)


class TestCheckShape:
    @pytest.mark.parametrize("shots", [{"a": 1, "b": 1}, {"a": 16, "b": 3}, [("a", 1), ("b", 2)]])
    def test_two_classes_with_an_image_each_are_enough(self, shots: dict[str, int] | list[tuple[str, int]]) -> None:
        check_shape(shots)

    @pytest.mark.parametrize("shots", [{}, {"a": 3}])
    def test_fewer_than_two_classes_are_refused(self, shots: dict[str, int]) -> None:
        with pytest.raises(TooFewClassesError, match=f"at least 2 classes, got {len(shots)}"):
            check_shape(shots)

    def test_a_class_without_an_image_is_refused_by_name(self) -> None:
        with pytest.raises(EmptyClassError, match="none in 'b'"):
            check_shape({"a": 1, "b": 0})

    def test_too_many_images_in_a_class_are_refused_by_name(self) -> None:
        with pytest.raises(TooManyShotsError, match="at most 16 images a class, got 17 in 'b'"):
            check_shape({"a": 1, "b": 17})

    def test_too_many_classes_are_refused(self) -> None:
        full = {f"class {index}": 1 for index in range(DEFAULT_LIMITS.max_way)}
        check_shape(full)
        with pytest.raises(TooManyClassesError, match="at most 200 classes, got 201"):
            check_shape(full | {"one more": 1})
