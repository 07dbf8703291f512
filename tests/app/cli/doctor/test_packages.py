"""Packages and extras, against what is really installed."""

import tomllib
from pathlib import Path

import pytest

from app.cli.doctor import packages
from app.cli.doctor.findings import Condition
from app.cli.doctor.packages import PURPOSES, check_extras, check_packages, check_python, check_torchvision, lacking
from vtt_core.backbones import torchvision_operators

ROOT = Path(__file__).parents[4]


def test_every_extra_says_what_it_is_for() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(declared) <= set(PURPOSES)


def test_this_python_and_these_packages_fit() -> None:
    assert check_python().condition is Condition.OK
    found = check_packages()
    assert found.condition is Condition.OK
    assert "torch 2" in found.detail


def test_a_package_of_a_wrong_version_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "requires", lambda _: ["numpy<1", "absent-package>=3", 'absent-too; extra == "more"'])
    found = check_packages()
    assert found.condition is Condition.PROBLEM
    assert "numpy<1 (2." in found.detail
    assert "absent-package>=3 (missing)" in found.detail
    assert "absent-too" not in found.detail


def test_an_extra_counts_what_the_extras_in_it_need(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ['vtt-service[plots]; extra == "pretrain"', 'absent-package; extra == "plots"', "absent-base"]
    monkeypatch.setattr(packages, "requires", lambda _: asked)
    assert [lack.requirement for lack in lacking("pretrain")] == ["absent-package"]


def test_a_missing_extra_is_a_problem_only_where_a_setting_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ['absent-package; extra == "s3"', 'numpy; extra == "plots"', 'absent-package; extra == "heic"']
    monkeypatch.setattr(packages, "requires", lambda _: asked)
    monkeypatch.setattr(packages, "extras", lambda: ["s3", "plots", "heic"])
    installed, absent = check_extras({})
    assert (installed.part, installed.condition) == ("extra plots", Condition.OK)
    assert (absent.part, absent.condition) == ("other extras", Condition.NOTE)
    assert absent.detail == "not installed: s3 (S3 as the store), heic (HEIC images of phones)"
    assert (absent.remedy or "").startswith("If you need one of them, install for example the extra s3: ")
    needed, *_ = check_extras({"s3": "VTT_STORE_URL"})
    assert needed.condition is Condition.PROBLEM
    assert "VTT_STORE_URL needs it" in needed.detail
    assert needed.remedy == (
        "Install the extra s3: in the clone of the repository, run .venv/bin/pip install -c constraints.txt -e '.[s3]'"
    )


@pytest.mark.parametrize(("fit", "condition"), [(True, Condition.OK), (False, Condition.NOTE)])
def test_a_torchvision_of_another_build_is_noted(fit: bool, condition: Condition, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_operators, "have_operators", lambda: fit)
    assert check_torchvision().condition is condition
