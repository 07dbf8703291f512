"""`vtt evaluate`: measure an adapter on disk, or a model of a running service, on labelled images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app.cli.console import stderr_console, write_json, write_rejections
from app.cli.labelled_files import LabelledFiles
from app.cli.predict import CoverageOption, FalseRejectsOption, options_of
from app.cli.remote.service import OWN_SERVICE, KeyOption, UrlOption, connect
from app.domain.errors import error_facts
from vtt_core.contract.serving import DEFAULT_COVERAGE, AnswerOptions
from vtt_core.evaluation.evaluate import Judged
from vtt_core.evaluation.evaluate import evaluate as measure
from vtt_core.evaluation.label_match import check_known, match_labels, unknown_notice

CHUNK_IMAGES = 64
NUM_SHOWN = 5
"""Confusions that the text names."""


def evaluate(
    model: Annotated[str, typer.Argument(metavar="DIR|MODEL", help="Folder of an adapter, or id or alias of a model.")],
    images: Annotated[Path, typer.Argument(metavar="FOLDER|ZIP", help="Labelled images, one folder per class.")],
    coverage: CoverageOption = DEFAULT_COVERAGE,
    false_rejects: FalseRejectsOption = None,
    url: UrlOption = OWN_SERVICE,
    key: KeyOption = None,
    keep_images: Annotated[bool, typer.Option("--keep-images", help="Let the service keep the images.")] = False,
    device: Annotated[str, typer.Option(help="Of an adapter: auto, cpu, cuda or cuda:N.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Measure how well labelled images are classified that were not learnt from.

    DIR is measured here, without a service. If no folder is called so, MODEL is asked for at the service, which keeps what was
    measured. Of folders such as `train` and `val`, the second is taken. Images that cannot be used are named, and the others
    are measured.
    """
    if Path(model).is_dir():
        found = run_evaluate(Path(model), images, device=device, options=options_of(coverage, false_rejects))
    else:
        parameters = {"coverage": coverage, "false_rejects": false_rejects, "keep_images": keep_images}
        found = ask_service(model, images, parameters | {"name": images.name[:200]}, url, key)
    write_measured(found, as_json=as_json)


def write_measured(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Write what was measured, and what else is worth knowing."""
    for notice in found["notices"]:
        stderr_console().print(notice, style="yellow", markup=False)
    if as_json:
        write_json(found)
    else:
        _write(found)


def run_evaluate(folder: Path, source: Path, *, device: str, options: AnswerOptions) -> dict[str, Any]:
    """Return what was measured of an adapter.

    Args:
        folder: of the adapter.
        source: folder or zip with a folder per class.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        options: what to say besides probabilities.

    Raises:
        AdapterFormatError: the folder is no readable adapter.
        BackboneMismatchError: the backbone has other weights than the adapter was made for.
        ArchiveError: the images cannot be found.
        UnknownClassesError: the adapter knows none of the classes.
    """
    with LabelledFiles.opened(source) as files:
        labels, judged = _judge(folder, files, device, options)
        write_rejections(files.left_out)
        files.check_some(sum(one.label is not None for one in judged))
        unknown = unknown_notice(Counter(one.sent_label for one in judged if one.label is None), labels, str(folder))
        return {
            "adapter": str(folder),
            "num_images": len(judged),
            "coverage": options.coverage,
            "false_rejects": options.false_rejects,
            **measure(labels, judged).to_json(),
            "refused": [{"file": name, **error_facts(error)} for name, error in files.left_out],
            "notices": [notice for notice in (*files.notices, unknown) if notice is not None],
        }


def _judge(folder: Path, files: LabelledFiles, device: str, options: AnswerOptions) -> tuple[tuple[str, ...], list[Judged]]:
    """Return the labels of an adapter, and what it says of each image."""
    # torch takes seconds to import; `vtt --help` and the service's control role do without it.
    from vtt_core.adapter.answer import answers  # noqa: PLC0415
    from vtt_core.adapter.classify import adapter_scores, read_for  # noqa: PLC0415
    from vtt_core.adapter.files import load_adapter  # noqa: PLC0415
    from vtt_core.backbones.device import resolve_device  # noqa: PLC0415
    from vtt_core.backbones.load import load_backbone  # noqa: PLC0415
    from vtt_core.backbones.preprocess import resize  # noqa: PLC0415
    from vtt_core.heads.features import head_input  # noqa: PLC0415
    from vtt_core.ingest.decode import decode_image  # noqa: PLC0415

    adapter = load_adapter(folder)
    labels = adapter.manifest.labels
    matched = match_labels(files.labels, labels)
    check_known(files.labels, labels, str(folder))
    backbone = load_backbone(adapter.manifest.backbone_id, device=resolve_device(device))
    decoded = files.each(lambda encoded: resize(decode_image(encoded, bands=adapter.manifest.bands), backbone.preprocessing))
    judged: list[Judged] = []
    while chunk := list(islice(decoded, CHUNK_IMAGES)):
        readout = read_for(backbone, adapter, [image for _, image in chunk])
        predictions = answers(adapter, adapter_scores(adapter, readout), head_input(readout).float().cpu(), options)
        for (file, _), prediction in zip(chunk, predictions, strict=True):
            judged.append(Judged.of(file.name, file.label, matched[file.label], prediction))
    return labels, judged


def ask_service(model: str, source: Path, parameters: Mapping[str, Any], url: str, key: str | None) -> dict[str, Any]:
    """Return what a running service has measured of a model.

    Args:
        model: id or alias.
        source: folder or zip with a folder per class.
        parameters: of the request.
        url: of the service.
        key: API key; None where the service asks for none.

    Raises:
        VttClientError: the service refuses, or does not answer.
        ArchiveError: the images cannot be found.
    """
    with LabelledFiles.opened(source) as files, NamedTemporaryFile(suffix=".zip") as archive, connect(url, key) as client:
        files.pack(archive)  # type: ignore[arg-type]
        archive.flush()
        write_rejections(files.left_out)
        answer = client.evaluate(model, archive.name, **parameters).model_dump(mode="json")
        left_out = [{"file": name, **error_facts(error)} for name, error in files.left_out]
        for refused in answer["refused"]:
            line = f"left out {refused['file']}: expected {refused['expected']}, got {refused['got']}. {refused['remedy']}."
            stderr_console().print(line, style="yellow", markup=False)
        return {
            **answer["evaluations"][0],
            "refused": [*left_out, *answer["refused"]],
            "notices": [*files.notices, *answer["notices"]],
        }


def _write(found: Mapping[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    table = Table("class", "images", "recall", "precision", "F1", box=None, header_style="bold")
    for one in found["per_class"]:
        table.add_row(one["label"], str(one["support"]), *(_percent(one[name]) for name in ("recall", "precision", "f1")))
    console.print(table)
    accuracy = found["accuracy"]
    console.print(
        f"accuracy {_percent(accuracy['accuracy'])} ({_percent(accuracy['low'])} to {_percent(accuracy['high'])}), "
        f"{accuracy['num_images']} images",
        markup=False,
    )
    for line in [*_other_lines(found), *_confusions(found)]:
        console.print(line, markup=False)


def _other_lines(found: Mapping[str, Any]) -> list[str]:
    lines = [f"calibration error {100 * found['calibration_error']:.1f} %"]
    if (sets := found["prediction_sets"]) is not None:
        lines.append(
            f"prediction sets hold the true class of {_percent(sets['covered']['share'])} (promised "
            f"{_percent(sets['promised'])}), with {sets['mean_size']:.1f} classes on average"
        )
    if (rejected := found["none_of_these"]) is not None:
        lines.append(f"wrongly called none of these: {_percent(rejected['share'])}")
    if (told := found["unknown"]["told"]) is not None:
        lines.append(f"rightly called none of these: {_percent(told['share'])} of {told['num_images']} of unknown classes")
    return lines


def _confusions(found: Mapping[str, Any]) -> list[str]:
    """Return the most frequent mistakes, a line each, with an example."""
    by_pair: dict[tuple[str, str], list[str]] = {}
    for one in found["mistakes"]:
        by_pair.setdefault((one["label"], one["said"]), []).append(one["image"])
    ranked = sorted(by_pair.items(), key=lambda pair: -len(pair[1]))
    lines = [
        f"  {len(names)} x {label!r} taken for {said!r}, such as {names[0]}" for (label, said), names in ranked[:NUM_SHOWN]
    ]
    return ["most frequent mistakes:", *lines] if lines else ["no mistakes"]


def _percent(share: float | None) -> str:
    return "not known" if share is None else f"{100 * share:.0f} %"
