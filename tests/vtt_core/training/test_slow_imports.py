import subprocess
import sys

import pytest

SLOW = ("sympy", "torch._dynamo")
"""Both take up to seconds to import, and a fine-tuning needs neither."""


@pytest.mark.services
def test_a_step_imports_neither_a_compiler_nor_a_computer_algebra() -> None:
    script = f"""
import sys
from vtt_core.backbones.load import load_backbone
from vtt_core.training.finetune import warm_up
warm_up(load_backbone("mini"))
assert not [name for name in {SLOW} if name in sys.modules]
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
