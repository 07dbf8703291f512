"""The published rows, and the comparison with them."""

from __future__ import annotations

import pytest

from vtt_core.bench.episodes.published import CLIP, ROWS, Measured, PublishedRow, compare, find_row
from vtt_core.contract.backbones import MINI, check_backbone_id
from vtt_core.contract.errors import UnknownRowError
from vtt_core.contract.method_spec import parse_spec
from vtt_core.contract.recipe import make_recipe


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.percent], ids=lambda row: row.row_id)
def test_a_printed_average_is_near_that_of_the_printed_accuracies(row: PublishedRow) -> None:
    assert len(row.percent) == 4
    assert row.average == pytest.approx(sum(row.percent.values()) / 4, abs=0.081)


@pytest.mark.parametrize("row_id", ROWS)
def test_the_method_of_a_row_is_the_released_recipe_with_changes_whatever_is_tuned(row_id: str) -> None:
    head, *changes = find_row(row_id).method.split(":")
    values = {field: {"false": False}.get(value, value) for field, _, value in (change.partition("=") for change in changes)}
    released = make_recipe(head.removesuffix("@released"), "released", values)
    assert parse_spec(find_row(row_id).method, (), backbone_id=MINI).recipe == released


def test_episodes_follow_the_shot() -> None:
    assert {row.shot: row.num_episodes for row in ROWS.values()} == {1: 800, 5: 400}


def test_the_backbone_of_clip_rows_can_be_loaded_by_its_id() -> None:
    check_backbone_id(CLIP)


def test_only_vtt_gets_the_learning_rate_of_the_fusion_network() -> None:
    row = find_row("aggregator/lstm")
    assert row.method_for("eurosat") == "clip-lora+vtt@released:aggregator=lstm"
    assert row.method_for("isic") == "clip-lora+vtt@released:aggregator=lstm:fusion_learning_rate=4e-4"
    assert find_row("clip-lora/1-shot").method_for("chestx") == "clip-lora@released"


def test_an_unknown_row_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownRowError, match="clip-lora/1-shot"):
        find_row("clip-lora/2-shot")


class TestCompare:
    def test_each_domain_and_the_average_stand_beside_what_was_published(self) -> None:
        row = find_row("clip-lora+vtt/1-shot")
        measured = {
            domain: Measured(percent + shift, 1.0, 800)
            for (domain, percent), shift in zip(row.percent.items(), (0.5, -2.0, 0.0, 1.0), strict=True)
        }
        *domains, average = compare(row, measured)
        assert [round(line.difference or 0, 6) for line in domains] == [0.5, -2.0, 0.0, 1.0]
        assert [line.is_within for line in domains[:3]] == [True, False, True]
        assert average.ours.percent == pytest.approx(sum(row.percent.values()) / 4 - 0.125)
        assert average.ours.ci95 == pytest.approx(0.5)
        assert average.ours.num_episodes == 3200
        assert average.published == 58.23

    def test_an_average_alone_is_compared_only_with_all_domains(self) -> None:
        row = find_row("ablation/no-switch-off")
        line, average = compare(row, {"isic": Measured(38.0, 1.0, 800)})
        assert (line.published, line.difference, line.is_within) == (None, None, None)
        assert average.published is None
        everything = compare(row, dict.fromkeys(("cropdisease", "eurosat", "isic", "chestx"), Measured(57.0, 1.0, 800)))
        assert everything[-1].difference == pytest.approx(-0.2)
