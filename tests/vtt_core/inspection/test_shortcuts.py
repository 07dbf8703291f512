from typing import Any

import numpy as np
import pytest

from tests.fixtures.examined_sets import change, examined_set
from vtt_core.contract.support_set_report import Finding, Measured
from vtt_core.inspection.examined import Examined
from vtt_core.inspection.inspect import report_on
from vtt_core.inspection.shortcuts import shortcut_findings, shortcuts

ALIKE = {
    "shortcut.image_size": {"width": 200, "height": 160},
    "shortcut.aspect_ratio": {"width": 80, "height": 100},
    "shortcut.file_format": {"image_format": "PNG"},
    "shortcut.border": {"border": (0.1, 0.1, 0.0, 0.0)},
}


def found(examined: Examined) -> list[Finding]:
    return [finding for finding in report_on(examined, "mini").findings if finding.kind.startswith("shortcut")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALIKE)
def test_a_fact_that_is_different_in_one_of_two_classes_is_a_problem(kind: str) -> None:
    examined = change(examined_set([8, 8]), range(8), **ALIKE[kind])
    (finding,) = found(examined)
    assert (finding.kind, finding.severity) == (kind, "problem")
    assert "100 % of the images; chance is 50 %" in finding.sentence


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALIKE)
def test_the_same_fact_in_images_of_both_classes_is_no_shortcut(kind: str) -> None:
    assert found(change(examined_set([8, 8]), [0, 2, 4, 9, 11, 13], **ALIKE[kind])) == []


def test_one_class_of_many_that_is_different_is_a_problem_and_named() -> None:
    (finding,) = found(change(examined_set([6] * 6), range(6), image_format="PNG"))
    assert (finding.kind, finding.severity) == ("shortcut.file_format", "problem")
    assert "most of all 'class0'" in finding.sentence


def test_a_fact_that_helps_with_every_class_and_gives_none_away_is_a_notice() -> None:
    examined = change(examined_set([24, 24]), [*range(19), *range(24, 29)], image_format="PNG")
    (finding,) = found(examined)
    assert (finding.kind, finding.severity) == ("shortcut.file_format", "notice")
    assert "most of all" not in finding.sentence


def test_size_and_aspect_ratio_have_one_sentence() -> None:
    (finding,) = found(change(examined_set([8, 8]), range(8), width=300, height=80))
    assert finding.kind == "shortcut.image_size"


def test_of_few_images_nothing_is_said() -> None:
    assert found(change(examined_set([2, 2]), range(2), image_format="PNG")) == []


def test_copies_are_no_evidence() -> None:
    examined = change(examined_set([8, 8]), range(8), image_format="PNG", group="anna")
    assert found(change(examined, range(8, 16), group="ben")) == []


def coloured(examined: Examined) -> Examined:
    for index, image in enumerate(examined.images):
        assert image.label is not None
        examined = change(examined, [index], mean_colour=(0.1 + 0.2 * image.label, 0.5, 0.5))
    return examined


def test_colour_is_a_notice_where_it_does_as_well_as_the_backbone() -> None:
    (finding,) = found(coloured(examined_set([6, 6, 6])))
    assert (finding.kind, finding.severity) == ("shortcut.colour", "notice")
    assert "may be a real difference, or the light" in finding.sentence


def test_colour_that_tells_less_than_the_backbone_is_none() -> None:
    examined = coloured(examined_set([8, 8, 8]))
    for index in range(0, 24, 4):
        examined = change(examined, [index], mean_colour=examined.images[(index + 8) % 24].facts.mean_colour)
    (colour,) = [one for one in report_on(examined, "mini").shortcuts if one.fact == "mean colour"]
    assert colour.p_value < 0.01
    assert not colour.is_shortcut


@pytest.mark.slow
@pytest.mark.parametrize("field", ["image_format", "width"])
def test_facts_at_random_are_rarely_called_a_shortcut(field: str) -> None:
    values: list[Any] = {"image_format": ["PNG", "JPEG"], "width": [90, 100, 130, 150]}[field]
    num_false = 0
    for seed in range(20):
        random, examined = np.random.default_rng(seed), examined_set([5, 5, 5], seed=seed)
        for index in range(15):
            examined = change(examined, [index], **{field: values[random.integers(len(values))]})
        num_false += sum(one.is_shortcut for one in shortcuts(examined, range(15), Measured(1.0, 0.1, 15)))
    assert num_false <= 1


def test_a_fact_that_all_images_share_tells_nothing_even_of_unequal_classes() -> None:
    by_fact = {one.fact: one for one in shortcuts(examined_set([9, 3]), range(12), None)}
    assert by_fact["image size"].accuracy == pytest.approx(0.5)
    assert by_fact["image size"].p_value == 1
    assert shortcut_findings(list(by_fact.values()), None) == []
