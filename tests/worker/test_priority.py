import os
import subprocess
import sys

import pytest

from worker.priority import AUTOGROUP, NICENESS


@pytest.mark.services
def test_a_worker_goes_after_everything_else() -> None:
    script = "import os; from worker.priority import yield_to_others; yield_to_others(); print(os.nice(0))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, start_new_session=True)
    assert int(printed.stdout) == min(19, os.nice(0) + NICENESS)


@pytest.mark.services
@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this system has no groups of sessions")
def test_its_session_goes_after_others() -> None:
    script = "from worker.priority import AUTOGROUP, yield_to_others; yield_to_others(); print(AUTOGROUP.read_text())"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, start_new_session=True)
    assert printed.stdout.strip().endswith(f"nice {NICENESS}")
