"""A job is created whole or not at all, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.dependencies import AppContext
from app.domain.errors import IdempotencyConflictError
from app.domain.messages import FinetuneMessage
from app.infra.clock import utc_now
from app.infra.database import SessionFactory, make_reader_factory
from app.infra.disk import DiskSpace
from app.infra.job_repository import JobRepository
from app.infra.known_keys import KnownKeys
from app.infra.object_store import ObjectStore
from app.infra.served_models import ServedModels
from app.infra.settings import Settings
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import SupportImageRow
from app.infra.workers import WorkerRegistry
from app.jobs import service
from app.jobs.schemas import JobRequest
from vtt_core.contract.errors import (
    BadLabelError,
    SameTokensError,
    SeveralProblemsError,
    TooFewClassesError,
    UnknownBackboneError,
)


class ListQueue:
    def __init__(self) -> None:
        self.messages: list[FinetuneMessage] = []

    def send(self, message: FinetuneMessage) -> None:
        self.messages.append(message)


@pytest.fixture
def context(engine: Engine, session_factory: SessionFactory, broker_url: str, tmp_path: Path) -> AppContext:
    return AppContext(
        settings=Settings(data_dir=tmp_path),
        sessions=session_factory,
        readers=make_reader_factory(engine),
        keys=KnownKeys(engine),
        served_models=ServedModels(engine),
        store=ObjectStore(f"file://{tmp_path}"),
        disk=DiskSpace({}, 0),
        queue=ListQueue(),  # type: ignore[arg-type]
        workers=WorkerRegistry(broker_url),
        rates=None,  # type: ignore[arg-type]
        bounds=None,  # type: ignore[arg-type]
        hub=None,  # type: ignore[arg-type]
    )


def add_set(context: AppContext, *labels: str) -> str:
    now = utc_now()
    with context.sessions.begin() as session:
        repository = SupportSetRepository(session)
        set_id = repository.create("", now).id
        rows = [
            SupportImageRow(
                id=f"{set_id}-{place}", support_set_id=set_id, label=label, position=place, file_name="", sha256=str(place),
                size_bytes=1, width=1, height=1, image_format="PNG", blob_key="", created_at=now,
            )
            for place, label in enumerate(labels)
        ]  # fmt: skip
        repository.add_images(rows)
    return set_id


def test_concurrent_requests_with_one_key_make_one_job_and_one_message(context: AppContext) -> None:
    request = JobRequest(support_set_id=add_set(context, "cat", "dog"))
    with ThreadPoolExecutor(4) as threads:
        jobs = list(threads.map(lambda _: service.create_job(context, request, "key", utc_now())[0].id, range(8)))
    assert len(set(jobs)) == 1
    assert context.queue.messages == [FinetuneMessage(jobs[0])]  # type: ignore[attr-defined]


def test_concurrent_requests_without_a_key_on_one_set_all_get_their_job(context: AppContext) -> None:
    request = JobRequest(support_set_id=add_set(context, "cat", "dog"))
    with ThreadPoolExecutor(4) as threads:
        jobs = list(threads.map(lambda _: service.create_job(context, request, None, utc_now())[0].id, range(8)))
    assert len(set(jobs)) == 8


def test_a_key_with_another_request_is_refused(context: AppContext) -> None:
    request = JobRequest(support_set_id=add_set(context, "cat", "dog"))
    service.create_job(context, request, "key", utc_now())
    with pytest.raises(IdempotencyConflictError):
        service.create_job(context, request.model_copy(update={"seed": 9}), "key", utc_now())


def test_a_refused_job_leaves_no_row_no_message_and_an_open_set(context: AppContext) -> None:
    set_id = add_set(context, "cat")
    with pytest.raises(TooFewClassesError):
        service.create_job(context, JobRequest(support_set_id=set_id), None, utc_now())
    with context.readers() as session:
        assert JobRepository(session).list_page(None, 5) == ([], None)
        assert SupportSetRepository(session).get(set_id).frozen_at is None
    assert context.queue.messages == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("backbone", ["ViT-B-32//etc/secret.safetensors", "ViT-B-32/random"])
def test_a_request_cannot_name_a_file_of_the_worker(context: AppContext, backbone: str) -> None:
    request = JobRequest(support_set_id=add_set(context, "cat", "dog"), backbone=backbone)
    with pytest.raises(UnknownBackboneError):
        service.create_job(context, request, None, utc_now())


def test_the_operator_can_make_a_local_file_the_default_backbone(context: AppContext) -> None:
    local = "ViT-B-32//data/weights.safetensors"
    context.settings = context.settings.model_copy(update={"default_backbone": local})
    request = JobRequest(support_set_id=add_set(context, "cat", "dog"))
    assert service.create_job(context, request, None, utc_now())[0].backbone_id == local


def test_labels_that_the_backbone_reads_as_the_same_are_refused_and_the_set_stays_open(context: AppContext) -> None:
    set_id = add_set(context, "Star", "star")
    with pytest.raises(SameTokensError, match="'Star' and 'star'"):
        service.create_job(context, JobRequest(support_set_id=set_id), None, utc_now())
    with context.readers() as session:
        assert SupportSetRepository(session).get(set_id).frozen_at is None


def test_the_backbone_of_the_job_decides_how_labels_are_read(context: AppContext) -> None:
    set_id = add_set(context, "cat-fish", "catfish")
    with pytest.raises(SameTokensError):
        service.create_job(context, JobRequest(support_set_id=set_id, backbone="ViT-B-16-SigLIP2/webli"), None, utc_now())
    service.create_job(context, JobRequest(support_set_id=set_id), None, utc_now())


def test_a_label_too_long_for_the_backbone_or_the_template_is_refused(context: AppContext) -> None:
    set_id = add_set(context, "plate 1234567890 1234567890 1234567890", "star")
    template = {"prompt_template": "a photo of a " + "a " * 42 + "old {}."}
    for fields in (
        {"backbone": "PE-Core-B-16/meta"},
        {"recipe": template},
        {"method": "coop", "recipe": {"num_context_tokens": 50}},
    ):
        with pytest.raises(BadLabelError, match="tokens in the prompt of 'plate 12"):
            service.create_job(context, JobRequest.model_validate({"support_set_id": set_id, **fields}), None, utc_now())
    service.create_job(context, JobRequest(support_set_id=set_id), None, utc_now())


def test_all_labels_that_hinder_a_job_are_named_at_once(context: AppContext) -> None:
    set_id = add_set(context, "Star", "star", "plate " + "1234567890" * 8)
    with pytest.raises(SeveralProblemsError, match=r"\(1\) .*'Star' and 'star'.*\(2\) .*'plate 12"):
        service.create_job(context, JobRequest(support_set_id=set_id), None, utc_now())
