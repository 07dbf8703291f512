import importlib.util
import json
from pathlib import Path

import pytest

from vtt_core.absorption.prompt import find_placeholder
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.backbones.tokenizer import Tokenize, find_first_word, make_hub_tokenize, make_tokenize
from vtt_core.contract.errors import BackboneUnavailableError, PromptError


@pytest.fixture(scope="module")
def tokenize() -> Tokenize:
    return make_tokenize(8)


def test_ids_are_open_clips_own(tokenize: Tokenize) -> None:
    texts = ["a photo of a dog.", "x"]
    assert tokenize(texts).tolist() == open_clip.SimpleTokenizer(context_length=8)(texts).tolist()


def test_short_texts_are_padded_with_zeros(tokenize: Tokenize) -> None:
    (ids,) = tokenize(["dog"]).tolist()
    assert len(ids) == 8
    assert ids[3:] == [0] * 5
    assert ids[2] == max(ids)


def test_a_text_that_just_fits_keeps_its_end(tokenize: Tokenize) -> None:
    (ids,) = tokenize(["one two three four five six"]).tolist()
    assert ids.index(max(ids)) == 7


def test_a_text_that_does_not_fit_is_refused_by_name(tokenize: Tokenize) -> None:
    with pytest.raises(PromptError, match="at most 6 tokens, got 7, beginning with 'one two"):
        tokenize(["dog", "one two three four five six seven"])


@pytest.mark.parametrize("text", ["", "   ", "日本語", "é", "🙂", "{}"])
def test_unusual_texts_have_a_start_and_an_end(tokenize: Tokenize, text: str) -> None:
    (ids,) = tokenize([text]).tolist()
    assert ids[0] == max(ids) - 1
    assert ids.count(max(ids)) == 1


def test_ids_beyond_a_vocabulary_are_folded_back_and_words_still_differ() -> None:
    folded = make_tokenize(8, 32000)
    assert int(folded(["a photo of a dog"]).max()) < 32000
    assert find_placeholder(folded, "a {}.", "x") == 2
    assert make_tokenize(8, 49408)(["dog"]).tolist() == make_tokenize(8)(["dog"]).tolist()


def test_the_first_word_follows_the_start_of_text(tokenize: Tokenize) -> None:
    assert find_first_word(tokenize) == 1


class TestHubTokenizer:
    WORDS = ("<pad>", "<eos>", "<unk>", "a", "photo", "of", "x", "o", "dog", "one", "two")

    @pytest.fixture
    def text_config(self, tmp_path: Path) -> dict[str, object]:
        """Write a tokenizer of a few words as hubs keep them; like SigLIP2's it ends a text but does not start it."""
        word_ids = {word: index for index, word in enumerate(self.WORDS)}
        end = {"SpecialToken": {"id": "<eos>", "type_id": 0}}
        content = {
            "version": "1.0",
            "added_tokens": [],
            "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [{"Sequence": {"id": "A", "type_id": 0}}, end],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}, end],
                "special_tokens": {"<eos>": {"id": "<eos>", "ids": [1], "tokens": ["<eos>"]}},
            },
            "model": {"type": "WordLevel", "vocab": word_ids, "unk_token": "<unk>"},
        }
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "eos_token": "<eos>"}
        (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
        kwargs = {"clean": "canonicalize"}
        return {"hf_tokenizer_name": str(tmp_path), "context_length": 8, "tokenizer_kwargs": kwargs}

    @pytest.mark.skipif(importlib.util.find_spec("transformers") is not None, reason="the extra siglip is installed")
    def test_without_its_package_the_extra_is_named(self, text_config: dict[str, object]) -> None:
        with pytest.raises(
            BackboneUnavailableError, match="transformers, which reads the tokenizer of 'SigLIP2/webli'"
        ) as caught:
            make_hub_tokenize(text_config, "SigLIP2/webli")
        assert "pip install -c constraints.txt -e '.[siglip]'" in caught.value.remedy

    def test_files_out_of_reach_name_the_ways_out(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("transformers")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        absent = {"hf_tokenizer_name": str(tmp_path / "absent"), "context_length": 8}
        with pytest.raises(BackboneUnavailableError, match="the tokenizer of 'SigLIP2/webli'") as caught:
            make_hub_tokenize(absent, "SigLIP2/webli")
        assert "HF_HOME" in caught.value.remedy

    def test_it_reads_words_to_their_end_without_a_start(self, text_config: dict[str, object]) -> None:
        pytest.importorskip("transformers")
        tokenize = make_hub_tokenize(text_config, "SigLIP2/webli")
        assert tokenize(["A photo of a x.", "dog"]).tolist() == [[3, 4, 5, 3, 6, 1, 0, 0], [8, 1, 0, 0, 0, 0, 0, 0]]
        assert find_first_word(tokenize) == 0
        assert find_placeholder(tokenize, "a photo of a {}.", "x") == 4

    def test_a_text_that_does_not_fit_is_refused_by_name(self, text_config: dict[str, object]) -> None:
        pytest.importorskip("transformers")
        tokenize = make_hub_tokenize(text_config, "SigLIP2/webli")
        assert tokenize(["one two one two one two one"])[0, -1] == 1
        with pytest.raises(PromptError, match="at most 7 tokens, got 8, beginning with 'one two"):
            tokenize(["dog", "one two one two one two one two"])
