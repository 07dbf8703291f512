import json

from typer.testing import CliRunner

from app.cli.main import cli


def test_the_bundled_backbone_comes_first_in_json() -> None:
    result = CliRunner().invoke(cli, ["backbones", "--json"])
    listed = json.loads(result.stdout)["backbones"]
    assert listed[0]["backbone_id"] == "mini"
    assert (listed[0]["is_bundled"], listed[0]["weights"]) == (True, "bundled")
    assert {entry["weights"] for entry in listed[1:]} <= {"cached", "downloadable", "out_of_reach"}
    assert "ViT-B-16-quickgelu/openai" in {entry["backbone_id"] for entry in listed}


def test_people_get_a_table() -> None:
    result = CliRunner().invoke(cli, ["backbones"])
    assert result.exit_code == 0
    assert "mini" in result.stdout


def test_one_is_shown_with_its_card() -> None:
    shown = CliRunner().invoke(cli, ["backbones", "mini"])
    assert "Tiny-ImageNet" in shown.stdout
    assert "ViT-B-16" not in shown.stdout
    (entry,) = json.loads(CliRunner().invoke(cli, ["backbones", "mini", "--json"]).stdout)["backbones"]
    assert entry["card"].startswith("# mini")
    (published,) = json.loads(CliRunner().invoke(cli, ["backbones", "ViT-B-32/openai", "--json"]).stdout)["backbones"]
    assert published["card"] is None


def test_an_unknown_one_is_refused_with_near_ones() -> None:
    refused = CliRunner().invoke(cli, ["backbones", "ViT-B-31/openai"])
    assert refused.exit_code != 0
    assert "ViT-B-32/openai" in refused.output + str(refused.exception)
