import io

import pytest
from hypothesis import given
from PIL import Image, ImageOps

from tests.fixtures import planted_metadata as planted
from tests.fixtures.noise_images import encode, frames, noise
from tests.hostile.mutations import FUZZ, mutated
from vtt_core.ingest.strip_avif import strip_avif
from vtt_core.ingest.structure import UnknownStructureError


def pixels(encoded: bytes) -> bytes:
    with Image.open(io.BytesIO(encoded), formats=["AVIF"]) as image:
        return ImageOps.exif_transpose(image).tobytes()


@pytest.mark.parametrize("turn", [None, *range(1, 9)])
def test_exif_and_xmp_go_and_pixels_stay(turn: int | None) -> None:
    sent = planted.avif(turn)
    clean = strip_avif(sent)
    assert planted.SECRET not in clean
    assert b"xmpmeta" not in clean
    assert b"Exif" not in clean
    assert pixels(clean) == pixels(sent)
    assert strip_avif(clean) == clean
    with Image.open(io.BytesIO(clean)) as image:
        assert image.info["icc_profile"] == planted.SRGB
        assert set(image.getexif()) <= {274}


def test_alpha_stays() -> None:
    image = noise("RGBA")
    image.putalpha(noise("L", seed=1))
    sent = encode(image, "AVIF", xmp=planted.xmp())
    assert pixels(strip_avif(sent)) == pixels(sent)


@pytest.mark.parametrize("broken", [b"", b"\0\0\0\x08ftyp", frames("AVIF", 2), planted.avif() + b"tail"])
def test_an_unknown_structure_is_refused(broken: bytes) -> None:
    with pytest.raises(UnknownStructureError):
        strip_avif(broken)


@pytest.mark.slow
@FUZZ
@given(mutated(planted.avif(6)))
def test_a_changed_file_is_stripped_or_refused(sent: bytes) -> None:
    try:
        assert len(strip_avif(sent)) <= len(sent)
    except UnknownStructureError:
        return
