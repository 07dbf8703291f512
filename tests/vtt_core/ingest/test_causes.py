"""Many errors with one cause are reported once. Different causes, or a few files, are reported one by one."""

from vtt_core.contract.errors import ArchiveLayoutError, EmptyFileError, VttError
from vtt_core.ingest.causes import FEW, by_cause, cause_of


def deep(number: int, remedy: str = "Move it") -> VttError:
    return ArchiveLayoutError(expected="images at the top", got=f"file {number}", remedy=remedy)


def test_more_than_a_few_of_one_cause_are_one_group_at_the_place_of_its_first() -> None:
    other = EmptyFileError(expected="bytes", got="none", remedy="Save it again")
    assert by_cause(list(map(cause_of, [other, *(deep(number) for number in range(FEW + 1)), other]))) == [
        [0],
        [1, 2, 3, 4, 5, 6],
        [7],
    ]


def test_a_few_of_one_cause_stay_alone() -> None:
    assert by_cause([cause_of(deep(number)) for number in range(FEW)]) == [[0], [1], [2], [3], [4]]


def test_another_remedy_is_another_cause() -> None:
    causes = [cause_of(deep(number, remedy)) for number in range(FEW) for remedy in ("Move it", "Rename it")]
    assert by_cause(causes) == [[place] for place in range(2 * FEW)]


def test_every_error_is_in_exactly_one_group() -> None:
    groups = by_cause([cause_of(deep(number)) for number in range(3000)])
    assert groups == [list(range(3000))]
    assert by_cause([]) == []
