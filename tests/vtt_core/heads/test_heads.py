import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vtt_core.heads.bases import BASES, Labelled
from vtt_core.heads.features import ImageFeatures
from vtt_core.heads.folds import make_folds
from vtt_core.heads.held_out import held_out_scores
from vtt_core.heads.prediction_sets import largest_coverage, prediction_set, threshold_for
from vtt_core.heads.ridge import fit_ridge, one_hot
from vtt_core.heads.scales import GATE, USUAL_SCALES, Evidence, fit_scales, log_likelihood


def unit(*shape: int, seed: int) -> torch.Tensor:
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(drawn, dim=-1)


def clusters(shot: int, num_classes: int = 3, spread: float = 0.3, seed: int = 0, common: float = 0.0) -> Labelled:
    """Images around a random centre of each class, in 5 level vectors of width 8 and a joint space of 6.

    `common` is what all classes share.
    """
    labels_S = torch.arange(num_classes).repeat_interleave(shot)
    centres = unit(num_classes, 5, 8, seed=seed) + common * unit(1, 5, 8, seed=99)
    noise = unit(len(labels_S), 5, 8, seed=seed + 1)
    levels = torch.nn.functional.normalize(centres[labels_S] + spread * noise, dim=-1)
    joint_SD = unit(len(labels_S), 6, seed=seed + 2)
    features = ImageFeatures(levels.flatten(1) / 5**0.5, joint_SD, levels[:, 1])
    return Labelled(features, labels_S, unit(num_classes, 6, seed=seed + 3))


@pytest.mark.parametrize("base", [base for base in BASES if "text" not in base])
@pytest.mark.parametrize("shot", [1, 4])
def test_every_base_that_reads_the_levels_learns_separated_classes(base: str, shot: int) -> None:
    known, unseen = clusters(shot), clusters(10)
    head = BASES[base](known, 0.1)
    assert torch.equal(head.scores(unseen.features.flat()).argmax(dim=-1), unseen.labels_S)


def test_ridge_towards_the_text_prior_gains_from_prompts_that_know_the_classes() -> None:
    known, unseen = clusters(1, spread=4.0), clusters(40, spread=4.0)

    def accuracy(base: str, knows: bool) -> float:
        def told(labelled: Labelled) -> Labelled:
            joint_SD = torch.nn.functional.normalize(
                labelled.prototypes_CD[labelled.labels_S] + labelled.features.joint_BD, dim=-1
            )
            features = ImageFeatures(labelled.features.levels_BF, joint_SD, labelled.features.pooled_BW)
            return Labelled(features, labelled.labels_S, labelled.prototypes_CD) if knows else labelled

        said = BASES[base](told(known), 0.1).scores(told(unseen).features.flat()).argmax(dim=-1)
        return float((said == unseen.labels_S).double().mean())

    assert accuracy("ridge-text", knows=True) > accuracy("ridge", knows=True) + 0.05


def test_text_reads_the_class_prompts_alone() -> None:
    known = clusters(2)
    scores = BASES["text"](known, 0.1).scores(known.features.flat())
    torch.testing.assert_close(scores, 100 * known.features.joint_BD @ known.prototypes_CD.mT)


def test_ridge_is_the_solution_of_its_normal_equations() -> None:
    features, labels = unit(9, 20, seed=1), torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2])
    fit = fit_ridge(features, features @ features.mT, one_hot(labels, 3), labels, 0.3)
    weights = torch.tensor([3 / 5] * 5 + [1.0] * 3 + [3.0], dtype=torch.float64)[:, None]
    residual = weights * (fit.scores(features) - one_hot(labels, 3))
    torch.testing.assert_close(residual.mT @ features + 0.3 * fit.weight_CF, torch.zeros(3, 20, dtype=torch.float64))
    torch.testing.assert_close(residual.sum(dim=0), torch.zeros(3, dtype=torch.float64))


def test_gda_gives_the_log_likelihood_ratios_of_its_gaussians() -> None:
    known = clusters(4)
    levels, labels = known.features.levels_BF, known.labels_S
    means = torch.stack([levels[labels == label].mean(dim=0) for label in range(3)])
    within, middle = levels - means[labels], means.mean(dim=0)
    shrinkage = 0.1 * float((levels - middle).square().sum(dim=1).mean())
    inverse = torch.linalg.inv(within.mT @ within / 12 + shrinkage * torch.eye(40, dtype=torch.float64))
    query = unit(7, 40, seed=9)
    away = query[:, None] - means
    expected = -0.5 * torch.einsum("qcf,fg,qcg->qc", away, inverse, away)
    phi = torch.cat((query, torch.zeros(7, 6, dtype=torch.float64)), dim=1)
    scores = BASES["gda"](known, 0.1).scores(phi)
    torch.testing.assert_close(scores - scores[:, :1], expected - expected[:, :1])


def test_a_class_with_fewer_images_is_at_no_disadvantage() -> None:
    labels = torch.tensor([0] * 9 + [1])
    features = torch.cat((unit(10, 30, seed=2), torch.eye(10, dtype=torch.float64)), dim=1)
    fit = fit_ridge(features, features @ features.mT, one_hot(labels, 2), labels, 1e6)
    torch.testing.assert_close(fit.bias_C, torch.tensor([0.5, 0.5], dtype=torch.float64), atol=1e-4, rtol=0)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), min_size=2, max_size=30),
    st.integers(2, 5),
    st.integers(0, 5),
)
def test_folds_hold_each_image_out_at_most_once_and_never_with_its_group_or_its_whole_class(
    images: list[tuple[int, int]], num_folds: int, seed: int
) -> None:
    labels, groups = [label for label, _ in images], [group for _, group in images]
    folds = make_folds(labels, groups, num_folds, seed)
    held = [index for fold in folds for index in fold.held_out.tolist()]
    assert len(held) == len(set(held))
    for fold in folds:
        train, out = fold.train.tolist(), fold.held_out.tolist()
        assert sorted(train + out) == list(range(len(labels)))
        twins = {groups[index] for index in out} & {groups[index] for index in train}
        # The exception: of a group, images of a class that has no other group stay to be learnt from.
        assert all(
            {labels[index] for index in train if groups[index] == group}.isdisjoint({labels[i] for i in out}) for group in twins
        )
        assert {labels[index] for index in out} <= {labels[index] for index in train}


def test_folds_of_single_images_are_stratified() -> None:
    labels = [label for label in range(4) for _ in range(5)]
    folds = make_folds(labels, range(20), 5, seed=3)
    assert [sorted(labels[index] for index in fold.held_out.tolist()) for fold in folds] == [[0, 1, 2, 3]] * 5


def test_products_of_images_are_taken_along() -> None:
    features = clusters(3).features
    indices = torch.tensor([4, 0, 7])
    fresh = features.take(indices)
    assert "levels_gram_BB" not in fresh.__dict__
    _ = features.levels_gram_BB, features.pooled_gram_BB
    taken = features.take(indices)
    assert {"levels_gram_BB", "pooled_gram_BB"} <= taken.__dict__.keys()
    torch.testing.assert_close(taken.levels_gram_BB, fresh.levels_gram_BB)
    torch.testing.assert_close(taken.pooled_gram_BB, fresh.pooled_gram_BB)


def test_one_image_a_class_leaves_nothing_to_hold_out() -> None:
    assert make_folds([0, 1, 2], range(3), 5, seed=0) == []


def test_held_out_scores_are_those_of_a_classifier_without_the_image() -> None:
    known = clusters(3)
    folds = make_folds(known.labels_S.tolist(), range(9), 3, seed=0)
    scores = held_out_scores(["centroid"], known, [folds], lambda fold: known)
    fold = folds[1]
    head = BASES["centroid"](known.take(fold.train), 0.1)
    expected = head.scores(known.features.take(fold.held_out).flat())
    torch.testing.assert_close(scores.scores_ANC[0, fold.held_out], expected)


@pytest.mark.slow
def test_labels_that_mean_nothing_are_held_out_at_chance() -> None:
    right = []
    for seed in range(40):
        known = clusters(4, spread=50.0, seed=10 * seed)
        rounds = [make_folds(known.labels_S.tolist(), range(12), 4, number) for number in range(3)]
        held = held_out_scores(["ridge"], known, rounds, lambda fold: known)  # noqa: B023
        right += (held.scores_ANC[0].argmax(dim=-1) == held.labels_N).tolist()
    assert abs(sum(right) / len(right) - 1 / 3) < 0.07


def test_a_scale_makes_probabilities_as_sure_as_they_are_right() -> None:
    generator = torch.Generator().manual_seed(0)
    labels_N = torch.randint(4, (4000,), generator=generator)
    logits_NC = 2 * torch.randn(4000, 4, generator=generator, dtype=torch.float64)
    labels_N = torch.distributions.Categorical(logits=logits_NC).sample()
    [scale] = fit_scales([Evidence("ridge", logits_NC / 3, labels_N)])
    assert scale == pytest.approx(3, rel=0.1)


def test_a_further_base_is_used_only_if_it_explains_clearly_more() -> None:
    known = clusters(4)
    useful, noise = one_hot(known.labels_S, 3), unit(12, 3, seed=5)
    first = Evidence("ridge", 0.2 * useful + 0.5 * unit(12, 3, seed=6), known.labels_S)
    assert fit_scales([first, Evidence("text", noise, known.labels_S)])[1] == 0
    scales = fit_scales([first, Evidence("text", 10 * useful, known.labels_S)])
    assert scales[1] > 0
    both = scales[0] * first.scores_NC + scales[1] * 10 * useful
    alone = fit_scales([first])[0] * first.scores_NC
    assert log_likelihood(both, known.labels_S) > log_likelihood(alone, known.labels_S) + GATE


def test_without_images_the_usual_scale_stands() -> None:
    empty = Evidence("ridge", torch.zeros(0, 3, dtype=torch.float64), torch.zeros(0, dtype=torch.long))
    assert fit_scales([empty])[0] == pytest.approx(USUAL_SCALES["ridge"], rel=1e-4)


def test_prediction_sets_keep_their_promise_where_held_out_images_are_like_new_ones() -> None:
    generator = torch.Generator().manual_seed(1)
    covered = []
    for _ in range(300):
        scores = torch.rand(26, generator=generator, dtype=torch.float64).tolist()
        threshold = threshold_for(sorted(scores[:25]), 0.9)
        assert threshold is not None
        covered.append(scores[25] <= threshold)
    assert 0.85 < sum(covered) / 300 < 0.97


def test_too_few_held_out_images_promise_nothing() -> None:
    assert threshold_for([0.1, 0.2, 0.3], 0.9) is None
    assert threshold_for([0.1, 0.2, 0.3], largest_coverage(3)) == 0.3
    assert threshold_for([], 0.5) is None


def test_a_prediction_set_is_never_empty() -> None:
    assert prediction_set([0.2, 0.5, 0.3], threshold=0.0) == [1]
    assert prediction_set([0.2, 0.5, 0.3], threshold=0.75) == [1, 2]
