"""Check the Python, the packages that the service needs, and its extras."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from app.cli.doctor.findings import Finding, note, ok, problem
from vtt_core.contract.extras import install_extra

DISTRIBUTION = "vtt-service"
PURPOSES = {
    "postgres": "PostgreSQL as the database",
    "s3": "S3 as the store",
    "cuda": "mamba-ssm's kernels of the scan on a GPU",
    "otel": "traces",
    "plots": "pictures of the `vtt bench` and `vtt diagnose` commands",
    "siglip": "tokenizers of SigLIP, SigLIP2 and MetaCLIP 2",
    "datasets": "labels of Oxford 102 Flowers",
    "pretrain": "training `mini` anew",
    "exports": "models for peft, open_clip, ONNX and browsers",
    "mlflow": "models in MLflow",
    "medical": "DICOM images",
    "heic": "HEIC images of phones",
    "remote-sensing": "GeoTIFF scenes and maps",
    "docs": "building the documentation as a site",
    "dev": "tests and linters",
}
"""Extra -> what it is for."""
SHOWN = ("torch", "torchvision", "open_clip_torch", "timm", "numba", "numpy", "pillow")
"""Packages whose versions explain most differences between two installations."""


@dataclass(frozen=True)
class Lack:
    """A package that is missing or has a version that does not fit."""

    requirement: str
    found: str | None
    """Installed version; None if the package is missing."""

    def __str__(self) -> str:
        return f"{self.requirement} ({'missing' if self.found is None else f'{self.found} is installed'})"


def check_python() -> Finding:
    """Check the version of Python against what the service supports."""
    running = platform.python_version()
    if not is_installed():
        return note("python", f"{running}; {DISTRIBUTION} runs from a folder, so its needs are not known")
    wanted = SpecifierSet(metadata(DISTRIBUTION)["Requires-Python"])
    if running in wanted:
        return ok("python", running)
    return problem("python", f"{running}, the service needs {wanted}", "Make the environment anew with a Python that fits")


def is_installed() -> bool:
    """Return whether the service is installed as a package, which then says what it needs."""
    return _installed(DISTRIBUTION) is not None


def check_packages() -> Finding:
    """Check that every package that the service needs is installed in a version that fits."""
    lacks = lacking("")
    if lacks:
        remedy = "In the clone of the repository: make setup"
        return problem("packages", "; ".join(map(str, lacks)), remedy)
    return ok("packages", ", ".join(f"{name} {version(name)}" for name in (DISTRIBUTION, *SHOWN)))


def check_torchvision() -> Finding:
    """Check whether torchvision is built for the installed torch, which other programs in this environment need."""
    from vtt_core.backbones.torchvision_operators import have_operators  # noqa: PLC0415  (imports torch)

    versions = f"torchvision {version('torchvision')} and torch {version('torch')}"
    if have_operators():
        return ok("torchvision", f"{versions} fit together")
    return note(
        "torchvision",
        f"{versions} are of different builds; the service does without what fails, but `import torchvision` fails elsewhere, "
        "and so does transformers, which loads peft exports",
        "Install torchvision from the index that torch came from",
    )


def check_extras(needed: dict[str, str]) -> Iterator[Finding]:
    """Check each extra; one note names all that are missing and not needed.

    Args:
        needed: extra -> setting that needs it. Such an extra must be installed.
    """
    absent = {}
    for extra in extras():
        purpose = PURPOSES.get(extra, "see pyproject.toml")
        lacks = lacking(extra)
        if not lacks:
            yield ok(f"extra {extra}", f"installed: {purpose}")
        elif extra in needed:
            yield problem(f"extra {extra}", f"{needed[extra]} needs it: {', '.join(map(str, lacks))}", install_extra(extra))
        else:
            absent[extra] = purpose
    if absent:
        named = ", ".join(f"{extra} ({purpose})" for extra, purpose in absent.items())
        yield note(
            "other extras",
            f"not installed: {named}",
            install_extra(next(iter(absent)), "If you need one of them, install for example"),
        )


def extras() -> list[str]:
    """Return the names of the extras that people install, as the installed service declares them."""
    return [name for name in metadata(DISTRIBUTION).get_all("Provides-Extra") or [] if name != "dev"]


def lacking(extra: str) -> list[Lack]:
    """Return what is missing or does not fit of an extra; of the service itself for the name ''."""
    found = []
    for text in requires(DISTRIBUTION) or []:
        requirement = Requirement(text)
        if not _belongs_to(requirement, extra):
            continue
        if canonicalize_name(requirement.name) == DISTRIBUTION:
            found += [lack for inner in sorted(requirement.extras) for lack in lacking(inner)]
            continue
        installed = _installed(requirement.name)
        if installed is None or not requirement.specifier.contains(installed, prereleases=True):
            found.append(Lack(f"{requirement.name}{requirement.specifier}", installed))
    return found


def _belongs_to(requirement: Requirement, extra: str) -> bool:
    if requirement.marker is None:
        return not extra
    # Without an extra, a requirement of an extra must not count; with one, those of the service itself must not.
    without = requirement.marker.evaluate({"extra": ""})
    return without if not extra else requirement.marker.evaluate({"extra": extra}) and not without


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
