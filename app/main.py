"""Build the HTTP application of one process."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from app.access.browser_guard import BrowserGuardMiddleware
from app.access.browsers import browser_rules
from app.access.headers import SecureHeadersMiddleware
from app.access.loopback import check_host
from app.error_handlers import install_error_handlers
from app.health.schemas import PROBES
from app.infra.settings import Settings, load_settings
from app.lifespan import MakeEngine, make_lifespan
from app.openapi import document_answers
from app.overload.body_pace import BodyPaceMiddleware
from app.overload.bounds import pace_bounds
from app.overload.request_limit_middleware import RequestLimitMiddleware
from app.pages.page_route import install_error_pages
from app.request_log import RequestLogMiddleware
from app.router import routes_of
from app.uploads.body_limit import BodyLimitMiddleware
from vtt_core.contract.serving import PredictionEngine

DESCRIPTION = """
Adapts a CLIP model to your images from a handful of labelled ones, and serves the result.

1. `POST /v1/support-sets`: send labelled images.
2. `POST /v1/jobs`: fine-tune on them; follow `GET /v1/jobs/{id}/events`.
3. `POST /v1/models/{id}/predict`: classify other images, up to 64 in a request; `POST /v1/models/{id}/predictions`: up to
   10,000 in the background.

Every error is a problem document (RFC 9457) with a stable `code`, what was expected, what came, and what to do.
"""


def create_app(settings: Settings | None = None, make_prediction_engine: MakeEngine | None = None) -> FastAPI:
    """Return the application; uvicorn takes this as a factory.

    Args:
        settings: None reads the environment.
        make_prediction_engine: builds the engine in roles that predict; None for the real one, which imports torch.

    Raises:
        UnsafeHostError: the settings would open the service to the network without keys.
    """
    settings = settings or load_settings()
    check_host(settings.host, requires_keys=settings.require_keys, allows_unauthenticated=settings.allow_unauthenticated)
    app = FastAPI(
        title="VtT service",
        description=DESCRIPTION,
        version=version("vtt-service"),
        telemetry={"operation_spans": False, "exclude": lambda scope: scope["path"] in PROBES},
        # Our own page of the API's description loads nothing from elsewhere.
        docs_url=None,
        redoc_url=None,
        lifespan=asynccontextmanager(make_lifespan(settings, make_prediction_engine or _make_torch_engine)),
    )
    app.add_middleware(BodyLimitMiddleware, max_form_bytes=settings.max_request_bytes, max_other_bytes=settings.max_json_bytes)
    app.add_middleware(BodyPaceMiddleware, bounds=pace_bounds(settings), stopwatch=time.monotonic)
    app.add_middleware(RequestLimitMiddleware)
    app.add_middleware(BrowserGuardMiddleware, rules=browser_rules(settings))
    app.add_middleware(SecureHeadersMiddleware)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(RequestLogMiddleware)  # the last one added is the outermost
    install_error_handlers(app)
    app.router.routes.extend(routes_of(settings.role))
    install_error_pages(app)
    document_answers(app)
    return app


def _make_torch_engine(settings: Settings) -> PredictionEngine:
    # Role `control` never comes here, and so never imports torch.
    from app.predictions.make_engine import make_prediction_engine  # noqa: PLC0415

    return make_prediction_engine(settings)
