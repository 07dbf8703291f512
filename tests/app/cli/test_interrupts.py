"""Ctrl-C in the middle of real commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from app.cli import interrupts
from app.cli.interrupts import end_on, exit_code_of_signal, held_back
from app.cli.synthetic_images import write_folders
from tests.fixtures.waiting import wait_until


@pytest.fixture
def listening() -> Iterator[None]:
    """Listen for a signal that nothing else sends, and forget it afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGALRM)}
    end_on(signal.SIGUSR1)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)
    interrupts._Signals.came = None


def send_it() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.01)


@pytest.mark.usefixtures("listening")
def test_what_is_being_written_is_finished_first(tmp_path: Path) -> None:
    def write() -> None:
        with held_back():
            send_it()
            (tmp_path / "whole").write_text("whole")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert (tmp_path / "whole").read_text() == "whole"


@pytest.mark.usefixtures("listening")
def test_what_is_being_imported_is_imported_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["import os, signal, time", f"os.kill(os.getpid(), {int(signal.SIGUSR1)})", "time.sleep(0.2)", "is_whole = True"]
    (tmp_path / "slow_to_import.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)

    def import_and_work() -> None:
        import_module("slow_to_import")
        time.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        import_and_work()
    assert sys.modules.pop("slow_to_import").is_whole


@pytest.mark.usefixtures("listening")
def test_a_second_signal_after_an_import_is_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sends_one.py").write_text(f"import os\nos.kill(os.getpid(), {int(signal.SIGUSR1)})")
    monkeypatch.syspath_prepend(tmp_path)

    def import_then_send() -> None:
        import_module("sends_one")
        send_it()

    with pytest.raises(KeyboardInterrupt):
        import_then_send()
    assert sys.modules.pop("sends_one"), "the import itself must not be ended"
    time.sleep(0.2)  # a look that was still to come would raise here


@pytest.mark.usefixtures("listening")
def test_a_signal_gives_one_line_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of_signal() is None
    with pytest.raises(KeyboardInterrupt):
        send_it()
    assert exit_code_of_signal() == 128 + signal.SIGUSR1
    assert capsys.readouterr().err == "stopped by SIGUSR1\n"


def interrupted(command: list[str], is_time: Callable[[int, str], bool], log: Path) -> tuple[int, list[str]]:
    """Run a command, send SIGINT when it is time, and return its exit code and what it printed."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", *command], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as process,
    ):
        try:
            wait_until(lambda: process.poll() is not None or is_time(process.pid, log.read_text()), explain=log.read_text)
            assert process.poll() is None, log.read_text()
            process.send_signal(signal.SIGINT)
            process.wait(60)
        finally:
            process.kill()
    return process.returncode, log.read_text().splitlines()


def is_loading_torch(pid: int, printed: str) -> bool:
    return "libtorch" in Path(f"/proc/{pid}/maps").read_text()


def is_training(pid: int, printed: str) -> bool:
    return "step" in printed


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs the /proc of Linux")
@pytest.mark.parametrize("is_time", [is_loading_torch, is_training])
def test_an_interrupted_fine_tuning_leaves_one_line_and_no_file(tmp_path: Path, is_time: Callable[[int, str], bool]) -> None:
    write_folders(tmp_path / "drawn", num_images=2)
    command = ["adapt", str(tmp_path / "drawn"), "--shot", "1", "--query", "1", "--method", "clip-lora+vtt"]
    command += ["--iterations", "200", "--out", str(tmp_path / "adapter")]
    code, lines = interrupted(command, is_time, tmp_path / "log")
    assert code == 130
    assert lines[-1] == "stopped by Ctrl-C"
    assert [line for line in lines[:-1] if " step " not in line] == []
    assert not (tmp_path / "adapter").exists()
