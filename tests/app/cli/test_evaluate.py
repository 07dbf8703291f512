import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from app.cli.synthetic_images import PAINTERS, make_image
from tests.fixtures.noise_images import encode, noise
from vtt_core.adapter.adaptation import Adaptation
from vtt_core.adapter.files import save_adapter
from vtt_core.backbones.load import load_backbone
from vtt_core.contract.recipe import make_recipe
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet

LABELS = tuple(PAINTERS)[:3]
Run = Callable[..., str]


def draw(label: str, number: int) -> bytes:
    return encode(make_image(label, random.Random(f"{label}/{number}")), "PNG")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of three classes, and ten other images of each."""
    folder = tmp_path_factory.mktemp("evaluate")
    classes = (SupportClass(label, tuple(SupportImage(f"{n}.png", draw(label, n)) for n in range(5))) for label in LABELS)
    backbone = load_backbone("mini", device="cpu")
    adapted = Adaptation(backbone, SupportSet(tuple(classes)), make_recipe("frozen"), 1).finish()
    save_adapter(adapted.adapter, folder / "adapter")
    for label in LABELS:
        (folder / "photos" / label).mkdir(parents=True)
        for number in range(100, 110):
            (folder / "photos" / label / f"{number}.png").write_bytes(draw(label, number))
    return folder


@pytest.fixture
def run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command beside a copy of the folder, and return what it prints."""
    shutil.copytree(folder, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")

    def run(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(cli, ["evaluate", *arguments])
        assert result.exit_code == code, result.output
        return result.output if code else result.stdout

    return run


@pytest.mark.slow
def test_the_text_says_how_well_each_class_is_told(run: Run) -> None:
    printed = run("adapter", "photos")
    assert all(label in printed for label in LABELS)
    found = json.loads(run("adapter", "photos", "--json"))
    accuracy, stripes = found["accuracy"], found["per_class"][0]
    assert f"accuracy {100 * accuracy['accuracy']:.0f} % ({100 * accuracy['low']:.0f} % to " in printed
    assert "30 images" in printed
    assert printed.splitlines()[1].split() == [
        LABELS[0],
        "10",
        *f"{100 * stripes['recall']:.0f} %".split(),
        *"100 % 100 %".split(),
    ]
    assert 0.8 < accuracy["accuracy"] < 1


@pytest.mark.slow
def test_the_most_frequent_mistakes_are_named(run: Run) -> None:
    for number in range(200, 210):
        Path(f"photos/{LABELS[1]}/{number}.png").write_bytes(draw(LABELS[0], number))
    lines = run("adapter", "photos").splitlines()
    assert lines[lines.index("most frequent mistakes:") + 1].startswith(
        f"  10 x {LABELS[1]!r} taken for {LABELS[0]!r}, such as {LABELS[1]}/20"
    )


@pytest.mark.slow
def test_json_has_all_numbers_of_a_zip_too(run: Run) -> None:
    Path("photos/noise").mkdir()
    Path("photos/noise/1.png").write_bytes(encode(noise(side=(96, 96)), "PNG"))
    Path(f"photos/{LABELS[0]}/bad.png").write_bytes(b"no image")
    shutil.make_archive("photos", "zip", "photos")
    of_folder, of_zip = (
        json.loads(run("adapter", source, "--coverage", "0.8", "--json")) for source in ("photos", "photos.zip")
    )
    assert of_folder == of_zip
    assert (of_zip["num_images"], of_zip["accuracy"]["num_images"], of_zip["coverage"]) == (31, 30, 0.8)
    assert (of_zip["unknown"]["labels"], of_zip["unknown"]["told"]["share"]) == ({"noise": 1}, 1.0)
    assert [(refused["file"], refused["code"]) for refused in of_zip["refused"]] == [
        (f"{LABELS[0]}/bad.png", "image.not_an_image")
    ]
    assert "'noise'" in of_zip["notices"][0]


def test_images_of_other_classes_are_refused(run: Run) -> None:
    Path("other/zebra").mkdir(parents=True)
    Path("other/zebra/1.png").write_bytes(draw(LABELS[0], 1))
    result = CliRunner().invoke(cli, ["evaluate", "adapter", "other"])
    assert getattr(result.exception, "code", None) == "evaluation.unknown_classes"
    assert "'zebra'" in str(result.exception)


@pytest.mark.slow
def test_a_name_that_is_no_folder_is_a_model_of_the_service(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[httpx2.Request] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        request.read()
        asked.append(request)
        return httpx2.Response(404, json={"code": "not_found", "expected": "a model", "got": "none", "remedy": "Look"})

    client = httpx2.Client
    monkeypatch.setattr(httpx2, "Client", lambda **options: client(**{**options, "transport": httpx2.MockTransport(refuse)}))
    result = CliRunner().invoke(cli, ["evaluate", "patterns", "photos", "--url", "http://lab", "--key", "vtt_key"])
    assert getattr(result.exception, "code", None) == "not_found"
    (request,) = asked
    assert str(request.url.copy_with(query=None)) == "http://lab/v1/models/patterns/evaluations"
    assert dict(request.url.params) == {"name": "photos", "coverage": "0.9"}
    assert request.headers["Authorization"] == "Bearer vtt_key"
    assert f"{LABELS[0]}/100.png".encode() in request.content
