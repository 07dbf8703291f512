from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.cli.bench.common import load_for_bench
from app.cli.bench.logged_run import LOG_FILE, open_run
from app.cli.bench.open_data import open_data
from app.cli.synthetic_images import write_folders
from vtt_core.bench.episodes.episode_log import EpisodeLine
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.bench.episodes.runner import Benchmark
from vtt_core.bench.episodes.sampling import Protocol
from vtt_core.contract.errors import InputError
from vtt_core.contract.method_spec import parse_specs


@pytest.fixture
def benchmark(tmp_path: Path) -> Iterator[Benchmark]:
    """Two methods on fifteen episodes."""
    write_folders(tmp_path / "drawn", num_images=2)
    specs = parse_specs("zero-shot,linear-probe", ("zero-shot", "linear-probe"))
    with open_data(str(tmp_path / "drawn"), None) as images:
        bank = ImageBank(images, load_for_bench("tests/fixtures/tiny_clip.json", "cpu"))
        yield Benchmark(bank, Protocol(way=2, shot=1, num_queries=1, num_episodes=15, seed=1), specs, 1, "cpu")


def lines(benchmark: Benchmark) -> list[EpisodeLine]:
    return [
        EpisodeLine(benchmark.key(spec), spec.text, number, 0.5, 1.25, "cpu")
        for number in range(15)
        for spec in benchmark.specs
    ]


def run(benchmark: Benchmark, folder: Path, due: Sequence[EpisodeLine]) -> None:
    with open_run(benchmark, folder) as (log, bar):
        for line in due:
            log.append(line)
            bar.show(line)


def test_what_is_done_is_said_and_the_bar_starts_behind_it(
    benchmark: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    every = lines(benchmark)
    run(benchmark, tmp_path, every[:24])
    first = capsys.readouterr().err.splitlines()
    assert first[0] == f"log: {tmp_path / LOG_FILE}, 0 of 30 done"
    assert first[-1] == "24/30  episode 11  linear-probe  50.0 %  1.2 s"
    assert 2 < len(first) < 24, "a few lines, not one for every episode"
    run(benchmark, tmp_path, every[24:])
    second = capsys.readouterr().err.splitlines()
    assert second[0] == f"log: {tmp_path / LOG_FILE}, 24 of 30 done"
    assert second[-1] == "30/30  episode 14  linear-probe  50.0 %  1.2 s"
    run(benchmark, tmp_path, [])
    assert capsys.readouterr().err.splitlines() == [f"log: {tmp_path / LOG_FILE}, 30 of 30 done"]


def test_a_message_does_not_count(benchmark: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_run(benchmark, tmp_path) as (_, bar):
        bar.say("[worker] is gone")
    assert capsys.readouterr().err.splitlines()[1:] == ["[worker] is gone"]


def test_two_runs_do_not_write_one_log(benchmark: Benchmark, tmp_path: Path) -> None:
    with open_run(benchmark, tmp_path), pytest.raises(InputError, match="no other process"), open_run(benchmark, tmp_path):
        pass
