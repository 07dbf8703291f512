"""The references that are made from the code name everything, and nothing twice."""

from __future__ import annotations

import re
from pathlib import Path

from app.infra.settings import Settings
from docs.site.command_pages import command_page
from docs.site.error_pages import all_errors, error_page
from docs.site.markdown import cell, docstring
from docs.site.python_pages import python_pages
from docs.site.setting_pages import meanings_of, setting_page
from vtt_core.contract.limits import Limits

ROOT = Path(__file__).parents[2]


def test_the_commands_have_their_options_with_defaults() -> None:
    page = command_page()
    assert "## vtt adapt\n" in page
    assert "## vtt keys create\n" in page
    assert "| `--query Q` | `15` |" in page
    assert "| `--force` | off |" in page
    assert "vtt draw" not in page, "a hidden command of an earlier release"


def test_the_settings_have_their_defaults_and_meanings() -> None:
    page = setting_page()
    assert "| `VTT_LEASE_SECONDS` | `30.0` | Seconds without a heartbeat" in page
    assert "| `VTT_HOST` | `127.0.0.1` | Host and port to listen on. |" in page
    assert "VTT_LIMITS__MAX_SHOT" in page


def test_every_setting_has_a_meaning() -> None:
    named = set(Settings.model_fields) - {"role", "data_dir"}
    assert named - set(meanings_of(Settings)) == set()
    assert meanings_of(Limits)


def test_every_error_is_listed_once_with_its_status() -> None:
    page = error_page()
    codes = re.findall(r"^\| `([\w.]+)` \|", page, flags=re.MULTILINE)
    assert sorted(codes) == sorted(error.code for error in all_errors())
    assert "| `not_found` | Not found | 404 |" in page


def test_the_python_reference_has_a_page_for_each_room_with_signatures() -> None:
    pages = dict(python_pages(ROOT))
    rooms = {path.name for path in (ROOT / "vtt_core").iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= set(pages)
    assert all(f"[{room}]({room}.md)" in pages["index"] for room in rooms)
    assert "### interleave_layers" in pages["fusion"]
    assert "def selective_scan(" in pages["fusion"]


def test_a_docstring_becomes_markdown() -> None:
    text = (
        "Do it.\n\nMore <b>.\n\nArgs:\n    name: what it is, as a\n        phrase.\n\nRaises:\n    InputError: it is wrong.\n"
    )
    assert docstring(text) == (
        "Do it.\n\nMore \\<b\\>.\n\n\n**Args:**\n\n- `name`: what it is, as a\n  phrase.\n\n\n**Raises:**\n\n"
        "- `InputError`: it is wrong.\n\n"
    )


def test_a_cell_of_a_table_holds_any_text() -> None:
    assert cell("a|b\nc `x_[y]` z_") == "a\\|b c `x_[y]` z\\_"
