"""Make groups of the patients that DICOM files name, without keeping their ids."""

from __future__ import annotations

import hmac

from vtt_core.contract.errors import ImageError
from vtt_core.ingest.dicom_file import is_dicom, patient_id

_HASH_CHARACTERS = 16


def patient_group(encoded: bytes, salt: str) -> str | None:
    """Return the group of a DICOM file's patient: a hash of the PatientID. None for other files, and without an id.

    Ids are short, so whoever knows the salt can find one by trying all. What is kept is a pseudonym, not anonymous.

    Args:
        encoded: the file as it was sent.
        salt: groups of files agree only under the same salt.
    """
    if not is_dicom(encoded):
        return None
    try:
        patient = patient_id(encoded)
    except ImageError:
        raise
    except Exception:  # of pydicom: then the picture cannot be read either, and that error says more
        return None
    if patient is None:
        return None
    return "patient " + hmac.new(salt.encode(), patient.encode(), "sha256").hexdigest()[:_HASH_CHARACTERS]
