import pytest
import torch

from vtt_core.adapter.answer import Answering
from vtt_core.adapter.files import Adapter
from vtt_core.contract.serving import AnswerOptions
from vtt_core.serving.served import ServedAdapter, make_served


def test_b_holds_the_scaling(adapter: Adapter) -> None:
    served = make_served(adapter, torch.device("cpu"), "float32")
    assert torch.equal(served.B_LPWR, adapter.lora.lora_B * adapter.lora.scaling)
    assert torch.equal(served.A_LPRW, adapter.lora.lora_A)
    assert served.answering.labels == tuple(adapter.manifest.labels)
    assert torch.equal(served.rows_OX, 100.0 * adapter.prototypes_CD)
    assert served.rank == adapter.lora.rank


@pytest.mark.parametrize(("precision", "bytes_per_number"), [("float32", 4), ("float16", 2)])
def test_its_size_is_that_of_its_tensors(adapter: Adapter, precision: str, bytes_per_number: int) -> None:
    served = make_served(adapter, torch.device("cpu"), precision)  # type: ignore[arg-type]
    num_matrices = adapter.lora.lora_A.numel() + adapter.lora.lora_B.numel()
    assert served.size_bytes == bytes_per_number * num_matrices + 4 * (
        adapter.prototypes_CD.numel() + len(adapter.prototypes_CD)
    )


def test_at_vit_b_16_half_precision_and_20_classes_take_less_than_3_mb() -> None:
    answering = Answering(("a",) * 20, has_negative=False, nonconformity=(), usual=None)
    A, B = torch.zeros(12, 3, 16, 768, dtype=torch.float16), torch.zeros(12, 3, 768, 16, dtype=torch.float16)
    assert ServedAdapter(A, B, torch.zeros(40, 5120), torch.zeros(40), 20, False, answering).size_bytes < 3e6


@pytest.mark.parametrize("score", [3e38, -3e38])
def test_scores_beyond_float32_give_no_warning(adapter: Adapter, score: float) -> None:
    served = make_served(adapter, torch.device("cpu"), "float32")
    served.rows_OX.fill_(score)  # warnings are errors
    served.answer(torch.ones(served.rows_OX.shape[1]), AnswerOptions())
