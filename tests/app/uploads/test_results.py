"""The status of a whole upload follows from those of its images."""

from app.uploads.results import MAX_NAMED_FILES, ImageResult, group_by_cause, overall_status
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


def refused(file: str | None, label: str, expected: str = "bytes") -> ImageResult:
    return ImageResult.refused(file, label, EmptyFileError(expected=expected, got=f"none in {file}", remedy="Send it again"))


def test_many_files_of_an_archive_with_one_cause_are_one_result_that_counts_and_names_them() -> None:
    results = [ImageResult.kept("a.png", "cat", "img_1"), *(refused(f"{number}.png", "cat") for number in range(3000))]
    kept, grouped = group_by_cause(results, set(range(3001)))
    assert kept == results[0]
    assert (grouped.file, grouped.label, grouped.count) == ("0.png", "cat", 3000)
    assert grouped.got == "3000 files; the first one: none in 0.png"
    assert grouped.files == [f"{number}.png" for number in range(MAX_NAMED_FILES)]


def test_a_cause_in_several_classes_has_no_label_of_its_own() -> None:
    results = [refused(f"{number}.png", "cat" if number % 2 else "dog") for number in range(6)]
    (grouped,) = group_by_cause(results, set(range(6)))
    assert (grouped.label, grouped.count) == (None, 6)


def test_few_files_other_causes_classes_and_fields_of_a_form_are_told_one_by_one() -> None:
    few = [refused(f"{number}.png", "cat") for number in range(5)]
    others = [refused("a.png", "cat", f"{number} bytes") for number in range(9)]
    classes = [refused(None, "cat") for _ in range(9)]
    results = [*few, *others, *classes]
    assert group_by_cause(results, set(range(len(results)))) == results
    fields = [refused(f"{number}.png", "cat") for number in range(9)]
    assert group_by_cause(fields, set()) == fields
