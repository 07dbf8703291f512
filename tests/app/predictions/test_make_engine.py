"""The real engine is built on the device of the settings."""

from app.infra.settings import Settings
from app.predictions.make_engine import make_prediction_engine, resolve_device


def test_the_engine_starts_empty() -> None:
    assert make_prediction_engine(Settings(device="cpu")).resident() == []


def test_a_named_device_is_taken_and_auto_is_resolved() -> None:
    assert resolve_device("cuda:1") == "cuda:1"
    assert resolve_device("auto") in {"cpu", "cuda"}
