"""The entries of an archive or folder as they were found, and its labelled files as they are returned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from vtt_core.contract.errors import VttError
from vtt_core.ingest.printable import printable
from vtt_core.ingest.splits import SplitNotice


@dataclass(frozen=True)
class LabelledFile:
    """One file in a class folder. It may not be an image."""

    label: str
    """Name of the class folder, as found. Its encoding is known."""
    name: str
    """`<class folder>/<file>`, for messages; never used as a path."""
    read: Callable[[], bytes]
    """Returns the content, or raises a VttError if it is too large, damaged or an archive itself."""


@dataclass(frozen=True)
class Rejection:
    """One file that cannot be used, with the reason."""

    label: str | None
    """Name of its class folder, if it is in one."""
    name: str
    """Path of the file, for messages."""
    error: VttError


@dataclass(frozen=True)
class ArchiveContents:
    """What an archive or folder holds."""

    files: tuple[LabelledFile, ...]
    """Images to learn from, sorted by class, then name."""
    folders: tuple[str, ...]
    """Label of every class folder, sorted, even if it holds nothing usable."""
    rejections: tuple[Rejection, ...]
    """Sorted by name."""
    query_files: tuple[LabelledFile, ...] = ()
    """Images of a folder such as `val`, for measuring accuracy; sorted like `files`."""
    split: SplitNotice | None = None
    """Set if folders such as `train` and `val` were found."""

    def measured(self) -> ArchiveContents:
        """Return what a finished model is measured on: the images of a folder such as `val` alone, where there is one."""
        if self.split is None or self.split.folders.query is None:
            return self
        inside = f"{printable(self.split.folders.query)}/"
        return replace(
            self,
            files=self.query_files,
            rejections=tuple(rejection for rejection in self.rejections if rejection.name.startswith(inside)),
            query_files=(),
        )


@dataclass(frozen=True)
class FoundFolder:
    """One folder of an archive or folder."""

    path: str
    """Parts separated by `/`, with one at the end."""
    problem: VttError | None = None
    """Why it cannot be used, if its kind or size already tells."""


@dataclass(frozen=True)
class FoundFile:
    """One file of an archive or folder."""

    path: str
    """Parts separated by `/`."""
    read: Callable[[], bytes]
    problem: VttError | None = None
    """Why it cannot be used, if its kind or size already tells."""
