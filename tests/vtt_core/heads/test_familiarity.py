import torch

from tests.vtt_core.heads.test_heads import clusters, unit
from vtt_core.heads.familiarity import class_means, familiarity_of, fold_familiarity, learn_familiarity, leave_group_out_folds


def test_images_of_the_classes_are_familiar_and_noise_is_not() -> None:
    for shot in (1, 5):
        known, same, other = clusters(shot, 5, common=2.0), clusters(40, 5, common=2.0), unit(200, 40, seed=77)
        held = [
            value
            for fold in leave_group_out_folds(range(len(known.labels_S)))
            for value in fold_familiarity(known.features, known.labels_S, 5, fold)
        ]
        learnt = learn_familiarity(known.features, known.labels_S, 5, held)
        assert learnt is not None
        accepted = familiarity_of(same.features.levels_BF, learnt.means_CF) >= learnt.usual.threshold()
        assert accepted.double().mean() > 0.8
        assert (familiarity_of(other, learnt.means_CF) < learnt.usual.threshold()).double().mean() > 0.9


def test_a_smaller_share_of_false_rejects_lowers_the_threshold() -> None:
    known = clusters(4)
    learnt = learn_familiarity(known.features, known.labels_S, 3, [0.9, 0.8, 0.85, 0.95])
    assert learnt is not None
    assert learnt.usual.threshold(0.01) < learnt.usual.threshold(0.05) < learnt.usual.threshold(0.2) < 0.875


def test_the_false_rejects_are_as_stated_for_a_normal_sample() -> None:
    generator = torch.Generator().manual_seed(0)
    known, rejected = clusters(2), []
    for _ in range(2000):
        values = torch.randn(7, generator=generator).tolist()
        learnt = learn_familiarity(known.features, known.labels_S, 3, values[:6])
        assert learnt is not None
        rejected.append(values[6] < learnt.usual.threshold(0.1))
    assert abs(sum(rejected) / 2000 - 0.1) < 0.025


def test_too_few_images_give_no_threshold() -> None:
    known = clusters(1)
    assert learn_familiarity(known.features, known.labels_S, 3, [0.9, 0.8]) is None


def test_classes_of_one_image_share_a_mean() -> None:
    known = clusters(1)
    assert len(class_means(known.features.levels_BF, known.labels_S, 3)) == 1
    known = clusters(2)
    assert len(class_means(known.features.levels_BF, known.labels_S, 3)) == 3


def test_a_group_is_held_out_as_a_whole() -> None:
    folds = leave_group_out_folds(["a", "b", "a"])
    assert [(fold.train.tolist(), fold.held_out.tolist()) for fold in folds] == [([1], [0, 2]), ([0, 2], [1])]
    assert leave_group_out_folds(["a", "a"]) == []
