"""No file twice, no more than way and shot."""

import pytest

from vtt_core.contract.admitted_images import AdmittedImages
from vtt_core.contract.errors import (
    ConflictingLabelsError,
    DuplicateImageError,
    SupportSetError,
    TooManyClassesError,
    TooManyShotsError,
)
from vtt_core.contract.limits import Limits


@pytest.mark.parametrize(("label", "error"), [("cat", DuplicateImageError), ("dog", ConflictingLabelsError)])
def test_the_same_file_is_refused_in_its_class_and_in_another(label: str, error: type[SupportSetError]) -> None:
    images = AdmittedImages(Limits(), [("cat", "1"), ("cat", "2"), ("dog", "3")])
    with pytest.raises(error, match="'cat'"):
        images.check_new(label, "1")


@pytest.mark.parametrize(("label", "error"), [("cat", TooManyShotsError), ("bird", TooManyClassesError)])
def test_an_image_or_a_class_too_many_is_refused(label: str, error: type[SupportSetError]) -> None:
    images = AdmittedImages(Limits(max_way=2, max_shot=2), [("cat", "1"), ("cat", "2"), ("dog", "3")])
    with pytest.raises(error, match=label):
        images.check_room(label)


def test_an_image_that_fits_is_admitted() -> None:
    images = AdmittedImages(Limits(max_way=2, max_shot=2), [("cat", "1")])
    images.check_new("dog", "2")
    images.check_room("dog")
    images.admit("dog", "2")
    assert images.shots == {"cat": 1, "dog": 1}
