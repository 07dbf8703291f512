from tests.fixtures.examined_sets import change, examined_set
from vtt_core.contract.support_set_report import Finding
from vtt_core.inspection.examined import Examined
from vtt_core.inspection.make_up import make_up_findings
from vtt_core.inspection.words import counted, listed, series


def one(examined: Examined) -> Finding:
    (finding,) = make_up_findings(examined)
    return finding


def test_unequal_classes_are_named_with_their_numbers() -> None:
    assert make_up_findings(examined_set([6, 2])) == []
    finding = one(examined_set([8, 2, 4]))
    assert finding.kind == "classes.unequal"
    assert "'class0' has 8 images, 'class1' has 2" in finding.sentence


def test_images_smaller_than_the_backbone_reads_are_named() -> None:
    examined = examined_set([3, 3])
    assert make_up_findings(examined) == []
    finding = one(change(examined, [1], width=30, height=20))
    assert (finding.kind, finding.images) == ("images.small", ("class0/1.jpg",))
    assert "1 image is smaller than the 64 x 64 pixels" in finding.sentence


def test_if_all_images_are_small_none_is_named() -> None:
    finding = one(examined_set([3, 3], side_pixels=224))
    assert finding.sentence.startswith("All images are smaller than the 224 x 224 pixels")
    assert len(finding.images) == 6


def test_grey_images_among_coloured_ones_are_named_and_the_other_way_round() -> None:
    examined = examined_set([5, 5])
    grey = one(change(examined, [1, 2], is_grey=True))
    assert (grey.kind, grey.images) == ("images.grey_among_colour", ("class0/1.jpg", "class0/2.jpg"))
    coloured = one(change(examined, [0, *range(2, 10)], is_grey=True))
    assert coloured.images == ("class0/1.jpg",)


def test_all_grey_or_half_and_half_is_no_finding() -> None:
    examined = examined_set([4, 4])
    assert make_up_findings(change(examined, range(8), is_grey=True)) == []
    assert make_up_findings(change(examined, range(0, 8, 2), is_grey=True)) == []


def test_words_are_put_together() -> None:
    assert listed(["a"]) == "'a'"
    assert listed(["a", "b", "c"]) == "'a', 'b' and 'c'"
    assert listed(["a", "b", "c", "d", "e"]) == "'a', 'b', 'c' and 2 more"
    assert series(["1", "2"]) == "1 and 2"
    assert (counted(1, "image"), counted(2, "image"), counted(2, "class", "classes")) == ("1 image", "2 images", "2 classes")
