"""Answer /livez, /readyz and /metrics."""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.dependencies import AppContextDep
from app.health import service
from app.health.metrics import MetricsDep
from app.health.schemas import Liveness, Readiness
from app.infra.clock import utc_now

router = APIRouter(tags=["health"])


@router.get("/livez")
async def get_liveness() -> Liveness:
    """Say that the process is alive. Restart it if this does not answer."""
    return Liveness(status="alive")


@router.get("/readyz", responses={503: {"model": Readiness, "description": "A required part is missing"}})
async def get_readiness(context: AppContextDep, response: Response) -> Readiness:
    """Say whether this process can do its work, and list every part: database, store, disk, queue, worker, jobs, backbone.

    The answer is 503 if a required part is missing. A job that is sent while the queue is down is kept and starts later.
    """
    answer = await to_thread.run_sync(service.readiness, context, utc_now(), limiter=context.bounds.health_threads)
    response.status_code = 200 if answer.is_ready else 503
    return answer


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus text"}},
)
async def get_metrics(counted: MetricsDep, process: AppContextDep) -> Response:
    """Metrics for Prometheus: jobs, waiting times, workers, adapters, images, requests, latencies. Workers serve their own."""
    rendered = await to_thread.run_sync(counted.render, limiter=process.bounds.health_threads)
    return Response(rendered, media_type=CONTENT_TYPE_LATEST)
