"""However an attempt ends, its end is written once, and counted."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.domain.errors import StaleLeaseError
from vtt_core.contract.errors import RecipeError, VttError
from worker.context import WorkerContext
from worker.heartbeat import StopRequestedError
from worker.metrics import Outcome
from worker.outage_retry import PAUSE_SECONDS
from worker.settle import Endings, settle, transact

FACTS = {"expected": "a", "got": "b", "remedy": "C"}
AWAY = OperationalError("statement", {}, Exception("the database is away"))


@dataclass
class Held:
    """A lease on nothing."""

    work_id: str = "exp_1"

    def renew(self, session: Session, lease_seconds: float, now: object) -> bool:
        return False


def end_with(context: WorkerContext, error: BaseException | None) -> tuple[Outcome, list[tuple[str, VttError | None]]]:
    written: list[tuple[str, VttError | None]] = []

    def run() -> Outcome:
        assert context.job_ids == ["exp_1"]
        if error is not None:
            raise error
        return Outcome.SUCCEEDED

    endings = Endings(lambda reason: written.append(("fail", reason)), lambda reason: written.append(("give back", reason)))
    outcome = settle(context, Held(), context.metrics.exports, run, endings)
    assert context.job_ids == []
    return outcome, written


@pytest.mark.parametrize(
    ("error", "outcome", "written", "code"),
    [
        (None, Outcome.SUCCEEDED, [], None),
        (StaleLeaseError(**FACTS), Outcome.LEASE_LOST, [], None),
        (StopRequestedError(), Outcome.REQUEUED, ["give back"], None),
        (AWAY, Outcome.REQUEUED, ["give back"], None),
        (RecipeError(**FACTS), Outcome.FAILED, ["fail"], "recipe.invalid"),
        (MemoryError(), Outcome.CRASHED, ["give back"], "job.out_of_memory"),
        (torch.OutOfMemoryError(), Outcome.CRASHED, ["give back"], "job.out_of_memory"),
        (RuntimeError("broken"), Outcome.CRASHED, ["give back"], "job.crashed"),
    ],
)
def test_each_end_is_written_and_counted(
    context: WorkerContext, error: BaseException | None, outcome: Outcome, written: list[str], code: str | None
) -> None:
    ended, endings = end_with(context, error)
    assert (ended, [name for name, _ in endings]) == (outcome, written)
    assert [reason.code for _, reason in endings if reason is not None] == ([] if code is None else [code])
    for name in ("vtt_export_attempts_total", "vtt_export_attempt_seconds_count"):
        counts = {one: context.metrics.registry.get_sample_value(name, {"outcome": one}) for one in Outcome}
        assert {one for one, count in counts.items() if count} == {outcome}
    assert context.metrics.registry.get_sample_value("vtt_worker_jobs_in_hand") == 0


def test_a_lease_that_is_lost_while_the_end_is_written_counts_as_lost(context: WorkerContext) -> None:
    def refuse(_: object) -> None:
        raise StaleLeaseError(**FACTS)

    def crash() -> Outcome:
        raise RuntimeError("broken")

    assert settle(context, Held(), context.metrics.jobs, crash, Endings(refuse, refuse)) is Outcome.LEASE_LOST


def test_a_transaction_is_tried_again_while_the_database_is_away(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.outage_retry.PAUSE_SECONDS", PAUSE_SECONDS / 100)
    calls = []

    def write(session: Session) -> int:
        calls.append(session)
        if len(calls) < 3:
            raise AWAY
        return len(calls)

    assert transact(context, write) == 3
