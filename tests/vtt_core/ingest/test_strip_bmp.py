import struct

import pytest

from tests.fixtures import planted_metadata as planted
from tests.fixtures.noise_images import encode, noise
from vtt_core.ingest.decode import decode_image
from vtt_core.ingest.strip_bmp import strip_bmp
from vtt_core.ingest.structure import UnknownStructureError


def version_5(colour_space: bytes, profile: bytes) -> bytes:
    plain = encode(noise(), "BMP")
    pixels = plain[54:]
    header = struct.pack("<I", 124) + plain[18:54] + bytes(16) + colour_space + bytes(52)
    header += struct.pack("<III", 124 + len(pixels), len(profile), 0)
    body = header + pixels + profile
    return struct.pack("<2sIII", b"BM", 14 + len(body), 0, 14 + 124) + body


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_every_mode_stays_as_it_is(mode: str) -> None:
    sent = encode(noise(mode), "BMP")
    assert strip_bmp(sent) == sent
    assert strip_bmp(sent + planted.SECRET) == sent


def test_a_gap_before_the_pixels_goes() -> None:
    assert strip_bmp(planted.bmp()) == encode(planted.oriented_image(), "BMP")


def test_an_embedded_profile_stays() -> None:
    sent = version_5(b"DEBM", planted.SRGB)
    assert strip_bmp(sent + planted.SECRET) == sent
    assert decode_image(sent).tobytes() == decode_image(encode(noise(), "BMP")).tobytes()


def test_the_path_of_a_linked_profile_goes() -> None:
    clean = strip_bmp(version_5(b"KNIL", b"C:\\Users\\" + planted.SECRET))
    assert planted.SECRET not in clean
    assert decode_image(clean).tobytes() == decode_image(encode(noise(), "BMP")).tobytes()


@pytest.mark.parametrize(
    "broken", [b"BM", encode(noise(), "BMP")[:-1], b"BM" + bytes(40), planted.bmp()[:14] + b"\x29" + bytes(60)]
)
def test_an_unknown_structure_is_refused(broken: bytes) -> None:
    with pytest.raises(UnknownStructureError):
        strip_bmp(broken)
