import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import main as main_module


def run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


@pytest.mark.services
def test_help_lists_the_commands_without_importing_torch() -> None:
    code = "import sys, app.cli.main; print(sorted({'torch', 'fastapi', 'celery', 'sqlalchemy'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "[]"
    listing = run("--help")
    assert listing.returncode == 0
    for name in ("up", "api", "worker", "adapt", "predict", "backbones", "demo", "sample-images"):
        assert name in listing.stdout


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["adapt", "nowhere", "--out", "x"], "nowhere"),
        (["adapt", ".", "--out", "x", "--method", "magic"], "'magic'"),
        (["adapt", ".", "--out", "x", "--iterations", "0"], "iterations"),
        (["adapt", ".", "--out", "x", "--backbone", "ViT-B-61/openai"], "backbone.unknown"),
        (["adapt", ".", "--out", "x", "--shot", "99"], "--shot 99"),
    ],
)
def test_bad_input_ends_with_code_2_and_says_what_to_do(arguments: list[str], says: str, tmp_path: Path) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert says in result.stderr
    for part in ("got:", "expected:", "to do:"):
        assert part in result.stderr


@pytest.mark.slow
@pytest.mark.services
def test_an_unknown_option_ends_with_code_2() -> None:
    assert run("adapt", ".", "--magic").returncode == 2


@pytest.mark.slow
@pytest.mark.services
def test_a_wrong_environment_ends_with_code_2_and_names_the_variable() -> None:
    result = run("up", environment={"VTT_PORT": "many", "PATH": ""})
    assert result.returncode == 2
    assert "VTT_PORT" in result.stderr
    assert "'many'" in result.stderr


def test_what_is_not_the_users_doing_ends_with_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vtt_core.contract.errors import BackboneUnavailableError

    def fail() -> None:
        raise BackboneUnavailableError(expected="weights", got="none", remedy="Use mini")

    monkeypatch.setattr(main_module, "cli", fail)
    with pytest.raises(SystemExit) as stopped:
        main_module.main()
    assert stopped.value.code == 1
    assert "Use mini" in capsys.readouterr().err


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["up"], ["api"], ["worker"]])
def test_a_file_in_place_of_the_data_folder_is_bad_input_and_no_traceback(arguments: list[str], tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"")
    command = [sys.executable, "-m", "app.cli.main", *arguments, "--data-dir", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "data_folder.unusable" in ended.stderr


@pytest.mark.services
@pytest.mark.slow
def test_a_shell_can_complete_commands_and_options() -> None:
    def complete(words: str, at: int) -> str:
        asked = {"_VTT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(at), "PATH": os.environ["PATH"]}
        program = "import sys; from app.cli.main import main; sys.argv[0] = 'vtt'; main()"
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, env=os.environ | asked
        ).stdout

    assert {"doctor", "adapt"} <= set(complete("vtt ", 1).split())
    assert "--dry-run" in complete("vtt adapt --d", 2).split()
    listing = run("--help").stdout
    assert "--install-completion" in listing
