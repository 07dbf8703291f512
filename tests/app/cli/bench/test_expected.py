"""`vtt bench expected` as a user calls it, on folders as `vtt bench episodes` writes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from app.cli.main import cli
from vtt_core.bench.episodes.episode_log import EpisodeLine
from vtt_core.contract.errors import InputError


def write_run(folder: Path, real: tuple[float, ...], *, has_key: bool = True) -> str:
    folder.mkdir()
    facts = {"expected_accuracy": 0.8, "expected_low": 0.7, "expected_high": 0.9}
    lines = [EpisodeLine("new", "frozen", number, value, 1.0, "cpu", facts) for number, value in enumerate(real)]
    older = EpisodeLine("old", "frozen", 0, 0.0, 1.0, "cpu", facts)
    (folder / "episodes.jsonl").write_bytes(b"".join(line.encode() for line in [older, *lines]))
    methods = {"frozen": {"key": "new"} if has_key else {}, "zero-shot": {"key": "other"}}
    result = {"methods": methods, "paired": {}, "episodes": len(real)}
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    return str(folder)


@pytest.mark.slow
def test_results_are_compared_alone_and_together(tmp_path: Path) -> None:
    maps, leaves = write_run(tmp_path / "maps", (0.75, 0.85)), write_run(tmp_path / "plants", (0.6, 0.8))
    plot = tmp_path / "plots" / "expected.png"
    arguments = ["bench", "expected", maps, f"leaves={leaves}", "--plot", str(plot)]
    printed = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)
    assert list(printed["expected"]) == ["frozen"]
    rows = printed["expected"]["frozen"]
    assert {name: row["held"] for name, row in rows.items()} == {"maps": 1.0, "leaves": 0.5, "all": 0.75}
    assert rows["maps"]["bias"] == pytest.approx(0.0)
    assert rows["all"]["episodes"] == 4
    with Image.open(plot) as picture:
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 10
    assert "| frozen | all | 4 |" in CliRunner().invoke(cli, arguments).stdout


@pytest.mark.parametrize(("real", "has_key", "said"), [((0.5,), False, "a result that names its lines"), ((), True, "frozen")])
def test_what_has_no_expectation_is_refused(tmp_path: Path, real: tuple[float, ...], has_key: bool, said: str) -> None:
    folder = write_run(tmp_path / "maps", real, has_key=has_key)
    raised = CliRunner().invoke(cli, ["bench", "expected", folder]).exception
    assert isinstance(raised, InputError)
    assert said in str(raised)
