from pathlib import Path

import pytest
import typer

from app.cli.groups_file import PrefixGroups, chosen_groups
from vtt_core.contract.errors import GroupsError


@pytest.mark.parametrize(
    ("name", "group"), [("cat/p7_001.png", "p7"), ("p_7/001.png", None), ("cat/_1.png", None), ("cat/a_b_c.png", "a")]
)
def test_the_prefix_is_the_file_name_up_to_the_first_underscore(name: str, group: str | None) -> None:
    assert PrefixGroups().group_of(name) == group


def test_a_file_of_groups_is_read(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("\ufefffile,group\na.png,plot 1\n", encoding="utf-8")
    groups = chosen_groups(path, by_prefix=False)
    assert groups is not None
    assert groups.group_of("cat/a.png") == "plot 1"


def test_without_options_there_are_no_groups() -> None:
    assert chosen_groups(None, by_prefix=False) is None
    assert isinstance(chosen_groups(None, by_prefix=True), PrefixGroups)


@pytest.mark.parametrize("content", [None, b"file,group\na,\xff", b"what,ever\n1,2\n"])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "groups.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GroupsError, match="groups.csv"):
        chosen_groups(path, by_prefix=False)


def test_the_options_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter):
        chosen_groups(tmp_path / "groups.csv", by_prefix=True)
    with pytest.raises(typer.BadParameter):
        chosen_groups(None, by_prefix=True, by_patient=True)
