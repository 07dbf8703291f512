"""Send messages only once the transaction that speaks of them has been committed."""

from __future__ import annotations

from typing import Protocol

import structlog
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

from app.domain.errors import QueueUnavailableError
from app.domain.messages import FinetuneMessage

_WAITING = "outbox"
_log = structlog.get_logger(__name__)


class Sender(Protocol):
    """What takes the messages: the queue, or a list in a test."""

    def send(self, message: FinetuneMessage) -> None:
        """Hand the message over."""


def send_after_commit(session: Session, sender: Sender, message: FinetuneMessage) -> None:
    """Keep the message until the session commits; a rollback drops it.

    A broker that is out of reach at that moment fails nothing: the row is kept, and the reaper sends later.
    """
    session.info.setdefault(_WAITING, []).append((sender, message))


def install_outbox(factory: sessionmaker[Session]) -> sessionmaker[Session]:
    """Make the factory's sessions send what waits in them after each commit."""
    event.listen(factory, "after_commit", _send_waiting)
    event.listen(factory, "after_rollback", _drop_waiting)
    return factory


def _send_waiting(session: Session) -> None:
    if session.in_nested_transaction():  # a savepoint was released; the transaction may still roll back
        return
    for sender, message in session.info.pop(_WAITING, []):
        try:
            sender.send(message)
        except QueueUnavailableError as error:
            _log.warning("message_not_sent", job_id=message.job_id, reason=error.got)


def _drop_waiting(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(_WAITING, None)
