"""Run one part of the method on many images of 40 megapixels, in a process of its own, and print its peak memory in MiB.

`python -m tests.vtt_core.peak_memory PART NUM_IMAGES`; with 0 images it prints what the process takes before any.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

from app.cli.adapt import _count_correct
from app.cli.selection import LabelledImage
from vtt_core.adapter.files import adapter_from_files, adapter_to_files
from vtt_core.adapter.strip import strip
from vtt_core.adapter.verify import verify
from vtt_core.backbones.load import backbone_from_files
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet
from vtt_core.training.finetune import Finetune

SIDES = (7300, 5470)
SMALL_SIDES = (73, 54)
MAX_SHOT = 16


def encode(shade: int, sides: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", sides, shade).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def support_set(num_images: int, sides: tuple[int, int]) -> SupportSet:
    """Two classes of grey images; a class's images share their bytes, which nothing here minds."""
    classes = []
    for label, shade in (("bright", 220), ("dark", 30)):
        image = SupportImage(f"{label}.jpg", encode(shade, sides))
        classes.append(SupportClass(label, (image,) * (num_images // 2)))
    return SupportSet(tuple(classes))


def peak_mib() -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def main(part: str, num_images: int) -> None:
    config = Path(__file__).parents[1] / "fixtures" / "tiny_clip.json"
    backbone = backbone_from_files("tiny", config, None)
    images = support_set(num_images or 4, SIDES if num_images else SMALL_SIDES)
    small = support_set(4, SMALL_SIDES)
    finetune = Finetune(backbone, images if part == "finetune" else small, FinetuneRecipe(iterations=1), seed=0, num_threads=2)
    files = adapter_to_files(strip(finetune))
    encoded = [image.encoded for support_class in images.classes for image in support_class.images]
    if part == "verify":
        verify(backbone, finetune, files, images)
    elif part == "classify":
        query = [LabelledImage("bright", SupportImage("q.jpg", content)) for content in encoded]
        _count_correct(backbone, adapter_from_files(files), query)
    sys.stdout.write(f"{peak_mib()}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
