"""Options for the groups of images and the negative class: `--groups`, `--group-prefix`, `--group-patient`, `--negative`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Protocol

import typer

from vtt_core.contract.errors import GroupsError
from vtt_core.ingest.groups import LAYOUT, clean_group, parse_groups
from vtt_core.ingest.patient_groups import patient_group

GroupsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help='Which images belong together, as those of one patient. CSV: file,group. JSON: {"file": "group"}.'
    ),
]
GroupPrefixOption = Annotated[
    bool,
    typer.Option("--group-prefix", help="The group of an image is its file name up to the first _: <patient>_<number>.png."),
]
GroupPatientOption = Annotated[
    bool, typer.Option("--group-patient", help="The group of a DICOM file is a hash of its PatientID, which is not kept.")
]
NegativeOption = Annotated[
    str | None,
    typer.Option(metavar="LABEL", help="Folder of the negative class: its images show none of the other classes."),
]


class Groups(Protocol):
    """Tells which group an image belongs to."""

    def group_of(self, name: str) -> str | None:
        """Return the group of a file `<class folder>/<file>`, as far as its name tells."""

    def notices(self) -> list[str]:
        """Return what is worth knowing once every file has been asked for, as sentences."""


class PrefixGroups:
    """Takes the group from the name of the file: what stands before its first `_`."""

    def group_of(self, name: str) -> str | None:
        """Return the group of a file; None for a name without `_`, or with nothing before it."""
        prefix, underscore, _ = name.rpartition("/")[2].partition("_")
        return clean_group(prefix, name) if underscore else None

    def notices(self) -> list[str]:
        """Return nothing: every file has a name."""
        return []


class PatientGroups:
    """Takes the group from the content of a DICOM file. Two runs give a patient different groups."""

    def __init__(self) -> None:
        self._salt = secrets.token_hex()
        self._has_found_any = False

    def group_of(self, name: str) -> str | None:
        """Return None: a name tells nothing."""
        return None

    def group_in(self, encoded: bytes) -> str | None:
        """Return the group of a file; None for one that is no DICOM, or names no patient."""
        group = patient_group(encoded, self._salt)
        self._has_found_any = self._has_found_any or group is not None
        return group

    def notices(self) -> list[str]:
        """Say whether no image has named a patient."""
        return (
            [] if self._has_found_any else ["--group-patient: no image is a DICOM file with a PatientID, so none has a group."]
        )


def chosen_groups(groups_path: Path | None, *, by_prefix: bool, by_patient: bool = False) -> Groups | None:
    """Return the groups that the options ask for; None for none.

    Args:
        groups_path: value of `--groups`.
        by_prefix: value of `--group-prefix`.
        by_patient: value of `--group-patient`.

    Raises:
        GroupsError: the file cannot be read or has another layout.
        BadParameter: several of the options are given.
    """
    if (groups_path is not None) + by_prefix + by_patient > 1:
        raise typer.BadParameter("Pass only one of --groups, --group-prefix and --group-patient.", param_hint="--groups")
    if by_patient:
        return PatientGroups()
    if groups_path is None:
        return PrefixGroups() if by_prefix else None
    try:
        text = groups_path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GroupsError(
            expected=LAYOUT, got=f"{str(groups_path)!r}: {error}", remedy="Pass a readable file in UTF-8 to --groups"
        ) from error
    return parse_groups(text, repr(str(groups_path)))
