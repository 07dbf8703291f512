"""Train the bundled backbone `mini` from scratch, and measure it.

    python -m vtt_core.backbones.mini.pretrain --data ZIP [ZIP...] --out DIR --epochs 2 --seed 0
    python -m vtt_core.backbones.mini.pretrain --data ZIP --evaluate WEIGHTS

Started again on the same folder it continues. It may then be given other `--epochs` (shorter, when the
machine turns out slow; longer, to go on), as long as the learning rate has not begun to fall: it ends
with the bytes of an undisturbed run of that length.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from vtt_core.backbones.mini.corpus import read_corpus
from vtt_core.backbones.mini.model import build_mini
from vtt_core.backbones.mini.recipe import PretrainRecipe
from vtt_core.backbones.mini.training import Pretraining
from vtt_core.backbones.mini.zero_shot import zero_shot_accuracy

CHECKPOINT_NAME = "checkpoint.safetensors"
WEIGHTS_NAME = "weights.safetensors"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads it sees the old or the new content, never a part."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def pretrain(training: Pretraining, out: Path, save_every: int) -> None:
    """Train to the end, resuming from `out` where it holds a checkpoint, and write weights there all along.

    Args:
        training: at its start.
        out: folder of the checkpoint and the weights.
        save_every: steps between two saves.
    """
    out.mkdir(parents=True, exist_ok=True)
    if (out / CHECKPOINT_NAME).exists():
        training.resume(out / CHECKPOINT_NAME)
    started, first_step, recent = time.monotonic(), training.step, 0.0
    for loss in training.run():
        recent = loss if recent == 0.0 else 0.98 * recent + 0.02 * loss
        if training.step % 20 == 0:
            seconds = (time.monotonic() - started) / (training.step - first_step)
            left = seconds * (training.num_steps - training.step) / 60
            progress = f"step {training.step}/{training.num_steps} loss {recent:.3f} {seconds:.3f} s/step {left:.0f} min left"
            print(progress, file=sys.stderr, flush=True)  # noqa: T201 - progress of a command
        if training.step % save_every == 0:
            write_atomically(out / CHECKPOINT_NAME, training.checkpoint())
            write_atomically(out / WEIGHTS_NAME, training.weights())
    write_atomically(out / CHECKPOINT_NAME, training.checkpoint())
    write_atomically(out / WEIGHTS_NAME, training.weights())


def main(arguments: list[str] | None = None) -> None:
    """Train or measure, as the command line says."""
    defaults = PretrainRecipe()
    parser = argparse.ArgumentParser(prog="python -m vtt_core.backbones.mini.pretrain", description="Train or measure mini.")
    parser.add_argument("--data", nargs="+", type=Path, required=True, help="Tiny-ImageNet zips")
    parser.add_argument("--out", type=Path, help="folder of checkpoint and weights; a checkpoint in it is continued")
    parser.add_argument("--evaluate", type=Path, metavar="WEIGHTS", help="print zero-shot accuracy on val and stop")
    parser.add_argument("--epochs", type=float, default=2.0, help="length of the whole run, in passes over the data")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--batch-size", type=int, default=defaults.batch_size)
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate)
    parser.add_argument("--images-per-class", type=int, help="use only the first so many of each class")
    parser.add_argument("--save-every", type=int, default=200, help="steps between two saves")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.evaluate is not None:
        model = build_mini()
        model.load_state_dict(load_file(options.evaluate))
        corpus = read_corpus(options.data, "val", options.images_per_class)
        correct, total = zero_shot_accuracy(model.to(options.device), corpus, options.device)
        answer = {"way": len(corpus.names), "images": total, "correct": correct, "zero_shot_top1": correct / total}
        print(json.dumps(answer))  # noqa: T201 - the answer of the command
        return
    if options.out is None:
        parser.error("--out is needed to train")
    corpus = read_corpus(options.data, "train", options.images_per_class)
    recipe = PretrainRecipe(seed=options.seed, batch_size=options.batch_size, learning_rate=options.learning_rate)
    per_epoch = len(corpus.class_I) / recipe.batch_size
    print(f"{len(corpus.class_I)} images of {len(corpus.names)} classes", file=sys.stderr, flush=True)  # noqa: T201
    training = Pretraining(corpus, recipe, round(options.epochs * per_epoch), options.device)
    pretrain(training, options.out, options.save_every)


if __name__ == "__main__":
    main()
