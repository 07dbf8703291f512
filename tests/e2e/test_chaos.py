"""Many jobs while all that they stand on is killed: none is lost, none done twice, each adapter right to the byte."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch
from sqlalchemy import select

from app.domain.jobs import FINAL_STATES, HELD_STATES, JobState
from app.infra.job_repository import JobRepository
from app.infra.outages import DATABASE_AWAY
from app.infra.tables import JobRow, ModelRow
from tests.fixtures.cluster import Cluster, running_cluster
from tests.fixtures.faults import FULL_DECK, Faults
from tests.fixtures.http_api import encode_image
from tests.fixtures.job_log import Change, install_job_log, read_job_log, wrong_changes
from tests.fixtures.waiting import wait_until
from vtt_core.adapter.adaptation import Adaptation
from vtt_core.adapter.files import adapter_to_files
from vtt_core.backbones.load import load_backbone
from vtt_core.contract.cores import usable_cores
from worker.pipeline.fetch import fetch_support_set, read_job_spec

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]
SEED = int(os.environ.get("CHAOS_SEED", "1"))
NUM_SETS, NUM_SEEDS, NUM_CLIENTS = 2, 3, 2
RECIPE = {"iterations": 12, "batch_size": 2, "num_views": 1}
FILES = ("manifest.json", "adapter.safetensors")


@dataclass(frozen=True)
class Scale:
    """How much happens."""

    num_jobs: int
    num_after_faults: int
    """Jobs that are left when the last fault comes."""
    deck: Mapping[str, int]
    num_apis: int
    num_workers: int


SCALES = [
    pytest.param(Scale(50, 6, FULL_DECK, num_apis=2, num_workers=3), id="fifty jobs", marks=pytest.mark.slow),
]


@pytest.fixture(params=SCALES)
def scale(request: pytest.FixtureRequest) -> Scale:
    chosen: Scale = request.param
    return chosen


@pytest.fixture
def cluster(scale: Scale, tmp_path: Path) -> Iterator[Cluster]:
    short = {
        "VTT_LEASE_SECONDS": "4",
        "VTT_HEARTBEAT_SECONDS": "0.5",
        "VTT_REAPER_SECONDS": "0.5",
        "VTT_REQUEUE_AFTER_SECONDS": "2",
        "VTT_CHECKPOINT_STEPS": "3",
    }
    with running_cluster(tmp_path, **short) as running:
        install_job_log(running.engine)
        for _ in range(scale.num_apis):
            running.start_api()
        for _ in range(scale.num_workers):
            running.start_worker()
        yield running


@dataclass
class Clients:
    """Users who want a model of each job, and send a request again until it is answered."""

    urls: list[str]
    num_jobs: int
    job_ids: dict[int, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    num_allowed: int = 8
    """Jobs that may be requested now: new ones come as others end, so that requests meet every fault."""

    def request(self, client: httpx2.Client, choice: random.Random, method: str, path: str, **how: object) -> httpx2.Response:
        while True:
            try:
                answer = client.request(method, choice.choice(self.urls) + path, **how)  # type: ignore[arg-type]
            except httpx2.TransportError as error:
                self.answers[type(error).__name__] += 1
                time.sleep(0.2)
                continue
            self.answers[str(answer.status_code)] += 1
            if answer.status_code != 503:
                return answer
            assert answer.headers["Retry-After"]
            time.sleep(0.5)

    def upload(self, number: int) -> str:
        parts = [
            (label, (f"{shot}.png", encode_image(colour + 9 * shot, side=(40, 40))))
            for shot in range(2)
            for label, colour in (("red square", 200 + 50 * number), ("blue square", 40_000 + 50 * number))
        ]
        with httpx2.Client(timeout=30.0) as client:
            answer = self.request(client, random.Random(number), "POST", "/v1/support-sets", files=parts)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def ask_for_jobs(self, number: int, set_ids: list[str]) -> None:
        """Request every second job, read other resources meanwhile, and sometimes repeat a request that was answered."""
        choice = random.Random(SEED * 1000 + number)
        with httpx2.Client(timeout=10.0) as client:
            for place in range(number, self.num_jobs, NUM_CLIENTS):
                while place >= self.num_allowed:
                    self._note(self.request(client, choice, "GET", "/v1/jobs"), 200)
                    time.sleep(0.2)
                body = {
                    "support_set_id": set_ids[place % NUM_SETS],
                    "method": "clip-lora+vtt",
                    "recipe": RECIPE,
                    "seed": place // NUM_SETS % NUM_SEEDS,
                }
                headers = {"Idempotency-Key": f"chaos-{place}"}
                for _ in range(choice.randint(1, 2)):
                    answer = self.request(client, choice, "POST", "/v1/jobs", json=body, headers=headers)
                    self._note(answer, 202)
                    job_id = answer.json()["id"]
                    if self.job_ids.setdefault(place, job_id) != job_id:
                        self.problems.append(f"two jobs of one key: {job_id}")

    def _note(self, answer: httpx2.Response, status: int) -> None:
        if answer.status_code != status:
            self.problems.append(f"{answer.status_code}: {answer.text}")


def read_jobs(cluster: Cluster) -> list[JobRow]:
    with cluster.readers() as session:
        return list(session.scalars(select(JobRow).order_by(JobRow.created_at)))


def run_through(cluster: Cluster, scale: Scale, faults: Faults, clients: Clients, threads: list[threading.Thread]) -> None:
    """Inject the faults while the jobs come in, then wait until all have ended."""
    deadline = time.monotonic() + 1500
    while True:
        faults.thaw()
        cluster.revive()
        with suppress(*DATABASE_AWAY):
            jobs = read_jobs(cluster)
            num_ended = sum(job.state in FINAL_STATES for job in jobs)
            clients.num_allowed = num_ended + 8
            if num_ended == scale.num_jobs and faults.is_over:
                break
            if faults.inject_due(num_ended / (scale.num_jobs - scale.num_after_faults)):
                faults.send_duplicates([job.id for job in jobs])
        assert time.monotonic() < deadline, [(job.id, job.state, job.attempt, job.step) for job in jobs]
        assert [*clients.problems, *cluster.surprises] == []
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    faults.thaw(all_of_them=True)


def undisturbed_files(cluster: Cluster, job_id: str) -> dict[str, bytes]:
    """Run the job in this process."""
    with cluster.readers() as session:
        spec = read_job_spec(session, job_id)
    backbone = load_backbone("mini", device="cpu")
    support_set = fetch_support_set(spec, cluster.store)
    # The parts of a batch, one for each core, change the order of sums.
    adaptation = Adaptation(backbone, support_set, spec.recipe, spec.seed, num_threads=usable_cores())
    list(adaptation.steps())
    return adapter_to_files(adaptation.finish().adapter)


def compare_adapters(cluster: Cluster, jobs: list[JobRow]) -> int:
    """Check that each job's only model has the bytes of an undisturbed run, and return how many were compared.

    Each job had one interim model, which is gone.
    """
    with cluster.readers() as session:
        rows = list(session.scalars(select(ModelRow)))
    models = {row.job_id: row for row in rows if not row.is_interim}
    assert sorted(models) == sorted(job.id for job in jobs)
    assert sorted(row.job_id for row in rows if row.is_interim and row.deleted_at is not None) == sorted(models)
    assert len(rows) == 2 * len(jobs)
    assert cluster.store.folders("models") == sorted(model.id for model in models.values())
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the workers: other numbers change the order of sums
    try:
        alike = sorted(jobs, key=lambda job: (job.support_set_id, job.seed))
        for _, group in itertools.groupby(alike, key=lambda job: (job.support_set_id, job.seed)):
            same = list(group)
            expected = undisturbed_files(cluster, same[0].id)
            for job in same:
                for name in FILES:
                    assert cluster.store.get(f"{models[job.id].adapter_key}/{name}") == expected[name], (job.id, name)
    finally:
        torch.set_num_threads(num_threads)
    return len(models)


def change(writer: str, old_holder: str | None, holder: str | None, **more: Any) -> Change:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    facts = {"old_state": "running", "old_token": 1, "old_expiry": now + timedelta(seconds=4), "state": "running", "token": 1}
    return Change(at=now, writer=writer, job_id="job_1", old_holder=old_holder, holder=holder, attempt=1, **(facts | more))


def test_the_log_shows_writes_that_only_a_holder_may_do() -> None:
    past = datetime(2029, 1, 1, tzinfo=UTC)
    allowed = [
        change("worker-1", "vm:11:a", "vm:11:a"),
        change("worker-1", "vm:11:a", None, state="succeeded"),
        change("worker-1", None, "vm:11:a", old_state="queued", token=2),
        change("worker-1", "vm:22:b", "vm:11:a", old_expiry=past, token=2),
        change("api-0", "vm:22:b", None, old_expiry=past, state="queued", token=2),
    ]
    wrong = [
        change("worker-2", "vm:11:a", "vm:11:a"),
        change("worker-2", "vm:11:a", None, state="succeeded"),
        change("worker-2", "vm:11:a", "vm:22:b", token=2),
        change("worker-2", None, "vm:11:a", old_state="queued", token=2),
        change("worker-1", None, "vm:11:a", old_state="queued"),
        change("worker-1", None, "vm:11:a", old_state="succeeded", token=2),
        change("api-0", "vm:11:a", None, state="queued", token=2),
        change("worker-1", "vm:11:a", "vm:11:a", token=0),
    ]
    assert wrong_changes([*allowed, *wrong], {"worker-1": 11, "worker-2": 22}) == wrong


def test_jobs_survive_kills_of_everything_they_stand_on(cluster: Cluster, scale: Scale) -> None:
    started_at = time.monotonic()
    clients = Clients(cluster.urls, scale.num_jobs)
    set_ids = [clients.upload(number) for number in range(NUM_SETS)]
    faults = Faults(cluster, SEED, scale.deck)
    threads = [threading.Thread(target=clients.ask_for_jobs, args=(n, set_ids), daemon=True) for n in range(NUM_CLIENTS)]
    for thread in threads:
        thread.start()
    run_through(cluster, scale, faults, clients, threads)
    seconds = time.monotonic() - started_at

    jobs = read_jobs(cluster)
    assert [(job.id, job.state, job.error) for job in jobs if job.state != JobState.SUCCEEDED] == []
    assert [job.id for job in jobs if job.state in HELD_STATES or job.holder is not None] == []
    assert sorted(clients.job_ids.values()) == sorted(job.id for job in jobs)
    with cluster.readers() as session:
        events = [JobRepository(session).events_after(job.id, 0, 10_000) for job in jobs]
    ends = [sum(event.kind == "state" and event.payload["state"] == "succeeded" for event in one) for one in events]
    assert ends == [1] * scale.num_jobs

    changes = read_job_log(cluster.engine)
    pid_of = {name: one.process.pid for name, one in cluster.history.items() if name.startswith("worker")}
    not_the_holder_s = wrong_changes(changes, pid_of)
    assert not_the_holder_s == []
    claims = [change for change in changes if change.is_claim]
    assert len({(claim.job_id, claim.token) for claim in claims}) == len(claims)

    wait_until(lambda: cluster.store.folders("jobs") == [], explain=lambda: f"left: {cluster.store.folders('jobs')}")
    num_adapters = compare_adapters(cluster, jobs)
    assert (len(jobs), num_adapters) == (scale.num_jobs, scale.num_jobs)
    assert [*clients.problems, *cluster.surprises] == []

    print(f"\nchaos, seed {SEED}")
    for kind, count in sorted(faults.injected.items()):
        print(f"  {count:3}  {kind}")
    print(f"  {faults.duplicates:3}  duplicate messages sent")
    num_succeeded = sum(job.state == JobState.SUCCEEDED for job in jobs)
    print(f"jobs {len(jobs)}, succeeded {num_succeeded}, adapters {num_adapters} equal to undisturbed ones byte for byte")
    print(f"claims {len(claims)}, row changes checked {len(changes)}, not the holder's {len(not_the_holder_s)}")
    print(f"attempts {dict(sorted(Counter(job.attempt for job in jobs).items()))}, processes started {len(cluster.history)}")
    print(f"answers to clients {dict(sorted(clients.answers.items()))}")
    print(f"seconds {seconds:.0f}")
