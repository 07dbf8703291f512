import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from app.cli.children import FIRST_PAUSE_SECONDS, HEALTHY_SECONDS, Child, describe_exit, stop_all
from tests.fixtures.waiting import has_ended, wait_until

pytestmark = pytest.mark.services

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = "import pathlib, signal, sys, time; signal.signal(15, signal.SIG_IGN); pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"


def start_deaf(folder: Path) -> Child:
    """Return a child that has begun to ignore requests to end."""
    sign = folder / "deaf"
    deaf = Child("deaf", [sys.executable, "-c", DEAF, str(sign)], os.environ)
    deaf.start(time.monotonic())
    wait_until(sign.exists)
    return deaf


def test_a_child_that_dies_starts_again_after_its_pause() -> None:
    child = Child("worker", SLEEPER, os.environ)
    child.start(now=0.0)
    first_pid = child.pid
    assert child.revive(now=1.0) is None
    child.kill()
    assert "SIGKILL" in (child.revive(now=1.0) or "")
    assert child.revive(now=1.0 + FIRST_PAUSE_SECONDS / 2) is None
    assert child.revive(now=1.0 + FIRST_PAUSE_SECONDS) == "worker started again"
    assert child.pid != first_pid
    child.kill()


def test_pauses_grow_until_a_child_stays_alive() -> None:
    child = Child("worker", [sys.executable, "-c", "pass"], os.environ)
    messages, now = [], 0.0
    child.start(now)
    for lived_seconds in (1.0, 1.0, HEALTHY_SECONDS):
        assert child.wait(20)
        now += lived_seconds
        messages.append(child.revive(now))
        now += 100
        child.revive(now)
    assert [str(message).rsplit(" in ", 1)[1] for message in messages] == ["0.5 s", "1 s", "0.5 s"]
    child.wait(20)


@pytest.mark.slow
def test_stopping_asks_first_and_names_who_had_to_be_killed(tmp_path: Path) -> None:
    deaf, polite = start_deaf(tmp_path), Child("polite", SLEEPER, os.environ)
    polite.start(time.monotonic())
    assert stop_all((deaf, polite), grace_seconds=60.0, is_impatient=lambda: polite.exit_code is not None) == ["deaf"]
    assert polite.exit_code == -signal.SIGTERM
    assert deaf.exit_code == -signal.SIGKILL


@pytest.mark.slow
def test_the_grace_period_ends(tmp_path: Path) -> None:
    assert stop_all((start_deaf(tmp_path),), grace_seconds=0.5) == ["deaf"]


@pytest.mark.slow
def test_an_impatient_stop_does_not_wait(tmp_path: Path) -> None:
    deaf = start_deaf(tmp_path)
    started = time.monotonic()
    assert stop_all((deaf,), grace_seconds=60.0, is_impatient=lambda: True) == ["deaf"]
    assert time.monotonic() - started < 10


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")
def test_children_end_when_the_parent_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "import os, sys, time, pathlib; from app.cli.children import Child; "
        f"c = Child('c', {SLEEPER!r}, os.environ); c.start(0.0); "
        f"pathlib.Path({str(pid_file)!r}).write_text(str(c.pid)); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: pid_file.exists() and bool(pid_file.read_text()))
    child_pid = int(pid_file.read_text())
    assert psutil.pid_exists(child_pid)
    parent.kill()
    parent.wait()
    wait_until(lambda: has_ended(child_pid))


def test_exits_are_described_in_words() -> None:
    assert describe_exit(-9) == "signal SIGKILL"
    assert describe_exit(3) == "exit code 3"


def test_a_child_can_let_others_go_first() -> None:
    child = Child("worker", SLEEPER, os.environ, niceness=5)
    child.start(now=0.0)
    assert child.pid is not None
    assert psutil.Process(child.pid).nice() == min(19, os.nice(0) + 5)
    group = Path(f"/proc/{child.pid}/autogroup")
    if group.exists() and os.getuid() == 0:
        assert group.read_text(encoding="ascii").strip().endswith("nice 5")
    child.kill()
