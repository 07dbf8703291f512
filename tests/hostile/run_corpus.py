"""Send every hostile file through the parsers and the whole service, in a separate process.

`python -m tests.hostile.run_corpus BROKER_URL FOLDER` prints a line of JSON for each file, and finally the peak memory.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from app.infra.settings import Role, Settings
from app.infra.telemetry import configure_logging
from app.main import create_app
from tests.fixtures.http_api import OWN_URL, Api, FakeEngine
from tests.fixtures.noise_images import good
from tests.hostile.corpus import CORPUS
from tests.hostile.table import ACCEPTED, Hostile
from vtt_core.contract.errors import VttError
from vtt_core.contract.support_set import clean_label
from vtt_core.ingest.archives import read_zip
from vtt_core.ingest.decode import inspect_image

NOTHING = "images.nothing_usable"


def _image_outcome(encoded: bytes) -> str:
    try:
        inspect_image(encoded)
    except VttError as error:
        return error.code
    return ACCEPTED


def _archive_outcome(encoded: bytes) -> str:
    num_kept, codes = 0, set()
    try:
        with read_zip(io.BytesIO(encoded)) as contents:
            codes |= {rejection.error.code for rejection in contents.rejections}
            for file in contents.files:
                try:
                    clean_label(file.label)
                    inspect_image(file.read())
                    num_kept += 1
                except VttError as error:
                    codes.add(error.code)
    except VttError as error:
        return error.code
    return _summary(num_kept, codes)


def _summary(num_kept: int, codes: set[str]) -> str:
    return ", ".join([*([f"{num_kept} kept"] if num_kept else []), *sorted(codes)]) or NOTHING


def _uploaded(api: Api, hostile: Hostile, encoded: bytes) -> str:
    if hostile.kind == "archive":
        answer = api.client.post("/v1/support-sets", files=[("archive", (hostile.name, encoded))])
        if answer.status_code == 422 and answer.json()["code"] != NOTHING:
            return str(answer.json()["code"])
        results = answer.json()["results"]
        codes = {result["code"] for result in results if result["status"] != 201} - {"support_set.empty_class"}
        return _summary(sum(result["status"] == 201 for result in results), codes)
    parts = [("cat", ("0.png", good(1000))), ("dog", ("1.png", good(1001))), ("cat", (hostile.name, encoded))]
    answer = api.client.post("/v1/support-sets", files=parts)
    assert answer.json()["way"] == 2, answer.text
    (result,) = (result for result in answer.json()["results"] if result["file"] == hostile.name)
    return result["code"] or ACCEPTED


def _predicted(api: Api, model_id: str, hostile: Hostile, encoded: bytes) -> str:
    answer = api.client.post(f"/v1/models/{model_id}/predict", files=[("images", (hostile.name, encoded))])
    if answer.status_code == 200:
        return ACCEPTED
    assert (answer.status_code, answer.json()["code"]) == (422, NOTHING), answer.text
    return str(answer.json()["results"][0]["code"])


def _timed(act: Callable[..., str], *arguments: Any) -> tuple[str, int]:
    start = time.perf_counter()
    try:
        outcome = act(*arguments)
    except Exception as error:  # this is what the test looks for
        outcome = f"{type(error).__name__}: {str(error)[:300]}"
    return outcome, round(1000 * (time.perf_counter() - start))


def _peak_mib() -> int:
    status = Path("/proc/self/status")
    if status.exists():  # getrusage also counts the parent's memory before exec
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _say(facts: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")


def main(broker_url: str, folder: str) -> None:
    configure_logging("console")  # to standard error: standard output is for the test
    settings = Settings(
        data_dir=Path(folder), database_url=f"sqlite:///{folder}/vtt.sqlite", broker_url=broker_url, role=Role.ALL
    )
    engine = FakeEngine()
    app = create_app(settings, lambda _: engine)
    with TestClient(app, base_url=OWN_URL) as client:
        api = Api(client, app.state.context, engine)
        app.state.context.predictor.wait()
        model_id = api.publish()
        for hostile in CORPUS:
            encoded = hostile.build()
            read, read_ms = _timed(_image_outcome if hostile.kind == "image" else _archive_outcome, encoded)
            facts: dict[str, object] = {"file": hostile.name, "bytes": len(encoded), "read": read, "read_ms": read_ms}
            facts["uploaded"], facts["uploaded_ms"] = _timed(_uploaded, api, hostile, encoded)
            if hostile.kind == "image":
                facts["predicted"], facts["predicted_ms"] = _timed(_predicted, api, model_id, hostile, encoded)
            _say(facts | {"peak_mib": _peak_mib()})
    _say({"peak_mib": _peak_mib()})


if __name__ == "__main__":
    main(*sys.argv[1:])
