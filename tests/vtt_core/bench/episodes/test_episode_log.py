"""Results in the log are not computed again, even if its last line is incomplete."""

from __future__ import annotations

from pathlib import Path

import pytest

from vtt_core.bench.episodes.episode_log import EpisodeLine, EpisodeLog, decode_lines, open_log
from vtt_core.contract.errors import InputError

LINES = [EpisodeLine("k", "zero-shot", number, number / 10, 0.5, "cpu", {"absorption_stopped_at": None}) for number in range(3)]


def write(path: Path) -> bytes:
    with open_log(path) as log:
        for line in LINES:
            log.append(line)
    return path.read_bytes()


def test_lines_come_back_by_key_in_the_order_of_the_episodes(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "log"
    write(path)
    with open_log(path) as log:
        assert log.of("k", [2, 0, 9]) == [LINES[2], LINES[0]]
        assert log.of("other", range(3)) == []
        assert log.has("k", 1)
        assert not log.has("k", 3)


def test_an_incomplete_last_line_is_cut_off_before_the_next_is_written(tmp_path: Path) -> None:
    path = tmp_path / "log"
    content = write(path)
    path.write_bytes(content[:-7])
    with open_log(path) as log:
        assert not log.has("k", 2)
        log.append(LINES[2])
    assert path.read_bytes() == content


def test_an_episode_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    content = write(path)
    assert write(path) == content
    log = EpisodeLog(LINES)
    log.append(EpisodeLine("k", "zero-shot", 0, 0.9, 0.5, "cpu"))
    assert log.of("k", [0]) == [LINES[0]]


def test_invalid_lines_are_skipped() -> None:
    strange = b'no json\n[1]\n{"key": "k"}\n\xff\xfe\n'
    assert decode_lines(strange + LINES[0].encode()) == [LINES[0]]


def test_two_processes_do_not_append_to_one_log(tmp_path: Path) -> None:
    with open_log(tmp_path / "log"), pytest.raises(InputError, match="no other process"), open_log(tmp_path / "log"):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a folder to write to"), open_log(tmp_path / "file" / "log"):
        pass
