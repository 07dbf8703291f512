"""A support set takes labels that the text encoder can tell apart, and images that it has room for."""

import pytest

from app.support_sets.admission import Admission
from vtt_core.contract.errors import DuplicateImageError, SameTokensError, TooManyClassesError, TooManyShotsError
from vtt_core.contract.limits import Limits


def test_a_file_that_is_there_is_called_a_duplicate_also_where_its_class_is_full() -> None:
    admission = Admission(Limits(max_shot=1), [("cat", "1")])
    with pytest.raises(DuplicateImageError):
        admission.check("cat", "1")
    with pytest.raises(TooManyShotsError):
        admission.check("cat", "2")


def test_a_label_that_reads_as_one_in_the_set_is_refused_also_if_that_class_is_empty() -> None:
    admission = Admission(Limits(), [("Star", "1")], ["Rings"])
    admission.add_class("Star")
    for label in ("star", "rings"):
        with pytest.raises(SameTokensError):
            admission.add_class(label)


def test_classes_that_were_in_the_set_before_are_not_checked_again() -> None:
    admission = Admission(Limits(), [("Star", "1"), ("star", "2")])
    admission.add_class("star")
    admission.check("star", "3")


def test_the_negative_class_is_read_by_no_text_encoder_and_counts_as_no_class() -> None:
    admission = Admission(Limits(max_way=2), [("Star", "1"), ("cat", "2")], ["STAR"], negative_label="STAR")
    admission.add_class("STAR")
    admission.check("STAR", "3")
    admission.admit("STAR", "3")
    admission.check("STAR", "4")
    with pytest.raises(TooManyClassesError):
        admission.check("dog", "5")
    with pytest.raises(DuplicateImageError):
        admission.check("STAR", "3")
