"""Untrusted adapters and checkpoints: safetensors headers, tensors and scalars are read or refused."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from tests.hostile.mutations import FUZZ, bounded_memory, mutated
from vtt_core.adapter.files import MANIFEST_FILE, TENSORS_FILE, adapter_from_files
from vtt_core.backbones.backbone import hash_weights
from vtt_core.contract.errors import AdapterFormatError, CheckpointMismatchError
from vtt_core.contract.manifest import FORMAT_VERSION, HeadFacts
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.training.checkpoint import HASH_TENSOR, STATE_TENSOR, read_checkpoint

DTYPES = ["F32", "F16", "BF16", "F64", "I64", "I32", "U8", "U16", "U64", "BOOL", "F8_E4M3", "F8_E8M0", "F4", "C64", "NONSENSE"]
RANK, WIDTH = 2, 4
LORA = {
    f"vision.layers.0.{projection}.{half}": torch.ones(RANK, WIDTH) if half == "lora_A" else torch.ones(WIDTH, RANK)
    for projection in ("q_proj", "k_proj", "v_proj")
    for half in ("lora_A", "lora_B")
}
HEAD = {
    "head.weight": torch.ones(2, 6 * WIDTH + WIDTH),
    "head.bias": torch.ones(2),
    "head.class_means": torch.ones(2, 6 * WIDTH),
    "strangers.weight": torch.ones(1, 6 * WIDTH),
    "strangers.bias": torch.ones(1),
}
FACTS = HeadFacts("sum", {"ridge": 5.0, "text": 0.0}, (0.1, 0.7), {"mean": 0.8, "deviation": 0.05, "num_values": 25})
TENSORS = save({**LORA, **HEAD, "prototypes": torch.ones(2, WIDTH)})


def with_header(header: object, body: bytes = bytes(64)) -> bytes:
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + body


def read(tensors: bytes) -> None:
    """Read an adapter with these tensors and a manifest with their hash."""
    manifest = {
        "format_version": FORMAT_VERSION,
        "backbone_id": "mini",
        "backbone_sha256": "ab" * 32,
        "tensors_sha256": hashlib.sha256(tensors).hexdigest(),
        "labels": ["a", "b"],
        "prompts": ["a", "b"],
        "preprocessing": {
            "side_pixels": 8,
            "resize": "squash",
            "interpolation": "bilinear",
            "mean": [0, 0, 0],
            "std": [1, 1, 1],
        },
        "recipe": FinetuneRecipe(rank=RANK).to_json(),
        "seed": 1,
        "absorption_stopped_at": None,
        "library_versions": {},
        "head": FACTS.to_json(),
    }
    with bounded_memory():
        adapter_from_files({MANIFEST_FILE: json.dumps(manifest).encode(), TENSORS_FILE: tensors})


def read_or_refuse(tensors: bytes) -> None:
    try:
        read(tensors)
    except AdapterFormatError:
        return


def test_the_file_that_is_changed_here_can_be_read() -> None:
    read(TENSORS)


class TestAdapters:
    @pytest.mark.slow
    @FUZZ
    @given(mutated(TENSORS))
    def test_a_changed_file_is_read_or_refused(self, tensors: bytes) -> None:
        read_or_refuse(tensors)

    @pytest.mark.slow
    @FUZZ
    @given(
        st.dictionaries(
            st.sampled_from(["prototypes", *LORA, *HEAD, "__metadata__", "other"]),
            st.fixed_dictionaries(
                {
                    "dtype": st.sampled_from(DTYPES),
                    "shape": st.lists(st.sampled_from([0, 1, 2, 4, 2**31, 2**63, 2**64 - 1, -1]), max_size=4),
                    "data_offsets": st.tuples(st.integers(-1, 70), st.integers(-1, 70)),
                }
            ),
            max_size=8,
        )
    )
    def test_any_header_is_read_or_refused(self, header: dict[str, object]) -> None:
        read_or_refuse(with_header(header))

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_any_type_of_the_prototypes_is_read_or_refused(self, dtype: str) -> None:
        for size in (1, 2, 4, 8, 16, 32, 64):
            header = {"prototypes": {"dtype": dtype, "shape": [2, 4], "data_offsets": [0, size]}}
            read_or_refuse(with_header(header, bytes(size)))

    @pytest.mark.parametrize(
        "tensors", [{**LORA, "prototypes": torch.ones(2, WIDTH, dtype=kind)} for kind in (torch.int64, torch.bool)]
    )
    def test_tensors_that_are_no_floats_are_read_or_refused(self, tensors: dict[str, torch.Tensor]) -> None:
        read_or_refuse(save(tensors))
        read_or_refuse(save({name: tensor.to(torch.int32) for name, tensor in tensors.items()}))

    @pytest.mark.slow
    def test_many_named_layers_without_tensors_take_no_room(self) -> None:
        wide = {"vision.layers.0.q_proj.lora_A": torch.ones(RANK, 500_000), "prototypes": torch.ones(2, WIDTH)}
        named = {f"vision.layers.{layer}.q_proj.lora_A": torch.ones(1) for layer in range(1, 5000)}
        with pytest.raises(AdapterFormatError):
            read(save(wide | named))

    @pytest.mark.parametrize("length", [0, 1, 100, 2**20, 2**40, 2**63, 2**64 - 1])
    def test_any_stated_length_of_the_header_is_read_or_refused(self, length: int) -> None:
        read_or_refuse(struct.pack("<Q", length) + TENSORS[8:])


@pytest.fixture(scope="module")
def begun(tiny_backbone: Any, support_set: Any, make_recipe: Callable[..., FinetuneRecipe]) -> Any:
    from vtt_core.training.finetune import Finetune

    return Finetune(tiny_backbone, support_set, make_recipe(iterations=2), seed=0)


class TestCheckpoints:
    @pytest.mark.parametrize(
        "scalars",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"{}",
            b'{"belonging": []}',
            b'{"belonging": {}}',
            b"[" * 100_000,
            b"\xff\xfe",
            b'{"belonging": null}',
        ],
    )
    def test_other_scalars_under_a_right_hash_are_refused(self, begun: Any, scalars: bytes) -> None:
        tensors = load(begun.checkpoint())
        belonging = json.loads(bytes(tensors[STATE_TENSOR].tolist()))["belonging"]
        tensors.pop(HASH_TENSOR)
        tensors[STATE_TENSOR] = torch.tensor(list(scalars), dtype=torch.uint8)
        self.check_refused(begun, tensors, belonging)

    @pytest.mark.parametrize("missing", ["step", "is_absorbing", "stopped_at", "queue"])
    def test_a_missing_scalar_is_refused(self, begun: Any, missing: str) -> None:
        tensors = load(begun.checkpoint())
        scalars = json.loads(bytes(tensors[STATE_TENSOR].tolist()))
        tensors.pop(HASH_TENSOR)
        del scalars[missing]
        tensors[STATE_TENSOR] = torch.tensor(list(json.dumps(scalars).encode()), dtype=torch.uint8)
        self.check_refused(begun, tensors, scalars["belonging"])

    def test_no_scalars_at_all_are_refused(self, begun: Any) -> None:
        tensors = load(begun.checkpoint())
        belonging = json.loads(bytes(tensors.pop(STATE_TENSOR).tolist()))["belonging"]
        tensors.pop(HASH_TENSOR)
        self.check_refused(begun, tensors, belonging)

    @staticmethod
    def check_refused(begun: Any, tensors: dict[str, torch.Tensor], belonging: dict[str, Any]) -> None:
        from vtt_core.training.checkpoint import Belonging

        stated = torch.tensor(list(bytes.fromhex(hash_weights(tensors))), dtype=torch.uint8)
        with pytest.raises(CheckpointMismatchError):
            read_checkpoint(save({**tensors, HASH_TENSOR: stated}), begun.state, Belonging(**belonging))
