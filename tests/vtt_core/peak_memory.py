"""Print the peak memory of each part of the method that decodes many large images, in MiB, as JSON.

`python -m tests.vtt_core.peak_memory NUM_IMAGES`; of each part, the peak with a few small images, then with so many large ones.
Each runs in a forked process, so that all share one start and none counts the memory of another.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import sys
from pathlib import Path

from PIL import Image

from app.cli.adapt_run import count_correct
from app.cli.selection import LabelledImage
from vtt_core.adapter.adaptation import Adaptation
from vtt_core.adapter.files import adapter_from_files, adapter_to_files
from vtt_core.adapter.strip import strip
from vtt_core.adapter.verify import verify
from vtt_core.backbones.load import backbone_from_files
from vtt_core.contract.recipe import FinetuneRecipe, make_recipe
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet
from vtt_core.training.finetune import Finetune

SIDES = (3650, 2735)
SMALL_SIDES = (73, 54)
PARTS = ("finetune", "verify", "classify")


def encode(shade: int, sides: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", sides, shade).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def support_set(num_images: int, sides: tuple[int, int]) -> SupportSet:
    """Two classes of grey images. The images of a class share their bytes."""
    classes = []
    for label, shade in (("bright", 220), ("dark", 30)):
        image = SupportImage(f"{label}.jpg", encode(shade, sides))
        classes.append(SupportClass(label, (image,) * (num_images // 2)))
    return SupportSet(tuple(classes))


def peak_mib() -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def run(part: str, images: SupportSet) -> int:
    config = Path(__file__).parents[1] / "fixtures" / "tiny_clip.json"
    backbone = backbone_from_files("tiny", config, None)
    small = support_set(4, SMALL_SIDES)
    finetune = Finetune(backbone, images if part == "finetune" else small, FinetuneRecipe(iterations=1), seed=0, num_threads=2)
    files = adapter_to_files(strip(finetune))
    if part == "verify":
        adaptation = Adaptation(backbone, images, make_recipe("frozen"), 0, num_threads=2)
        adapted = adaptation.finish()
        verify(backbone, adapted, adapter_to_files(adapted.adapter), adaptation.support.small)
    elif part == "classify":
        encoded = [image.encoded for support_class in images.classes for image in support_class.images]
        query = [LabelledImage("bright", SupportImage("q.jpg", content)) for content in encoded]
        count_correct(backbone, adapter_from_files(files), query)
    return peak_mib()


def main(num_images: int) -> None:
    sets = (support_set(4, SMALL_SIDES), support_set(num_images, SIDES))
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        peaks = {part: [pool.apply(run, (part, images)) for images in sets] for part in PARTS}
    sys.stdout.write(json.dumps(peaks) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
