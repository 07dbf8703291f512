"""ILSVRC: synset folders and the files with their words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vtt_core.bench.datasets.registry import DATASETS
from vtt_core.bench.datasets.synsets import synset_labels
from vtt_core.contract.errors import DatasetLayoutError

ILSVRC = DATASETS["ilsvrc"]


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("ILSVRC/Data/CLS-LOC/train", "LOC_synset_mapping.txt"),
        ("train", "train/words.txt"),
        (".", "words.txt"),
    ],
)
def test_a_class_is_the_first_word_of_its_synset(
    folder: str, words: str, tmp_path: Path, write_image: Callable[..., None]
) -> None:
    for synset in ("n01440764", "n01484850"):
        write_image(tmp_path / folder / synset / f"{synset}_1.JPEG")
    gap = "\t" if words.endswith("words.txt") else " "
    (tmp_path / words).write_text(f"n01440764{gap}tench, Tinca tinca\nn01484850{gap}great white shark, white shark\n")
    images = ILSVRC.read(ILSVRC, tmp_path)
    assert [(image.name, image.label) for image in images] == [
        ("n01440764/n01440764_1.JPEG", "tench"),
        ("n01484850/n01484850_1.JPEG", "great white shark"),
    ]


def test_synsets_that_share_words_keep_names_of_their_own() -> None:
    labels = synset_labels(
        {
            "n02012849": "crane",
            "n03126707": "crane",
            "n03710637": "maillot",
            "n03710721": "maillot, tank suit",
            "n00000001": "twin",
            "n00000002": "twin",
        }
    )
    assert list(labels.values()) == [
        "crane bird",
        "construction crane",
        "maillot",
        "maillot, tank suit",
        "twin (n00000001)",
        "twin (n00000002)",
    ]


def test_synsets_without_words_are_refused(tmp_path: Path, write_image: Callable[..., None]) -> None:
    write_image(tmp_path / "train" / "n01440764" / "1.JPEG")
    with pytest.raises(DatasetLayoutError, match=r"none of LOC_synset_mapping\.txt"):
        ILSVRC.read(ILSVRC, tmp_path)
    (tmp_path / "words.txt").write_text("n01484850\tgreat white shark\n")
    with pytest.raises(DatasetLayoutError, match="no words for 'n01440764'"):
        ILSVRC.read(ILSVRC, tmp_path)


def test_archives_that_were_not_unpacked_are_refused(tmp_path: Path) -> None:
    (tmp_path / "n01440764.tar").touch()
    with pytest.raises(DatasetLayoutError, match=r"'n01440764\.tar'"):
        ILSVRC.read(ILSVRC, tmp_path)
