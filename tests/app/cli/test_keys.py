import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def vtt_keys(tmp_path: Path) -> Any:
    def run(*arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "app.cli.main", "keys", *arguments]
        environment = os.environ | {"VTT_DATA_DIR": str(tmp_path)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


@pytest.mark.services
@pytest.mark.slow
def test_keys_are_made_listed_rotated_and_revoked(vtt_keys: Any) -> None:
    made = json.loads(vtt_keys("create", "--tenant", "clinic", "--scopes", "predict", "--days", "30", "--json"))
    assert made["key"].startswith(f"vtt_{made['id']}_")
    new = json.loads(vtt_keys("rotate", made["id"], "--grace-hours", "1", "--json"))
    vtt_keys("revoke", new["id"])
    old_facts, new_facts = json.loads(vtt_keys("list", "--tenant", "clinic", "--json"))["keys"]
    assert (old_facts["scopes"], new_facts["revoked_at"] is not None) == (["predict"], True)
    assert old_facts["expires_at"] < new_facts["expires_at"]
    listed = vtt_keys("list")
    assert made["id"] in listed
    assert made["key"] not in listed
    quotas = json.loads(vtt_keys("quota", "--tenant", "clinic", "--images", "5", "--json"))
    assert (quotas["max_images"], quotas["max_bytes"]) == (5, None)
    actions = [event["action"] for event in json.loads(vtt_keys("audit", "--json"))["events"]]
    assert made["id"] in vtt_keys("audit")
    assert actions == ["vtt keys quota", "vtt keys revoke", "vtt keys rotate", "vtt keys create"]


@pytest.mark.services
@pytest.mark.slow
def test_what_cannot_be_is_named(vtt_keys: Any) -> None:
    assert "train, predict" in vtt_keys("create", "--tenant", "clinic", "--scopes", "everything", code=2)
    assert "vtt keys list" in vtt_keys("revoke", "key_none", code=1)
    assert "vtt keys create" in vtt_keys("quota", "--tenant", "nobody", "--jobs", "1", code=1)
