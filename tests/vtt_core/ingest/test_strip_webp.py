import pytest

from tests.fixtures import planted_metadata as planted
from tests.fixtures.noise_images import encode, noise
from vtt_core.ingest.decode import decode_image
from vtt_core.ingest.strip_webp import strip_webp
from vtt_core.ingest.structure import UnknownStructureError


@pytest.mark.parametrize("is_lossless", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_picture_and_alpha_keep_their_pixels(mode: str, is_lossless: bool) -> None:
    image = noise(mode)
    if mode == "RGBA":
        image.putalpha(noise("L", seed=1))
    sent = encode(image, "WEBP", lossless=is_lossless, exif=planted.exif(), xmp=planted.xmp())
    clean = strip_webp(sent)
    assert planted.SECRET not in clean
    assert decode_image(clean).tobytes() == decode_image(sent).tobytes()


def test_flags_say_what_is_there() -> None:
    assert strip_webp(planted.webp())[20] & 0x2C == 0x20  # a profile, no EXIF, no XMP
    assert strip_webp(planted.webp(6))[20] & 0x2C == 0x28


def test_a_simple_file_is_its_picture_alone() -> None:
    sent = encode(noise(), "WEBP")
    assert strip_webp(sent + planted.SECRET) == sent


@pytest.mark.parametrize(
    "broken", [b"RIFF", b"RIFF\4\0\0\0WEBP", b"RIFF\xff\0\0\0WEBPVP8X\xff\0\0\0", b"RIFF\x0c\0\0\0WEBPEXIF\0\0\0\0"]
)
def test_an_unknown_structure_is_refused(broken: bytes) -> None:
    with pytest.raises(UnknownStructureError):
        strip_webp(broken)
