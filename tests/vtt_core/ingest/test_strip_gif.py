import pytest

from tests.fixtures import planted_metadata as planted
from tests.fixtures.noise_images import encode, frames, noise
from vtt_core.ingest.decode import decode_image
from vtt_core.ingest.strip_gif import strip_gif
from vtt_core.ingest.structure import UnknownStructureError


def test_comments_and_application_data_go_and_the_transparent_colour_stays() -> None:
    clean = strip_gif(planted.gif())
    assert planted.SECRET not in clean
    assert b"XMP Data" not in clean
    assert clean.count(b"!\xf9\4") == 1
    assert decode_image(clean).tobytes() == decode_image(planted.gif()).tobytes()


def test_only_the_first_picture_stays() -> None:
    assert strip_gif(frames("GIF", 3)).count(b"!\xf9\4") <= 1


@pytest.mark.parametrize(
    "broken", [b"GIF", b"GIF89a" + bytes(7) + b";", encode(noise("P"), "GIF")[:-9], b"GIF89a" + bytes(7) + b","]
)
def test_an_unknown_structure_is_refused(broken: bytes) -> None:
    with pytest.raises(UnknownStructureError):
        strip_gif(broken)
