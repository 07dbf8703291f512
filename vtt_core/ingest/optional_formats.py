"""Formats that need a package which is not always installed: DICOM, HEIC, and GeoTIFF for scenes."""

from __future__ import annotations

import importlib
from types import ModuleType

from vtt_core.contract.errors import FormatPackageMissingError
from vtt_core.contract.extras import install_extra


def package_for(kind: str, package: str, extra: str) -> ModuleType:
    """Import the package that reads a kind of image.

    Args:
        kind: the kind in words, such as "a HEIC photo".
        package: its name for import.
        extra: of this project, which installs it.

    Raises:
        FormatPackageMissingError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise missing_package(kind, package, extra) from error


def missing_package(kind: str, package: str, extra: str) -> FormatPackageMissingError:
    """Return the error that names the extra; arguments as of `package_for`."""
    return FormatPackageMissingError(
        expected=f"the package {package}, which reads {kind}",
        got="that it is not installed",
        remedy=f"Convert the image to JPEG or PNG, or {install_extra(extra, 'install')}",
    )
