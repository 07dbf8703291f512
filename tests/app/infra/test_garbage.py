"""The collector passes over what an import has made, and nothing else: in processes of their own, which it changes for good."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.services

SPARED = "import gc\nfrom app.infra.garbage import spare_imports\nspare_imports()\n"


def printed(lines: str, path: Path | None = None) -> str:
    """Return what a Python prints that can import from a folder."""
    paths = os.pathsep.join([str(path), *sys.path] if path else sys.path)
    environment = {**os.environ, "PYTHONPATH": paths}
    ended = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True, env=environment)
    assert ended.stderr == ""
    return ended.stdout


NEAR = "gc.disable()\nfor _ in range(9): gc.collect(1)\n"
"""After it the tenth collection of that generation would be a full one."""


def write_module(folder: Path) -> None:
    (folder / "first.py").write_text("kept = [[] for _ in range(1000)]\n")
    (folder / "second.py").touch()


def test_what_is_imported_is_not_looked_at_again(tmp_path: Path) -> None:
    write_module(tmp_path)
    lines = f"import first\n{NEAR}import second\n"
    lines += "print(gc.get_freeze_count() > 1000, any(one is first.kept for one in gc.get_objects()))"
    assert printed(SPARED + lines, tmp_path) == "True False\n"
    assert printed("import gc\n" + lines, tmp_path) == "False True\n"


def test_an_import_long_before_a_full_collection_changes_nothing(tmp_path: Path) -> None:
    write_module(tmp_path)
    assert printed(SPARED + "gc.disable()\ngc.collect()\nimport first, second\nprint(gc.get_freeze_count())", tmp_path) == "0\n"


def test_there_is_no_callback_in_which_ctrl_c_would_be_lost() -> None:
    assert printed(SPARED + "print(gc.callbacks)") == "[]\n"


def test_a_collection_outside_of_an_import_collects() -> None:
    lines = (
        "import weakref\nclass Loop: pass\nloop = Loop()\nloop.me = loop\nseen = weakref.ref(loop)\ndel loop\ngc.collect()\n"
    )
    assert printed(SPARED + lines + "print(seen() is None, gc.get_freeze_count())") == "True 0\n"


def test_what_a_program_leaves_in_a_circle_is_closed_at_the_end(tmp_path: Path) -> None:
    written = tmp_path / "written"
    lines = f"class Log: pass\nlog = Log()\nlog.me = log\nlog.file = open({str(written)!r}, 'w')\nlog.file.write('hello')\n"
    printed(SPARED + "import warnings\nwarnings.simplefilter('ignore')\n" + lines)
    assert written.read_text() == "hello"


def test_what_triton_would_take_for_leaks_is_collected_at_the_end() -> None:
    pytest.importorskip("triton")
    assert printed(SPARED + "import torch, triton") == ""  # nothing on stderr either


def test_the_collections_after_the_end_of_all_code_say_nothing() -> None:
    # When the interpreter ends, it collects with no code on the stack.
    assert printed("import atexit, gc\natexit.register = lambda _: None\n" + SPARED) == ""


def test_what_a_program_has_made_can_be_spared_too() -> None:
    lines = "from app.infra.garbage import spare_what_is_there\nspare_what_is_there()\nprint(gc.get_freeze_count() > 1000)"
    assert printed(SPARED + lines) == "True\n"
    assert printed("import gc\n" + lines) == "False\n"
