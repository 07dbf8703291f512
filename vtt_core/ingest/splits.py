"""Recognise folders such as `train` and `val`, which are splits of a data set and not classes."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from vtt_core.contract.errors import ArchiveLayoutError
from vtt_core.ingest.printable import printable

TRAIN_NAMES = frozenset({"train", "training"})
VALIDATION_NAMES = frozenset({"val", "valid", "validation"})
TEST_NAMES = frozenset({"test", "testing"})


@dataclass(frozen=True)
class SplitFolders:
    """The folder of each split; names as found."""

    train: str
    query: str | None
    """The validation folder or, without one, the test folder."""
    unused: tuple[str, ...]


@dataclass(frozen=True)
class SplitNotice:
    """What was taken from the split folders."""

    folders: SplitFolders
    num_train: int
    num_query: int
    """Usable images of the query folder, in class folders."""
    num_unused: int
    """Files of the other folders."""

    def sentence(self, *, uses_query: bool) -> str:
        """Return a sentence for the user about what was taken.

        Args:
            uses_query: whether accuracy is measured on the query folder. Otherwise its images are not used.
        """
        folders = self.folders
        taken = [f"The support set was taken from {folders.train!r} ({_count(self.num_train)})."]
        if folders.query is not None and uses_query:
            taken.append(f"The accuracy is measured on {folders.query!r} ({_count(self.num_query)}) first.")
        unused = [*([folders.query] if folders.query is not None and not uses_query else []), *folders.unused]
        if unused:
            num_unused = self.num_unused + (0 if uses_query else self.num_query)
            verb = "was" if len(unused) == 1 else "were"
            taken.append(f"{' and '.join(map(repr, unused))} {verb} not used ({_count(num_unused)}).")
        return " ".join(taken)

    def measured_sentence(self) -> str:
        """Return a sentence for the user about what a finished model was measured on."""
        folders = self.folders
        if folders.query is None:
            return f"The images were taken from {folders.train!r} ({_count(self.num_train)})."
        others = [folders.train, *folders.unused]
        verb = "was" if len(others) == 1 else "were"
        number = _count(self.num_train + self.num_unused)
        return (
            f"The images were taken from {folders.query!r} ({_count(self.num_query)}). "
            f"{' and '.join(map(repr, others))} {verb} not used ({number})."
        )


def find_splits(folders: Set[tuple[str, ...]]) -> SplitFolders | None:
    """Return the splits if every top folder is named like one and the training split contains folders.

    Args:
        folders: path of every folder, as its parts.

    Raises:
        ArchiveLayoutError: the folders are splits, but not exactly one of them is for training.
    """
    tops = sorted({parts[0] for parts in folders})
    if not tops or any(top.casefold() not in TRAIN_NAMES | VALIDATION_NAMES | TEST_NAMES for top in tops):
        return None
    if not any(len(parts) > 1 for parts in folders):
        return None  # a class may be called 'train'
    train, validation, test = (
        [top for top in tops if top.casefold() in names] for names in (TRAIN_NAMES, VALIDATION_NAMES, TEST_NAMES)
    )
    if len(train) != 1:
        raise ArchiveLayoutError(
            expected="one folder for each class, or one folder 'train' with the class folders inside",
            got=f"the folders {', '.join(map(repr, map(printable, tops)))}",
            remedy="Rename the folder with the images to learn from to 'train', or send its class folders alone",
        )
    others = [*validation, *test]
    return SplitFolders(train[0], others[0] if others else None, tuple(others[1:]))


def check_same_classes(folders: SplitFolders, train_labels: Set[str], query_labels: Set[str]) -> None:
    """Refuse a query folder with classes that the training folder lacks.

    Raises:
        ArchiveLayoutError: there are some; the first are named.
    """
    unknown = sorted(query_labels - train_labels)
    if unknown:
        raise ArchiveLayoutError(
            expected=f"the same class folders in {folders.train!r} and {folders.query!r}",
            got=f"{_named(unknown)} in {folders.query!r} only; {folders.train!r} has {_named(sorted(train_labels))}",
            remedy=f"Give the folders the same names, or leave {folders.query!r} out",
        )


def _named(labels: Sequence[str]) -> str:
    named = ", ".join(repr(printable(label)) for label in labels[:3])
    return f"{named} and {len(labels) - 3} more" if len(labels) > 3 else named


def _count(number: int) -> str:
    return "1 image" if number == 1 else f"{number} images"
