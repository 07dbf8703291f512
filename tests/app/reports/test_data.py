from hypothesis import given
from hypothesis import strategies as st

from app.reports.data import DataFacts, data_digest

SHA = st.text("0123456789abcdef", min_size=64, max_size=64)
IMAGES = st.lists(st.tuples(SHA, st.sampled_from(("cat", "dog", "")))).map(lambda images: [*dict.fromkeys(images)])


@given(IMAGES, st.randoms())
def test_a_digest_does_not_depend_on_the_order(images: list[tuple[str, str]], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = random.sample(images, len(images))
    assert data_digest(shuffled) == data_digest(images)


def test_a_digest_changes_with_an_image_and_with_a_label() -> None:
    images = [("ab" * 32, "cat"), ("cd" * 32, "dog")]
    others = [[("ab" * 32, "dog"), ("cd" * 32, "cat")], images[:1], [*images, ("ef" * 32, "")]]
    assert data_digest(images) == "c5db43e1ac34a8bf20ed6264dda55f3f522d44df82cf3006e851b3de8082fc3a"
    assert len({data_digest(images), *map(data_digest, others)}) == 4


def test_what_vtt_adapt_writes_is_read() -> None:
    written = {"sha256": "ab" * 32, "classes": [{"label": "cat", "num_images": 3}], "num_groups": 0, "num_negatives": 2}
    assert DataFacts.from_json(written) == DataFacts("ab" * 32, (("cat", 3),), 0, 2)
