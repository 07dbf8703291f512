"""Write the merges of CLIP's tokenizer that the package bundles, from the installed open_clip."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import vtt_core.labels
from vtt_core.labels.clip_tokens import MERGES_FILE

NUM_MERGES = 49_152 - 256 - 2
"""open_clip keeps so many lines, counted from the second one; the last merges are never used."""


def open_clip_merges() -> list[str]:
    from vtt_core.backbones.open_clip_import import open_clip

    with gzip.open(open_clip.tokenizer.default_bpe()) as file:
        return file.read().decode().split("\n")[1 : NUM_MERGES + 1]


if __name__ == "__main__":
    packed = lzma.compress("\n".join(open_clip_merges()).encode(), preset=9 | lzma.PRESET_EXTREME)
    (Path(vtt_core.labels.__file__).parent / MERGES_FILE).write_bytes(packed)
