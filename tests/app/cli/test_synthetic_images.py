import random
from pathlib import Path

import pytest
from PIL import Image

from app.cli.synthetic_images import PAINTERS, SIDE_PIXELS, make_image, write_folders


@pytest.mark.parametrize("label", PAINTERS)
def test_images_of_a_class_differ_and_have_one_size(label: str) -> None:
    rng = random.Random(0)
    images = [make_image(label, rng) for _ in range(3)]
    assert {image.size for image in images} == {(SIDE_PIXELS, SIDE_PIXELS)}
    assert len({image.tobytes() for image in images}) == 3


def test_the_same_seed_draws_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_folders(tmp_path / name, num_images=2, seed=3)
    first, second = (
        {file.relative_to(tmp_path / name): file.read_bytes() for file in (tmp_path / name).rglob("*.png")}
        for name in ("a", "b")
    )
    assert first == second
    assert len(first) == 2 * len(PAINTERS)


def test_another_seed_draws_other_images(tmp_path: Path) -> None:
    write_folders(tmp_path / "a", num_images=1, seed=0)
    write_folders(tmp_path / "b", num_images=1, seed=1)
    assert (tmp_path / "a/rings/000.png").read_bytes() != (tmp_path / "b/rings/000.png").read_bytes()


def test_more_images_leave_the_first_ones_as_they_are(tmp_path: Path) -> None:
    write_folders(tmp_path / "a", num_images=1)
    write_folders(tmp_path / "b", num_images=2)
    assert (tmp_path / "a/star/000.png").read_bytes() == (tmp_path / "b/star/000.png").read_bytes()


def test_drawn_files_are_rgb_images(tmp_path: Path) -> None:
    write_folders(tmp_path, num_images=1)
    with Image.open(tmp_path / "stripes" / "000.png") as image:
        assert image.mode == "RGB"
