"""Let the service's workers compute a benchmark's episodes, and collect their lines into the log."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from app.domain.errors import ServiceRefusedError
from app.domain.messages import EpisodesMessage
from app.infra.benchmarks import BenchmarkBlobs, EpisodesSpec
from app.infra.clock import utc_now
from app.infra.object_store import ObjectStore
from app.infra.outages import OUTAGES
from app.infra.queue import JobQueue
from app.infra.settings import Settings
from app.infra.workers import WorkerRegistry
from vtt_core.contract.backbones import check_backbone_id

if TYPE_CHECKING:
    from vtt_core.bench.episodes.episode_log import EpisodeLine, EpisodeLog
    from vtt_core.bench.episodes.runner import Benchmark

POLL_SECONDS = 1.0
RESEND_SECONDS = 20.0
"""How long a chunk may be neither in the queue nor with a live worker before it is sent again; some announcements long."""
OUTAGE_SECONDS = 300.0
"""How long the store or the queue may be away before the command fails."""
NOTE_SECONDS = 3600.0
"""How often the command notes in the store that it still waits."""


def make_spec(benchmark: Benchmark, recipe_changes: dict[str, Any], chunk_episodes: int) -> EpisodesSpec:
    """Return what the workers have to compute.

    Raises:
        UnknownBackboneError: no worker can load the backbone by its id.
    """
    backbone_id = benchmark.bank.backbone.backbone_id
    check_backbone_id(backbone_id)
    return EpisodesSpec(
        backbone_id=backbone_id,
        protocol=asdict(benchmark.protocol),
        methods=",".join(spec.text for spec in benchmark.specs),
        recipe_changes=recipe_changes,
        threads=benchmark.num_threads,
        chunk_episodes=chunk_episodes,
        conditions=benchmark.conditions,
    )


class Collection:
    """A benchmark that the workers compute and the command collects.

    Args:
        benchmark: what is computed.
        spec: the same, for the workers.
        log: collects the lines.
        settings: of the service whose workers are used.
        say: shows a message to the user.
    """

    def __init__(
        self, benchmark: Benchmark, spec: EpisodesSpec, log: EpisodeLog, settings: Settings, say: Callable[[str], None]
    ) -> None:
        self._benchmark, self._spec, self._log, self._say = benchmark, spec, log, say
        canonical = json.dumps(asdict(spec), sort_keys=True)
        self._id = hashlib.sha256(canonical.encode()).hexdigest()[:32]
        self._blobs = BenchmarkBlobs(ObjectStore(settings.resolved_store_url), self._id)
        self._queue = JobQueue(settings.resolved_broker_url)
        self._registry = WorkerRegistry(settings.resolved_broker_url)
        self._keys = [benchmark.key(spec) for spec in benchmark.specs]
        self._outstanding = {chunk for chunk in range(spec.num_chunks) if not self._is_done(chunk)}
        self._missing_since: dict[int, float] = {}
        self._notes_at = 0.0
        self._has_said_so = False

    def lines(self) -> Iterator[EpisodeLine]:
        """Yield each line after it has been appended to the log; at the end nothing is left in the store.

        Raises:
            ServiceRefusedError: a worker cannot compute a chunk.
            OUTAGES: store or queue are away for long.
        """
        try:
            if self._outstanding:
                self._place()
            away_since: float | None = None
            while self._outstanding:
                try:
                    yield from self._collect()
                    self._note_wanted(time.monotonic())
                    self._resend(time.monotonic())
                    away_since = None
                except OUTAGES:
                    away_since = away_since or time.monotonic()
                    if time.monotonic() - away_since > OUTAGE_SECONDS:
                        raise
                if self._outstanding:
                    time.sleep(POLL_SECONDS)
            self._blobs.clear()
        finally:
            self._queue.close()
            self._registry.close()

    def _note_wanted(self, elapsed: float) -> None:
        if elapsed >= self._notes_at:
            self._blobs.note_wanted(utc_now())
            self._notes_at = elapsed + NOTE_SECONDS

    def _place(self) -> None:
        self._note_wanted(time.monotonic())
        if not self._blobs.has_spec():
            # Not only for the outstanding chunks: a later command with the same spec may have another log.
            used = [index for images in self._benchmark.episodes() for index in images.support + images.query]
            # See run_request.
            from vtt_core.bench.episodes.bundle import write_bundle  # noqa: PLC0415

            stream = io.BytesIO()
            write_bundle(self._benchmark.bank, used, stream)
            self._blobs.put_spec(self._spec, stream.getvalue())
        self._blobs.forget_errors()
        for chunk in sorted(self._outstanding):
            self._send(chunk)

    def _collect(self) -> Iterator[EpisodeLine]:
        from vtt_core.bench.episodes.episode_log import decode_lines  # noqa: PLC0415  (see run_request)

        for chunk in sorted(self._outstanding & self._blobs.begun_chunks()):
            for line in decode_lines(self._blobs.lines(chunk)):
                is_ours = line.key in self._keys and line.episode in self._spec.episodes_of(chunk)
                if is_ours and not self._log.has(line.key, line.episode):
                    self._log.append(line)
                    yield line
            if self._is_done(chunk):
                self._outstanding.remove(chunk)
        if (error := self._blobs.first_error()) is not None:
            raise ServiceRefusedError(**error)

    def _resend(self, now: float) -> None:
        """Send the chunks again that got lost with a worker or the broker: those that are in no queue and with no worker."""
        running = {worker.job_id for worker in self._registry.live_workers()}
        if not running and not self._has_said_so:
            self._has_said_so = True
            self._say("no worker is alive; start some with vtt worker")
        if self._queue.depth(EpisodesMessage.queue_name) > 0:
            self._missing_since.clear()
            return
        for chunk in self._outstanding:
            if EpisodesMessage(self._id, chunk).work_id in running:
                self._missing_since.pop(chunk, None)
            elif now - self._missing_since.setdefault(chunk, now) > RESEND_SECONDS:
                del self._missing_since[chunk]
                self._send(chunk)
                self._say(f"chunk {chunk} was lost and is sent again")

    def _send(self, chunk: int) -> None:
        self._queue.send(EpisodesMessage(self._id, chunk))

    def _is_done(self, chunk: int) -> bool:
        return all(self._log.has(key, number) for key in self._keys for number in self._spec.episodes_of(chunk))
