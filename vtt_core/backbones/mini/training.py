"""Train the vision tower towards the captions of its images' classes, one resumable step at a time.

The text tower has been taught before (text_stage.py) and stays as it is: an image is pulled towards the
caption of its class and away from those of all other classes, whose features are computed once. All
randomness of a step follows from the seed and the step's number.

Shapes: B images, C classes, D joint size, R captions of all classes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional

from vtt_core.backbones.mini.corpus import Captions, Corpus, crop_batch, epoch_batches
from vtt_core.backbones.mini.recipe import PretrainRecipe, decay_start, learning_rate
from vtt_core.backbones.mini.text_stage import encode_text
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.contract.errors import RecipeError

METADATA_KEY = "training"
"""One key only: safetensors writes several in random order, and equal runs would differ in their bytes."""


CLIP_LOGIT_SCALE = 100.0
"""Factor on the cosine that the written weights state; CLIP ends its training with it."""


class Pretraining:
    """A training of the vision tower that can be stopped after any step and resumed.

    Args:
        model: `open_clip.model.CLIP` whose text tower has been taught; its vision tower is trained in place.
        corpus: images to learn from.
        recipe: the numbers.
        num_steps: length of the whole run.
    """

    def __init__(self, model: Any, corpus: Corpus, recipe: PretrainRecipe, num_steps: int) -> None:
        self.model, self.corpus, self.recipe, self.num_steps = model, corpus, recipe, num_steps
        self.device: torch.device = model.visual.proj.device
        self.step = 0
        self.captions = Captions(corpus.names)
        self._text_RD = _caption_features(model, self.captions.texts)
        self._parameters = {name: value for name, value in model.visual.named_parameters() if value.requires_grad}
        self._optimizer = torch.optim.AdamW(self._parameter_groups(), lr=recipe.learning_rate, betas=(0.9, 0.98))
        self._batches: tuple[int, Tensor] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in one pass over the corpus."""
        return len(self.corpus.class_I) // self.recipe.batch_size

    def run(self) -> Iterator[float]:
        """Train to the end, giving the loss of every step."""
        while self.step < self.num_steps:
            yield self._run_step()

    def _run_step(self) -> float:
        recipe, step = self.recipe, self.step
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        epoch, row = divmod(step, self.steps_per_epoch)
        chosen_B = self._epoch(epoch)[row]
        target_B = self.corpus.class_I[chosen_B].to(self.device)
        pixels = crop_batch(self.corpus.images_IHWC[chosen_B], self.model.visual.image_size[0], generator).to(self.device)
        text_CD = self._text_RD[self.captions.draw(generator)]
        is_late = step >= (decay_start(self.num_steps, recipe) + self.num_steps) / 2
        with torch.random.fork_rng():
            torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
            self.model.visual.patch_dropout = open_clip.transformer.PatchDropout(0.0 if is_late else recipe.patch_dropout)
            image_BD = functional.normalize(self.model.visual(pixels), dim=-1)
        logits_BC = recipe.logit_scale * image_BD @ text_CD.T
        loss = functional.cross_entropy(logits_BC, target_B, label_smoothing=recipe.label_smoothing)
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters.values(), recipe.gradient_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(step, self.num_steps, recipe)
        self._optimizer.step()
        self.step += 1
        return float(loss.detach())

    def weights(self) -> bytes:
        """Return the whole CLIP, rounded to half precision, as safetensors."""
        state = self.model.state_dict() | {"logit_scale": torch.tensor(CLIP_LOGIT_SCALE).log()}
        return save({name: value.detach().half().cpu().contiguous() for name, value in state.items()}, {"format": "pt"})

    def checkpoint(self) -> bytes:
        """Return all that resuming needs, as safetensors."""
        tensors = {}
        for name, value in self._parameters.items():
            tensors[f"parameter/{name}"] = value.detach().cpu().contiguous()
            for key, moment in self._optimizer.state.get(value, {}).items():
                tensors[f"{key}/{name}"] = moment.cpu().contiguous()
        facts = {"step": self.step, "num_steps": self.num_steps, "recipe": asdict(self.recipe)}
        return save(tensors, {METADATA_KEY: json.dumps(facts)})

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of a run with the same recipe, of the same or another length.

        Raises:
            RecipeError: the recipe differs, or the checkpoint is past the point where the length mattered.
        """
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()[METADATA_KEY])
        if facts["recipe"] != asdict(self.recipe):
            raise RecipeError(
                expected=f"the recipe of the checkpoint, {facts['recipe']}",
                got=str(asdict(self.recipe)),
                remedy="Use the same options, or another folder",
            )
        step, old_num_steps = facts["step"], facts["num_steps"]
        free_until = min(decay_start(num_steps, self.recipe) for num_steps in (old_num_steps, self.num_steps))
        if old_num_steps != self.num_steps and step > free_until:
            raise RecipeError(
                expected=f"a length whose decay begins at step {step} or later, or the checkpoint's {old_num_steps} steps",
                got=f"{self.num_steps} steps",
                remedy="Resume with more epochs or start anew",
            )
        tensors = load_file(path, device=str(self.device))
        with torch.no_grad():
            for name, value in self._parameters.items():
                value.copy_(tensors[f"parameter/{name}"])
                keys = [key.removesuffix(f"/{name}") for key in tensors if key.endswith(f"/{name}")]
                moments = {key: tensors[f"{key}/{name}"] for key in keys if key != "parameter"}
                if moments:
                    moments["step"] = moments["step"].cpu()
                    self._optimizer.state[value] = moments
        self.step = step

    def _parameter_groups(self) -> list[dict[str, Any]]:
        decayed: list[Tensor] = []
        kept: list[Tensor] = []
        for name, value in self._parameters.items():
            (decayed if value.ndim >= 2 and "embedding" not in name else kept).append(value)
        return [{"params": decayed, "weight_decay": self.recipe.weight_decay}, {"params": kept, "weight_decay": 0.0}]

    def _epoch(self, epoch: int) -> Tensor:
        if self._batches is None or self._batches[0] != epoch:
            generator = torch.Generator().manual_seed(self.recipe.seed * 7_919 + epoch)
            rows = epoch_batches(len(self.corpus.class_I), self.recipe.batch_size, generator)
            self._batches = (epoch, rows)
        return self._batches[1]


@torch.no_grad()
def _caption_features(model: Any, texts: list[str], chunk: int = 512) -> Tensor:
    """Return text_RD of all captions, unit length."""
    tokens = open_clip.SimpleTokenizer()(texts).to(model.visual.proj.device)
    return functional.normalize(torch.cat([encode_text(model, part) for part in tokens.split(chunk)]), dim=-1)
