import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.predict import read_image_file
from vtt_core.contract.errors import NotAnImageError


def test_a_path_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotAnImageError, match="none.png"):
        read_image_file(tmp_path / "none.png")


def test_a_folder_is_not_an_image(tmp_path: Path) -> None:
    with pytest.raises(NotAnImageError, match="directory"):
        read_image_file(tmp_path)


@pytest.mark.services
@pytest.mark.slow
def test_a_folder_that_is_no_adapter_ends_with_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app.cli.main", "predict", str(tmp_path), "image.png"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 2
    assert "adapter.bad_format" in result.stderr
