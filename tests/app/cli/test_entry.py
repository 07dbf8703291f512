"""Ctrl-C while a command is still being imported."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = "import sys; from app.cli.entry import main; sys.argv = ['vtt', 'doctor']; sys.exit(main())"
"""As an installer writes it."""


def test_the_script_begins_where_ctrl_c_is_listened_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"vtt": "app.cli.entry:main"}


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.2, 0.4, 0.7])
def test_ctrl_c_in_the_first_second_leaves_one_line(tmp_path: Path, seconds: float) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        # Python says what it has imported, so that the time is counted from the first import of the commands.
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-c", SCRIPT],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 60
        while "\n" not in log.read_text().partition("app.cli.entry\n")[2]:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
    finally:
        process.kill()
    printed = [line for line in log.read_text().splitlines() if not line.startswith("import time:")]
    assert (code, printed[-1]) == (130, "stopped by Ctrl-C")
    assert not [line for line in printed if "Traceback" in line or "Error" in line]
