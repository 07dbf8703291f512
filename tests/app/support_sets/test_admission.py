"""No doubles, no more than way and shot."""

import pytest

from app.support_sets.admission import Admission
from vtt_core.contract.errors import (
    ConflictingLabelsError,
    DuplicateImageError,
    SameTokensError,
    SupportSetError,
    TooManyClassesError,
    TooManyShotsError,
)
from vtt_core.contract.limits import Limits


@pytest.mark.parametrize(
    ("label", "digest", "error"),
    [
        ("cat", "1", DuplicateImageError),
        ("dog", "1", ConflictingLabelsError),
        ("cat", "9", TooManyShotsError),
        ("bird", "9", TooManyClassesError),
    ],
)
def test_an_image_too_many_is_refused_with_its_reason(label: str, digest: str, error: type[SupportSetError]) -> None:
    admission = Admission(Limits(max_way=2, max_shot=2), [("cat", "1"), ("cat", "2"), ("dog", "3")])
    with pytest.raises(error):
        admission.check(label, digest)


def test_an_image_that_fits_is_admitted() -> None:
    admission = Admission(Limits(max_way=2, max_shot=2), [("cat", "1")])
    admission.check("dog", "2")
    admission.admit("dog", "2")
    assert admission.shots == {"cat": 1, "dog": 1}


def test_a_label_that_reads_as_one_in_the_set_is_refused_also_if_that_class_is_empty() -> None:
    admission = Admission(Limits(), [("Star", "1")], ["Rings"])
    admission.name_class("Star")
    for label in ("star", "rings"):
        with pytest.raises(SameTokensError):
            admission.name_class(label)


def test_classes_that_were_in_the_set_before_are_not_checked_again() -> None:
    admission = Admission(Limits(), [("Star", "1"), ("star", "2")])
    admission.name_class("star")
    admission.check("star", "3")
