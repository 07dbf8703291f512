import io
import struct

import pytest
from PIL import Image

from tests.fixtures import planted_metadata as planted
from tests.fixtures.noise_images import encode, frames, noise
from tests.hostile.image_bombs import tiff_of, tiff_tiles
from vtt_core.ingest.decode import decode_image
from vtt_core.ingest.strip_tiff import strip_tiff
from vtt_core.ingest.structure import UnknownStructureError
from vtt_core.ingest.tiff_file import read_directory

COMPRESSIONS = [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "I;16B", "F"])
def test_every_mode_and_coding_keeps_its_pixels(mode: str, compression: str | None) -> None:
    image = Image.new(mode, (32, 24), 40_000) if mode.startswith("I;16") else noise(mode)
    if compression == "jpeg" and mode not in ("L", "RGB", "CMYK"):
        pytest.skip("libtiff writes no such JPEG")
    sent = encode(image, "TIFF", compression=compression, description=planted.SECRET.decode(), strip_size=300)
    clean = strip_tiff(sent)
    assert planted.SECRET not in clean
    assert decode_image(clean).tobytes() == decode_image(sent).tobytes()


def test_big_ones_stay_big() -> None:
    sent = planted.tiff(6, big_tiff=True)
    clean = strip_tiff(sent)
    assert (clean[2], planted.SECRET in clean) == (43, False)
    assert decode_image(clean).tobytes() == decode_image(sent).tobytes()


def page(image: Image.Image, subfile_type: int) -> Image.Image:
    image.encoderinfo = {"tiffinfo": {254: subfile_type}}
    return image


@pytest.mark.parametrize("is_overview_first", [False, True])
def test_only_the_page_that_is_the_picture_stays(is_overview_first: bool) -> None:
    full, overview = page(noise(side=(64, 64)), 0), page(noise(side=(16, 16)), 1)
    first, second = (overview, full) if is_overview_first else (full, overview)
    buffer = io.BytesIO()
    first.save(buffer, "TIFF", save_all=True, append_images=[second], **first.encoderinfo)
    clean = strip_tiff(buffer.getvalue())
    with Image.open(io.BytesIO(clean)) as image:
        assert image.n_frames == 1
        assert image.tobytes() == full.tobytes()
    assert len(clean) < len(full.tobytes()) + 500


def test_a_file_of_several_images_is_refused() -> None:
    with pytest.raises(UnknownStructureError, match="3 pages"):
        strip_tiff(frames("TIFF", 3))


def test_positions_and_unknown_tags_go() -> None:
    _, tags = read_directory(strip_tiff(planted.tiff(6)))
    assert set(tags) == {256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 284, 34675}


def test_jpeg_strips_lose_their_comments() -> None:
    sent = encode(noise(side=(32, 32)), "TIFF", compression="jpeg")
    layout, tags = read_directory(sent)
    (at,), (size,) = layout.numbers(tags[273]), layout.numbers(tags[279])
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(planted.SECRET)) + planted.SECRET
    strip = sent[int(at) : int(at) + int(size)]
    longer = sent + strip[:2] + comment + strip[2:]
    body = bytearray(longer)
    start = struct.unpack_from("<I", body, 4)[0]
    for entry in range(start + 2, start + 2 + 12 * len(tags), 12):
        if (tag := struct.unpack_from("<H", body, entry)[0]) in (273, 279):
            struct.pack_into("<I", body, entry + 8, len(sent) if tag == 273 else len(strip) + len(comment))
    assert decode_image(bytes(body)).tobytes() == decode_image(sent).tobytes()
    clean = strip_tiff(bytes(body))
    assert planted.SECRET not in clean
    assert decode_image(clean).tobytes() == decode_image(sent).tobytes()


def test_strips_that_share_their_bytes_are_written_once() -> None:
    sent = tiff_of(16, 16, bytes(256))
    assert len(strip_tiff(sent)) <= len(sent)


@pytest.mark.parametrize(
    "broken",
    [
        b"II*\0",
        tiff_of(16, 16, bytes(10)),
        tiff_of(16, 16, bytes(256), t259=6),
        tiff_tiles(64)[:-200],
        tiff_of(16, 16, bytes(256), t273=2**31),
    ],
)
def test_an_unknown_structure_is_refused(broken: bytes) -> None:
    with pytest.raises(UnknownStructureError):
        strip_tiff(broken)
