from datetime import datetime

import pytest
from sqlalchemy import select

from app.domain.errors import QueueUnavailableError
from app.domain.messages import FinetuneMessage
from app.infra.database import SessionFactory
from app.infra.job_repository import JobRepository, NewJob
from app.infra.outbox import send_after_commit
from app.infra.tables import JobRow


class Recorder:
    """Notes what is sent, and what the database shows at that moment."""

    def __init__(self, session_factory: SessionFactory) -> None:
        self._session_factory = session_factory
        self.sent: list[str] = []
        self.visible: list[list[str]] = []

    def send(self, message: FinetuneMessage) -> None:
        self.sent.append(message.job_id)
        with self._session_factory() as session:
            self.visible.append(list(session.scalars(select(JobRow.id))))


class BrokenQueue:
    def send(self, message: FinetuneMessage) -> None:
        raise QueueUnavailableError(expected="a", got="b", remedy="c")


@pytest.fixture
def recorder(session_factory: SessionFactory) -> Recorder:
    return Recorder(session_factory)


def test_a_message_leaves_when_its_row_can_be_seen(
    session_factory: SessionFactory, recorder: Recorder, new_job: NewJob, now: datetime
) -> None:
    with session_factory.begin() as session:
        row, _ = JobRepository(session).create(new_job, now)
        send_after_commit(session, recorder, FinetuneMessage(row.id))
        assert recorder.sent == []
    assert recorder.sent == [row.id]
    assert recorder.visible == [[row.id]]


def test_a_rolled_back_request_sends_no_job(
    session_factory: SessionFactory, recorder: Recorder, new_job: NewJob, now: datetime
) -> None:
    def refuse_in_the_end() -> None:
        with session_factory.begin() as session:
            row, _ = JobRepository(session).create(new_job, now)
            send_after_commit(session, recorder, FinetuneMessage(row.id))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        refuse_in_the_end()
    with session_factory.begin() as session:
        session.execute(select(1))
    assert recorder.sent == []


def test_a_message_dropped_by_a_rollback_is_not_sent_by_the_next_commit(
    session_factory: SessionFactory, recorder: Recorder
) -> None:
    with session_factory() as session:
        session.execute(select(1))
        send_after_commit(session, recorder, FinetuneMessage("job_1"))
        session.rollback()
        session.execute(select(1))
        session.commit()
    assert recorder.sent == []


def test_a_released_savepoint_sends_nothing_yet(session_factory: SessionFactory, recorder: Recorder) -> None:
    with session_factory.begin() as session:
        with session.begin_nested():
            send_after_commit(session, recorder, FinetuneMessage("job_1"))
        assert recorder.sent == []
    assert recorder.sent == ["job_1"]


def test_a_message_leaves_once(session_factory: SessionFactory, recorder: Recorder) -> None:
    with session_factory() as session:
        for _ in range(2):
            session.execute(select(1))
            if not recorder.sent:
                send_after_commit(session, recorder, FinetuneMessage("job_1"))
            session.commit()
    assert recorder.sent == ["job_1"]


def test_a_broker_out_of_reach_keeps_the_row(session_factory: SessionFactory, new_job: NewJob, now: datetime) -> None:
    with session_factory.begin() as session:
        row, _ = JobRepository(session).create(new_job, now)
        send_after_commit(session, BrokenQueue(), FinetuneMessage(row.id))
    with session_factory() as session:
        assert JobRepository(session).get(row.id).id == row.id
