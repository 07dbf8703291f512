"""A killed worker's folder goes when the next work begins; those in use stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from worker.scratch import scratch_folder

HOLDER = """
import sys, time
from worker.scratch import scratch_folder
with scratch_folder("held-") as folder:
    (folder / "weights").write_bytes(b"x")
    print(folder, flush=True)
    time.sleep(60)
"""


def make_old(folder: Path) -> None:
    os.utime(folder, (0, 0))


@pytest.mark.services
@pytest.mark.slow
def test_a_folder_stays_while_its_process_lives_and_goes_after_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path)}) as other:
        assert other.stdout is not None
        folder = Path(other.stdout.readline().strip())
        make_old(folder)
        with scratch_folder("held-"):
            assert (folder / "weights").is_file()
        other.send_signal(signal.SIGKILL)
    with scratch_folder("held-") as own:
        assert list(tmp_path.iterdir()) == [own]
    assert not list(tmp_path.iterdir())


def test_new_folders_and_those_of_other_names_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("held-new", "other-old", "held-link"):
        (tmp_path / name).mkdir() if name != "held-link" else (tmp_path / name).symlink_to(tmp_path / "other-old")
    make_old(tmp_path / "other-old")
    with scratch_folder("held-"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"held-new", "other-old", "held-link"}
