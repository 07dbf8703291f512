import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from vtt_core.heads.duplicates import copies, joined_groups, near_duplicates


def _apart(count: int, size: int = 64) -> Tensor:
    """Return unit vectors that are about at right angles."""
    return functional.normalize(
        torch.randn(count, size, generator=torch.Generator().manual_seed(3), dtype=torch.float64), dim=1
    )


def _near(levels_F: Tensor, by: float, seed: int = 0) -> Tensor:
    noise_F = torch.randn(len(levels_F), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return functional.normalize(levels_F + by * functional.normalize(noise_F, dim=0), dim=0)


def test_a_copy_is_found_and_images_that_differ_are_not() -> None:
    levels_SF = _apart(6)

    assert near_duplicates(levels_SF) == []
    assert near_duplicates(torch.cat((levels_SF, _near(levels_SF[2], 0.1)[None]))) == [(2, 6)]


def test_of_three_copies_every_pair_is_returned() -> None:
    levels_SF = _apart(5)
    copies = [_near(levels_SF[1], 0.05, seed) for seed in (1, 2)]

    assert near_duplicates(torch.cat((levels_SF, torch.stack(copies)))) == [(1, 5), (1, 6), (5, 6)]


def test_a_class_whose_images_are_all_equally_alike_has_no_copies() -> None:
    water = torch.stack([_near(_apart(1)[0], 0.1, seed) for seed in range(10)])

    assert near_duplicates(torch.cat((water, _apart(8)[1:]))) == []


def test_a_copy_is_found_among_images_of_a_class_that_are_alike() -> None:
    water = torch.stack([_near(_apart(1)[0], 0.15, seed) for seed in range(10)])

    assert near_duplicates(torch.cat((water, _near(water[4], 0.01)[None]))) == [(4, 10)]


def test_a_pair_by_features_alone_is_no_copy_if_its_parts_differ() -> None:
    levels_SF = _apart(6)
    both_SF = torch.cat((levels_SF, _near(levels_SF[2], 0.1)[None]))
    alike_SS = torch.ones(7, 7, dtype=torch.float64)
    assert copies(both_SF, alike_SS * 0.9) == [(2, 6)]
    assert copies(both_SF, alike_SS * 0.5) == []


def test_fewer_than_three_images_say_nothing_about_copies() -> None:
    one = _apart(1)

    assert near_duplicates(one) == []
    assert near_duplicates(torch.cat((one, one))) == []


def test_images_are_joined_by_groups_and_by_copies_one_after_the_other() -> None:
    assert joined_groups(["a", None, "a", None, "b", None], [(1, 2), (3, 4)]) == [0, 0, 0, 1, 1, 2]
    assert joined_groups([None, None, None], []) == [0, 1, 2]


@given(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=12), st.data())
def test_groups_and_pairs_are_never_split(groups: list[str | None], data: st.DataObject) -> None:
    index = st.integers(0, len(groups) - 1)
    pairs = data.draw(st.lists(st.tuples(index, index), max_size=6))

    numbers = joined_groups(groups, pairs)

    assert all(numbers[first] == numbers[second] for first, second in pairs)
    of_group = {
        group: {number for number, one in zip(numbers, groups, strict=True) if one == group} for group in groups if group
    }
    assert all(len(found) == 1 for found in of_group.values())
    assert len(set(numbers)) >= len(groups) - len(pairs) - sum(groups.count(group) - 1 for group in of_group)
