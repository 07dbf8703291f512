"""The name of a form's field is read as its client meant it, or refused; it is never another label."""

from __future__ import annotations

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import MalformedRequestError
from app.uploads.disposition import Disposition, read_disposition


def field_name(value: str) -> str:
    return read_disposition(f'form-data; {value}; filename="a.png"'.encode()).field_name


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        # As aiohttp sends them: every space, and in old versions every bracket, behind a backslash.
        (r'name="polar\ star"', "polar star"),
        (r'name="annual\ crop\ (dry)"', "annual crop (dry)"),
        (r'name="annual\ crop\ \(dry\)"', "annual crop (dry)"),
        ("name*=utf-8''Bl%C3%BCte", "Blüte"),
        ("name*=UTF-8'de'Bl%C3%BCte", "Blüte"),
        ("name*=iso-8859-1''Bl%FCte", "Blüte"),
        ("name=\"Blute\"; name*=utf-8''Bl%C3%BCte", "Blüte"),
        # As browsers, curl, httpx2 and requests send them.
        ('name="polar star"', "polar star"),
        ('name="annual crop (dry)"', "annual crop (dry)"),
        ('name="Blüte"', "Blüte"),
        ('name="a %22good%22 apple"', 'a "good" apple'),
        (r'name="a \"good\" apple"', 'a "good" apple'),
        (r'name="a\\b"', r"a\b"),
        (r'name="a\b"', r"a\b"),
        (r'name="a\1 b"', r"a\1 b"),
        (r'name="a\ü"', r"a\ü"),
        ("name=star", "star"),
        ('name="x;y"', "x;y"),
        ('name="name*"', "name*"),
        ('NAME="star"', "star"),
    ],
)
def test_a_field_name_is_read_as_its_client_meant_it(sent: str, name: str) -> None:
    assert field_name(sent) == name


@pytest.mark.parametrize(
    "sent",
    [
        r'name="polar\ star (dry one)"',
        r'name="a (b\)"',
        'name="a\\"',
        "nothing=1",
        "name*0=star",
        "name*=gbk''%D2%BB",
        "name*=utf-8''Bl%FCte",
        "name*=Blute",
        'name="star" garbage"',
    ],
)
def test_a_field_name_that_is_unclear_is_refused_with_what_was_sent(sent: str) -> None:
    with pytest.raises(MalformedRequestError) as caught:
        field_name(sent)
    assert sent.split("=")[0].split('"')[0] in caught.value.got


def test_a_field_name_in_another_encoding_is_refused() -> None:
    with pytest.raises(MalformedRequestError, match="not in UTF-8"):
        read_disposition('form-data; name="Blüte"'.encode("latin-1"))


@pytest.mark.parametrize("header", [b"", b"form-data", b"form-data; name", b'form-data; name="a', b"\xff"])
def test_what_has_no_field_name_is_refused(header: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        read_disposition(header)


@pytest.mark.parametrize(
    ("sent", "file_name"),
    [
        (rb'filename="C:\pictures\new one (1).png"', "new one (1).png"),
        (rb'filename="\\host\share\a.png"', "a.png"),
        (rb'filename="a\ b.png"', "a b.png"),
        (rb'filename="a\b (1).png"', r"a\b (1).png"),
        (b'filename="a%22b.png"', 'a"b.png'),
        (b'filename="Bl\xfcte.png"', "Bl\ufffdte.png"),
        (b"filename*=utf-8''Bl%C3%BCte.png", "Blüte.png"),
        (b"filename=a.png", "a.png"),
        (b'filename=""', ""),
    ],
)
def test_a_file_name_is_only_shown_and_always_read(sent: bytes, file_name: str) -> None:
    assert read_disposition(b'form-data; name="star"; ' + sent) == Disposition("star", file_name)


def test_a_part_without_a_file_name_is_a_text() -> None:
    assert read_disposition(b'form-data; name="star"') == Disposition("star", None)


@pytest.mark.slow
@given(st.binary(max_size=60))
def test_any_bytes_give_a_name_or_the_error(header: bytes) -> None:
    for whole in (header, b'form-data; name="' + header + b'"'):
        try:
            assert read_disposition(whole).field_name is not None
        except MalformedRequestError:
            pass


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20))
def test_what_httpx_sends_comes_back(name: str) -> None:
    body = httpx2.Request("POST", "http://x", files=[(name, ("a", b""))]).read()
    header = body.split(b"\r\n")[1].split(b": ", 1)[1]
    assert read_disposition(header).field_name == name.replace("%22", '"')
