"""No hostile file fills the memory, and each has the expected outcome when read, uploaded and predicted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.infra.redis_server import PrivateRedis
from tests.hostile.corpus import CORPUS
from tests.hostile.table import Hostile

MAX_PEAK_MIB = 1024
RUN_SECONDS = 280

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lines(redis_server: PrivateRedis, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("hostile")
    command = [sys.executable, "-W", "error", "-m", "tests.hostile.run_corpus", redis_server.url, str(folder)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-8000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def outcomes(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {line["file"]: line for line in lines if "file" in line}


def test_the_whole_corpus_stays_below_1_gb_of_memory(lines: list[dict[str, Any]]) -> None:
    columns = "{:46} {:>10} {:52} {:>7} {:>9} {:>10} {:>9}\n"
    sys.stdout.write("\n" + columns.format("file", "bytes", "outcome", "read ms", "upload ms", "predict ms", "peak MiB"))
    for line in lines[:-1]:
        times = (line["read_ms"], line["uploaded_ms"], line.get("predicted_ms", "-"))
        sys.stdout.write(columns.format(line["file"], line["bytes"], line["read"], *times, line["peak_mib"]))
    sys.stdout.write(f"{len(CORPUS)} files, peak {lines[-1]['peak_mib']} MiB\n")
    assert lines[-1]["peak_mib"] < MAX_PEAK_MIB


def test_the_names_of_the_corpus_differ_and_are_at_least_60() -> None:
    assert len({hostile.name for hostile in CORPUS}) == len(CORPUS) >= 60


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.name)
def test_a_hostile_file_has_its_outcome_everywhere(hostile: Hostile, outcomes: dict[str, dict[str, Any]]) -> None:
    line = outcomes[hostile.name]
    ways = ("read", "uploaded", "predicted") if hostile.kind == "image" else ("read", "uploaded")
    assert {way: line[way] for way in ways} == dict.fromkeys(ways, hostile.outcome)
