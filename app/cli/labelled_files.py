"""Read the labelled images of a folder or zip that a finished model is measured on."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, TypeVar

from vtt_core.contract.admitted_images import AdmittedImages
from vtt_core.contract.errors import ArchiveLayoutError, BadLabelError, VttError
from vtt_core.contract.limits import DEFAULT_LIMITS
from vtt_core.contract.support_set import clean_label
from vtt_core.ingest.archives import ArchiveContents, LabelledFile, open_images

Result = TypeVar("Result")


@dataclass
class LabelledFiles:
    """The images by class, before any is read. Of folders such as `train` and `val`, those of the second."""

    contents: ArchiveContents
    left_out: list[tuple[str, VttError]] = field(default_factory=list)
    """Images that cannot be used, and why."""

    @classmethod
    @contextmanager
    def opened(cls, source: Path) -> Iterator[LabelledFiles]:
        """Open a folder or zip; its files can be read inside the `with` block.

        Raises:
            ArchiveError: it cannot be read, or there is nothing.
        """
        with open_images(source) as contents:
            measured = contents.measured()
            yield cls(measured, [(rejection.name, rejection.error) for rejection in measured.rejections])

    @property
    def notices(self) -> list[str]:
        """What else is worth knowing, as sentences."""
        return [] if self.contents.split is None else [self.contents.split.measured_sentence()]

    @property
    def labels(self) -> list[str]:
        """Labels of the classes that can have one, cleaned."""
        labels: dict[str, None] = {}
        for file in self.contents.files:
            try:
                labels[clean_label(file.label)] = None
            except BadLabelError:
                continue  # its images are left out by name, later
        return list(labels)

    def each(self, read: Callable[[bytes], Result]) -> Iterator[tuple[LabelledFile, Result]]:
        """Yield every image with its cleaned label and what was read of it; those that cannot be used are left out.

        Args:
            read: of an encoded image; may raise a VttError.
        """
        taken = AdmittedImages(DEFAULT_LIMITS)
        for file in self.contents.files:
            try:
                label, encoded = clean_label(file.label), file.read()
                sha256 = hashlib.sha256(encoded).hexdigest()
                taken.check_new(label, sha256)
                found = read(encoded)
            except VttError as error:
                self.left_out.append((file.name, error))
                continue
            taken.admit(label, sha256)
            yield replace(file, label=label), found

    def pack(self, archive: BinaryIO) -> None:
        """Write a zip with a folder per class; files that cannot be read are left out."""
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
            for file in self.contents.files:
                try:
                    packed.writestr(f"{file.label}/{file.name.rsplit('/', 1)[-1]}", file.read())
                except VttError as error:
                    self.left_out.append((file.name, error))

    def check_some(self, num_usable: int) -> None:
        """Refuse a source without a usable image of a class that the model knows.

        Raises:
            VttError: why the first image cannot be used.
            ArchiveLayoutError: there are no images.
        """
        if num_usable:
            return
        if self.left_out:
            raise self.left_out[0][1]
        raise ArchiveLayoutError(
            expected="one folder for each class, and the images directly inside it", got="no image", remedy="Add images"
        )
