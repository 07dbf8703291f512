"""Record the examples of the API's description from a real service: `python -m tests.architecture.write_api_examples`.

It takes a minute. An endpoint that is new needs a call in `walk`.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from app.api_examples import EXAMPLES
from app.cli.demo import running_service
from app.cli.synthetic_images import write_folders
from tests.architecture.write_openapi import describe

MOST_SHOWN = 2
"""Entries of a list of objects that an example shows."""
MOST_TEXT = 600
"""Characters of a text answer that an example shows."""
WHOLE = frozenset({"per_class", "classes", "events", "parts", "forms"})
"""Lists that an example shows with all their entries."""


class Recorder:
    """Calls a service, and keeps what was sent and answered by the id of the operation."""

    def __init__(self, url: str) -> None:
        self._http = httpx2.Client(base_url=url, timeout=120, trust_env=False)
        self.examples: dict[str, dict[str, Any]] = {}

    def call(self, operation: str, method: str, path: str, *, shown: object = None, **request: Any) -> httpx2.Response:
        """Send a request, keep it as an example, and return the answer.

        Args:
            operation: id of the operation.
            method: of HTTP.
            path: with its query.
            shown: request body of the example; None for the JSON that is sent.
            request: body and files.
        """
        answer = self._http.request(method, path, **request)
        assert answer.is_success, f"{operation}: {answer.text}"
        kept = self.examples.setdefault(operation, {"answers": {}})
        body = request.get("json") if shown is None else shown
        if body is not None:
            kept["request"] = body
        media_type = answer.headers.get("content-type", "").split(";")[0]
        if not answer.content:
            return answer
        if media_type == "application/json":
            kept["answers"].setdefault(str(answer.status_code), {})[media_type] = _shortened(answer.json())
        elif media_type.startswith("text/"):
            kept["answers"].setdefault(str(answer.status_code), {})[media_type] = answer.text[:MOST_TEXT]
        return answer

    def json(self, operation: str, method: str, path: str, **request: Any) -> dict[str, Any]:
        """Send a request as `call` does; return the JSON of the answer."""
        return dict(self.call(operation, method, path, **request).json())

    def wait(self, path: str) -> dict[str, Any]:
        """Wait until a job or batch has ended; return it."""
        while True:
            found = self._http.get(path).json()
            if found["state"] in ("succeeded", "failed", "cancelled"):
                return dict(found)
            time.sleep(0.2)

    def wait_for_export(self, path: str) -> None:
        """Wait until the only export of a model has ended."""
        while self._http.get(path).json()["items"][0]["state"] in ("queued", "running"):
            time.sleep(0.2)


def _shortened(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _shortened(item, key) for key, item in value.items()}
    if isinstance(value, list):
        is_long = value and isinstance(value[0], Mapping) and name not in WHOLE
        return [_shortened(item) for item in (value[:MOST_SHOWN] if is_long else value)]
    return value


def _zip_of(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder))
    return buffer.getvalue()


def walk(recorder: Recorder, folder: Path) -> None:
    """Call every operation once."""
    support, query, more = folder / "support", folder / "query", folder / "more"
    for seed, (drawn, num_images) in enumerate({support: 5, query: 3, more: 4}.items()):
        write_folders(drawn, num_images=num_images, seed=seed)
    archive = {"archive": ("set.zip", _zip_of(support), "application/zip")}
    set_id = _walk_sets(recorder, archive, more / "star")
    job_id, model_id = _walk_jobs(recorder, set_id)
    _walk_models(recorder, model_id, more / "rings")
    _walk_predictions(recorder, model_id, query)
    _walk_evaluations(recorder, model_id, query)
    _walk_webhooks(recorder)
    for operation, path in {"list_backbones": "/v1/backbones", "get_liveness": "/livez", "get_readiness": "/readyz"}.items():
        recorder.call(operation, "GET", path)
    recorder.call("get_metrics", "GET", "/metrics")
    recorder.call("delete_job", "DELETE", f"/v1/jobs/{job_id}")


def _walk_sets(recorder: Recorder, archive: dict[str, Any], stars: Path) -> str:
    sets, form = "/v1/support-sets", {"archive": "(the bytes of a zip with a folder per class)"}
    broken = [("star", ("000.png", b"no image"))]
    made = recorder.json("create_support_set", "POST", f"{sets}?name=patterns", files=archive, shown=form)
    here = f"{sets}/{made['id']}"
    one, two, three = ((f"00{slot}.png", (stars / f"00{slot}.png").read_bytes()) for slot in range(3))
    field = {"spiral": "(the bytes of an image)"}
    recorder.json("create_support_set", "POST", sets, files=[("star", one), *broken], shown=form)
    copy = recorder.json("copy_support_set", "POST", f"{here}/copy?name=second-try")
    other = f"{sets}/{copy['id']}"
    recorder.json("add_images", "POST", f"{other}/images", files=[("spiral", two)], shown=field)
    recorder.json("add_images", "POST", f"{other}/images", files=[("spiral", three), *broken], shown=field)
    image = f"{other}/images/{copy['images'][0]['id']}"
    recorder.call("get_image", "GET", image)
    recorder.call("get_thumbnail", "GET", f"{image}/thumbnail")
    recorder.call("change_image", "PATCH", image, json={"label": "star", "group": "plot 7"})
    recorder.call("set_groups", "PUT", f"{other}/groups", json={"groups": {"star/001.png": "plot 7"}})
    recorder.call("rename_class", "PATCH", f"{other}/classes?label=spiral", json={"label": "shell"})
    recorder.call("change_support_set", "PATCH", other, json={"name": "second try", "negative": "shell"})
    recorder.call("remove_image", "DELETE", image)
    recorder.call("remove_class", "DELETE", f"{other}/classes?label=shell")
    recorder.call("list_support_sets", "GET", sets)
    recorder.call("get_support_set", "GET", here)
    recorder.call("report_on_support_set", "POST", f"{here}/report")
    recorder.call("delete_support_set", "DELETE", other)
    return str(made["id"])


def _walk_jobs(recorder: Recorder, set_id: str) -> tuple[str, str]:
    jobs = "/v1/jobs"
    body = {"support_set_id": set_id, "backbone": "mini", "method": "auto", "name": "patterns"}
    job = recorder.json("create_job", "POST", jobs, json=body)
    ended = recorder.wait(f"{jobs}/{job['id']}")
    recorder.call("get_job", "GET", f"{jobs}/{job['id']}")
    recorder.call("follow_job", "GET", f"{jobs}/{job['id']}/events")
    other = recorder.json("create_job", "POST", jobs, json=body)
    recorder.call("cancel_job", "POST", f"{jobs}/{other['id']}/cancel")
    recorder.wait(f"{jobs}/{other['id']}")
    recorder.call("list_jobs", "GET", jobs)
    return str(job["id"]), str(ended["model_id"])


def _walk_models(recorder: Recorder, model_id: str, images: Path) -> None:
    models, here = "/v1/models", f"/v1/models/{model_id}"
    recorder.call("point_alias", "PUT", "/v1/aliases/patterns", json={"model_id": model_id})
    recorder.call("get_alias", "GET", "/v1/aliases/patterns")
    recorder.call("list_aliases", "GET", "/v1/aliases")
    recorder.call("get_model", "GET", here)
    recorder.call("list_models", "GET", models)
    recorder.call("change_model", "PATCH", here, json={"false_rejects": 0.02})
    recorder.call("pin_model", "PUT", f"{here}/pin")
    recorder.call("unpin_model", "DELETE", f"{here}/pin")
    recorder.call("create_export", "POST", f"{here}/exports/onnx")
    recorder.wait_for_export(f"{here}/exports")
    recorder.call("list_exports", "GET", f"{here}/exports")
    recorder.call("get_export", "GET", f"{here}/exports/onnx")
    recorder.call("export_adapter", "GET", f"{here}/exports/adapter")
    recorder.call("export_report", "GET", f"{here}/exports/report")
    spirals = [("spiral", (f"{slot}.png", (images / f"00{slot}.png").read_bytes())) for slot in range(2)]
    shown = {"spiral": "(the bytes of an image)"}
    added = recorder.json("add_model_classes", "POST", f"{here}/classes", files=spirals, shown=shown)
    ended = recorder.wait(f"/v1/jobs/{added['id']}")
    recorder.call("delete_model", "DELETE", f"{models}/{ended['model_id']}")
    recorder.call("delete_alias", "DELETE", "/v1/aliases/patterns")


def _walk_predictions(recorder: Recorder, model_id: str, query: Path) -> None:
    here, batches = f"/v1/models/{model_id}", "/v1/predictions"
    image = ("images", ("rings.png", (query / "rings" / "000.png").read_bytes()))
    broken = ("images", ("notes.txt", b"no image"))
    shown = {"images": ["(the bytes of an image)"]}
    named = {"model": "patterns", **shown}
    recorder.call("predict_with_model", "POST", f"{here}/predict", files=[image], shown=shown)
    recorder.call("predict_with_model", "POST", f"{here}/predict", files=[image, broken], shown=shown)
    recorder.call("predict", "POST", "/predict", files=[image], data={"model": model_id}, shown=named)
    recorder.call("predict", "POST", "/predict", files=[image, broken], data={"model": model_id}, shown=named)
    recorder.call("show_attention", "POST", f"{here}/attention", files=[image], shown={"images": "(the bytes of an image)"})
    batch = recorder.json("create_batch", "POST", f"{here}/predictions?name=field-trip", files=[image, broken], shown=shown)
    recorder.wait(f"{batches}/{batch['id']}")
    recorder.call("get_batch", "GET", f"{batches}/{batch['id']}")
    recorder.call("list_batches", "GET", batches)
    recorder.call("get_batch_result", "GET", f"{batches}/{batch['id']}/result")
    recorder.call("get_batch_result", "GET", f"{batches}/{batch['id']}/result?format=csv")
    other = recorder.json("create_batch", "POST", f"{here}/predictions", files=[image] * 200, shown=shown)
    recorder.call("cancel_batch", "POST", f"{batches}/{other['id']}/cancel")
    recorder.call("delete_batch", "DELETE", f"{batches}/{batch['id']}")


def _walk_evaluations(recorder: Recorder, model_id: str, query: Path) -> None:
    of_model, evaluations = f"/v1/models/{model_id}/evaluations", "/v1/evaluations"
    archive = {"archive": ("query.zip", _zip_of(query), "application/zip")}
    form = {"archive": "(the bytes of a zip with a folder per class)"}
    broken = [("star", ("000.png", b"no image")), ("rings", ("1.png", (query / "rings" / "000.png").read_bytes()))]
    for operation, path in {
        "evaluate_model": f"{of_model}?name=others&keep_images=true",
        "evaluate_models": f"{evaluations}?model={model_id}&name=others&keep_images=true",
    }.items():
        recorder.call(operation, "POST", path, files=broken, shown=form)
        made = recorder.json(operation, "POST", path, files=archive, shown=form)["evaluations"][0]
    recorder.call("list_model_evaluations", "GET", of_model)
    recorder.call("list_evaluations", "GET", evaluations)
    recorder.call("get_evaluation", "GET", f"{evaluations}/{made['id']}")
    recorder.call("get_evaluation_image", "GET", made["images"][0]["link"])
    recorder.call("delete_evaluation", "DELETE", f"{evaluations}/{made['id']}")


def _walk_webhooks(recorder: Recorder) -> None:
    hooks = "/v1/webhooks"
    body = {"url": "https://example.org/hooks/vtt", "events": ["job.succeeded", "batch.succeeded"]}
    made = recorder.json("create_webhook", "POST", hooks, json=body)
    recorder.call("get_webhook", "GET", f"{hooks}/{made['id']}")
    recorder.call("list_webhooks", "GET", hooks)
    recorder.call("delete_webhook", "DELETE", f"{hooks}/{made['id']}")


def main() -> None:
    """Record the examples."""
    with tempfile.TemporaryDirectory() as scratch:
        with running_service(Path(scratch) / "data") as url:
            recorder = Recorder(url)
            walk(recorder, Path(scratch))
    recorded = json.dumps(recorder.examples, indent=1, sort_keys=True).replace(scratch, "/var/lib/vtt")
    EXAMPLES.write_text(recorded + "\n", encoding="utf-8")
    known = {operation["operationId"] for methods in describe()["paths"].values() for operation in methods.values()}
    assert known == set(recorder.examples), known ^ set(recorder.examples)


if __name__ == "__main__":
    main()
