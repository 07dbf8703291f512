import struct

import pytest

from tests.fixtures import planted_metadata as planted
from tests.fixtures.noise_images import encode, frames, noise
from vtt_core.ingest.decode import decode_image
from vtt_core.ingest.strip_jpeg import strip_jpeg, strip_jpeg_stream
from vtt_core.ingest.structure import UnknownStructureError


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 1}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_kind_of_coding_keeps_its_pixels(mode: str, options: dict[str, object]) -> None:
    sent = encode(noise(mode, (64, 48)), "JPEG", comment=planted.SECRET, **options)
    clean = strip_jpeg(sent)
    assert planted.SECRET not in clean
    assert decode_image(clean).tobytes() == decode_image(sent).tobytes()


def test_a_thumbnail_of_jfif_goes() -> None:
    plain = encode(noise(), "JPEG")
    pixels = planted.SECRET[:3] * 4
    sent = plain[:2] + struct.pack(">HH", 0xFFE0, 28) + plain[6:18] + b"\2\2" + pixels + plain[20:]
    assert decode_image(sent).size == decode_image(plain).size
    assert strip_jpeg(sent) == plain


def test_the_second_picture_of_an_mpo_goes() -> None:
    clean = strip_jpeg(frames("MPO", 2))
    assert clean.count(b"\xff\xd8\xff") == 1
    assert b"MPF\0" not in clean


def test_a_large_profile_is_split_into_numbered_pieces() -> None:
    profile = bytearray(planted.SRGB + bytes(150_000))
    profile[:4] = len(profile).to_bytes(4, "big")
    sent = encode(noise(), "JPEG", icc_profile=bytes(profile))
    assert strip_jpeg(sent).count(b"ICC_PROFILE\0") == 3
    assert strip_jpeg(sent) == sent


def test_a_profile_whose_pieces_are_not_all_there_goes() -> None:
    sent = encode(noise(), "JPEG", icc_profile=planted.SRGB)
    at = sent.index(b"ICC_PROFILE\0") + 13
    assert b"ICC_PROFILE" not in strip_jpeg(sent[:at] + b"\2" + sent[at + 1 :])


@pytest.mark.parametrize(
    "broken", [b"\xff\xd8", b"\xff\xd8\xff\xe0\0", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xdb\xff\xff\0", b"GIF"]
)
def test_an_unknown_structure_is_refused(broken: bytes) -> None:
    with pytest.raises(UnknownStructureError):
        strip_jpeg(broken)


def test_tables_without_a_picture_keep_only_tables() -> None:
    tables = b"\xff\xd8\xff\xfe\0\x06text\xff\xdb\0\x04\1\2\xff\xd9"
    assert strip_jpeg_stream(tables) == b"\xff\xd8\xff\xdb\0\x04\1\2\xff\xd9"
