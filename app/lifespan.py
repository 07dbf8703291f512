"""Open what the requests of one process share, and close it when the process ends."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from app.dependencies import AppContext
from app.health.metrics import Metrics
from app.infra.database import make_engine, make_reader_factory, make_session_factory, migrate
from app.infra.disk import make_disk_space
from app.infra.garbage import spare_what_is_there
from app.infra.known_keys import KnownKeys
from app.infra.object_store import ObjectStore
from app.infra.queue import JobQueue
from app.infra.rates import RateLimits
from app.infra.reaper import Reaper
from app.infra.served_models import ServedModels
from app.infra.settings import Role, Settings
from app.infra.workers import WorkerRegistry
from app.jobs.hub import EventHub
from app.models.service import load_pinned
from app.overload.bounds import make_bounds
from app.predictions.predictor import Predictor
from app.shutdown import noticing_shutdown
from app.webhooks.sender import WebhookSender
from vtt_core.contract.serving import PredictionEngine

STOP_SECONDS = 30.0
"""How long the loading of a backbone may delay the end of the process."""

CALIBRATION_IMAGES = 16
"""Weight of the measurement at the start, in images of requests."""

MakeEngine = Callable[[Settings], PredictionEngine]


def make_lifespan(settings: Settings, make_prediction_engine: MakeEngine) -> Callable[[FastAPI], AsyncIterator[None]]:
    """Return the lifespan of an application.

    Args:
        settings: of the process.
        make_prediction_engine: builds the engine, in roles that predict.
    """

    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opened = open_context(settings, make_prediction_engine)
        context = await run_in_threadpool(opened.__enter__)
        try:
            app.state.context = context
            app.state.metrics = Metrics(context)
            with noticing_shutdown(context.stopping):
                yield
        finally:
            await run_in_threadpool(opened.__exit__, None, None, None)

    return lifespan


def _once_warm(context: AppContext, engine: PredictionEngine, image_seconds: float) -> None:
    """Tell the queue of predictions how fast this process is, and load the pinned adapters."""
    context.bounds.predictions.calibrate(image_seconds, CALIBRATION_IMAGES)
    load_pinned(context, engine)
    spare_what_is_there()


@contextmanager
def open_context(settings: Settings, make_prediction_engine: MakeEngine) -> Iterator[AppContext]:
    """Migrate the database, connect, and start the threads of the role: the reaper, and the loading of the backbone."""
    migrate(settings.resolved_database_url)
    engine = make_engine(settings.resolved_database_url)
    sessions = make_session_factory(engine)
    readers, stopping = make_reader_factory(engine), threading.Event()
    context = AppContext(
        settings=settings,
        sessions=sessions,
        readers=readers,
        keys=KnownKeys(engine),
        served_models=ServedModels(engine),
        store=ObjectStore(settings.resolved_store_url),
        disk=make_disk_space(settings),
        queue=JobQueue(settings.resolved_broker_url),
        workers=WorkerRegistry(settings.resolved_broker_url),
        rates=RateLimits(settings.resolved_broker_url),
        bounds=make_bounds(settings, time.monotonic),
        hub=EventHub(readers, settings.event_poll_seconds, settings.max_followers, stopping),
        stopping=stopping,
    )
    if settings.role is not Role.PREDICT:
        context.reaper = Reaper(settings, sessions, context.queue, context.store)
        context.webhooks = WebhookSender(settings, sessions)
    if settings.role is not Role.CONTROL:
        context.predictor = Predictor(
            lambda: make_prediction_engine(settings), settings.default_backbone, partial(_once_warm, context)
        )
        context.predictor.start()
    try:
        if context.reaper is not None:
            context.reaper.start()
        if context.webhooks is not None:
            context.webhooks.start()
        yield context
    finally:
        if context.reaper is not None:
            context.reaper.stop()
        if context.webhooks is not None:
            context.webhooks.stop()
        if context.predictor is not None:
            context.predictor.close(STOP_SECONDS)
        context.queue.close()
        context.workers.close()
        engine.dispose()
