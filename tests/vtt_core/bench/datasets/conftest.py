"""Write small copies of public layouts. Every image has its own colour."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def write_image() -> Callable[..., None]:
    """Write an image of one colour, in the format of the file's name; its folders are made."""

    def write(path: Path, colour: tuple[int, int, int] = (10, 20, 30), size: tuple[int, int] = (12, 10)) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path)

    return write
