"""Class names of data sets whose files have only numbers or codes.

Source: docs/datasets.md, "Data sets" (EuroSAT, ISIC, ChestX: the names of the released prompts); Nilsback and Zisserman 2008
    with the list that Meta-Dataset uses (google-research/meta-dataset, dataset_conversion/VggFlower_labels.txt,
    TrafficSign_labels.txt), in the order of the label numbers; Cimpoi et al. 2014 (DTD).
Differs: of the flowers, 40 is spelled barberton daisy, and 59 has lost its question mark.
"""

from __future__ import annotations

import json
from pathlib import Path

CLASS_NAMES: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("class_names.json").read_text(encoding="utf-8"))
"""Data set -> folder, column or number in its files -> class name. Flowers count from 1, traffic signs from 0."""
