"""An export of a small project, as its owner saved it from the training API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fixtures.http_api import encode_image
from tests.vtt_client.conftest import api, make_api, settings, url

__all__ = ["api", "make_api", "settings", "url"]

TAGS = {"0a": ["healthy leaf"], "0b": ["leaf rust"], "0c": ["leaf rust", "healthy leaf"], "0d": ["Negative"], "0e": []}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Images that are named by their id, with the answers of GetTaggedImages, GetTags and GetIterations."""
    folder = tmp_path / "project"
    (folder / "images").mkdir(parents=True)
    records = []
    for colour, (image_id, tags) in enumerate(TAGS.items()):
        (folder / "images" / f"{image_id.upper()}_photo.png").write_bytes(encode_image(colour + 1))
        named = [{"tagId": f"t-{tag}", "tagName": tag} for tag in tags]
        records.append({"id": image_id, "width": 16, "height": 16, "tags": named, "regions": []})
    records[1]["regions"] = [{"regionId": "r", "tagName": "leaf rust", "left": 0.1, "top": 0.1, "width": 0.2, "height": 0.2}]
    tags = [{"name": "healthy leaf", "type": "Regular"}, {"name": "Negative", "type": "Negative"}]
    iterations = [{"id": "i", "name": "Iteration 3", "status": "Completed"}]
    for name, content in {"tagged.json": records, "tags.json": tags, "iterations.json": iterations}.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "notes.json").write_text("no JSON")
    return folder
