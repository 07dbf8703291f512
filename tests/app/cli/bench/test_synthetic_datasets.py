"""Drawings in the layouts of the target domains are read as these are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from app.cli.bench.synthetic_datasets import write_target_domains
from vtt_core.bench.datasets.open import open_labelled_images
from vtt_core.bench.datasets.registry import TARGET_DOMAINS
from vtt_core.ingest.decode import decode_image


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    write_target_domains(root, 2)
    return root


@pytest.mark.parametrize("domain", TARGET_DOMAINS)
def test_five_classes_are_found_with_all_their_images(root: Path, domain: str) -> None:
    with open_labelled_images(domain, root=root / domain) as images:
        counts = Counter(image.label for image in images)
        assert list(counts.values()) == [2] * 5
        assert decode_image(images[0].read()).size == (96, 96)


def test_nothing_else_is_left_in_the_folder(root: Path) -> None:
    assert {path.name for path in root.iterdir()} == set(TARGET_DOMAINS)
