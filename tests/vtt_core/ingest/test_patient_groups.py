"""Files of one patient are in one group, whose name does not give the patient away."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fixtures.dicom_writer import PATIENT_ID, write_dicom
from tests.fixtures.noise_images import good
from vtt_core.ingest.groups import clean_group
from vtt_core.ingest.patient_groups import patient_group

PIXELS = np.zeros((16, 16), "u1")


def test_files_of_one_patient_share_a_group_and_others_do_not() -> None:
    one, same, other = (write_dicom(PIXELS + number, PatientID=name) for number, name in enumerate(("7", "7 ", "8")))
    assert patient_group(one, "set_1") == patient_group(same, "set_1")
    assert patient_group(one, "set_1") != patient_group(other, "set_1")


def test_another_salt_gives_another_group() -> None:
    assert patient_group(write_dicom(PIXELS), "set_1") != patient_group(write_dicom(PIXELS), "set_2")


def test_the_id_is_not_in_the_name_of_the_group() -> None:
    group = patient_group(write_dicom(PIXELS), "set_1")
    assert group is not None
    assert PATIENT_ID not in group
    assert clean_group(group) == group


@pytest.mark.parametrize("encoded", [good(), write_dicom(PIXELS, PatientID=""), bytes(128) + b"DICM" + b"\xff" * 50])
def test_what_names_no_patient_has_no_group(encoded: bytes) -> None:
    assert patient_group(encoded, "set_1") is None
