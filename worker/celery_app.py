"""Configure celery to deliver hints and nothing else, and open the worker's context when a worker starts.

Tasks run in the main thread of the only process (solo pool), so torch is imported once and never before a fork. Two settings
follow from that:
- `worker_soft_shutdown_timeout` and `REMAP_SIGTERM` stay off. Celery waits for that timeout inside the signal handler, which
  in a solo pool blocks the task. Instead SIGTERM and the first SIGINT begin a warm shutdown, and `worker_shutting_down` makes
  the training loop write a checkpoint and requeue its job after the current step.
- `worker_cancel_long_running_tasks_on_connection_loss` has no effect on a solo pool. It is set so that celery does not warn.
  A task that has lost its job finds out by its lease.
"""

from __future__ import annotations

import gc
import logging
import time
from typing import Any

import redis
import structlog
from celery import Celery, bootsteps, signals

from app.domain.messages import BatchMessage, EpisodesMessage, ExportMessage
from app.infra.outages import OUTAGES
from app.infra.queue import QUEUE_NAME, VISIBILITY_TIMEOUT_SECONDS
from app.infra.settings import load_settings
from app.infra.telemetry import configure_logging
from app.infra.tracing import start_tracing
from app.infra.workers import WorkerRegistry
from vtt_core.contract.errors import VttError
from worker.context import WorkerContext, open_context
from worker.liveness import LivenessReporter
from worker.queue_order import TurnsBeforeBenchmarks

QUEUE_NAMES = (QUEUE_NAME, BatchMessage.queue_name, ExportMessage.queue_name, EpisodesMessage.queue_name)
TICK_SECONDS = 2.0
"""Pause between two ticks of the consumer's loop."""
WARM_UP_AFTER_SECONDS = 5.0
"""From the start to the warm-up, which waits until the worker has no task: a job that came at once goes first."""
START_PAUSE_SECONDS = 1.0
"""Pause between two attempts to open the database."""
_log = structlog.get_logger(__name__)

celery_app = Celery("vtt-worker", broker=load_settings().resolved_broker_url)
celery_app.conf.update(
    include=["worker.tasks.finetune", "worker.tasks.batches", "worker.tasks.exports", "worker.tasks.episodes"],
    task_default_queue=QUEUE_NAME,
    task_queues={name: {"exchange": name, "routing_key": name} for name in QUEUE_NAMES},
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
        # Jobs, batches and exports take turns, and come before benchmarks.
        "queue_order_strategy": f"{TurnsBeforeBenchmarks.__module__}:{TurnsBeforeBenchmarks.__name__}",
    },
)


class WorkerProcess:
    """Objects that live as long as a worker process; None in processes that only import this file."""

    context: WorkerContext | None = None
    liveness: LivenessReporter | None = None
    is_warm = False
    """Whether the warm-up is done or planned."""


def current_context() -> WorkerContext:
    """Return the context of this worker process."""
    assert WorkerProcess.context is not None, "the task ran outside a worker"
    return WorkerProcess.context


class ConsumerTicks(bootsteps.StartStopStep):  # type: ignore[misc]
    """Lets the consumer's own loop report that it runs and can take messages.

    If Redis is away when a message is acknowledged, kombu only logs it. The message then counts as unfinished for ever, and
    since a worker takes one message at a time, it takes no other. In a solo pool nothing is unfinished while the loop runs,
    so a tick that finds an unfinished message reconnects.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        """Begin to tick; celery calls this after each connection to the broker."""
        if WorkerProcess.liveness is not None:
            if not WorkerProcess.is_warm:
                WorkerProcess.is_warm = True
                consumer.timer.call_after(WARM_UP_AFTER_SECONDS, _warm_up)
            WorkerProcess.liveness.tick()
            self._entry = consumer.timer.call_repeatedly(TICK_SECONDS, self._tick, (consumer, WorkerProcess.liveness))

    def _tick(self, consumer: Any, liveness: LivenessReporter) -> None:
        if not consumer.task_consumer.channel.qos.can_consume():
            # The loop treats this as a lost connection and opens another.
            raise redis.ConnectionError("the acknowledgement of a message got lost")
        liveness.tick()

    def stop(self, consumer: Any) -> None:
        """Stop ticking: the connection is gone or the worker ends."""
        if (entry := getattr(self, "_entry", None)) is not None:
            entry.cancel()


celery_app.steps["consumer"].add(ConsumerTicks)


def _set_up_logging(**_: Any) -> None:
    configure_logging(load_settings().log_format)
    # Celery logs every message. The events of a job say more.
    logging.getLogger("celery").setLevel(logging.WARNING)


def _open(**_: Any) -> None:
    _set_up_logging()  # celery sends its own signal for this only later
    start_tracing("vtt-worker")
    try:
        context = _open_context()
    except Exception as error:
        # Celery would log the error and go on to take messages that this worker cannot handle.
        _log.exception("worker_cannot_start")
        raise SystemExit(1) from error
    WorkerProcess.context = context
    WorkerProcess.liveness = LivenessReporter(WorkerRegistry(context.settings.resolved_broker_url), context.describe)
    context.metrics.serve(context.settings.worker_metrics_host, context.settings.worker_metrics_port)
    try:
        context.backbones.get(context.settings.default_backbone)
    except VttError as error:
        _log.warning("default_backbone_not_loaded", reason=str(error))


def _open_context() -> WorkerContext:
    """Open the context as soon as the database answers: machines may start in any order."""
    while True:
        try:
            return open_context(load_settings())
        except OUTAGES as error:
            _log.warning("worker_waits_for_the_database", reason=str(error)[:300])
        time.sleep(START_PAUSE_SECONDS)


def _warm_up() -> None:
    """Compile what training needs. That takes seconds, in which the loop takes no message; the worker counts as alive."""
    assert WorkerProcess.liveness is not None
    with WorkerProcess.liveness.held_up():
        current_context().backbones.warm_up()


def _announce(**_: Any) -> None:
    context = current_context()
    assert WorkerProcess.liveness is not None
    WorkerProcess.liveness.start()
    scan, products = context.backbones.scan, context.backbones.products
    kernels = {"scan": scan.name, "scan_reason": scan.reason, "products": products.name, "products_reason": products.reason}
    _log.info("worker_ready", holder=context.holder, device=context.backbones.device, **kernels)


def _ask_to_stop(**_: Any) -> None:
    current_context().stop.set()


def _close(**_: Any) -> None:
    if WorkerProcess.liveness is not None:
        WorkerProcess.liveness.stop()
    _log.info("worker_stopped")
    # Else the interpreter's last garbage collection looks at all of torch's objects for seconds.
    gc.freeze()


signals.setup_logging.connect(_set_up_logging)
signals.worker_init.connect(_open)
signals.worker_ready.connect(_announce)
signals.worker_shutting_down.connect(_ask_to_stop)
signals.worker_shutdown.connect(_close)
