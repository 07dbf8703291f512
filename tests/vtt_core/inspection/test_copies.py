import pytest

from tests.fixtures.examined_sets import change, copy_photo, examined_set
from vtt_core.inspection.copies import copies_in, independent_groups
from vtt_core.inspection.inspect import report_on


def kinds(examined: object) -> list[str]:
    return [finding.kind for finding in report_on(examined, "mini").findings]  # type: ignore[arg-type]


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_copy_within_a_class_counts_as_one_image(mirrored: bool) -> None:
    examined = copy_photo(examined_set([5, 5, 5]), 1, 3)
    thumbnail = examined.images[1].facts.thumbnail
    examined = change(examined, [3], thumbnail=thumbnail[:, ::-1] if mirrored else thumbnail)
    report = report_on(examined, "mini")
    assert [finding.kind for finding in report.findings] == ["copies.within_class"]
    assert report.findings[0].images == ("class0/1.jpg", "class0/3.jpg")
    assert [one.num_independent for one in report.classes] == [4, 5, 5]


def test_images_that_are_alike_in_features_but_not_in_their_parts_are_no_copies() -> None:
    examined = copy_photo(examined_set([5, 5, 5]), 1, 3)
    examined = change(examined, [3], thumbnail=examined.images[7].facts.thumbnail)
    assert copies_in(examined) == []


def test_a_copy_in_another_class_is_a_problem_that_names_both_images() -> None:
    report = report_on(copy_photo(examined_set([5, 5, 5]), 1, 7), "mini")
    finding = next(one for one in report.findings if one.kind == "copies.across_classes")
    assert (finding.severity, finding.images) == ("problem", ("class0/1.jpg", "class1/7.jpg"))
    assert report.findings[0].severity == "problem"
    assert report.copies[0].labels == ("class0", "class1")


def test_a_copy_in_the_negative_class_is_a_problem_too() -> None:
    examined = copy_photo(change(examined_set([5, 5, 5, 2]), [15, 16], label=None), 1, 16)
    assert "copies.across_classes" in kinds(examined)
    assert "the negative class" in report_on(examined, "mini").findings[0].sentence


def test_a_copy_in_another_group_is_a_leak_and_joins_the_groups() -> None:
    examined = copy_photo(examined_set([6, 6]), 1, 3)
    examined = change(change(examined, [0, 1], group="anna"), [2, 3], group="ben")
    groups = independent_groups(examined, copies_in(examined))
    assert len({groups[index] for index in range(4)}) == 1
    assert "groups.leak" in kinds(examined)


def test_copies_in_one_group_are_what_the_group_is_for() -> None:
    examined = change(copy_photo(examined_set([6, 6]), 1, 3), [1, 3], group="anna")
    assert kinds(examined) == []


def test_a_group_with_images_of_two_classes_is_noticed() -> None:
    assert kinds(change(examined_set([5, 5]), [0, 5], group="anna")) == ["groups.several_classes"]
    assert kinds(change(examined_set([5, 5]), [0, 1], group="anna")) == []


def test_a_class_in_one_group_cannot_be_tested() -> None:
    examined = change(examined_set([5, 3, 5]), [5, 6, 7], group="anna")
    report = report_on(examined, "mini")
    assert [finding.kind for finding in report.findings] == ["groups.whole_class"]
    assert "'anna'" in report.findings[0].sentence
    assert [one.recall is None for one in report.classes] == [False, True, False]
