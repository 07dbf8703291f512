"""Weights are where the workers say that they are, and a job that nobody can train is refused at once."""

from __future__ import annotations

import pytest

from app.backbones.service import weights_of
from app.infra.workers import LiveWorker
from tests.fixtures.http_api import Api
from vtt_core.contract.backbones import BackboneEntry, Weights, catalogue

BACKBONE = "ViT-B-32/openai"


def entry(backbone_id: str) -> BackboneEntry:
    return next(known for known in catalogue() if known.backbone_id == backbone_id)


def worker(name: str = "a", *, cached: bool = False, failed: bool = False, offline: bool = False) -> LiveWorker:
    return LiveWorker(
        f"{name}:1:x",
        "cpu",
        "mini",
        None,
        cached_backbone_ids=(BACKBONE,) if cached else (),
        failed_backbone_ids=(BACKBONE,) if failed else (),
        is_offline=offline,
    )


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        ([], Weights.UNKNOWN),
        ([worker()], Weights.DOWNLOADABLE),
        ([worker(cached=True, offline=True)], Weights.CACHED),
        ([worker(offline=True)], Weights.OUT_OF_REACH),
        ([worker(failed=True)], Weights.OUT_OF_REACH),
        ([worker(offline=True), worker("b", cached=True)], Weights.CACHED),
        ([worker(failed=True), worker("b")], Weights.DOWNLOADABLE),
        ([worker(failed=True), worker("b", offline=True)], Weights.OUT_OF_REACH),
    ],
)
def test_the_best_that_any_worker_can_do_counts(workers: list[LiveWorker], expected: Weights) -> None:
    assert weights_of(entry(BACKBONE), workers) is expected
    assert weights_of(entry("mini"), workers) is Weights.BUNDLED


def test_a_backbone_that_is_in_a_workers_memory_is_at_hand() -> None:
    assert weights_of(entry(BACKBONE), [LiveWorker("a", "cpu", BACKBONE, None, is_offline=True)]) is Weights.CACHED


def post_job(api: Api, backbone_id: str) -> tuple[int, str]:
    set_id = api.upload()
    answer = api.client.post("/v1/jobs", json={"support_set_id": set_id, "backbone": backbone_id})
    return answer.status_code, answer.text


def test_a_job_that_no_worker_can_train_is_refused_and_what_is_at_hand_is_named(api: Api) -> None:
    api.context.workers.announce(worker(offline=True))
    listed = {item["id"]: item["weights"] for item in api.client.get("/v1/backbones").json()["items"]}
    assert (listed["mini"], listed[BACKBONE]) == ("bundled", "out_of_reach")
    status, text = post_job(api, BACKBONE)
    assert status == 503
    for part in ("backbone.unavailable", "'mini'", "HF_HOME"):
        assert part in text
    assert post_job(api, "mini")[0] == 202


def test_a_job_is_taken_where_nobody_can_tell(api: Api) -> None:
    assert {item["weights"] for item in api.client.get("/v1/backbones").json()["items"]} == {"bundled", "unknown"}
    assert post_job(api, BACKBONE)[0] == 202
