"""The linear probe over episodes, on features with known classes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vtt_core.bench.episodes.probe_episodes import patient_of, probe_accuracy
from vtt_core.bench.episodes.sampling import Protocol

CLASSES = [index // 30 for index in range(180)]


def test_clusters_are_distinguished_and_noise_is_not() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(180, 16, generator=generator)
    clusters = functional.one_hot(torch.tensor(CLASSES), 16) + 0.05 * noise
    protocol = Protocol(num_episodes=40)
    assert probe_accuracy(clusters, CLASSES, None, protocol) == {"accuracy": 1.0, "ci95": 0.0, "episodes": 40}
    blind = probe_accuracy(noise, CLASSES, None, protocol)
    assert blind["accuracy"] == pytest.approx(0.2, abs=3 * blind["ci95"])
    assert 0.0 < blind["ci95"] < 0.05


def test_the_patient_is_what_comes_before_the_underscore() -> None:
    assert patient_of("Atelectasis/00000030_001.png") == "00000030"
