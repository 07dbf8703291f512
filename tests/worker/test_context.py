from pathlib import Path

import pytest

from app.infra.settings import Settings
from vtt_core.fusion import scan_choice
from worker.context import open_context


def test_a_fresh_data_folder_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VTT_DATABASE_URL", "VTT_BROKER_URL", "VTT_STORE_URL"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings(data_dir=tmp_path / "new", device="cpu")
    context, other = open_context(settings), open_context(settings)
    assert (tmp_path / "new" / "vtt.sqlite").is_file()
    assert context.holder != other.holder
    assert not context.stop.is_set()
    context.job_ids.append("job_1")
    told = context.describe()
    assert (told.holder, told.device, told.backbone_id, told.job_id) == (context.holder, "cpu", None, "job_1")
    context.backbones.weights.note("a/b", is_loaded=False)
    assert context.describe().failed_backbone_ids == ("a/b",)


def test_the_process_prefers_the_scan_that_the_settings_name(tmp_path: Path) -> None:
    open_context(Settings(data_dir=tmp_path, device="cpu", scan_kernels="mamba-ssm"))
    try:
        assert scan_choice._Preferred.scan == "mamba-ssm"
    finally:
        scan_choice.prefer_scan("reproducible")
