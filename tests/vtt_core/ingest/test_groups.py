from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtt_core.contract.errors import GroupsError
from vtt_core.ingest.groups import MAX_GROUP_CHARACTERS, ImageGroups, clean_group, parse_groups


@pytest.mark.parametrize(
    "text",
    [
        '{"a.png": "patient 1", "cat/b.png": null}',
        "file,group\na.png,patient 1\ncat/b.png,\n",
        "\ufeffGroup;File;age\r\n patient  1 ;a.png;70\r\n;cat/b.png;71\r\n",
        'file\tgroup\n"a.png"\tpatient 1\n\ncat/b.png\n',
    ],
)
def test_json_and_csv_say_the_same(text: str) -> None:
    groups = parse_groups(text)
    assert groups.find("a.png") == (True, "patient 1")
    assert groups.find("cat/b.png") == (True, None)
    assert groups.find("c.png") == (False, None)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("", "nothing"),
        ("cat.jpg", "'cat.jpg'"),
        ("name,group\na,b", "'name,group'"),
        ('{"a": "b"', "JSON that cannot be read"),
        ("[" * 100_000, "JSON that cannot be read"),
        ('{"a": ' + "1" * 5000 + "}", "JSON that cannot be read"),
        ('["a", "b"]', "a JSON list"),
        ('{"a": {"b": "c"}}', "an object within"),
        ('{"a": 12}', "12 for 'a'"),
        ('{"a": "1", "a": "2"}', "'1' and '2' for 'a'"),
        ("file,group\na,1\n./a,2", "'1' and '2' for './a'"),
        ('{"a": "' + "x" * (MAX_GROUP_CHARACTERS + 1) + '"}', "201 characters"),
        ('{"a": "b\\u0000"}', r"'b\\x00' for 'a'"),
        ("file,group\na," + "x" * 200_000, "CSV that cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, got: str) -> None:
    with pytest.raises(GroupsError, match=got):
        parse_groups(text, "'groups.csv'")


def test_a_name_with_folders_counts_before_the_bare_one() -> None:
    groups = ImageGroups([("1.png", "any"), ("cat/1.png", "of the cat")])
    assert groups.group_of("set/cat/1.png") == "of the cat"
    assert groups.group_of("dog/1.png") == "any"
    assert groups.group_of("1.png", ["cat"]) == "of the cat"
    assert groups.group_of("scat/11.png") is None


def test_names_compare_by_what_people_read() -> None:
    groups = ImageGroups([("Bu\u0308ro\\1.png", "plot")])
    assert groups.group_of("B\u00fcro/1.png") == "plot"


def test_names_of_no_file_are_noticed() -> None:
    groups = ImageGroups([(f"{place}.png", "p") for place in range(9)])
    assert groups.group_of("cat/0.png") == "p"
    (notice,) = groups.notices()
    assert "'1.png', '2.png', '3.png', '4.png', '5.png' and 3 more" in notice
    assert ImageGroups().notices() == []


def test_an_empty_group_is_none() -> None:
    assert clean_group(" \t") is None
    assert clean_group(" plot\n 7 ") == "plot 7"


NAMES = (
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="\\/"), min_size=1)
    .map(lambda name: unicodedata.normalize("NFC", name))
    .filter(lambda name: not name.startswith("."))
)


@given(st.dictionaries(NAMES, st.one_of(st.none(), st.text("abc 12", max_size=9))))
def test_what_was_written_as_json_is_read(written: dict[str, str | None]) -> None:
    groups = parse_groups(json.dumps(written))
    for name in written:
        is_named, _ = groups.find(f"folder/{name}")
        assert is_named
    assert groups.notices() == []


@given(st.one_of(st.text(), st.text(alphabet='{}[]":,;\n\t\r\\ filegroup\ufeff'), st.text().map("file,group\n".__add__)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        groups = parse_groups(text)
    except GroupsError:
        return
    assert groups.group_of("a file that no text names") is None
