"""The backbone is loaded beside the requests."""

from __future__ import annotations

import threading

import pytest

from app.domain.errors import PredictorNotReadyError
from app.predictions.predictor import Predictor
from tests.fixtures.http_api import FakeEngine
from vtt_core.contract.errors import BackboneUnavailableError


def test_predictions_wait_for_nobody_while_the_engine_is_built() -> None:
    may_build = threading.Event()

    def build() -> FakeEngine:
        assert may_build.wait(10)
        return FakeEngine()

    predictor = Predictor(build, "mini")
    predictor.start()
    with pytest.raises(PredictorNotReadyError, match="loading mini"):
        _ = predictor.engine
    assert not predictor.is_warm
    assert predictor.resident_ids() == set()
    predictor.evict("mdl_1")
    may_build.set()
    predictor.wait(10)
    assert predictor.is_warm
    assert predictor.engine.resident() == []
    assert predictor.condition == "mini is in memory"


def test_an_engine_whose_default_backbone_is_out_of_reach_still_serves_others() -> None:
    failure = BackboneUnavailableError(expected="weights", got="no network", remedy="Download them")
    predictor = Predictor(lambda: FakeEngine(failure=failure), "far/away")
    predictor.start()
    predictor.wait(10)
    assert not predictor.is_warm
    assert "no network" in predictor.condition
    assert predictor.engine.resident() == []


def test_an_engine_that_cannot_be_built_says_why() -> None:
    def build() -> FakeEngine:
        raise RuntimeError("no such device")

    predictor = Predictor(build, "mini")
    predictor.start()
    predictor.wait(10)
    with pytest.raises(PredictorNotReadyError, match="no such device"):
        _ = predictor.engine
