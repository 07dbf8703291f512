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


def write_module(folder: Path, generation: int) -> None:
    """Write a module whose import sets off a collection, as a large one does by itself."""
    (folder / "big.py").write_text(f"import gc\nkept = [[] for _ in range(1000)]\ngc.collect({generation})\n")


def test_what_is_imported_is_not_looked_at_again(tmp_path: Path) -> None:
    write_module(tmp_path, 2)
    lines = "import big\nprint(gc.get_freeze_count() > 1000, any(one is big.kept for one in gc.get_objects()))"
    assert printed(SPARED + lines, tmp_path) == "True False\n"
    assert printed("import gc\n" + lines, tmp_path) == "False True\n"


def test_young_objects_are_collected_in_an_import_too(tmp_path: Path) -> None:
    write_module(tmp_path, 1)
    assert printed(SPARED + "import big\nprint(gc.get_freeze_count())", tmp_path) == "0\n"


def test_a_collection_outside_of_an_import_collects() -> None:
    lines = (
        "import weakref\nclass Loop: pass\nloop = Loop()\nloop.me = loop\nseen = weakref.ref(loop)\ndel loop\ngc.collect()\n"
    )
    assert printed(SPARED + lines + "print(seen() is None, gc.get_freeze_count())") == "True 0\n"


def test_the_last_collection_of_a_process_skips_everything() -> None:
    lines = "import atexit\natexit._run_exitfuncs()\nprint(gc.get_freeze_count() > 1000)"
    assert printed(SPARED + lines) == "True\n"


def test_what_triton_would_take_for_leaks_is_collected_at_the_end() -> None:
    pytest.importorskip("triton")
    assert printed(SPARED + "import torch, triton") == ""  # nothing on stderr either


def test_the_collections_after_the_end_of_all_code_say_nothing() -> None:
    # When the interpreter ends, it collects with no code on the stack.
    assert printed("import atexit, gc\natexit.register = lambda _: None\n" + SPARED) == ""
