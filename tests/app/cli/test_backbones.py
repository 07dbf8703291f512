import json

from typer.testing import CliRunner

from app.cli.main import cli


def test_the_bundled_backbone_comes_first_in_json() -> None:
    result = CliRunner().invoke(cli, ["backbones", "--json"])
    listed = json.loads(result.stdout)["backbones"]
    assert listed[0]["backbone_id"] == "mini"
    assert listed[0]["is_bundled"]
    assert "ViT-B-16-quickgelu/openai" in {entry["backbone_id"] for entry in listed}


def test_people_get_a_table() -> None:
    result = CliRunner().invoke(cli, ["backbones"])
    assert result.exit_code == 0
    assert "mini" in result.stdout
