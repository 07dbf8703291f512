import io
import random
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from app.domain.access import Quotas
from tests.app.access.conftest import MakeCaller
from tests.fixtures.http_api import Api, encode_image


def form(*colours: int) -> list[tuple[str, tuple[str, bytes]]]:
    return [(f"class {colour % 2}", (f"{colour}.png", encode_image(colour))) for colour in colours]


@pytest.mark.slow
def test_a_full_tenant_is_refused_and_keeps_what_it_has(locked: Api, make_caller: MakeCaller) -> None:
    headers = make_caller(quotas=Quotas(max_images=3))
    first = locked.client.post("/v1/support-sets", files=form(1, 2), headers=headers)
    assert first.status_code == 201
    refused = locked.client.post("/v1/support-sets", files=form(3, 4), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "access.quota_exceeded")
    assert len(locked.blobs("")) == 2
    more = locked.client.post(f"{first.headers['Location']}/images", files=form(3, 4), headers=headers)
    assert more.status_code == 403
    assert len(locked.client.get(first.headers["Location"], headers=headers).json()["images"]) == 2
    assert locked.client.delete(first.headers["Location"], headers=headers).status_code == 204
    assert locked.client.post("/v1/support-sets", files=form(5, 6, 7), headers=headers).status_code == 201


def test_bytes_over_the_quota_are_refused_by_their_announced_length(locked: Api, make_caller: MakeCaller) -> None:
    headers = make_caller(quotas=Quotas(max_bytes=50))
    refused = locked.client.post("/v1/support-sets", files=form(1), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "access.quota_exceeded")
    assert locked.blobs("") == []


def test_jobs_that_have_not_ended_are_bounded(locked: Api, make_caller: MakeCaller) -> None:
    headers = make_caller(quotas=Quotas(max_unfinished_jobs=1))
    support_set = locked.client.post("/v1/support-sets", files=form(1, 2), headers=headers).json()["id"]
    jobs = [locked.client.post("/v1/jobs", json={"support_set_id": support_set}, headers=headers) for _ in range(2)]
    assert [job.status_code for job in jobs] == [202, 403]
    assert locked.client.post(f"{jobs[0].headers['Location']}/cancel", headers=headers).status_code == 202
    assert locked.client.post("/v1/jobs", json={"support_set_id": support_set}, headers=headers).status_code == 202


def test_query_images_have_a_rate_of_their_own(locked: Api, make_caller: MakeCaller) -> None:
    headers = make_caller(quotas=Quotas(max_predictions_per_minute=3))
    locked.client.headers.update(headers)
    model = locked.publish()
    images = [("images", ("a.png", encode_image(colour))) for colour in (1, 2)]
    statuses = [locked.client.post(f"/v1/models/{model}/predict", files=images).status_code for _ in range(2)]
    assert statuses == [200, 429]
    refused = locked.client.post("/predict", files=[*images, *images], data={"model": model})
    assert (refused.status_code, refused.json()["code"]) == (429, "access.rate_limited")
    assert int(refused.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("max_images", [2, 3])
def test_a_copy_of_a_support_set_counts(locked: Api, make_caller: MakeCaller, max_images: int) -> None:
    """Refused before a byte is copied where the tenant is full, and with nothing left where the copy does not fit."""
    locked.client.headers.update(make_caller(quotas=Quotas(max_images=max_images)))
    set_id = locked.upload()
    before = locked.store_keys()
    answer = locked.client.post(f"/v1/support-sets/{set_id}/copy")
    assert (answer.status_code, answer.json()["code"]) == (403, "access.quota_exceeded")
    assert (locked.store_keys(), len(locked.client.get("/v1/support-sets").json()["items"])) == (before, 1)


def test_a_batch_counts_with_what_its_zip_has_in_it(locked: Api, make_caller: MakeCaller) -> None:
    quotas = Quotas(max_bytes=25_000)
    locked.client.headers.update(make_caller(quotas=quotas))
    model = locked.publish()
    before = locked.store_keys()
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for colour in range(10):
            archive.writestr(f"{colour}.bmp", encode_image(colour, side=(32, 32), image_format="BMP") + random.randbytes(200))
    assert buffer.tell() < 5_000
    refused = locked.client.post(f"/v1/models/{model}/predictions", files={"archive": ("a.zip", buffer.getvalue())})
    assert (refused.status_code, refused.json()["code"]) == (403, "access.quota_exceeded")
    assert locked.store_keys() == before
    assert locked.client.get("/v1/predictions").json()["items"] == []
