import os
import subprocess
import sys

import pytest

from app.cli.bench.process_memory import MemoryCurve, memory_json, process_name


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["/venv/bin/python", "-m", "app.cli.main", "api", "--fd", "4"], "api"),
        (["/venv/bin/python", "-m", "app.cli.api", "--fd", "4"], "api"),
        (["/venv/bin/python", "-m", "worker"], "worker"),
        (["/venv/bin/vtt", "up", "--port", "0"], "up"),
        (["/opt/bin/redis-server unixsocket:/data/redis.sock"], "redis-server"),
        (["/usr/bin/sleep", "5"], "sleep"),
        ([], "?"),
    ],
)
def test_processes_are_named_by_what_they_do(command: list[str], name: str) -> None:
    assert process_name(command) == name


@pytest.mark.services
def test_a_process_and_its_children_are_followed() -> None:
    command = [sys.executable, "-c", "print(flush=True); input()", "worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        curve = MemoryCurve(os.getpid(), "http://nowhere", {})
        curve.look(0.0)
        curve.look(1.0)
        child.communicate(b"\n")
    assert [seconds for seconds, _ in curve.samples] == [0.0, 1.0]
    assert curve.samples[0][1]["worker"] > 1


@pytest.mark.services
def test_a_process_that_has_ended_gives_no_sample() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    curve = MemoryCurve(child.pid, "http://nowhere", {})
    curve.look(0.0)
    assert memory_json(curve) == {"curve": [], "growth": {}}


def test_growth_is_the_slope_of_the_second_half() -> None:
    curve = MemoryCurve(None, "http://nowhere", {})
    curve.samples = [(60.0 * minute, {"api": 100.0 + min(minute, 30)}) for minute in range(61)]
    curve.samples.append((3700.0, {"api": 130.0, "worker": 5.0}))
    growth = curve.growth()
    assert growth["api"]["mb_an_hour"] == pytest.approx(0.0, abs=1e-6)
    assert (growth["api"]["first_mb"], growth["api"]["last_mb"], growth["api"]["highest_mb"]) == (100.0, 130.0, 130.0)
    assert growth["worker"]["mb_an_hour"] == 0.0
    assert memory_json(curve)["curve"][1] == [60.0, {"api": 101.0}]


def test_a_service_that_cannot_be_asked_gives_no_sample() -> None:
    curve = MemoryCurve(None, "http://127.0.0.1:1", {})
    curve.look(0.0)
    assert curve.samples == []
