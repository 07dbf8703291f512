"""Read ILSVRC 2012: a folder for each WordNet synset, and a file with their words.

Source: Russakovsky et al. 2015; `ILSVRC/Data/CLS-LOC/train/<synset>/*.JPEG` with `LOC_synset_mapping.txt` as Kaggle packs
    it, or the synset folders with `words.txt` as Meta-Dataset asks for (google-research/meta-dataset,
    doc/dataset_conversion.md).
Differs: Meta-Dataset leaves out images that are also in Caltech 101, Caltech 256 and CUB. Here all are used.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from vtt_core.bench.datasets.dataset import Dataset, has_images, list_folders
from vtt_core.bench.datasets.folder_layout import list_class_folders
from vtt_core.bench.datasets.labelled_image import LabelledImage

_SYNSET = re.compile(r"n\d{8}")
_WORD_FILES = ("LOC_synset_mapping.txt", "synset_words.txt", "words.txt")
_TOPS = ("ILSVRC/Data/CLS-LOC/train", "Data/CLS-LOC/train", "CLS-LOC/train", "ILSVRC2012_img_train", "train", ".")
_SAME_WORDS = {"n02012849": "crane bird", "n03126707": "construction crane"}
"""Synsets with identical words."""


def read_ilsvrc(dataset: Dataset, root: Path) -> list[LabelledImage]:
    """Return the training images."""
    top = dataset.find(root, _TOPS, _holds_a_synset)
    words = _read_words(dataset, root, top)
    folders = [folder.name for folder in list_folders(top) if _SYNSET.fullmatch(folder.name)]
    labels = synset_labels({synset: words.get(synset, "") for synset in folders})
    unnamed = [synset for synset, label in labels.items() if not label]
    if unnamed:
        raise dataset.bad_layout(f"no words for {', '.join(map(repr, unnamed[:5]))}")
    return list_class_folders(top, labels.get)


def synset_labels(words: dict[str, str]) -> dict[str, str]:
    """Return a class name for each synset: its first word, or all its words if two synsets share the first.

    Args:
        words: comma-separated words of each synset.
    """
    first = {synset: _SAME_WORDS.get(synset, text.split(",")[0].strip()) for synset, text in words.items()}
    counts = Counter(first.values())
    labels = {synset: words[synset].strip() if counts[label] > 1 else label for synset, label in first.items()}
    counts = Counter(labels.values())
    return {synset: f"{label} ({synset})" if label and counts[label] > 1 else label for synset, label in labels.items()}


def _read_words(dataset: Dataset, root: Path, top: Path) -> dict[str, str]:
    folders = dict.fromkeys([root, root / "ILSVRC", *(folder for folder in [top, *top.parents] if folder.is_relative_to(root))])
    for path in (folder / name for folder in folders for name in _WORD_FILES):
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            return {line[:9]: line[10:].strip() for line in lines if _SYNSET.fullmatch(line[:9])}
    raise dataset.bad_layout(f"synset folders in {str(top)!r} and none of {', '.join(_WORD_FILES)}")


def _holds_a_synset(path: Path) -> bool:
    return any(_SYNSET.fullmatch(folder.name) and has_images(folder.path) for folder in list_folders(path))
