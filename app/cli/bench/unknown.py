"""`vtt bench unknown`: how well a model tells images of none of its classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.bench.common import BackboneOption, JsonOption, ThreadsOption, load_for_bench, use_threads
from app.cli.bench.open_data import NamesOption, PatientOption, open_data
from app.cli.console import stderr_console, write_json
from vtt_core.backbones.device import resolve_device
from vtt_core.contract.errors import InputError

if TYPE_CHECKING:
    from vtt_core.backbones.backbone import Backbone
    from vtt_core.bench.episodes.sampling import Protocol
    from vtt_core.bench.unknown.trials import OutSet, Trial
    from vtt_core.contract.method_spec import MethodSpec

GENERATED_IMAGES = 60
"""Of each kind; episodes draw from them."""


@dataclass(frozen=True)
class UnknownRequest:
    """The options of a run."""

    data: str
    names: Path | None
    out: Sequence[str]
    method: str
    backbone: str
    false_rejects: float
    by_patient: bool
    device: str
    threads: int


def unknown(
    data: Annotated[
        str,
        typer.Option("--in", metavar="[NAME=]PATH", help="Data set to train on: folder or zip with a folder per class."),
    ],
    out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]PATH", help="Data set of none of the classes, or `same`: other classes of --in. Repeatable."
        ),
    ] = None,
    method: Annotated[str, typer.Option(metavar="NAME[@PRESET][:FIELD=VALUE...]", help="What makes the model.")] = "frozen",
    names: NamesOption = None,
    backbone: BackboneOption = "mini",
    way: Annotated[int, typer.Option(metavar="N", min=2, help="Classes of an episode.")] = 5,
    shot: Annotated[int, typer.Option(metavar="K", min=1, help="Support images a class.")] = 5,
    query: Annotated[int, typer.Option(metavar="Q", min=1, help="Query images a class; as many of each other set.")] = 15,
    episodes: Annotated[int, typer.Option(metavar="N", min=1, help="Episodes.")] = 100,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the episodes, and of the random numbers in them.")] = 1,
    false_rejects: Annotated[
        float, typer.Option(metavar="SHARE", min=0.001, max=0.499, help="Share of images of the classes that may be rejected.")
    ] = 0.05,
    by_patient: PatientOption = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train on episodes of a data set, offer images of others, and print how many are accepted by mistake.

    Noise, flat colours, textures, text and drawings are always offered too. Intervals are of 95 %, over the episodes.
    """
    # torch takes seconds to import; other commands do without.
    from vtt_core.bench.episodes.sampling import Protocol  # noqa: PLC0415
    from vtt_core.bench.unknown.report import unknown_markdown  # noqa: PLC0415

    request = UnknownRequest(
        data=data,
        names=names,
        out=out or (),
        method=method,
        backbone=backbone,
        false_rejects=false_rejects,
        by_patient=by_patient,
        device=resolve_device(device),
        threads=use_threads(threads),
    )
    result = run_unknown(request, Protocol(way, shot, query, episodes, seed))
    if as_json:
        write_json(result)
    else:
        typer.echo(unknown_markdown(result), nl=False)


def run_unknown(request: UnknownRequest, protocol: Protocol) -> dict[str, Any]:
    """Run all episodes, and return the result.

    Raises:
        InputError: the method, the data or the backbone cannot be used.
    """
    # See unknown.
    from vtt_core.bench.episodes.adapter_methods import make_adapter_method  # noqa: PLC0415
    from vtt_core.bench.episodes.image_bank import MEMORY_BYTES, ImageBank  # noqa: PLC0415
    from vtt_core.bench.episodes.runner import Benchmark  # noqa: PLC0415
    from vtt_core.bench.unknown.report import summarise_trials  # noqa: PLC0415
    from vtt_core.bench.unknown.trials import run_trials  # noqa: PLC0415

    spec = _spec(request)
    assert spec.recipe is not None
    with ExitStack() as stack:
        images = stack.enter_context(open_data(request.data, request.names, by_patient=request.by_patient))
        backbone = load_for_bench(request.backbone, request.device)
        memory_bytes = MEMORY_BYTES // (2 + len(request.out))
        bank = ImageBank(images, backbone, memory_bytes=memory_bytes)
        out_sets = _out_sets(stack, request, backbone, memory_bytes)
        benchmark = Benchmark(bank, protocol, (spec,), request.threads, request.device.partition(":")[0])
        method = make_adapter_method(spec.recipe, request.threads)
        num_images = protocol.way * protocol.num_queries
        trials = run_trials(method, benchmark.episodes(), out_sets, request.false_rejects, num_images)
        conditions = benchmark.conditions
        return {
            "method": request.method,
            "in": _name(request.data),
            "asked_false_rejects": request.false_rejects,
            "images": num_images,
            **summarise_trials(list(_shown(trials, protocol.num_episodes))),
            "protocol": asdict(protocol) | {"by_patient": bank.group_I is not None},
            "recipe": spec.recipe.to_json(),
            "data_sha256": {"in": bank.sha256} | _hashes(out_sets),
            "backbone": conditions["backbone"],
            "device": conditions["device"],
            "threads": request.threads,
            "versions": conditions["versions"],
        }


def _spec(request: UnknownRequest) -> MethodSpec:
    from vtt_core.bench.episodes.methods import FROZEN  # noqa: PLC0415  (see unknown)
    from vtt_core.contract.method_spec import parse_spec  # noqa: PLC0415

    spec = parse_spec(request.method, FROZEN, backbone_id=request.backbone)
    if spec.recipe is None:
        raise InputError(
            expected="a method that makes a model, such as frozen or auto", got=repr(request.method), remedy="Correct --method"
        )
    return spec


def _out_sets(stack: ExitStack, request: UnknownRequest, backbone: Backbone, memory_bytes: int) -> list[OutSet]:
    from vtt_core.bench.episodes.image_bank import ImageBank  # noqa: PLC0415  (see unknown)
    from vtt_core.bench.unknown.generated_images import KINDS, generated_images  # noqa: PLC0415
    from vtt_core.bench.unknown.trials import SAME, OutSet  # noqa: PLC0415

    found: list[OutSet] = []
    for text in request.out:
        name = SAME if text == SAME else _name(text)
        if name in [known.name for known in found] or name in KINDS:
            raise InputError(expected="sets of different names", got=f"{name!r} twice", remedy="Rename a file, or leave it out")
        if text == SAME:
            found.append(OutSet(SAME, None))
        else:
            images = stack.enter_context(open_data(text, None))
            found.append(OutSet(name, ImageBank(images, backbone, memory_bytes=memory_bytes)))
    for kind in KINDS:
        drawn = generated_images(kind, GENERATED_IMAGES)
        found.append(OutSet(kind, ImageBank(drawn, backbone, memory_bytes=memory_bytes // len(KINDS))))
    return found


def _hashes(out_sets: Sequence[OutSet]) -> dict[str, str]:
    """Return the hash of every set that is no part of this program."""
    from vtt_core.bench.unknown.generated_images import KINDS  # noqa: PLC0415  (see unknown)

    return {known.name: known.bank.sha256 for known in out_sets if known.bank is not None and known.name not in KINDS}


def _name(data: str) -> str:
    from vtt_core.bench.datasets.open import parse_data_option  # noqa: PLC0415  (see unknown)

    name, path = parse_data_option(data)
    return name or path.stem


def _shown(trials: Iterator[Trial], num_episodes: int) -> Iterator[Trial]:
    """Yield the trials, with a few lines of progress on standard error."""
    console = stderr_console()
    for number, trial in enumerate(trials, start=1):
        if number * 10 // num_episodes > (number - 1) * 10 // num_episodes:
            console.print(f"{number} of {num_episodes} episodes", markup=False)
        yield trial
