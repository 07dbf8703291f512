"""Episodes have the right size, can be repeated, and keep groups apart."""

from __future__ import annotations

import pytest
import torch

from vtt_core.bench.episodes.sampling import Protocol, draw_episodes, in_parts
from vtt_core.contract.errors import SupportSetError

CLASSES = [0] * 30 + [1] * 25 + [2] * 22 + [3] * 8 + [4] * 40
PROTOCOL = Protocol(way=3, shot=5, num_queries=15, num_episodes=20)


def test_an_episode_holds_shot_and_queries_of_each_class_with_its_own_labels() -> None:
    for episode in draw_episodes(CLASSES, PROTOCOL):
        assert torch.bincount(episode.support_labels_S).tolist() == [5, 5, 5]
        assert torch.bincount(episode.query_labels_Q).tolist() == [15, 15, 15]
        drawn = torch.cat((episode.support_S, episode.query_Q))
        labels = torch.cat((episode.support_labels_S, episode.query_labels_Q))
        assert len(torch.unique(drawn)) == 60
        assert [CLASSES[index] for index in drawn.tolist()] == [episode.classes[label] for label in labels.tolist()]


def test_classes_with_too_few_images_are_never_drawn() -> None:
    drawn = {index for episode in draw_episodes(CLASSES, PROTOCOL) for index in episode.classes}
    assert drawn == {0, 1, 2, 4}


def test_the_seed_decides_and_a_longer_run_begins_with_the_same_episodes() -> None:
    def queries(protocol: Protocol) -> list[list[int]]:
        return [episode.query_Q.tolist() for episode in draw_episodes(CLASSES, protocol)]

    short = queries(Protocol(3, 5, 15, num_episodes=4))
    assert queries(PROTOCOL)[:4] == short
    assert queries(Protocol(3, 5, 15, num_episodes=4, seed=1)) != short


def test_no_group_is_on_both_sides() -> None:
    groups = [f"patient {index // 3}" for index in range(len(CLASSES))]
    for episode in draw_episodes(CLASSES, Protocol(3, 2, 10, num_episodes=20), groups):
        supporters = {groups[index] for index in episode.support_S.tolist()}
        assert not supporters & {groups[index] for index in episode.query_Q.tolist()}


def test_too_few_classes_are_refused() -> None:
    with pytest.raises(SupportSetError, match="5 classes of at least 20"):
        next(draw_episodes(CLASSES, Protocol()))


def test_groups_that_cannot_be_parted_are_refused() -> None:
    with pytest.raises(SupportSetError, match="groups"):
        next(draw_episodes(CLASSES, PROTOCOL, ["one patient"] * len(CLASSES)))


def test_parts_are_full_but_for_the_last() -> None:
    assert list(in_parts(iter(range(5)), 2)) == [[0, 1], [2, 3], [4]]
    assert list(in_parts([], 2)) == []
