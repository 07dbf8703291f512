"""Measure trained weights of `mini`, and write its model card and the plot of its training.

    python -m vtt_core.bench.pretraining.card --out DIR --data ZIP [ZIP...] --domains ZIP [ZIP...]

reads `weights.safetensors`, `log.jsonl` and `text.json` of the folder and writes `figures.json`, `training.png` and `CARD.md`
there. With `--weights FILE` it only prints the results of any weights of the same shape. The text of the card is in
card_template.md, and its numbers are the results.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import sys
from pathlib import Path
from string import Template
from typing import Any

import torch

from vtt_core.backbones.load import backbone_from_files
from vtt_core.backbones.mini.model import MODEL_FILE
from vtt_core.bench.episodes.probe_episodes import labelled_features, patient_of, probe_accuracy
from vtt_core.bench.episodes.sampling import Protocol
from vtt_core.bench.pretraining.corpus import Corpus, read_corpus
from vtt_core.bench.pretraining.pretrain import LOG_NAME, TEXT_FACTS_NAME, WEIGHTS_NAME
from vtt_core.bench.pretraining.zero_shot import zero_shot_accuracy
from vtt_core.contract.interval import wilson_half_width

TEMPLATE_FILE = Path(__file__).with_name("card_template.md")
GROUPS = {"chestx": patient_of}
"""Data sets whose images depend on each other. They are also measured with no group in both support set and queries."""
FLOORS = {"eurosat": 0.532, "cropdisease": 0.502, "isic": 0.358, "chestx": 0.232}
"""Accuracy of a nearest centroid on 24 colour and edge statistics, for comparison."""


def measure(weights: Path, validation: Corpus, domains: list[Path], device: str) -> dict[str, Any]:
    """Return all results of the weights.

    Args:
        weights: safetensors file.
        validation: images that were not trained on.
        domains: zips of class folders, measured by a linear probe on 5-way 5-shot episodes.
        device: to compute on.
    """
    backbone = backbone_from_files("mini", MODEL_FILE, weights, device=device)
    correct, total = zero_shot_accuracy(backbone.clip, validation, device)
    zero_shot = {"accuracy": correct / total, "ci95": wilson_half_width(correct, total), "images": total}
    probes = {}
    for path in domains:
        features_IW, classes, groups = labelled_features(backbone, path, GROUPS.get(path.stem))
        probes[path.stem] = probe_accuracy(features_IW, classes, None, Protocol())
        if groups is not None:
            probes[f"{path.stem}, by patient"] = probe_accuracy(features_IW, classes, groups, Protocol())
    content = weights.read_bytes()
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "way": len(validation.names),
        "zero_shot": zero_shot,
        "linear_probe": probes,
    }


def write_card(out: Path, results: dict[str, Any]) -> None:
    """Write figures.json, training.png and CARD.md.

    Args:
        out: folder of a training.
        results: from `measure`.
    """
    log = [json.loads(line) for line in (out / LOG_NAME).read_text(encoding="utf-8").splitlines()]
    text = json.loads((out / TEXT_FACTS_NAME).read_text(encoding="utf-8"))
    (out / "figures.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    draw_training(log, out / "training.png")
    (out / "CARD.md").write_text(card_text(results, log, text), encoding="utf-8")


def card_text(results: dict[str, Any], log: list[dict[str, float]], text: dict[str, Any]) -> str:
    """Return the card: the template with the results filled in."""
    zero_shot, last = results["zero_shot"], log[-1]
    probes = [
        f"| {name} | {100 * probe['accuracy']:.1f} ± {100 * probe['ci95']:.1f} | {_percent(FLOORS.get(name))} "
        f"| {probe['episodes']} |"
        for name, probe in results["linear_probe"].items()
    ]
    return Template(TEMPLATE_FILE.read_text(encoding="utf-8")).substitute(
        bytes=f"{results['bytes']:,}",
        sha256=results["sha256"],
        steps=f"{last['step']:,}",
        images=f"{last['images']:,}",
        loss=f"{last['loss']:.3f}",
        way=results["way"],
        chance=f"{100 / results['way']:g}",
        text_steps=f"{text['steps']:,}",
        unseen=f"{text.get('unseen_nouns', 0):,}",
        unseen_top1=_percent(text.get("unseen_top1")),
        zero_shot=f"{100 * zero_shot['accuracy']:.2f} ± {100 * zero_shot['ci95']:.2f}",
        num_validation=f"{zero_shot['images']:,}",
        probes="\n".join(probes),
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def draw_training(log: list[dict[str, float]], path: Path) -> None:
    """Draw loss and validation accuracy against the number of images seen.

    Args:
        log: lines of the training's log.
        path: PNG file to write.
    """
    figure_type = importlib.import_module("matplotlib.figure").Figure  # of the extra `plots`, which the service does not need
    figure = figure_type(figsize=(7, 3.5), layout="constrained")
    left = figure.subplots()
    seen = [line["images"] / 1e6 for line in log]
    left.plot(seen, [line["loss"] for line in log], color="tab:blue")
    left.set_xlabel("images seen (millions)")
    left.set_ylabel("training loss", color="tab:blue")
    measured = [line for line in log if "validation_top1" in line]
    right = left.twinx()
    right.plot([line["images"] / 1e6 for line in measured], [100 * line["validation_top1"] for line in measured], "tab:red")
    right.set_ylabel("validation top-1 (%)", color="tab:red")
    right.set_ylim(bottom=0)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m vtt_core.bench.pretraining.card", description="Measure mini and write its card."
    )
    parser.add_argument("--out", type=Path, help="folder of a training, where the card is written")
    parser.add_argument("--weights", type=Path, help="measure these weights and only print the results")
    parser.add_argument("--data", nargs="+", type=Path, required=True, help="Tiny-ImageNet zips, one with validation images")
    parser.add_argument("--domains", nargs="*", type=Path, default=[], help="zips of class folders for the linear probe")
    parser.add_argument("--images-per-class", type=int, help="use only this many validation images of each class")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    if (options.out is None) == (options.weights is None):
        parser.error("give either --out or --weights")
    validation = read_corpus(options.data, "val", options.images_per_class)
    results = measure(options.weights or options.out / WEIGHTS_NAME, validation, options.domains, options.device)
    sys.stdout.write(json.dumps(results) + "\n")
    if options.out is not None:
        write_card(options.out, results)


if __name__ == "__main__":
    main()
