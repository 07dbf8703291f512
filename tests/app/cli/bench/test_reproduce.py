"""`vtt bench reproduce`: rows, what is missing, and a dry run through all of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.bench.reproduce import Plan, check_requirements
from app.cli.bench.synthetic_datasets import write_target_domains
from vtt_core.bench.datasets.registry import DATASETS, TARGET_DOMAINS
from vtt_core.bench.episodes.published import ROWS, find_row
from vtt_core.contract.errors import MissingRequirementError


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli.main", "bench", "reproduce", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_target_domains(root, 16)
    return root


@pytest.fixture
def plan(drawn: Path) -> Plan:
    return Plan(
        row=find_row("clip-lora+vtt/1-shot"),
        backbone_id="mini",
        num_episodes=2,
        iterations=2,
        domains=TARGET_DOMAINS,
        data_root=drawn,
        seed=1,
        device="cpu",
        num_threads=1,
        is_dry_run=True,
    )


@pytest.mark.slow
@pytest.mark.services
def test_the_list_names_every_row_and_where_data_come_from() -> None:
    result = run("--list", "--json")
    listed = json.loads(result.stdout)
    assert [row["row_id"] for row in listed["rows"]] == list(ROWS)
    assert [dataset["url"] for dataset in listed["datasets"]] == [DATASETS[name].url for name in TARGET_DOMAINS]
    assert "clip-lora+vtt/5-shot" in run("--list").stdout


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no row"),
        (["clip-lora/1-shot"], "no --data-root"),
        (["clip-lora/9-shot", "--dry-run"], "reproduce.unknown_row"),
        (["clip-lora/1-shot", "--dry-run", "--domains", "mars"], "'mars'"),
    ],
)
def test_what_cannot_be_run_is_refused(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert message in result.stderr


@pytest.mark.services
@pytest.mark.slow
def test_missing_data_and_weights_are_all_named_with_where_to_get_them(tmp_path: Path) -> None:
    weights = f"ViT-B-16-quickgelu/{tmp_path}/none.safetensors"
    result = run("clip-lora/1-shot", "--data-root", str(tmp_path), "--backbone", weights)
    assert result.returncode == 2
    for domain in TARGET_DOMAINS:
        assert f"missing: data set {domain}" in result.stderr
        assert DATASETS[domain].url in result.stderr
    assert f"missing: backbone {weights}" in result.stderr
    assert "reproduce.missing" in result.stderr


@pytest.mark.slow
def test_a_data_set_without_all_its_classes_is_missing_but_for_a_dry_run(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    check_requirements(plan)
    with pytest.raises(MissingRequirementError, match="no data set cropdisease, no data set eurosat"):
        check_requirements(replace(plan, is_dry_run=False))
    assert "expected 38 classes of CropDisease" in capsys.readouterr().err


def test_the_zip_of_a_data_set_does_where_its_folder_is_not(plan: Plan, tmp_path: Path) -> None:
    elsewhere = replace(plan, data_root=tmp_path)
    assert elsewhere.folder("eurosat") == tmp_path / "eurosat"
    (tmp_path / "eurosat.zip").touch()
    assert elsewhere.folder("eurosat") == tmp_path / "eurosat.zip"


def test_a_domain_is_asked_for_as_it_was_published(plan: Plan) -> None:
    request = replace(plan, num_episodes=plan.row.num_episodes, iterations=None).request("chestx")
    assert (request.way, request.shot, request.query, request.episodes) == (5, 1, 15, 800)
    assert request.methods == "clip-lora+vtt@released:fusion_learning_rate=1e-3"
    assert request.data == f"chestx={plan.data_root / 'chestx'}"
    assert (request.by_patient, request.iterations) == (False, None)


@pytest.mark.services
@pytest.mark.slow
def test_a_dry_run_goes_all_the_way_and_goes_on_from_its_log(tmp_path: Path) -> None:
    command = ["clip-lora+vtt/1-shot", "--dry-run", "--json", "--threads", "1", "--device", "cpu", "--out", str(tmp_path)]
    result = run(*command)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["dry_run"]
    assert report["backbone"] == "mini"
    assert [line["domain"] for line in report["lines"]] == [*TARGET_DOMAINS, "average"]
    assert [line["published"] for line in report["lines"]] == [87.00, 85.01, 38.20, 22.70, 58.23]
    for line in report["lines"]:
        assert 0 < line["ours"]["percent"] <= 100
        assert line["difference"] == pytest.approx(line["ours"]["percent"] - line["published"])
    assert len((tmp_path / "isic" / "episodes.jsonl").read_text().splitlines()) == 2


@pytest.mark.services
@pytest.mark.slow
def test_one_domain_prints_a_table(drawn: Path, tmp_path: Path) -> None:
    result = run("clip-lora/1-shot", "--dry-run", "--data-root", str(drawn), "--domains", "eurosat", "--out", str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert "81.72" in result.stdout
    assert "±" in result.stdout
    assert "A dry run" in result.stdout
