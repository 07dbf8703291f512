"""Measure the zero-shot accuracy of a CLIP.

Shapes: B images, C classes, D joint size.
"""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.bench.pretraining.corpus import Corpus
from vtt_core.bench.pretraining.phrases import EVALUATION_PROMPT


@torch.no_grad()
def zero_shot_accuracy(model: Any, corpus: Corpus, device: str) -> tuple[int, int]:
    """Return the number of correctly classified images, and the number of images.

    Captions use the usual name of each class.
    """
    tokens = open_clip.SimpleTokenizer()([EVALUATION_PROMPT.format(names[0]) for names in corpus.names])
    text_CD = functional.normalize(model.encode_text(tokens.to(device)), dim=-1)
    return count_nearest(model.visual, corpus, text_CD), len(corpus.class_I)


@torch.no_grad()
def count_nearest(visual: Any, corpus: Corpus, names_CD: Tensor, batch_size: int = 200) -> int:
    """Return the number of images that are nearest to the name of their class.

    Args:
        visual: `open_clip.transformer.VisionTransformer`. Images get open_clip's preprocessing.
        corpus: images with their classes.
        names_CD: features of the names, with unit length.
        batch_size: images at a time.
    """
    was_training = visual.training
    visual.eval()
    preprocess = open_clip.image_transform(visual.image_size[0], is_train=False)
    correct = 0
    for first in range(0, len(corpus.class_I), batch_size):
        chosen = slice(first, first + batch_size)
        pixels = torch.stack([preprocess(Image.fromarray(image.numpy())) for image in corpus.images_IHWC[chosen]])
        nearest = (visual(pixels.to(names_CD.device)) @ names_CD.T).argmax(dim=-1)
        correct += int((nearest.cpu() == corpus.class_I[chosen]).sum())
    visual.train(was_training)
    return correct
