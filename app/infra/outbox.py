"""Send messages only after their transaction has been committed."""

from __future__ import annotations

from typing import Protocol

import structlog
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

from app.domain.errors import QueueUnavailableError
from app.domain.messages import Message

_WAITING = "outbox"
_log = structlog.get_logger(__name__)


class Sender(Protocol):
    """Sends messages: the queue, or a list in a test."""

    def send(self, message: Message) -> None:
        """Send the message."""


def send_after_commit(session: Session, sender: Sender, message: Message) -> None:
    """Send the message when the session commits; a rollback drops it.

    If the broker cannot be reached then, the row is kept and the reaper sends the message later.
    """
    session.info.setdefault(_WAITING, []).append((sender, message))


def install_outbox(factory: sessionmaker[Session]) -> sessionmaker[Session]:
    """Let the factory's sessions send their waiting messages after each commit."""
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
            _log.warning("message_not_sent", work_id=message.work_id, reason=error.got)


def _drop_waiting(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(_WAITING, None)
