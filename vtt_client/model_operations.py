"""Ask the service about models: look at them, name them, take them away."""

from __future__ import annotations

from pathlib import Path

from vtt_client.answers import UNCHANGED, Unchanged, changes, get, listed, read, segment
from vtt_client.calls import Call, Operation
from vtt_client.errors import ExportFailedError, NotFoundError
from vtt_client.export_models import Export, ExportKind, ExportList
from vtt_client.models import Alias, AliasPage, Model, ModelPage
from vtt_client.waiting import until_ended


def models() -> Operation[list[Model]]:
    """Return the models, newest first, with the single numbers of their metrics."""
    return (yield from listed("/v1/models", ModelPage, lambda page: page.items))


def model(reference: str) -> Operation[Model]:
    """Return a model by its id or an alias, with all its metrics."""
    return read(Model, (yield get(f"/v1/models/{segment(reference)}")))


def change_model(
    model_id: str, *, name: str | Unchanged = UNCHANGED, false_rejects: float | None | Unchanged = UNCHANGED
) -> Operation[Model]:
    """Rename a model, or change how readily it says `none_of_these`; None for the usual."""
    call = Call("PATCH", _path(model_id), json=changes(name=name, false_rejects=false_rejects), is_repeatable=True)
    return read(Model, (yield call))


def pin(model_id: str) -> Operation[Model]:
    """Keep a model in memory, so that no prediction waits for its files."""
    return read(Model, (yield Call("PUT", f"{_path(model_id)}/pin", is_repeatable=True)))


def unpin(model_id: str) -> Operation[Model]:
    """Let a model leave the memory again."""
    return read(Model, (yield Call("DELETE", f"{_path(model_id)}/pin", is_repeatable=True)))


def aliases() -> Operation[list[Alias]]:
    """Return the aliases, in alphabetical order."""
    return (yield from listed("/v1/aliases", AliasPage, lambda page: page.items))


def alias(name: str) -> Operation[Alias]:
    """Return an alias and the model that it points to."""
    return read(Alias, (yield get(f"/v1/aliases/{segment(name)}")))


def point_alias(name: str, model_id: str) -> Operation[Alias]:
    """Make an alias point to a model; an alias that exists is moved."""
    path = f"/v1/aliases/{segment(name)}"
    return read(Alias, (yield Call("PUT", path, json={"model_id": model_id}, is_repeatable=True)))


def delete_alias(name: str) -> Operation[None]:
    """Delete an alias; its model stays."""
    yield Call("DELETE", f"/v1/aliases/{segment(name)}")


def export(reference: str, kind: ExportKind) -> Operation[Export]:
    """Have a model made into the form of another program, once; see `wait_for_export`.

    Args:
        reference: id or alias of a model.
        kind: `peft`, `open_clip`, `onnx` or `web`.
    """
    call = Call("POST", f"{_path(reference)}/exports/{segment(kind)}", is_repeatable=True)
    return read(Export, (yield call))


def exports(reference: str) -> Operation[list[Export]]:
    """Return the exports of a model that were asked for."""
    return read(ExportList, (yield get(f"{_path(reference)}/exports"))).items


def wait_for_export(reference: str, kind: ExportKind, *, timeout_seconds: float | None = None) -> Operation[Export]:
    """Wait until an export that was asked for has ended; return it.

    Raises:
        ExportFailedError: it could not be made, or does not agree with the model.
        NotFoundError: nobody has asked for it.
        TimeoutError: it had not ended in time; it goes on.
    """
    return (yield from until_ended(lambda: _export(reference, kind), ExportFailedError, None, timeout_seconds))


def download(reference: str, target: str | Path, *, kind: str = "adapter") -> Operation[Path]:
    """Save an export of a model that is there: `adapter` and `report` always are, the others once `wait_for_export` returns.

    Args:
        reference: id or alias of a model.
        target: file to write; it takes the place of an older one once all has arrived.
        kind: of the export. `adapter` is the zip that `vtt predict` reads once it is unpacked.

    Returns:
        The file.

    Raises:
        NotFoundError: nobody has asked for the export.
        ConflictError: it is not made yet.
    """
    answer = yield get(f"/v1/models/{segment(reference)}/exports/{segment(kind)}")
    path = Path(target)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(answer.content)
    return partial.replace(path)


def _export(reference: str, kind: str) -> Operation[Export]:
    found = yield from exports(reference)
    named = {one.kind: one for one in found}
    if kind not in named:
        raise NotFoundError(
            code="client.no_export",
            title="No export",
            expected=f"the export {kind!r} of {reference!r}",
            got=", ".join(named) or "none",
            remedy="Ask for it with `export`",
        )
    return named[kind]


def _path(reference: str) -> str:
    return f"/v1/models/{segment(reference)}"
