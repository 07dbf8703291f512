import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from tests.vtt_core.bench.episodes.test_tables import RESULTS
from vtt_core.contract.errors import InputError


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    for name, result in RESULTS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(json.dumps(result), encoding="utf-8")
    return [str(tmp_path / "maps"), f"plants={tmp_path / 'leaves'}"]


def test_a_column_is_named_after_its_folder_or_as_asked_for(folders: list[str]) -> None:
    printed = CliRunner().invoke(cli, ["bench", "table", *folders]).stdout
    assert printed.splitlines()[0] == "| method | maps | plants | average |"
    assert "| one | 50.00 ± 3.00 | 70.00 ± 4.00 | 60.00 ± 2.50 |" in printed


def test_json_has_the_same_figures(folders: list[str]) -> None:
    printed = json.loads(CliRunner().invoke(cli, ["bench", "table", *folders, "--against", "one", "--json"]).stdout)
    assert printed["against"] == "one"
    assert printed["table"]["other"]["average"]["mean"] == pytest.approx(0.15)


def test_a_folder_without_a_result_is_named(tmp_path: Path) -> None:
    raised = CliRunner().invoke(cli, ["bench", "table", str(tmp_path)]).exception
    assert isinstance(raised, InputError)
    assert repr(str(tmp_path)) in raised.got
