"""The status of a whole upload follows from those of its images."""

from app.uploads.results import ImageResult, overall_status
from vtt_core.contract.errors import EmptyFileError


def test_all_kept_is_created_and_some_refused_is_multi_status() -> None:
    kept = ImageResult.kept("a.png", "cat", "img_1")
    refused = ImageResult.refused("b.png", "cat", EmptyFileError(expected="bytes", got="none", remedy="Send it again"))
    assert overall_status([kept]) == 201
    assert overall_status([kept, refused]) == 207
    assert (refused.status, refused.code, refused.expected, refused.got, refused.remedy) == (
        422,
        "image.empty",
        "bytes",
        "none",
        "Send it again",
    )
