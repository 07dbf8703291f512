"""No doubles, no more than way and shot."""

import pytest

from app.support_sets.admission import Admission
from vtt_core.contract.errors import (
    ConflictingLabelsError,
    DuplicateImageError,
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
