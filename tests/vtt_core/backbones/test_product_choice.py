import pytest
import torch

from vtt_core.backbones import product_choice
from vtt_core.backbones.product_choice import choose_products

CPU = torch.device("cpu")


@pytest.fixture
def instructions(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str | None:
    named: str | None = request.param
    monkeypatch.setattr(product_choice, "bfloat16_instructions", lambda: named)
    return named


@pytest.mark.parametrize("instructions", ["AMX", "AVX-512"], indirect=True)
def test_a_processor_that_multiplies_bfloat16_does(instructions: str) -> None:
    chosen = choose_products("fastest", CPU)
    assert (chosen.dtype, chosen.name) == (torch.bfloat16, "bfloat16")
    assert instructions in chosen.reason


@pytest.mark.parametrize("instructions", ["AMX", None], indirect=True)
def test_all_else_stays_as_the_weights_are(instructions: str | None) -> None:
    exact = [choose_products("float32", CPU), choose_products("fastest", CPU, torch.float64)]
    exact.append(choose_products("fastest", torch.device("cuda")))
    if instructions is None:
        exact.append(choose_products("fastest", CPU))
    assert [(one.dtype, one.name) for one in exact] == [(None, "float32")] * len(exact)
    assert len({one.reason for one in exact}) >= 2


def test_torch_is_asked() -> None:
    found = product_choice.bfloat16_instructions()
    has_any = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    assert (found is not None) == has_any
