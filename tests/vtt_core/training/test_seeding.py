import time
from concurrent.futures import ThreadPoolExecutor

import torch

from vtt_core.training.seeding import derived_seed, make_generator, seeded


def test_every_argument_changes_the_derived_seed() -> None:
    seeds = [derived_seed(0, "dropout"), derived_seed(1, "dropout"), derived_seed(0, "order"), derived_seed(0, "dropout", 1)]
    assert len(set(seeds)) == 4
    assert derived_seed(0, "dropout", 0) == seeds[0]


def test_derived_seeds_fit_what_torch_takes() -> None:
    seeds = [derived_seed(seed, "dropout", index) for seed in (0, 2**63 - 1) for index in range(200)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**60


def test_a_derived_seed_is_the_same_on_every_machine() -> None:
    # First 8 bytes of SHA-256("0/dropout/7"), halved: adapters depend on it.
    assert derived_seed(0, "dropout", 7) == 0xEACB555D027000CA >> 1


def test_a_generator_does_not_depend_on_what_was_drawn_elsewhere() -> None:
    first = torch.rand(4, generator=make_generator(3, "order", 2))
    torch.rand(100)
    make_generator(3, "order", 1)
    assert torch.equal(torch.rand(4, generator=make_generator(3, "order", 2)), first)


class TestSeeded:
    def test_inside_it_the_global_generator_starts_from_the_stream(self) -> None:
        with seeded(0, "lora"):
            first = torch.rand(3)
        torch.rand(5)
        with seeded(0, "lora"):
            assert torch.equal(torch.rand(3), first)

    def test_streams_differ(self) -> None:
        with seeded(0, "lora"):
            first = torch.rand(3)
        with seeded(0, "fusion"):
            assert not torch.equal(torch.rand(3), first)

    def test_outside_it_the_global_generator_goes_on_as_before(self) -> None:
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        with seeded(0, "lora"):
            torch.rand(10)
        assert torch.equal(torch.rand(3), expected)

    def test_threads_do_not_draw_from_each_others_streams(self) -> None:
        def draw(_: int) -> list[float]:
            with seeded(0, "lora"):
                drawn = []
                for _ in range(5):
                    time.sleep(0.001)
                    drawn.append(torch.rand(1).item())
                return drawn

        with ThreadPoolExecutor(4) as pool:
            of_each = list(pool.map(draw, range(8)))
        assert of_each == [of_each[0]] * 8
