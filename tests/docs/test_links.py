from pathlib import Path

import pytest

from docs.site.links import faults


def site_of(folder: Path, body: str) -> Path:
    (folder / "below").mkdir()
    (folder / "index.html").write_text(f"<html><body>{body}</body></html>")
    (folder / "below" / "page.html").write_text('<h2 id="there">There</h2><a href="../index.html">up</a>')
    (folder / "picture.png").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    "body",
    [
        '<a href="below/page.html#there">x</a> <img src="picture.png"> <a href="#here">x</a> <p id="here">y</p>',
        '<a href="https://elsewhere.example/">a link to another host is followed only by people</a>',
        '<a href="mailto:a@b.example">x</a> <img src="data:image/png;base64,">',
    ],
)
def test_a_sound_page_has_no_faults(tmp_path: Path, body: str) -> None:
    assert faults(site_of(tmp_path, body)) == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('<a href="below/gone.html">x</a>', "does not exist"),
        ('<a href="below/page.html#gone">x</a>', "no such heading"),
        ('<img src="gone.png">', "does not exist"),
        ('<script src="https://cdn.example/x.js"></script>', "loads https://cdn.example"),
        ('<link rel="stylesheet" href="//fonts.example/x.css">', "loads //fonts.example"),
    ],
)
def test_a_broken_link_and_a_foreign_load_are_faults(tmp_path: Path, body: str, says: str) -> None:
    (fault,) = {sentence for sentence in faults(site_of(tmp_path, body)) if says in sentence}
    assert fault.startswith("index.html")


def test_a_style_that_loads_from_another_host_is_a_fault(tmp_path: Path) -> None:
    site = site_of(tmp_path, "")
    (site / "a.css").write_text("@font-face { src: url(https://fonts.example/a.woff2) }")
    assert faults(site) == ["a.css loads https://fonts.example/a.woff2"]
