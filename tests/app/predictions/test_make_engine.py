"""The real engine is built on the device of the settings."""

from app.infra.settings import Settings
from app.predictions.make_engine import make_prediction_engine


def test_the_engine_starts_empty() -> None:
    assert make_prediction_engine(Settings(device="cpu")).resident() == []
