"""Serve the files that pages load: style, scripts, icons. All are part of the package; a page loads nothing from elsewhere.

One digest over all files is part of their address, so browsers keep them for a year, and a new release is a new address.
Scripts import each other by relative addresses, which then have the same digest.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response

from app.domain.errors import NotFoundError

router = APIRouter(include_in_schema=False)

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
"""By the end of a file's name; other files are not served."""
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    media_type: str
    plain: bytes
    zipped: bytes


def asset_url(name: str) -> str:
    """Return the address of a file; raises KeyError if there is none of this name."""
    known, digest = _assets()
    if name not in known:
        raise KeyError(name)
    return f"/assets/{digest}/{name}"


@router.get("/assets/{digest}/{name:path}")
async def get_asset(digest: str, name: str, request: Request) -> Response:
    """Answer a file. One of an older release is answered as it is now, and is not kept."""
    known, current = _assets()
    asset = known.get(name)
    if asset is None:
        raise NotFoundError(expected="a file of the pages", got=repr(name[:100]), remedy="Load the page again")
    headers = {"Cache-Control": FOREVER if digest == current else "no-cache", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.zipped, headers={**headers, "Content-Encoding": "gzip"}, media_type=asset.media_type)
    return Response(asset.plain, headers=headers, media_type=asset.media_type)


@lru_cache(maxsize=1)
def _assets() -> tuple[dict[str, Asset], str]:
    known: dict[str, Asset] = {}
    digest = hashlib.sha256()
    for name, file in sorted(_files(files("app.pages").joinpath("assets"), "")):
        media_type = next((media for suffix, media in MEDIA_TYPES.items() if name.endswith(suffix)), None)
        if media_type is not None:
            content = file.read_bytes()
            digest.update(name.encode() + b"\0" + content)
            known[name] = Asset(media_type, content, gzip.compress(content, mtime=0))
    return known, digest.hexdigest()[:16]


def _files(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        name = f"{prefix}{entry.name}"
        found += _files(entry, f"{name}/") if entry.is_dir() else [(name, entry)]
    return found
