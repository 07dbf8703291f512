"""Write the vision tower with its LoRA and the head as one ONNX graph: pixels in, probabilities out.

Shapes: B images, H = W side in pixels, R rows of a head, C classes, D joint size, F size of all levels.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from vtt_core.backbones.timm_vision_tower import TimmVisionTower
from vtt_core.contract.export_forms import why_no_graph
from vtt_core.exports.companions import head_tensors
from vtt_core.exports.source import ExportSource
from vtt_core.heads.features import head_input

for _name in ("onnx_ir", "onnxscript"):  # they tell of each initializer that they replace, hundreds of lines
    logging.getLogger(_name).setLevel(logging.WARNING)
OPSET = 18
"""Newest operators that onnxruntime 1.14 and onnxruntime-web of 2023 know, and all that are needed."""
INPUT = "pixels"
OUTPUTS = ("logits", "probabilities", "feature", "unknown")


class Classifier(nn.Module):
    """From resized images to an answer."""

    def __init__(self, source: ExportSource, rules: dict[str, float | None]) -> None:
        """Take the merged tower and the head.

        Args:
            source: adapter and backbone.
            rules: thresholds of `facts_of`, under `none_of_these`.
        """
        super().__init__()
        adapter, preprocessing = source.adapter, source.adapter.manifest.preprocessing
        self.backbone_id = source.backbone.backbone_id
        self.visual = source.merged.clip.visual
        self._tower = source.merged.vision_tower
        if isinstance(self._tower, TimmVisionTower):
            for block in self._tower.blocks:  # the LoRA is merged, and a tracer cannot follow the hooks
                block.attn.qkv._forward_hooks.clear()
        self._rules, self._logit_scale, self._num_classes = rules, adapter.logit_scale, len(adapter.manifest.labels)
        self._mean_1311 = torch.tensor(preprocessing.mean).view(1, 3, 1, 1)
        self._std_1311 = torch.tensor(preprocessing.std).view(1, 3, 1, 1)
        self._prompts_JPW = adapter.prompts_JPW
        self._head = head_tensors(adapter)

    @property
    def tells_unknown(self) -> bool:
        """Whether there is an output that tells images of none of the classes."""
        return any(
            self._rules[name] is not None for name in ("familiarity_threshold", "negative_probability", "stranger_score")
        )

    def forward(self, pixels_BHW3: Tensor) -> tuple[Tensor, ...]:
        """Return logits_BR, probabilities_BC, feature_BD and, where the model can tell, unknown_B.

        Args:
            pixels_BHW3: bytes of resized RGB images.
        """
        images_B3HW = (pixels_BHW3.permute(0, 3, 1, 2).float() / 255 - self._mean_1311) / self._std_1311
        readout = self._tower.read(images_B3HW, None, self._prompts_JPW)
        phi_BX = head_input(readout)
        feature_BD = functional.normalize(readout.joint_BD, dim=-1)
        levels_BF = phi_BX[:, : phi_BX.shape[1] - feature_BD.shape[1]]
        logits_BR = self._logits(phi_BX, feature_BD)
        probabilities_BC = logits_BR[:, : self._num_classes].softmax(dim=-1)
        answer = (logits_BR, probabilities_BC, feature_BD)
        return (*answer, self._unknown(logits_BR, levels_BF)) if self.tells_unknown else answer

    def _logits(self, phi_BX: Tensor, feature_BD: Tensor) -> Tensor:
        if "head.weight" in self._head:
            return phi_BX @ self._head["head.weight"].mT + self._head["head.bias"]
        return self._logit_scale * feature_BD @ self._head["prototypes"].mT

    def _unknown(self, logits_BR: Tensor, levels_BF: Tensor) -> Tensor:
        """Return how far each image is beyond the classes; 0 or more means none of them."""
        reasons, rules = [], self._rules
        if (least := rules["familiarity_threshold"]) is not None:
            reasons.append(least - (levels_BF @ self._head["head.class_means"].mT).amax(dim=-1))
        if (most := rules["negative_probability"]) is not None:
            reasons.append(logits_BR.softmax(dim=-1)[:, -1] - most)
        if (stranger := rules["stranger_score"]) is not None:
            row_1F, bias_1 = self._head["strangers.weight"], self._head["strangers.bias"]
            reasons.append((levels_BF @ row_1F.mT + bias_1)[:, 0] - stranger)
        return torch.stack(reasons).amax(dim=0)


def write_graph(classifier: Classifier, side_pixels: int, file: Path) -> None:
    """Write the graph in float32, for any number of images.

    Raises:
        UnsupportedExportError: it would be larger than one file can be.
    """
    refused = why_no_graph(classifier.backbone_id, sum(weight.numel() for weight in classifier.parameters()))
    if refused is not None:
        raise refused
    example = torch.zeros(2, side_pixels, side_pixels, 3, dtype=torch.uint8)
    outputs = OUTPUTS if classifier.tells_unknown else OUTPUTS[:-1]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter about itself
        torch.onnx.export(
            classifier.eval(),
            (example,),
            file,
            input_names=[INPUT],
            output_names=list(outputs),
            dynamic_shapes={"pixels_BHW3": {0: torch.export.Dim("batch")}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
