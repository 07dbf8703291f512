import math

import torch
from torch import Tensor

from vtt_core.fusion.scan import selective_scan


def arguments(num_batch: int = 2, num_steps: int = 5, width: int = 3, state_size: int = 4) -> tuple[Tensor, ...]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64)

    return (
        draw(num_batch, num_steps, width),
        torch.rand(num_batch, num_steps, width, dtype=torch.float64) + 0.01,
        -torch.exp(draw(width, state_size)),
        draw(num_batch, num_steps, state_size),
        draw(num_batch, num_steps, state_size),
        draw(width),
    )


def scan_number_by_number(u: Tensor, step: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    y = torch.zeros_like(u)
    for b in range(u.shape[0]):
        for d in range(u.shape[2]):
            state = [0.0] * A.shape[1]
            for s in range(u.shape[1]):
                entering, length = u[b, s, d].item(), step[b, s, d].item()
                total = D[d].item() * entering
                for n in range(A.shape[1]):
                    state[n] = math.exp(length * A[d, n].item()) * state[n] + length * B[b, s, n].item() * entering
                    total += C[b, s, n].item() * state[n]
                y[b, s, d] = total
    return y


def test_the_scan_equals_a_loop_over_single_numbers() -> None:
    values = arguments()
    torch.testing.assert_close(selective_scan(*values), scan_number_by_number(*values), rtol=1e-12, atol=1e-12)


def test_gradients_equal_finite_differences() -> None:
    values = [value.requires_grad_() for value in arguments(num_batch=1, num_steps=3, width=2, state_size=2)]
    assert torch.autograd.gradcheck(selective_scan, values)


def test_a_step_sees_nothing_that_comes_after_it() -> None:
    u_BSD, *others = arguments()
    changed_BSD = u_BSD.clone()
    changed_BSD[:, 3:] += 1
    before, after = selective_scan(u_BSD, *others), selective_scan(changed_BSD, *others)
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.equal(before[:, 3], after[:, 3])


def test_sequences_of_a_batch_do_not_touch() -> None:
    u, step, A, B, C, D = arguments()
    alone = selective_scan(u[:1], step[:1], A, B[:1], C[:1], D)
    torch.testing.assert_close(selective_scan(u, step, A, B, C, D)[:1], alone, rtol=1e-14, atol=1e-14)
