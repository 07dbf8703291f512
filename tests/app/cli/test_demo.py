import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from app.cli.demo import running_service, write_results
from app.cli.selection import LabelledImage, Selection
from app.domain.errors import ServiceNotUpError
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet

IMAGE = SupportImage(name="a/0.png", content=b"")


def test_the_accuracy_is_printed_with_its_interval_beside_chance(capsys: pytest.CaptureFixture[str]) -> None:
    support_set = SupportSet((SupportClass("a", (IMAGE,)), SupportClass("b", (IMAGE,))))
    query_images = tuple(LabelledImage(label, IMAGE) for label in ("a", "a", "b", "b"))
    predictions = [{"a": 0.9, "b": 0.1}, {"a": 0.6, "b": 0.4}, {"b": 0.7, "a": 0.3}, {"a": 0.5001, "b": 0.4999}]
    assert write_results(Selection(support_set, query_images, ()), predictions) == 0.75
    output = capsys.readouterr().out
    assert "accuracy 75.0 % ± 32.7 (95 %) on 4 images; chance is 50.0 %" in " ".join(output.split())


@pytest.mark.parametrize("label", ["[red]", "[/]", "a [b] c", "[/red]"])
def test_brackets_in_a_label_are_printed_as_they_are(capsys: pytest.CaptureFixture[str], label: str) -> None:
    support_set = SupportSet((SupportClass(label, (IMAGE,)), SupportClass("b", (IMAGE,))))
    write_results(Selection(support_set, (LabelledImage(label, IMAGE),), ()), [{label: 0.9, "b": 0.1}])
    assert capsys.readouterr().out.count(label) == 3


@pytest.mark.slow
@pytest.mark.services
def test_a_service_that_cannot_start_is_told_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_DEVICE", "cpu")
    monkeypatch.setenv("VTT_REAPER_SECONDS", "often")
    with pytest.raises(ServiceNotUpError, match="VTT_REAPER_SECONDS"):
        with running_service(tmp_path):
            raise AssertionError("it must not come up")


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_stops_what_it_started(number: int) -> None:
    command = [sys.executable, "-m", "app.cli.main", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as demo:
        try:
            deadline = time.monotonic() + 60
            while len(started := psutil.Process(demo.pid).children(recursive=True)) < 4 and time.monotonic() < deadline:
                time.sleep(0.1)
            assert len(started) == 4, "vtt up, redis, api and worker"
            os.kill(demo.pid, number)
            printed, _ = demo.communicate(timeout=90)
        finally:
            demo.kill()
    assert demo.returncode == 128 + number
    assert printed.decode().splitlines()[-1] == f"stopped by {'Ctrl-C' if number == signal.SIGINT else 'SIGTERM'}"
    assert b"Traceback" not in printed
    assert [process for process in started if process.is_running()] == []
