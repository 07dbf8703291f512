import struct
import zlib

import pytest

from tests.fixtures import planted_metadata as planted
from tests.fixtures.noise_images import encode, noise
from vtt_core.ingest.decode import decode_image
from vtt_core.ingest.orientation import orientation_exif
from vtt_core.ingest.png_header import SIGNATURE
from vtt_core.ingest.strip_png import inflate, strip_png
from vtt_core.ingest.structure import UnknownStructureError


def names(encoded: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(encoded):
        found.append(encoded[at + 4 : at + 8])
        at += 12 + int.from_bytes(encoded[at : at + 4], "big")
    return found


@pytest.mark.parametrize("is_behind", [False, True])
def test_only_what_decoding_needs_is_left(is_behind: bool) -> None:
    assert set(names(strip_png(planted.png(is_behind=is_behind)))) == {b"IHDR", b"iCCP", b"IDAT", b"IEND"}
    turned = planted.png(6, is_behind=is_behind)
    assert set(names(strip_png(turned))) == {b"IHDR", b"eXIf", b"iCCP", b"IDAT", b"IEND"}
    assert decode_image(strip_png(turned)).tobytes() == decode_image(turned).tobytes()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_stays_as_it_is(mode: str) -> None:
    options = {"transparency": 3} if mode == "P" else {}
    sent = encode(noise(mode) if mode != "I;16" else noise("I").convert(mode), "PNG", **options)
    assert strip_png(sent) == sent


def test_an_orientation_in_a_raw_profile_is_kept() -> None:
    sent = encode(noise(), "PNG")
    text = b"Raw profile type exif\0\0" + zlib.compress(f"\nexif\n26\n{orientation_exif(6).hex()}\n".encode())
    packed = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    turned = sent[:33] + packed + sent[33:]
    assert orientation_exif(6) in strip_png(turned)
    assert decode_image(strip_png(turned)).tobytes() == decode_image(turned).tobytes() != decode_image(sent).tobytes()


def test_chunks_that_are_longer_than_they_can_be_go() -> None:
    sent = encode(noise(), "PNG")
    content = b"\0\0\xb1\x8f" + planted.SECRET
    chunk = struct.pack(">I", len(content)) + b"gAMA" + content + struct.pack(">I", zlib.crc32(b"gAMA" + content))
    assert strip_png(sent[:33] + chunk + sent[33:]) == sent


def test_bytes_behind_a_packed_profile_go() -> None:
    sent = encode(noise(), "PNG")
    content = b"name\0\0" + zlib.compress(planted.SRGB) + planted.SECRET
    chunk = struct.pack(">I", len(content)) + b"iCCP" + content + struct.pack(">I", zlib.crc32(b"iCCP" + content))
    clean = strip_png(sent[:33] + chunk + sent[33:])
    assert b"iCCP" in clean
    assert planted.SECRET not in clean


def test_a_bomb_in_a_text_is_not_unpacked() -> None:
    assert inflate(zlib.compress(bytes(50 * 2**20))) == b""
    assert inflate(b"no zlib") == b""


@pytest.mark.parametrize("broken", [b"", SIGNATURE, SIGNATURE + b"\0\0\0\xffIHDR", encode(noise(), "PNG")[:60]])
def test_an_unknown_structure_is_refused(broken: bytes) -> None:
    with pytest.raises(UnknownStructureError):
        strip_png(broken)
