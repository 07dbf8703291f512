"""`vtt remote predict` and `vtt remote evaluate`: classify images with a model of a service, and measure it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import BAD_INPUT_EXIT, stderr_console, write_json
from app.cli.evaluate import ask_service, write_measured
from app.cli.predict import CoverageOption, FalseRejectsOption, in_words
from app.cli.remote.service import OWN_SERVICE, JsonOption, KeyOption, ModelArgument, UrlOption, connect
from vtt_client import Predictions, TextBar
from vtt_client.models import ImagePrediction
from vtt_core.contract.serving import DEFAULT_COVERAGE

CsvOption = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write a table with a row for each image.")]


def predict(
    model: ModelArgument,
    images: Annotated[list[Path], typer.Argument(metavar="FOLDER|IMAGE...", help="A folder, or images.")],
    coverage: CoverageOption = DEFAULT_COVERAGE,
    false_rejects: FalseRejectsOption = None,
    csv: CsvOption = None,
    url: UrlOption = OWN_SERVICE,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Classify images with a model of the service: a folder with all its folders, or single images.

    Images that cannot be used are named, the others are classified, and the exit code is 2.
    """
    found: list[ImagePrediction] = []
    folders, files = [path for path in images if path.is_dir()], [path for path in images if not path.is_dir()]
    with connect(url, key) as client:
        ask = partial(client.predict_folder, model, coverage=coverage, false_rejects=false_rejects)
        for folder in folders:
            found += ask(folder, progress=TextBar(f"predicting {folder.name}"))
        found += client.predict_files(model, files, coverage=coverage, false_rejects=false_rejects)
    write_predictions(Predictions(found), csv, as_json=as_json)


def evaluate(
    model: ModelArgument,
    images: Annotated[Path, typer.Argument(metavar="FOLDER|ZIP", help="Labelled images, one folder per class.")],
    coverage: CoverageOption = DEFAULT_COVERAGE,
    false_rejects: FalseRejectsOption = None,
    keep_images: Annotated[bool, typer.Option("--keep-images", help="Let the service keep the images.")] = False,
    url: UrlOption = OWN_SERVICE,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model of the service on labelled images that it has not learnt from."""
    parameters = {"coverage": coverage, "false_rejects": false_rejects, "keep_images": keep_images, "name": images.name[:200]}
    write_measured(ask_service(model, images, parameters, url, key), as_json=as_json)


def write_predictions(predictions: Predictions, csv: Path | None, *, as_json: bool) -> None:
    """Print predictions, or write them to a table; what could not be used goes to standard error.

    Raises:
        Exit: there is such an image.
    """
    if csv is not None:
        predictions.to_csv(csv)
    for one in predictions:
        if one.code is not None:
            line = f"left out {one.file}: expected {one.expected}, got {one.got}. {one.remedy}."
            stderr_console().print(line, style="yellow", markup=False)
        elif not as_json and csv is None:
            typer.echo(f"{one.file}: {in_words(one.model_dump())}")
    if as_json:
        write_json({"predictions": [one.model_dump(mode="json", exclude_unset=True) for one in predictions]})
    if any(one.code for one in predictions):
        raise typer.Exit(BAD_INPUT_EXIT)
