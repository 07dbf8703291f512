import pytest

from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.backbones.tokenizer import Tokenize, make_tokenize
from vtt_core.contract.errors import PromptError


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
