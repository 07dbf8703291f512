"""`vtt store strip-metadata` cleans an old store and says what it did."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from app.infra.database import SessionFactory
from app.infra.object_store import ObjectStore
from app.infra.settings import load_settings
from app.infra.tables import SupportImageRow, SupportSetRow
from tests.fixtures import planted_metadata as planted

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(session_factory: SessionFactory, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """An old store: an image with metadata, and one that cannot be cleaned."""
    monkeypatch.setenv("VTT_DATABASE_URL", database_url)
    monkeypatch.setenv("VTT_DATA_DIR", str(tmp_path))
    store = ObjectStore(load_settings().resolved_store_url)
    with session_factory.begin() as session:
        session.add(SupportSetRow(id="set_1", empty_labels=[], created_at=NOW))
        session.flush()
        for place, content in enumerate((planted.jpeg(6), b"broken")):
            store.put(f"old/{place}", content)
            facts = {"width": 24, "height": 16, "image_format": "JPEG", "size_bytes": len(content), "created_at": NOW}
            names = {"label": "cat", "file_name": "a", "sha256": str(place), "blob_key": f"old/{place}"}
            session.add(SupportImageRow(id=f"img_{place}", support_set_id="set_1", position=place, **facts, **names))
    return store


@pytest.mark.slow
def test_a_dry_run_comes_first_and_a_second_run_changes_nothing(store: ObjectStore) -> None:
    sent = store.get("old/0")
    tried = CliRunner().invoke(cli, ["store", "strip-metadata", "--dry-run", "--json"])
    assert (tried.exit_code, store.get("old/0")) == (1, sent)
    done = CliRunner().invoke(cli, ["store", "strip-metadata", "--json"])
    removed = len(sent) - len(store.get("old/0"))
    assert removed > 0
    assert planted.SECRET not in store.get("old/0")
    for run, is_dry in ((tried, True), (done, False)):
        facts = json.loads(run.stdout)
        assert (facts["dry_run"], facts["images"], facts["changed"], facts["bytes_removed"]) == (is_dry, 2, 1, removed)
    assert json.loads(CliRunner().invoke(cli, ["store", "strip-metadata", "--json"]).stdout)["changed"] == 0


@pytest.mark.slow
def test_what_cannot_be_cleaned_is_named(store: ObjectStore) -> None:
    result = CliRunner().invoke(cli, ["store", "strip-metadata"])
    assert result.exit_code == 1
    assert "not cleaned: img_1 (old/1): Not a readable image" in result.stderr
    assert "2 images, 1 changed" in result.stdout
    store.put("old/1", planted.png())
    assert CliRunner().invoke(cli, ["store", "strip-metadata"]).exit_code == 0
