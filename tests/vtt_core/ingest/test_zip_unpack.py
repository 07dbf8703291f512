"""Entries unpack in small pieces with every method, even if they are bombs."""

from __future__ import annotations

import bz2
import io
import lzma
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from dataclasses import replace

import pytest

from tests.hostile.raw_zip import Entry, pack
from vtt_core.contract.errors import ArchiveTooLargeError, ImageTooManyBytesError, NotAZipError
from vtt_core.contract.limits import DEFAULT_LIMITS
from vtt_core.ingest.archives import read_zip
from vtt_core.ingest.zip_methods import BZIP2, DEFLATED, LZMA, STORED, XZ
from vtt_core.ingest.zip_unpack import CHUNK_BYTES, unpack_entry

MIB = 2**20
CONTENT = bytes(range(256)) * 1000
METHODS = [STORED, DEFLATED, BZIP2, LZMA, XZ]


def packed_as(method: int, content: bytes) -> bytes:
    if method == BZIP2:
        return bz2.compress(content)
    if method == XZ:
        return lzma.compress(content)
    if method == LZMA:
        body = lzma.compress(content, lzma.FORMAT_ALONE)  # properties, 8 bytes of size, data
        return struct.pack("<BBH", 9, 4, 5) + body[:5] + body[13:]
    if method == DEFLATED:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(content) + packer.flush()
    return content


def entry(method: int, content: bytes = CONTENT, **fields: object) -> Entry:
    return Entry(b"dog/1.bmp", content, method=method, packed=packed_as(method, content), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_the_content_in_small_pieces(method: int) -> None:
    with zipfile.ZipFile(io.BytesIO(pack([entry(method)]))) as archive:
        pieces = list(unpack_entry(archive, archive.infolist()[0], MIB))
    assert b"".join(pieces) == CONTENT
    assert max(map(len, pieces)) <= CHUNK_BYTES


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_file_is_empty(method: int) -> None:
    with zipfile.ZipFile(io.BytesIO(pack([entry(method, b"")]))) as archive:
        assert b"".join(unpack_entry(archive, archive.infolist()[0], MIB)) == b""


@pytest.mark.parametrize("method", [DEFLATED, BZIP2, LZMA, XZ])
@pytest.mark.parametrize("harm", ["cut", "flipped", "says-more", "says-less", "nonsense"])
def test_damage_is_named_whatever_the_method(method: int, harm: str) -> None:
    good = entry(method)
    assert good.packed is not None
    if harm == "cut":
        good.packed = good.packed[: len(good.packed) // 2]
    elif harm == "flipped":
        good.packed = good.packed[:-20] + bytes(byte ^ 0x55 for byte in good.packed[-20:])
    elif harm == "nonsense":
        good.packed = b"\xff" * 500
    else:
        good.says_bytes = len(CONTENT) + (100 if harm == "says-more" else -100)
        if (method, harm) == (DEFLATED, "says-more"):
            pytest.skip("zipfile takes what came if its checksum is right")
    with read_zip(io.BytesIO(pack([good]))) as contents, pytest.raises(NotAZipError, match=r"dog/1\.bmp"):
        contents.files[0].read()


@pytest.mark.slow
@pytest.mark.parametrize("method", [BZIP2, LZMA, XZ])
def test_the_size_of_an_image_bounds_what_is_unpacked(method: int) -> None:
    content = CONTENT * 4
    small = replace(DEFAULT_LIMITS, max_image_bytes=100_000, max_compression_ratio=1e9)
    lying = entry(method, content, says_bytes=90_000)
    with read_zip(io.BytesIO(pack([lying])), small) as contents, pytest.raises((NotAZipError, ImageTooManyBytesError)):
        contents.files[0].read()


BOMB = """
import io, resource, sys
from tests.vtt_core.ingest.test_zip_unpack import bomb
from vtt_core.ingest.archives import read_zip
from vtt_core.contract.errors import VttError
zipped = bomb(int(sys.argv[1]), int(sys.argv[2]), 10 * 2**20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    with read_zip(io.BytesIO(zipped)) as contents:
        contents.files[0].read()
except VttError as error:
    print(len(zipped), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, error.got)
"""


def bomb(method: int, size_mib: int, says_bytes: int) -> bytes:
    """A zip of one entry of very many zero bytes, packed piece by piece so that building it takes no memory."""
    if method == BZIP2:
        packer: object = bz2.BZ2Compressor()
    elif method == XZ:
        packer = lzma.LZMACompressor(preset=1)
    else:
        packer = lzma.LZMACompressor(lzma.FORMAT_ALONE, preset=1)
    body = b"".join(packer.compress(bytes(MIB)) for _ in range(size_mib)) + packer.flush()  # type: ignore[attr-defined]
    if method == LZMA:
        body = struct.pack("<BBH", 9, 4, 5) + body[:5] + body[13:]
    # The record says as many packed bytes as make the ratio look right; the rest is padding.
    body += bytes(max(0, says_bytes // 190 - len(body)))
    return pack([Entry(b"dog/bomb.bmp", method=method, packed=body, says_bytes=says_bytes)])


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.parametrize(("method", "size_mib"), [(BZIP2, 400), (LZMA, 400), (XZ, 400)])
def test_a_real_bomb_that_lies_about_its_size_takes_little_memory(method: int, size_mib: int) -> None:
    """bzip2 packs 400 MiB of zeros into 1 kB; zipfile would unpack them all at once."""
    command = [sys.executable, "-c", BOMB, str(method), str(size_mib)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    packed_bytes, grown_mib, *_ = done.stdout.split()
    assert int(packed_bytes) < MIB
    assert int(grown_mib) < 100


@pytest.mark.slow
@pytest.mark.parametrize("method", [BZIP2, LZMA, XZ])
def test_a_ratio_that_the_record_tells_is_refused_before_unpacking(method: int) -> None:
    content = bytes(8 * MIB)
    with pytest.raises(ArchiveTooLargeError, match="200 to 1"):
        read_zip(io.BytesIO(pack([entry(method, content)]))).__enter__()


def test_a_dictionary_of_gigabytes_in_the_lzma_head_takes_no_memory() -> None:
    body = bytearray(packed_as(LZMA, CONTENT))
    body[5:9] = struct.pack("<L", 0xFFFFFFFF)
    zipped = pack([Entry(b"dog/1.bmp", CONTENT, method=LZMA, packed=bytes(body))])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with read_zip(io.BytesIO(zipped)) as contents:
        assert contents.files[0].read() == CONTENT
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024
