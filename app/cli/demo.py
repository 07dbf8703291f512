"""`vtt demo`: take images through the real service once: support set, job, model, predictions."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.console import FinetuneBar, stderr_console
from app.cli.dry_run import write_remarks
from app.cli.interrupts import end_on
from app.cli.selection import LabelledImage, Selection, survey_images
from app.cli.sent_images import sent_classes, sent_images
from app.cli.synthetic_images import write_folders
from app.cli.up import URL_FILE
from app.domain.errors import JobFailureError, ServiceNotUpError
from app.infra.child_processes import die_with_parent
from vtt_client import Client
from vtt_client.models import Job, Model
from vtt_core.contract.backbones import MINI
from vtt_core.contract.errors import TooFewShotsError
from vtt_core.contract.interval import wilson_half_width
from vtt_core.contract.recipe import AUTO, FinetuneRecipe
from vtt_core.labels.checks import LabelReader

SHOT = 5
QUERY = 10
START_SECONDS = 120.0
"""How long the service may take to get its worker ready; the first import of torch is slow."""
STOP_SECONDS = 40.0
IMAGES_PER_REQUEST = 50
NUM_SHOWN = 12
"""Images in the table of predictions."""
LOG_LINES = 30
"""Last lines of the service's output that are shown if it does not start."""


def demo(
    images: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER|ZIP]", help="Images, a folder per class; without it, synthetic ones.")
    ] = None,
    names: Annotated[Path | None, typer.Option(metavar="FILE", help="JSON: folder name to class name.")] = None,
    shot: Annotated[int, typer.Option(metavar="K", help="Images of each class to learn from.")] = SHOT,
    query: Annotated[int, typer.Option(metavar="Q", min=1, help="Other images of each class to predict.")] = QUERY,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="auto chooses; frozen fine-tunes nothing; or what is fine-tuned, as in clip-lora+vtt."
        ),
    ] = AUTO,
    iterations: Annotated[int | None, typer.Option(metavar="N", help="Optimiser steps; without it, the recipe's.")] = None,
    backbone: Annotated[str, typer.Option(metavar="ID", help="A backbone that `vtt backbones` lists.")] = MINI,
) -> None:
    """Start the service in a temporary folder, make a model of images, predict others, stop it."""
    console = stderr_console()
    # SIGINT too: a shell without job control starts background commands with it ignored.
    end_on(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with tempfile.TemporaryDirectory(prefix="vtt-demo-") as scratch:
        source = images or Path(scratch) / "images"
        if images is None:
            write_folders(source, num_images=shot + query)
        reader = LabelReader(backbone, FinetuneRecipe())
        survey = survey_images(source, shot=shot, query=query, names_path=names, reader=reader)
        write_remarks(survey, FinetuneRecipe().prompt_template)
        selection = survey.selection()
        support_set = selection.support_set
        if not selection.query_images:
            raise TooFewShotsError(
                expected=f"more than {shot} images in at least one class",
                got=f"no image outside the support set in {str(source)!r}",
                remedy="Add images to predict, or ask for a smaller --shot",
            )
        origin = str(images) if images else "the synthetic images"
        console.print(f"support set: {support_set.way} classes x {shot} images from {origin}", markup=False)
        with running_service(Path(scratch) / "data") as url, Client(url) as client:
            console.print(f"service on {url}", markup=False)
            recipe = {} if iterations is None else {"iterations": iterations}
            walk(client, selection, {"backbone": backbone, "method": method, "recipe": recipe})


def walk(client: Client, selection: Selection, request: dict[str, Any]) -> float:
    """Upload, fine-tune, predict and print; return the accuracy.

    Args:
        client: of a running service.
        selection: support set and query images.
        request: further fields of the job.
    """
    console = stderr_console()
    set_id = client.upload(sent_classes(selection.support_set)).id
    job_id = client.train(set_id, name="demo", **request).id
    console.print(f"uploaded {set_id}, started {job_id}", markup=False)
    started = time.monotonic()
    follow(client, job_id)
    job = client.job(job_id)
    if job.model_id is None:
        raise _job_error(job)
    console.print(f"published {job.model_id} after {time.monotonic() - started:.1f} s", markup=False)
    write_expectation(client.model(job.model_id))
    predictions = predict_all(client, job.model_id, selection.query_images)
    return write_results(selection, predictions)


def write_expectation(model: Model) -> None:
    """Print what the service says of a model before anyone has measured it."""
    console, expected = Console(highlight=False, emoji=False), model.metrics.expected_accuracy
    if expected is not None and expected.low is not None and expected.high is not None:
        console.print(
            f"expected accuracy {100 * expected.accuracy:.1f} % (95 % interval {100 * expected.low:.0f} to "
            f"{100 * expected.high:.0f} %), from images of the support set that were left out"
        )
    for sentence in model.advice:
        console.print(f"note: {sentence}", markup=False)


def follow(client: Client, job_id: str) -> None:
    """Show the job's events as a progress bar until it ends."""
    with FinetuneBar("fine-tuning") as bar:
        for event in client.follow(job_id):
            if event.kind == "progress":
                bar.show(event.data)
            elif event.kind == "state":
                bar.say(f"job {event.data['state']}")


def predict_all(client: Client, model_id: str, query_images: Sequence[LabelledImage]) -> list[dict[str, float]]:
    """Return label probabilities for every query image, highest first."""
    results: list[dict[str, float]] = []
    for start in range(0, len(query_images), IMAGES_PER_REQUEST):
        batch = query_images[start : start + IMAGES_PER_REQUEST]
        images = sent_images([query.image for query in batch])
        results += [prediction.probabilities or {} for prediction in client.predict(model_id, images)]
    return results


def write_results(selection: Selection, predictions: Sequence[dict[str, float]]) -> float:
    """Print some predictions, the accuracy of each class and of all; return the last."""
    console = Console(highlight=False, emoji=False)
    best = [max(probabilities, key=lambda label: probabilities[label]) for probabilities in predictions]
    table = Table("image not in the support set", "truth", "prediction", "share", box=None, header_style="bold")
    stride = max(1, len(best) // NUM_SHOWN)
    for index in range(0, len(best), stride):
        query, label = selection.query_images[index], best[index]
        colour = "green" if label == query.label else "red"
        share = f"{100 * predictions[index][label]:.0f} %"
        # As Text, because a label may hold what rich would take as markup.
        table.add_row(Text(query.image.name), Text(query.label), Text(label, style=colour), share)
    console.print(table)
    total = Counter(query.label for query in selection.query_images)
    correct = Counter(query.label for query, label in zip(selection.query_images, best, strict=True) if label == query.label)
    classes = Table("class", "correct", "of", box=None, header_style="bold")
    for label in selection.support_set.labels:
        classes.add_row(Text(label), str(correct[label]), str(total[label]))
    console.print(classes)
    num_correct, num_query = correct.total(), len(best)
    accuracy, half = num_correct / num_query, wilson_half_width(num_correct, num_query)
    chance = 1 / selection.support_set.way
    console.print(
        f"accuracy {100 * accuracy:.1f} % ± {100 * half:.1f} (95 %) on {num_query} images; chance is {100 * chance:.1f} %"
    )
    return accuracy


@contextmanager
def running_service(data_dir: Path) -> Iterator[str]:
    """Run `vtt up` on a free port as a child process; yield its address, and stop it afterwards.

    Args:
        data_dir: folder for everything that the service writes.

    Raises:
        ServiceNotUpError: it ended, or its worker was not ready in time; the message has its last lines.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    log_path = data_dir / "up.log"
    command = [sys.executable, "-m", "app.cli.main", "up", "--port", "0", "--data-dir", str(data_dir)]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
    try:
        yield _wait_until_ready(process, data_dir / URL_FILE, log_path)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], url_file: Path, log_path: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if url_file.exists():
            url = url_file.read_text(encoding="utf-8").strip()
            try:
                if httpx2.get(f"{url}/readyz", timeout=5.0, trust_env=False).status_code == httpx2.codes.OK:
                    return url
            except httpx2.HTTPError:
                pass
        time.sleep(0.2)
    ended = process.poll()
    last_lines = "\n".join(log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:])
    raise ServiceNotUpError(
        expected=f"a ready service within {START_SECONDS:.0f} s",
        got=f"exit code {ended}" if ended is not None else "no answer",
        remedy=f"Read what it said:\n{last_lines}\n",
    )


def _job_error(job: Job) -> JobFailureError:
    error = job.error
    return JobFailureError(
        expected="a job that succeeds",
        got=f"{job.state}: {error.title}: {error.got}" if error else job.state,
        remedy=error.remedy if error else "Look at the service's log",
    )
