"""Hold the engine that answers predictions, from its first loading on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog
from PIL import Image

from app.domain.errors import PredictorNotReadyError
from vtt_core.contract.errors import VttError

_log = structlog.get_logger(__name__)


class Probabilities(Protocol):
    """What the engine says about one image."""

    @property
    def probabilities(self) -> dict[str, float]:
        """Probability of every label, the likeliest first."""


class PredictionEngine(Protocol):
    """The part of `vtt_core.serving.engine.Engine` that is used here."""

    def warm(self, backbone_id: str) -> None:
        """Load a backbone."""

    def predict(
        self,
        model_id: str,
        backbone_id: str,
        load_files: Callable[[], Mapping[str, bytes]],
        images: Sequence[Image.Image],
    ) -> Sequence[Probabilities]:
        """Classify images."""

    def evict(self, model_id: str) -> None:
        """Forget an adapter."""

    def resident(self) -> list[str]:
        """Return the ids of the adapters in memory."""


class Predictor:
    """The engine, and how far its loading is.

    Torch takes seconds to import and a backbone seconds to load; both happen in a thread, so that the
    process answers `/livez` at once and `/readyz` truly.

    Args:
        make_engine: imports torch and builds the engine.
        backbone_id: what to load at the start.
    """

    def __init__(self, make_engine: Callable[[], PredictionEngine], backbone_id: str) -> None:
        self._make_engine = make_engine
        self._backbone_id = backbone_id
        self._engine: PredictionEngine | None = None
        self._failure: str | None = None
        self._is_warm = False
        self._thread = threading.Thread(target=self._warm, name="warm-backbone", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def wait(self, timeout_seconds: float | None = None) -> None:
        """Wait until the loading has ended, well or not."""
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    @property
    def is_warm(self) -> bool:
        """Whether the backbone is in memory."""
        return self._is_warm

    @property
    def condition(self) -> str:
        """How the loading stands, in words."""
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
        """Forget the adapter of a deleted model."""
        if self._engine is not None:
            self._engine.evict(model_id)

    def resident(self) -> list[str]:
        """Return the ids of the adapters in memory."""
        return self._engine.resident() if self._engine is not None else []

    def _warm(self) -> None:
        try:
            engine = self._make_engine()
            # Models of other backbones can be served even where this one's weights are out of reach.
            self._engine = engine
            engine.warm(self._backbone_id)
            self._is_warm = True
        except VttError as error:
            self._failure = str(error)
            _log.error("backbone_not_loaded", backbone_id=self._backbone_id, reason=str(error))
        except Exception as error:
            self._failure = f"{type(error).__name__}: {error}"
            _log.exception("backbone_not_loaded", backbone_id=self._backbone_id)
