"""Measure predictions over HTTP: an API process in role `predict`, synthetic models and JPEG files, clients on this machine."""

from __future__ import annotations

import io
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import httpx2
import numpy as np
from PIL import Image

from app.cli.bench.http_clients import PredictionClients
from app.cli.children import Child, stop_all
from vtt_core.contract.errors import BackboneUnavailableError

if TYPE_CHECKING:
    from vtt_core.backbones.backbone import Backbone

START_SECONDS = 300.0
STOP_SECONDS = 20.0
READY_ANSWERS = 5
"""In a row, for each process."""
NUM_MODELS = 32
NUM_FILES = 64
SIDE_PIXELS = 256
"""Side of the JPEG files."""
RAISED_LIMITS = {
    "VTT_PREDICT_MAX_WAIT_SECONDS": "3600",
    "VTT_PREDICT_MAX_WAITING_IMAGES": "100000",
    "VTT_MAX_REQUESTS": "4096",
}
"""Settings of the measured process, so that it answers every client however slow the backbone is."""


def measure_http(
    backbone: Backbone, folder: Path, *, num_clients: int, num_requests: int, num_threads: int, num_processes: int = 1
) -> dict[str, Any]:
    """Return the throughput over HTTP and of a bare loop of decoding and model, and latencies at half load.

    The process refuses no client (`RAISED_LIMITS`); `measure_cold_start` and `vtt bench load` measure refusals.

    Args:
        backbone: the process loads it again by its id.
        folder: empty, for the process's data.
        num_clients: open requests at full load, one image each.
        num_requests: of each measurement.
        num_threads: cores of torch, here and in each process.
        num_processes: that answer, each with a copy of the backbone.
    """
    files = [_make_jpeg(seed) for seed in range(NUM_FILES)]
    bare = _bare_images_per_second(backbone, files, batch_size=num_clients, num_images=num_requests)
    with (
        _serving(backbone, folder, num_threads, num_processes) as (url, model_ids),
        closing(PredictionClients(url, model_ids, files)) as clients,
    ):
        ask = clients.ask
        for number in range(len(model_ids)):
            ask(number)
        started = time.perf_counter()
        with ThreadPoolExecutor(num_clients) as pool:
            list(pool.map(ask, range(num_requests)))
        http = num_requests / (time.perf_counter() - started)
        latencies = _at_half_load(ask, http / 2, num_requests)
    middle, tail = median(latencies), quantiles(latencies, n=100, method="inclusive")[98]
    return {
        "http_over_bare": http / bare,
        "http_images_per_second": http,
        "bare_loop_images_per_second": bare,
        "half_load": {"median_ms": 1e3 * middle, "p99_ms": 1e3 * tail, "p99_over_median": tail / middle},
        "http_clients": num_clients,
        "http_processes": num_processes,
        "http_requests": num_requests,
        "raised_limits": RAISED_LIMITS,
    }


def measure_cold_start(
    backbone: Backbone, folder: Path, *, num_clients: int, num_requests: int, num_threads: int
) -> dict[str, Any]:
    """Return how a process with the usual limits receives many clients at once, the moment it is ready.

    Args:
        backbone: the process loads it again by its id.
        folder: empty, for the process's data.
        num_clients: open requests, one image each; the first requests that the process ever gets.
        num_requests: in all.
        num_threads: cores of torch in the process.
    """
    files, seconds = [_make_jpeg(seed) for seed in range(NUM_FILES)], []
    with (
        _serving(backbone, folder, num_threads, 1, limits={}) as (url, model_ids),
        closing(PredictionClients(url, model_ids, files)) as clients,
    ):

        def ask(number: int) -> int:
            started = time.perf_counter()
            status, _ = clients.try_to_ask(number)
            seconds.append(time.perf_counter() - started)
            return status

        with ThreadPoolExecutor(num_clients) as pool:
            statuses = Counter(pool.map(ask, range(num_requests)))
    return {
        "clients": num_clients,
        "requests": num_requests,
        "statuses": {str(status): number for status, number in sorted(statuses.items())},
        "median_ms": 1e3 * median(seconds),
        "longest_ms": 1e3 * max(seconds),
    }


def _make_jpeg(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _bare_images_per_second(backbone: Backbone, files: list[bytes], *, batch_size: int, num_images: int) -> float:
    """Time a plain loop: decode a batch, run open_clip's own model on it."""
    import torch  # noqa: PLC0415  (takes seconds; other commands do without)

    from vtt_core.backbones.preprocess import preprocess  # noqa: PLC0415
    from vtt_core.ingest.decode import decode_image  # noqa: PLC0415

    def run(count: int) -> None:
        for start in range(0, count, batch_size):
            chosen = [files[index % len(files)] for index in range(start, min(start + batch_size, count))]
            with torch.inference_mode():
                backbone.clip.encode_image(preprocess(map(decode_image, chosen), backbone.preprocessing))

    run(batch_size)
    started = time.perf_counter()
    run(num_images)
    return num_images / (time.perf_counter() - started)


def _at_half_load(ask: Callable[[int], None], requests_per_second: float, num_requests: int) -> list[float]:
    """Return the seconds of requests that are sent at random times, whether or not others have been answered."""
    source, latencies = Random(0), []

    def timed(number: int, due: float) -> None:
        ask(number)
        latencies.append(time.perf_counter() - due)

    with ThreadPoolExecutor(128) as pool:
        due = time.perf_counter()
        for number in range(num_requests):
            due += source.expovariate(requests_per_second)
            time.sleep(max(0.0, due - time.perf_counter()))
            pool.submit(timed, number, due)
    assert len(latencies) == num_requests
    return latencies


@contextmanager
def _serving(
    backbone: Backbone, folder: Path, num_threads: int, num_processes: int, limits: Mapping[str, str] = RAISED_LIMITS
) -> Iterator[tuple[str, list[str]]]:
    """Start processes that predict with synthetic models, and yield their address and the ids."""
    model_ids = _publish(backbone, folder)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        listener.set_inheritable(True)
        settings = {
            **limits,
            "VTT_DATA_DIR": str(folder),
            "VTT_ROLE": "predict",
            "VTT_DEFAULT_BACKBONE": backbone.backbone_id,
            "VTT_DEVICE": str(backbone.device),
            "OMP_NUM_THREADS": str(num_threads),
        }
        fd = listener.fileno()
        command = [sys.executable, "-m", "app.cli.api", "--fd", str(fd)]
        children = [Child("api", command, {**os.environ, **settings}, inherited_fds=(fd,)) for _ in range(num_processes)]
        for child in children:
            child.start(time.monotonic())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            _wait_until_ready(url, children)
            yield url, model_ids
        finally:
            stop_all(children, STOP_SECONDS)


def _wait_until_ready(url: str, children: list[Child]) -> None:
    """Wait until so many answers in a row say so that each process has probably given one."""
    deadline, num_ready = time.monotonic() + START_SECONDS, 0
    while time.monotonic() < deadline and all(child.exit_code is None for child in children):
        try:
            is_ready = httpx2.get(f"{url}/readyz", timeout=5.0).status_code == httpx2.codes.OK
        except httpx2.HTTPError:
            is_ready = False
        num_ready = num_ready + 1 if is_ready else 0
        if num_ready == READY_ANSWERS * len(children):
            return
        time.sleep(0.1)
    raise BackboneUnavailableError(
        expected=f"processes that predict within {START_SECONDS:g} s",
        got="one that is not ready",
        remedy="Look at its output above",
    )


def _publish(backbone: Backbone, folder: Path) -> list[str]:
    """Put synthetic models into the database and the store of a data folder, as a worker would."""
    from app.domain.ids import MODEL_PREFIX, new_id  # noqa: PLC0415  (as in _bare_images_per_second)
    from app.infra.clock import utc_now  # noqa: PLC0415
    from app.infra.database import make_engine, make_session_factory, migrate  # noqa: PLC0415
    from app.infra.object_store import ObjectStore  # noqa: PLC0415
    from app.infra.settings import Settings  # noqa: PLC0415
    from app.infra.tables import JobRow, ModelRow, SupportSetRow  # noqa: PLC0415
    from vtt_core.adapter.files import adapter_to_files  # noqa: PLC0415
    from vtt_core.bench.speed.synthetic_adapters import synthetic_adapter  # noqa: PLC0415

    settings = Settings(data_dir=folder)
    migrate(settings.resolved_database_url)
    engine = make_engine(settings.resolved_database_url)
    store, now, model_ids = ObjectStore(settings.resolved_store_url), utc_now(), []
    with make_session_factory(engine).begin() as session:
        session.add(SupportSetRow(id="set_drawn", empty_labels=[], created_at=now))
        session.flush()
        for seed in range(NUM_MODELS):
            adapter = synthetic_adapter(backbone, seed, has_head=True)
            model_id, files = new_id(MODEL_PREFIX), adapter_to_files(adapter)
            for name, content in files.items():
                store.put(f"models/{model_id}/{name}", content)
            job = JobRow(
                id=f"job_{seed}",
                support_set_id="set_drawn",
                backbone_id=backbone.backbone_id,
                recipe=adapter.manifest.recipe,
                seed=seed,
                state="succeeded",
                num_steps=1,
                request_sha256="0" * 64,
                created_at=now,
            )
            session.add(job)
            session.flush()
            session.add(
                ModelRow(
                    id=model_id,
                    job_id=job.id,
                    backbone_id=backbone.backbone_id,
                    backbone_sha256=backbone.weight_sha256,
                    labels=list(adapter.manifest.labels),
                    recipe=adapter.manifest.recipe,
                    metrics={},
                    adapter_key=f"models/{model_id}",
                    adapter_bytes=sum(map(len, files.values())),
                    created_at=now,
                )
            )
            model_ids.append(model_id)
    engine.dispose()
    return model_ids
