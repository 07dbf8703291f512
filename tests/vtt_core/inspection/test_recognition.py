from dataclasses import replace

import pytest
import torch

from tests.fixtures.examined_sets import change, examined_set
from vtt_core.contract.interval import wilson_half_width
from vtt_core.contract.support_set_report import CurvePoint, LabelDoubt, Measured
from vtt_core.inspection.inspect import report_on
from vtt_core.inspection.learning_curve import curve_findings, gain_of_doubling
from vtt_core.inspection.recognition import MAX_SENTENCES, doubt_findings


def test_a_clean_set_has_no_finding() -> None:
    report = report_on(examined_set([6, 6, 6]), "mini")
    assert report.findings == ()
    assert report.held_out == Measured(1.0, wilson_half_width(18, 18), 18)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_label_that_was_swapped_is_doubted_and_no_other_is(seed: int) -> None:
    examined = change(examined_set([16, 16, 16], spread=0.3, seed=10 * seed), [4], label=2)
    report = report_on(examined, "mini")
    assert [(doubt.image, doubt.label, doubt.looks_like) for doubt in report.label_doubts] == [
        ("class0/4.jpg", "class2", "class0")
    ]
    assert [finding.kind for finding in report.findings] == ["labels.doubtful"]
    assert "'class0/4.jpg' is labelled 'class2' but looks like 'class0'" in report.findings[0].sentence


def test_labels_are_not_doubted_where_classes_are_not_told_apart() -> None:
    report = report_on(examined_set([10, 10, 10, 10], spread=50.0), "mini")
    assert report.label_doubts == ()
    assert [finding.kind for finding in report.findings] == ["classes.not_told_apart"]


def test_of_few_images_it_is_not_said_that_classes_are_not_told_apart() -> None:
    findings = report_on(examined_set([3, 3, 3], spread=50.0), "mini").findings
    assert "classes.not_told_apart" not in {finding.kind for finding in findings}


def test_many_doubts_share_a_sentence() -> None:
    doubts = [LabelDoubt(f"{number}.jpg", "a", "b", 200.0) for number in range(MAX_SENTENCES + 7)]
    findings = doubt_findings(doubts)
    assert len(findings) == MAX_SENTENCES + 1
    assert len(findings[-1].images) == 7


def test_a_class_that_is_often_missed_is_named_with_the_class_that_it_is_taken_for() -> None:
    examined = examined_set([12, 12, 12, 12])
    levels = examined.features.levels_BF.clone()
    # Half of the first class and all of the second have one random look, so neither is told from the other.
    blurred = examined_set([24], spread=30.0, seed=7).features.levels_BF
    levels[:24] = blurred
    report = report_on(replace(examined, features=replace(examined.features, levels_BF=levels)), "mini")
    weak = [finding for finding in report.findings if finding.kind == "classes.weak"]
    assert weak
    assert all("class0" in finding.sentence and "class1" in finding.sentence for finding in weak)
    assert all(name.startswith(("class0", "class1")) for finding in weak for name in finding.images)


def test_a_class_with_one_image_is_named_and_its_recall_is_not_known() -> None:
    report = report_on(examined_set([3, 1, 3]), "mini")
    assert [finding.kind for finding in report.findings] == ["classes.one_image"]
    assert "'class1'" in report.findings[0].sentence
    assert report.classes[1].recall is None


def test_with_one_image_of_each_class_nothing_is_measured() -> None:
    report = report_on(examined_set([1, 1, 1]), "mini")
    assert (report.held_out, report.learning_curve, report.shortcuts, report.gain_of_doubling) == (None, (), (), None)
    assert [finding.kind for finding in report.findings] == ["classes.one_image"]
    assert "Every class has one image" in report.findings[0].sentence


def test_the_learning_curve_rises_where_images_help() -> None:
    report = report_on(examined_set([9] * 5, spread=2.5), "mini")
    accuracies = [point.measured.accuracy for point in report.learning_curve]
    assert [point.shot for point in report.learning_curve] == [1, 2, 4, 8]
    assert accuracies[-1] > accuracies[0] + 0.1


def test_the_learning_curve_counts_copies_and_groups_once() -> None:
    examined = change(examined_set([4, 4]), [0, 1, 2], group="anna")
    examined = change(examined, [4, 5, 6], group="ben")
    assert [point.shot for point in report_on(examined, "mini").learning_curve] == [1]


def curve(*accuracies: float) -> list[CurvePoint]:
    return [CurvePoint(2**power, Measured(accuracy, 0.1, 50)) for power, accuracy in enumerate(accuracies)]


def test_the_error_is_expected_to_fall_by_the_same_factor_again() -> None:
    assert gain_of_doubling(curve(0.2, 0.6, 0.8)) == pytest.approx(0.2 * (1 - 0.5))
    assert gain_of_doubling(curve(0.8, 0.6)) == 0
    assert gain_of_doubling(curve(0.8)) is None


def test_more_images_are_asked_for_only_where_they_bring_something() -> None:
    (finding,) = curve_findings(curve(0.2, 0.6, 0.8), 0.1, 6)
    assert "1, 2 and 4 images of each class, 20, 60 and 80 %" in finding.sentence
    assert "With 8, it would likely be about 10 points more than with 4" in finding.sentence
    assert curve_findings(curve(0.9, 0.9), 0.0, 3) == []
    assert curve_findings(curve(0.9), None, 2) == []


def test_it_is_said_when_the_images_that_are_there_bring_the_gain() -> None:
    (finding,) = curve_findings(curve(0.2, 0.6, 0.8), 0.1, 8)
    assert "With 8, as many as are there, it would likely be about 10 points more than with 4" in finding.sentence


def test_more_images_are_not_asked_for_where_the_last_ones_brought_nothing() -> None:
    assert curve_findings(curve(0.67, 0.75, 0.75), 0.03, 8) == []


def test_every_held_out_image_is_counted_once() -> None:
    report = report_on(examined_set([5, 4, 3], spread=1.0), "mini")
    assert report.held_out is not None
    assert report.held_out.num_images == 12
    recalls = torch.tensor([one.recall for one in report.classes], dtype=torch.float64)
    assert report.held_out.accuracy == pytest.approx(float(recalls @ torch.tensor([5, 4, 3]).double()) / 12)
