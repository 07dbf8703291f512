"""Measure frozen image features by a linear probe on few-shot episodes of a labelled data set.

Shapes: I images, W tower width.
Source: Radford et al. 2021, arXiv:2103.00020, section 3.2: CLIP's image features before the projection into the joint space.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import mean

from torch import Tensor

from vtt_core.adapter.classify import unprojected_features
from vtt_core.adapter.linear_probe import probe_predictions
from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.episodes.sampling import Protocol, draw_episodes
from vtt_core.contract.interval import mean_half_width
from vtt_core.ingest.archives import open_images
from vtt_core.ingest.decode import decode_image


def patient_of(name: str) -> str:
    """Return the patient of a ChestX-ray14 image `<class>/<patient>_<number>.png`."""
    return name.rpartition("/")[2].partition("_")[0]


def labelled_features(
    backbone: Backbone, data: Path, group_of: Callable[[str], str] | None = None
) -> tuple[Tensor, list[int], list[str] | None]:
    """Return features_IW, and the class and group of each image.

    Args:
        backbone: frozen.
        data: zip or folder of class folders.
        group_of: returns an image's group from its name `<class>/<file>`; None if images are independent.
    """
    with open_images(data) as contents:
        labels = sorted({file.label for file in contents.files})
        classes = [labels.index(file.label) for file in contents.files]
        groups = None if group_of is None else [group_of(file.name) for file in contents.files]
        features_IW = unprojected_features(backbone, (decode_image(file.read()) for file in contents.files))
    return features_IW.cpu(), classes, groups


def probe_accuracy(features_IW: Tensor, classes: list[int], groups: list[str] | None, protocol: Protocol) -> dict[str, float]:
    """Return the mean accuracy over the episodes, and half of its 95 % interval.

    Args:
        features_IW: of all images, not normalised.
        classes: class of each image.
        groups: none may be in both the support set and the queries of an episode.
        protocol: of the episodes.
    """
    accuracies = []
    for episode in draw_episodes(classes, protocol, groups):
        predicted_Q = probe_predictions(
            features_IW[episode.support_S], episode.support_labels_S, features_IW[episode.query_Q], protocol.way
        )
        accuracies.append(float((predicted_Q == episode.query_labels_Q).double().mean()))
    return {"accuracy": mean(accuracies), "ci95": mean_half_width(accuracies), "episodes": len(accuracies)}
