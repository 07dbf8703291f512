"""Measure how often a CLIP names the class of an image without having been adapted.

Shapes: B images, C classes, D joint size.
"""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch.nn import functional

from vtt_core.backbones.mini.corpus import EVALUATION_PROMPT, Corpus
from vtt_core.backbones.open_clip_import import open_clip


@torch.no_grad()
def zero_shot_accuracy(model: Any, corpus: Corpus, device: str, batch_size: int = 200) -> tuple[int, int]:
    """Return the number of images whose nearest caption is their class's, and the number of images.

    Captions use the first name of each class; images go through open_clip's preprocessing.
    """
    model.eval()
    side = model.visual.image_size[0]
    preprocess = open_clip.image_transform(side, is_train=False)
    tokens = open_clip.SimpleTokenizer()([EVALUATION_PROMPT.format(names[0]) for names in corpus.names])
    text_CD = functional.normalize(model.encode_text(tokens.to(device)), dim=-1)
    correct = 0
    for first in range(0, len(corpus.class_I), batch_size):
        chosen = slice(first, first + batch_size)
        pixels = torch.stack([preprocess(Image.fromarray(image.numpy())) for image in corpus.images_IHWC[chosen]])
        image_BD = functional.normalize(model.encode_image(pixels.to(device)), dim=-1)
        correct += int(((image_BD @ text_CD.T).argmax(dim=-1).cpu() == corpus.class_I[chosen]).sum())
    return correct, len(corpus.class_I)
