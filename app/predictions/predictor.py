"""Load the engine that answers predictions in the background, and hold it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from app.domain.errors import PredictorNotReadyError
from vtt_core.contract.errors import VttError
from vtt_core.contract.serving import PredictionEngine

_log = structlog.get_logger(__name__)


class Predictor:
    """The engine, and the state of its loading.

    Torch takes seconds to import and a backbone seconds to load; both happen in a thread, so that the
    process answers `/livez` at once and `/readyz` truly.

    Args:
        make_engine: imports torch and builds the engine.
        backbone_id: what to load at the start.
        then: called with the engine and the seconds of one image, once the backbone is in memory.
    """

    def __init__(
        self,
        make_engine: Callable[[], PredictionEngine],
        backbone_id: str,
        then: Callable[[PredictionEngine, float], None] = lambda engine, image_seconds: None,
    ) -> None:
        self._make_engine = make_engine
        self._then = then
        self._backbone_id = backbone_id
        self._engine: PredictionEngine | None = None
        self._failure: str | None = None
        self._is_warm = False
        self._thread = threading.Thread(target=self._warm, name="warm-backbone", daemon=True)

    def start(self) -> None:
        """Start loading."""
        self._thread.start()

    def wait(self, timeout_seconds: float | None = None) -> None:
        """Wait until the loading has ended, whether or not it succeeded."""
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    @property
    def is_warm(self) -> bool:
        """Whether the backbone is in memory."""
        return self._is_warm

    @property
    def condition(self) -> str:
        """The state of the loading, in words."""
        if self._failure is not None:
            return self._failure
        return f"{self._backbone_id} is in memory" if self._is_warm else f"loading {self._backbone_id}"

    @property
    def engine(self) -> PredictionEngine:
        """The engine; raises PredictorNotReadyError until it is there."""
        if self._engine is None:
            raise PredictorNotReadyError(
                expected="a process that has loaded its backbone",
                got=self.condition,
                remedy="Wait until GET /readyz answers 200",
            )
        return self._engine

    def evict(self, model_id: str) -> None:
        """Remove the adapter of a deleted model from memory."""
        if self._engine is not None:
            self._engine.evict(model_id)

    @property
    def loaded(self) -> PredictionEngine | None:
        """The engine, or None until it is there."""
        return self._engine

    def resident_ids(self) -> set[str]:
        """Return the ids of the models whose adapters are in memory."""
        return {adapter.model_id for adapter in self._engine.resident()} if self._engine is not None else set()

    def close(self, timeout_seconds: float) -> None:
        """Wait for the loading to end, then finish what is queued."""
        self.wait(timeout_seconds)
        if self._engine is not None and not self._thread.is_alive():
            self._engine.close()

    def _warm(self) -> None:
        try:
            engine = self._make_engine()
            # Models of other backbones can be served even where this one's weights are out of reach.
            self._engine = engine
            image_seconds = engine.warm(self._backbone_id)
            self._is_warm = True
            self._then(engine, image_seconds)
        except VttError as error:
            self._failure = str(error)
            _log.error("backbone_not_loaded", backbone_id=self._backbone_id, reason=str(error))
        except Exception as error:
            self._failure = f"{type(error).__name__}: {error}"
            _log.exception("backbone_not_loaded", backbone_id=self._backbone_id)
