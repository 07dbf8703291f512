from pathlib import Path

import pytest

from app.infra.settings import Settings
from worker import context
from worker.context import open_context


def test_a_fresh_data_folder_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VTT_DATABASE_URL", "VTT_BROKER_URL", "VTT_STORE_URL"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings(data_dir=tmp_path / "new", device="cpu")
    first, other = open_context(settings), open_context(settings)
    assert (tmp_path / "new" / "vtt.sqlite").is_file()
    assert first.holder != other.holder
    assert not first.stop.is_set()
    first.job_ids.append("job_1")
    told = first.describe()
    assert (told.holder, told.device, told.backbone_id, told.job_id) == (first.holder, "cpu", None, "job_1")
    first.backbones.weights.note("a/b", is_loaded=False)
    assert first.describe().failed_backbone_ids == ("a/b",)


def test_the_process_prefers_the_scan_that_the_settings_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preferred: list[str] = []
    monkeypatch.setattr(context, "prefer_scan", preferred.append)
    open_context(Settings(data_dir=tmp_path, device="cpu", scan_kernels="mamba-ssm"))
    assert preferred == ["mamba-ssm"]
