import json
from typing import get_args

import pytest

from app.cli.console import FinetuneBar, describe_step, phase_of, write_error, write_json, write_rejection, write_rejections
from vtt_client import InvalidError
from vtt_core.contract.errors import EmptyClassError, InputError
from vtt_core.contract.progress import Phase, StepReport


@pytest.fixture
def report() -> StepReport:
    return StepReport(
        step=10,
        num_steps=20,
        classification_loss=1.25,
        absorption_loss=-0.5,
        conflict_cosine=0.125,
        is_absorbing=True,
        absorption_stopped_at=None,
    )


def test_a_step_is_described_with_losses_and_cosine(report: StepReport) -> None:
    assert describe_step(report.to_json()) == "classification loss 1.250  absorption loss -0.500  cosine +0.125"


def test_a_step_says_since_when_absorption_is_off(report: StepReport) -> None:
    stopped = report.to_json() | {
        "absorption_loss": None,
        "conflict_cosine": None,
        "is_absorbing": False,
        "absorption_stopped_at": 7,
    }
    assert describe_step(stopped) == "classification loss 1.250  absorption off since step 7"


def test_beside_a_bar_a_step_leaves_room_in_80_columns(report: StepReport) -> None:
    stopped = report.to_json() | {"absorption_loss": None, "absorption_stopped_at": 10_000}
    for phase in get_args(Phase):
        for facts in (report.to_json(), stopped):
            line = f"{phase_of(facts | {'phase': phase}, '')} {describe_step(facts, is_short=True)}"
            assert len(line) <= 80 - len("━" * 14 + " 10000/10000 1:00:00 ")


def test_a_step_of_a_validation_is_told_from_one_of_the_fine_tuning(
    report: StepReport, capsys: pytest.CaptureFixture[str]
) -> None:
    with FinetuneBar("learning") as bar:
        for step in range(1, 21):
            bar.show(report.to_json() | {"step": step, "phase": "validation" if step <= 10 else "fine-tuning"})
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["validating"] * 5 + ["fine-tuning"] * 5


def test_a_run_without_a_step_shows_an_empty_bar(report: StepReport, capsys: pytest.CaptureFixture[str]) -> None:
    with FinetuneBar("learning") as bar:
        bar.show(report.to_json() | {"step": 0, "num_steps": 0})
    assert capsys.readouterr().err == ""


def test_without_a_terminal_a_few_lines_are_written(report: StepReport, capsys: pytest.CaptureFixture[str]) -> None:
    with FinetuneBar("fine-tuning") as bar:
        for step in range(1, 21):
            bar.show(report.to_json() | {"step": step})
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 10
    assert "step 20/20  classification loss 1.250" in output.err


def test_json_goes_to_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    write_json({"classes": ["Größe"]})
    output = capsys.readouterr()
    assert json.loads(output.out) == {"classes": ["Größe"]}
    assert output.err == ""


def test_an_error_says_what_came_what_was_expected_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    write_error(EmptyClassError(expected="an image", got="none in '[red]'", remedy="Add one"))
    error = capsys.readouterr().err
    assert "support_set.empty_class" in error
    assert "got:      none in '[red]'" in error
    assert "expected: an image" in error
    assert "to do:    Add one" in error


def test_a_rejection_names_the_image(capsys: pytest.CaptureFixture[str]) -> None:
    write_rejection("a/b.png", EmptyClassError(expected="an image", got="none", remedy="Add one"))
    assert capsys.readouterr().err.startswith("left out a/b.png: ")


def test_many_images_with_one_cause_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    cause = EmptyClassError(expected="an image", got="none", remedy="Add one")
    write_rejections([(f"{number}.png", cause) for number in range(3000)])
    written = capsys.readouterr().err
    assert written.startswith("left out 3000 files such as 0.png: Class without an image")
    assert written.count("\n") == 1


def test_text_between_colons_is_no_picture(capsys: pytest.CaptureFixture[str]) -> None:
    write_error(InputError(expected="an image", got="'root:x:0:0'", remedy="Send it again"))
    assert "'root:x:0:0'" in capsys.readouterr().err


def test_an_error_of_a_service_names_the_images_that_it_refused(capsys: pytest.CaptureFixture[str]) -> None:
    refused = [
        {"file": f"{place}.png", "code": "image.exists", "expected": "a new image", "got": "a copy"} for place in range(12)
    ]
    texts = {
        "code": "images.nothing_usable",
        "title": "No usable image",
        "expected": "one",
        "got": "none",
        "remedy": "See below",
    }
    write_error(InvalidError(**texts, results=refused, status=422))
    printed = capsys.readouterr().err.splitlines()
    assert printed[4] == "  0.png: expected a new image, got a copy"
    assert printed[-1] == "  and 2 more"
    write_error(InvalidError(**texts, mistakes=[{"location": "body.name", "expected": "a text", "got": "7"}]))
    assert capsys.readouterr().err.splitlines()[-1] == "  body.name: expected a text, got 7"
