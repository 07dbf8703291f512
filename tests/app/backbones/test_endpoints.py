"""The list of backbones."""

from app.infra.settings import Role
from tests.fixtures.http_api import MakeApi


def test_the_bundled_backbone_comes_first_and_the_default_is_marked(make_api: MakeApi) -> None:
    items = make_api(role=Role.CONTROL, default_backbone="ViT-B-32/openai").client.get("/v1/backbones").json()["items"]
    assert (items[0]["id"], items[0]["is_bundled"]) == ("mini", True)
    assert [item["id"] for item in items if item["is_default"]] == ["ViT-B-32/openai"]
    assert "ViT-B-16-quickgelu/openai" in {item["id"] for item in items}
