"""Say where the files of a map lie, refuse places that cannot be written, and put all of them there together."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vtt_core.contract.errors import InputError

REMEDY = "Choose another --out"
NEARLY_FULL_BYTES = 2**26
"""GDAL says that a write failed and not why. With less room than this, a full disk was the reason."""


@dataclass(frozen=True)
class ScenePaths:
    """The files of one map."""

    classes: Path
    """GeoTIFF: the class of each cell, with a colour table."""
    probabilities: Path
    """GeoTIFF: a band for each class."""
    picture: Path
    outlines: Path
    """GeoJSON."""

    @classmethod
    def of(cls, out: Path) -> ScenePaths:
        """Return the names beside that of the map of classes."""
        stem = out.with_suffix("")
        return cls(
            out,
            stem.with_name(stem.name + ".probabilities.tif"),
            stem.with_name(stem.name + ".png"),
            stem.with_name(stem.name + ".geojson"),
        )

    def each(self) -> tuple[Path, ...]:
        """Return all of them."""
        return self.classes, self.probabilities, self.picture, self.outlines

    def check(self, scene: Path) -> None:
        """Refuse places that cannot be written, and those where the scene is.

        Args:
            scene: the file that is read.

        Raises:
            InputError: one of the files would be the scene, is a folder, or has a name that no file can have.
        """
        for path in self.each():
            try:
                path.lstat()
                is_scene = path.exists() and path.samefile(scene)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _unwritable(path, error.strerror or str(error)) from error
            if is_scene:
                raise InputError(
                    expected="a map beside the scene", got=f"{str(path)!r}, which is the scene itself", remedy=REMEDY
                )
            if path.is_dir():
                raise _unwritable(path, "a folder")


@contextmanager
def finished_together(paths: ScenePaths) -> Iterator[ScenePaths]:
    """Give names in a folder of its own, and move the files to their places once all are written.

    A file that was not written leaves what is in its place.

    Raises:
        InputError: the folder cannot be written to.
        OSError: the files cannot be written, such as on a full disk.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=".map-", dir=paths.classes.parent))
    except OSError as error:
        raise _unwritable(paths.classes.parent, error.strerror or str(error)) from error
    try:
        parts = ScenePaths(*(folder / path.name for path in paths.each()))
        with _full_disk_named(folder):
            yield parts
        for part, path in zip(parts.each(), paths.each(), strict=True):
            if part.exists() and path.is_dir() and not path.is_symlink():
                raise _unwritable(path, "a folder")
        for part, path in zip(parts.each(), paths.each(), strict=True):
            if part.exists():
                part.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _full_disk_named(folder: Path) -> Iterator[None]:
    """Turn GDAL's error of a write that failed into that of the system, which has the reason."""
    from rasterio.errors import RasterioIOError  # noqa: PLC0415  # optional

    try:
        yield
    except RasterioIOError as error:
        code = errno.ENOSPC if shutil.disk_usage(folder).free < NEARLY_FULL_BYTES else errno.EIO
        raise OSError(code, os.strerror(code), str(folder.parent)) from error


def _unwritable(path: Path, reason: str) -> InputError:
    return InputError(expected="a map whose files can be written", got=f"{str(path)!r} ({reason})", remedy=REMEDY)
