"""Configure celery so that it only delivers hints, and open the worker's context when a worker starts.

Differs from what large services with process pools use, because here the task runs in the main thread of
the only process (solo pool: torch is imported once, and never before a fork):
- `worker_soft_shutdown_timeout` and `REMAP_SIGTERM` stay off. Celery sleeps that timeout away inside the
  signal handler, which in a solo pool is the task's own thread: the task would stand still. Instead SIGTERM
  and the first SIGINT begin a warm shutdown, and `worker_shutting_down` makes the loop hand its job back at
  the next step, with a checkpoint.
- `worker_cancel_long_running_tasks_on_connection_loss` can end no solo task; it is set so that celery does
  not warn. What ends a task that lost its right is the lease.
"""

from __future__ import annotations

import gc
import logging
import time
from typing import Any

import redis
import structlog
from celery import Celery, bootsteps, signals

from app.domain.messages import EpisodesMessage
from app.infra.outages import OUTAGES
from app.infra.queue import QUEUE_NAME, VISIBILITY_TIMEOUT_SECONDS
from app.infra.settings import load_settings
from app.infra.telemetry import configure_logging
from app.infra.tracing import start_tracing
from app.infra.workers import WorkerRegistry
from vtt_core.contract.errors import VttError
from worker.context import WorkerContext, open_context
from worker.liveness import LivenessReporter

TICK_SECONDS = 2.0
"""Pause between two signs of life of the consumer's loop."""
START_PAUSE_SECONDS = 1.0
"""Pause between two tries to open what a worker stands on."""
_log = structlog.get_logger(__name__)

celery_app = Celery("vtt-worker", broker=load_settings().resolved_broker_url)
celery_app.conf.update(
    include=["worker.tasks.finetune", "worker.tasks.episodes"],
    task_default_queue=QUEUE_NAME,
    task_queues={name: {"exchange": name, "routing_key": name} for name in (QUEUE_NAME, EpisodesMessage.queue_name)},
    accept_content=["json"],
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_pool="solo",
    worker_concurrency=1,
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "socket_keepalive": True,
        # By name, so that the first queue is looked into first; kombu keeps them in no order of its own.
        "queue_order_strategy": "sorted",
    },
)


class WorkerProcess:
    """What lives from the start to the end of a worker process; None in processes that only import this file."""

    context: WorkerContext | None = None
    presence: LivenessReporter | None = None


def current_context() -> WorkerContext:
    """Return the context of this worker process."""
    assert WorkerProcess.context is not None, "the task ran outside a worker"
    return WorkerProcess.context


class ConsumerTicks(bootsteps.StartStopStep):  # type: ignore[misc]
    """Let the consumer's own loop show that it comes round, and that it can take messages.

    Kombu only logs an acknowledgement that fails because Redis is away. The message then counts as unfinished for
    ever, and with one message at a time the worker takes no other, alive as it looks. In a solo pool nothing is
    unfinished while the loop runs, so a tick that finds something connects anew.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        """Begin to tick; celery calls this after each connection to the broker."""
        if WorkerProcess.presence is not None:
            WorkerProcess.presence.tick()
            self._entry = consumer.timer.call_repeatedly(TICK_SECONDS, self._tick, (consumer, WorkerProcess.presence))

    def _tick(self, consumer: Any, presence: LivenessReporter) -> None:
        if not consumer.task_consumer.channel.qos.can_consume():
            # The loop takes it for what it is, the end of a connection, and opens another.
            raise redis.ConnectionError("the acknowledgement of a message got lost")
        presence.tick()

    def stop(self, consumer: Any) -> None:
        """Tick no more: the connection is gone or the worker ends."""
        if (entry := getattr(self, "_entry", None)) is not None:
            entry.cancel()


celery_app.steps["consumer"].add(ConsumerTicks)


def _set_up_logging(**_: Any) -> None:
    configure_logging(load_settings().log_format)
    # It announces every message; a job's own events say more.
    logging.getLogger("celery").setLevel(logging.WARNING)


def _open(**_: Any) -> None:
    _set_up_logging()  # celery comes to it only after this
    start_tracing("vtt-worker")
    try:
        context = _open_context()
    except Exception as error:
        # Celery would log it and go on: a worker that takes messages and can do nothing with them.
        _log.exception("worker_cannot_start")
        raise SystemExit(1) from error
    WorkerProcess.context = context
    WorkerProcess.presence = LivenessReporter(WorkerRegistry(context.settings.resolved_broker_url), context.describe)
    context.metrics.serve(context.settings.worker_metrics_host, context.settings.worker_metrics_port)
    try:
        context.backbones.get(context.settings.default_backbone)
    except VttError as error:
        _log.warning("default_backbone_not_loaded", reason=str(error))


def _open_context() -> WorkerContext:
    """Open the context, as soon as the database answers: machines come back in any order."""
    while True:
        try:
            return open_context(load_settings())
        except OUTAGES as error:
            _log.warning("worker_waits_for_the_database", reason=str(error)[:300])
        time.sleep(START_PAUSE_SECONDS)


def _announce(**_: Any) -> None:
    context = current_context()
    assert WorkerProcess.presence is not None
    WorkerProcess.presence.start()
    scan = context.backbones.scan
    _log.info("worker_ready", holder=context.holder, device=context.backbones.device, scan=scan.name, scan_reason=scan.reason)


def _ask_to_stop(**_: Any) -> None:
    current_context().stop.set()


def _close(**_: Any) -> None:
    if WorkerProcess.presence is not None:
        WorkerProcess.presence.stop()
    _log.info("worker_stopped")
    # The interpreter's last collections look at all of torch's objects for seconds, in which nothing happens any more.
    gc.freeze()


signals.setup_logging.connect(_set_up_logging)
signals.worker_init.connect(_open)
signals.worker_ready.connect(_announce)
signals.worker_shutting_down.connect(_ask_to_stop)
signals.worker_shutdown.connect(_close)
