"""Support sets are received whole or not at all."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.errors import NothingUsableError
from app.infra.clock import utc_now
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import SupportImageRow
from app.support_sets import receive
from app.support_sets.form_files import FormFile, upload_limits
from app.support_sets.uploaded_images import UploadedImages
from app.uploads.form import FormPart, SpooledForm
from tests.fixtures.http_api import Api, encode_image
from vtt_core.contract.limits import Limits


def form_of(*files: tuple[str, bytes]) -> SpooledForm:
    form = SpooledForm(io.BytesIO(b"".join(content for _, content in files)))
    offset = 0
    for label, content in files:
        form.parts.append(FormPart(label, f"{label}.png", offset=offset, size_bytes=len(content)))
        offset += len(content)
    return form


def test_blobs_of_a_rolled_back_upload_are_removed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_the_database(self: SupportSetRepository, rows: list[SupportImageRow]) -> None:
        assert len(api.blobs("support-sets")) == 2, "bytes are there before the rows"
        raise OSError("disk full")

    monkeypatch.setattr(SupportSetRepository, "add_images", lose_the_database)
    with pytest.raises(OSError, match="disk full"):
        receive.create_support_set(
            api.context, form_of(("cat", encode_image(0)), ("dog", encode_image(1))), "", None, utc_now()
        )
    assert api.blobs("support-sets") == []


def test_images_added_while_a_job_freezes_the_set_are_refused_and_their_bytes_removed(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    support_set_id = api.upload()
    add = UploadedImages.add

    def add_while_a_job_starts(images: UploadedImages, file: FormFile) -> None:
        add(images, file)
        api.start_job(support_set_id)

    monkeypatch.setattr(UploadedImages, "add", add_while_a_job_starts)
    answer = api.client.post(f"/v1/support-sets/{support_set_id}/images", files=[("cat", ("x.png", encode_image(9)))])
    assert (answer.status_code, answer.json()["code"]) == (409, "support_set.frozen")
    assert len(api.blobs("support-sets")) == 2


def test_the_same_image_sent_twice_at_once_is_kept_once(api: Api) -> None:
    support_set_id = api.upload()

    def send(label: str) -> int:
        form = form_of((label, encode_image(9)))
        received = receive.add_images(api.context, support_set_id, form, None, utc_now())
        return sum(result.status == 201 for result in received.results)

    def send_or_refuse(label: str) -> int:
        try:
            return send(label)
        except NothingUsableError:
            return 0

    with ThreadPoolExecutor(4) as threads:
        kept = sum(threads.map(send_or_refuse, ["cat", "dog", "cat", "dog"]))
    assert kept == 1
    assert len(api.blobs("support-sets")) == 3


def test_the_form_limits_leave_room_to_name_images_too_many() -> None:
    limits = upload_limits(Limits())
    assert limits.max_parts >= 2 * 200 * 16
    assert limits.max_file_bytes("archive") > limits.max_file_bytes("cat")
