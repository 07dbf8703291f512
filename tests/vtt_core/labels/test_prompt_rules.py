"""Every backbone's way to read prompts is known without its tokenizer."""

import pytest

from vtt_core.contract.backbones import catalogue
from vtt_core.labels.prompt_rules import prompt_rules
from vtt_core.labels.prompt_text import CLEANINGS


@pytest.mark.parametrize(
    ("backbone_id", "max_tokens"),
    [
        ("mini", 75),
        ("ViT-B-16-quickgelu/openai", 75),
        ("PE-Core-B-16/meta", 30),
        ("PE-Core-B-16/weights.safetensors", 30),
        ("ViT-B-16-SigLIP2/webli", None),
        ("ViT-B-16-SigLIP2/random", 62),
    ],
)
def test_the_longest_prompt_is_that_of_the_text_tower(backbone_id: str, max_tokens: int | None) -> None:
    assert prompt_rules(backbone_id).max_tokens == max_tokens


def test_every_backbone_of_the_catalogue_cleans_in_a_known_way() -> None:
    assert {entry.cleaning for entry in catalogue()} == set(CLEANINGS)


def test_siglip_reads_prompts_without_punctuation() -> None:
    siglip, clip = prompt_rules("ViT-B-16-SigLIP2/webli"), prompt_rules("mini")
    assert siglip.key("a Cat-fish") == siglip.key("a catfish")
    assert clip.key("a Cat-fish") != clip.key("a catfish")


def test_metaclip_2_tells_capital_letters_apart() -> None:
    rules = prompt_rules("ViT-H-14-worldwide-quickgelu/metaclip2_worldwide")
    assert rules.key("Star") != rules.key("star")
    assert rules.key("a  star") == rules.key("a star")


def test_length_is_refused_only_where_it_can_be_counted() -> None:
    long = "many " * 100
    assert not prompt_rules("mini").fits(long)
    assert prompt_rules("ViT-B-16-SigLIP2/webli").fits(long)
    assert prompt_rules("mini").num_tokens(long) == 100
