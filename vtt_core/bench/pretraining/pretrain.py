"""Train the bundled backbone `mini` from scratch, measure it, and write its card.

    .venv/bin/pip install -c constraints.txt -e '.[pretrain]'; apt-get install wordnet-base
    python -m vtt_core.bench.pretraining.pretrain --data ZIP [ZIP...] --out DIR --epochs 27 --seed 0
    python -m vtt_core.bench.pretraining.card --data ZIP --domains ZIP [ZIP...] --out DIR

The text tower learns phrases, the vision tower images. Both have the same targets, from a sentence encoder, so they can be
trained in either order, or by two processes with one `--stage` each.

Run again on the same folder, the image stage continues, and the text stage starts over unless it was finished. The image stage
may then have other `--epochs`, as long as the learning rate has not begun to fall. It ends with the same bytes as an
uninterrupted run of that length. With only one of the three zips, an epoch is a third as long: give three times as many.

The second command measures the result and writes its card.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor
from tqdm import tqdm

from vtt_core.backbones.mini.model import build_mini
from vtt_core.bench.pretraining.corpus import Corpus, read_corpus
from vtt_core.bench.pretraining.image_stage import ImageStage
from vtt_core.bench.pretraining.phrases import Phrases, gather_phrases
from vtt_core.bench.pretraining.recipe import PretrainRecipe, vision_depth
from vtt_core.bench.pretraining.side_by_side import SideBySide
from vtt_core.bench.pretraining.teacher import teacher_features
from vtt_core.bench.pretraining.text_stage import KINDS, UNSEEN_EVERY, measure_unseen, teach_text
from vtt_core.contract.cores import usable_cores
from vtt_core.contract.errors import ArchiveLayoutError

CHECKPOINT_NAME = "checkpoint.safetensors"
WEIGHTS_NAME = "weights.safetensors"
TARGETS_NAME = "targets.safetensors"
TEXT_NAME = "text.safetensors"
TEXT_FACTS_NAME = "text.json"
LOG_NAME = "log.jsonl"
WORDNET = Path("/usr/share/wordnet/data.noun")
VALIDATION_IMAGES_PER_CLASS = 10
TEXT_LOSSES = 100
"""Number of last losses of the text stage that are averaged for `text.json`."""
CLIP_LOGIT_SCALE = 100.0
"""Factor on the cosine in the written weights, as at the end of CLIP's training."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that readers see either the old or the new content."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def known_targets(phrases: Phrases, joint_size: int, out: Path) -> Tensor:
    """Return the target of each phrase. The encoder runs once, and its output is kept in `out`."""
    path = out / TARGETS_NAME
    if not path.exists():
        num_typical = len(phrases.all) - len(phrases.glosses)
        write_atomically(path, save({"targets_PD": teacher_features(phrases.all, joint_size, num_typical)}))
    return load_file(path)["targets_PD"]


def fresh_model(seed: int, device: str) -> Any:
    """Return an untrained CLIP."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_mini().to(device)


def run_text_stage(
    model: Any,
    phrases: Phrases,
    targets_PD: Tensor,
    recipe: PretrainRecipe,
    threads: SideBySide,
    kinds: list[str],
    out: Path,
) -> None:
    """Train the text tower and write it to `out`, unless it is there already."""
    if (out / TEXT_NAME).exists():
        return
    losses = teach_text(model, phrases, targets_PD, recipe, threads, kinds)
    recent = list(progress("text", losses, 0, recipe.text_steps + recipe.naming_steps))[-TEXT_LOSSES:]
    facts = {"kinds": kinds, "steps": recipe.text_steps + recipe.naming_steps, "loss": sum(recent) / len(recent)}
    if len(phrases.nouns) >= UNSEEN_EVERY:
        facts |= measure_unseen(model, phrases, targets_PD)
    write_atomically(out / TEXT_FACTS_NAME, json.dumps(facts).encode())
    tower = {name: value for name, value in model.state_dict().items() if not name.startswith(("visual.", "logit_scale"))}
    write_atomically(out / TEXT_NAME, save({name: value.cpu().contiguous() for name, value in tower.items()}))


def run_image_stage(stage: ImageStage, validation: Corpus | None, out: Path, save_every: int) -> None:
    """Train the vision tower to the end, resuming from a checkpoint in `out` if there is one.

    Args:
        stage: not started yet.
        validation: images for the logged accuracy, or None.
        out: folder of the checkpoint and the log.
        save_every: steps between saves.
    """
    lines: list[dict[str, float]] = []
    if (out / CHECKPOINT_NAME).exists():
        stage.resume(out / CHECKPOINT_NAME)
        written = [json.loads(line) for line in (out / LOG_NAME).read_text(encoding="utf-8").splitlines()]
        lines = [line for line in written if line["step"] <= stage.step]
    losses: list[float] = []
    for loss in progress("images", stage.run(), stage.step, stage.num_steps):
        losses.append(loss)
        if stage.step % save_every == 0 or stage.step == stage.num_steps:
            lines.append(_log_line(stage, losses, validation))
            losses = []
            write_atomically(out / LOG_NAME, "".join(json.dumps(line) + "\n" for line in lines).encode())
            write_atomically(out / CHECKPOINT_NAME, stage.checkpoint())


def _log_line(stage: ImageStage, losses: list[float], validation: Corpus | None) -> dict[str, float]:
    """Return the log line for the steps since the last one."""
    line = {"step": stage.step, "images": stage.step * stage.recipe.batch_size, "loss": sum(losses) / len(losses)}
    return line if validation is None else line | {"validation_top1": stage.accuracy(validation)}


def whole_weights(model: Any, out: Path) -> bytes:
    """Return the CLIP trained in both stages as safetensors, rounded to half precision.

    Args:
        model: source of the untrained tensors. It is not changed.
        out: folder of the text tower and the checkpoint.
    """
    learnt = {name.removeprefix("parameter/"): value for name, value in load_file(out / CHECKPOINT_NAME).items()}
    state = model.state_dict()
    state |= {f"visual.{name}": value for name, value in learnt.items() if f"visual.{name}" in state}
    state |= load_file(out / TEXT_NAME) | {"logit_scale": torch.tensor(CLIP_LOGIT_SCALE).log()}
    return save({name: value.detach().half().cpu().contiguous() for name, value in state.items()}, {"format": "pt"})


def progress(stage: str, losses: Iterator[float], step: int, num_steps: int) -> Iterator[float]:
    """Pass the losses on, and show a progress bar.

    Args:
        stage: its name.
        losses: of every step.
        step: number of earlier steps.
        num_steps: of the whole stage.
    """
    recent: float | None = None
    with tqdm(desc=stage, initial=step, total=num_steps, unit="step") as bar:
        for loss in losses:
            recent = loss if recent is None else 0.98 * recent + 0.02 * loss
            bar.set_postfix(loss=f"{recent:.3f}", refresh=False)
            bar.update()
            yield loss


def silent_blocks_note(num_steps: int, recipe: PretrainRecipe, num_blocks: int) -> str:
    """Return a warning if the run ends before all vision blocks are trained, else nothing."""
    depth = vision_depth(num_steps - 1, recipe)
    if depth >= num_blocks:
        return ""
    return (
        f"Only {depth} of {num_blocks} vision blocks learn in {num_steps} steps; all do from step {recipe.growth[-1][0]} on: "
        "give more --epochs for a whole training.\n"
    )


def validation_images(zips: list[Path], per_class: int) -> Corpus | None:
    """Return the first validation images of each class, or None if the zips have none."""
    try:
        return read_corpus(zips, "val", per_class)
    except ArchiveLayoutError:
        return None


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    defaults = PretrainRecipe()
    parser = argparse.ArgumentParser(
        prog="python -m vtt_core.bench.pretraining.pretrain", description="Train mini from scratch."
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True, help="Tiny-ImageNet zips")
    parser.add_argument("--out", type=Path, required=True, help="folder for all output; a training in it is continued")
    parser.add_argument("--epochs", type=float, default=27.0, help="length of the image stage, in passes over the data")
    parser.add_argument("--stage", choices=("all", "text", "images"), default="all")
    parser.add_argument("--wordnet", type=Path, default=WORDNET, help="WordNet's file data.noun")
    parser.add_argument("--no-wordnet", action="store_true", help="teach the text tower names and frequent words only")
    parser.add_argument(
        "--teach", nargs="+", choices=KINDS, default=list(KINDS), help="kinds of phrases that the text tower learns"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--batch-size", type=int, default=defaults.batch_size)
    parser.add_argument("--text-steps", type=int, default=defaults.text_steps)
    parser.add_argument("--images-per-class", type=int, help="use only this many images of each class")
    parser.add_argument("--save-every", type=int, default=1000, help="steps between saves")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="parts of a batch that a CPU computes in parallel")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    threads = SideBySide(1 if options.device.startswith("cuda") else options.threads)
    recipe = replace(defaults, seed=options.seed, batch_size=options.batch_size, text_steps=options.text_steps)
    options.out.mkdir(parents=True, exist_ok=True)
    corpus = read_corpus(options.data, "train", options.images_per_class)
    phrases = gather_phrases(corpus.names, recipe.num_words, None if options.no_wordnet else options.wordnet)
    model = fresh_model(recipe.seed, options.device)
    targets_PD = known_targets(phrases, model.text_projection.shape[1], options.out).to(options.device)
    if options.stage in ("all", "text"):
        run_text_stage(model, phrases, targets_PD, recipe, threads, options.teach, options.out)
    if options.stage in ("all", "images"):
        num_steps = round(options.epochs * len(corpus.class_I) / recipe.batch_size)
        sys.stderr.write(silent_blocks_note(num_steps, recipe, len(model.visual.transformer.resblocks)))
        stage = ImageStage(model, corpus, targets_PD[: len(phrases.names)], recipe, num_steps, threads)
        run_image_stage(stage, validation_images(options.data, VALIDATION_IMAGES_PER_CLASS), options.out, options.save_every)
    if (options.out / TEXT_NAME).exists() and (options.out / CHECKPOINT_NAME).exists():
        write_atomically(options.out / WEIGHTS_NAME, whole_weights(model, options.out))


if __name__ == "__main__":
    main()
