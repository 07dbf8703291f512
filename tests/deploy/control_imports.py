"""Run `vtt api` in role control, use it, and print the packages that our code imported."""

from __future__ import annotations

import builtins
import io
import json
import os
import signal
import sys
import threading
import time
from types import ModuleType
from typing import Any

from PIL import Image

OURS = ("app", "vtt_core", "migrations")
imported: set[str] = set()
plain_import = builtins.__import__


def noting_import(name: str, namespace: Any = None, *rest: Any, **named: Any) -> ModuleType:
    importer = str((namespace or {}).get("__name__", ""))
    if importer.split(".")[0] in OURS:
        imported.add(name.split(".")[0])
    return plain_import(name, namespace, *rest, **named)


def _grey_of_16_bits() -> bytes:
    """Return an image that needs numpy to decode."""
    buffer = io.BytesIO()
    Image.new("I;16", (16, 16), 40_000).save(buffer, "PNG")
    return buffer.getvalue()


def use(url: str) -> None:
    import httpx2

    with httpx2.Client(base_url=url, timeout=30, trust_env=False) as client:
        while True:
            try:
                client.get("/livez")
                break
            except httpx2.TransportError:
                time.sleep(0.2)
        client.post("/v1/support-sets", files={"cat": ("a.png", b"no image")})
        client.post("/v1/support-sets", files={"cat": ("a.png", _grey_of_16_bits())})
        for path in ("/readyz", "/metrics", "/v1/support-sets", "/v1/jobs", "/v1/models", "/v1/backbones", "/openapi.json"):
            client.get(path)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    builtins.__import__ = noting_import
    from app.cli.main import main as vtt

    threading.Thread(target=use, args=[f"http://127.0.0.1:{os.environ['VTT_PORT']}"], daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn sends it again after it has ended
    sys.argv = ["vtt", "api"]
    try:
        vtt()
    except SystemExit:
        pass
    sys.stdout.write(json.dumps(sorted(imported)) + "\n")


if __name__ == "__main__":
    main()
