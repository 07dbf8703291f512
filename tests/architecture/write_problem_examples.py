"""Record a problem document for each code that can be provoked: `python -m tests.architecture.write_problem_examples`.

Two real services are asked for what they refuse. It takes a minute or two.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from app.api_examples import PROBLEMS
from app.cli.demo import running_service
from app.cli.synthetic_images import write_folders

SETS, JOBS, MODELS, BATCHES = "/v1/support-sets", "/v1/jobs", "/v1/models", "/v1/predictions"


class Provoker:
    """Sends requests that are refused, and keeps the answers by their codes.

    Args:
        url: of a service.
        problems: where the answers are kept.
    """

    def __init__(self, url: str, problems: dict[str, Any]) -> None:
        self.url, self.problems = url, problems
        self.mistakes: list[str] = []
        """Answers that were others than expected; all of them are told together."""
        self.http = httpx2.Client(base_url=url, timeout=120, trust_env=False)

    def expect(self, code: str, method: str, path: str, **request: Any) -> None:
        """Send a request that is refused with this code."""
        self.keep(code, self.http.request(method, path, **request).json())

    def keep(self, code: str, document: Mapping[str, Any]) -> None:
        """Keep a problem document."""
        if document.get("code") != code:
            self.mistakes.append(f"{code} was expected: {document}")
            return
        self.problems[code] = {name: value[:2] if isinstance(value, list) else value for name, value in document.items()}

    def make(self, method: str, path: str, **request: Any) -> Any:
        """Send a request that goes well; return its JSON."""
        answer = self.http.request(method, path, **request)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def wait(self, path: str) -> Any:
        """Wait until a job has ended; return it."""
        while (found := self.make("GET", path))["state"] not in ("succeeded", "failed", "cancelled"):
            time.sleep(0.2)
        return found

    @contextmanager
    def unfinished_request(self, headers: Mapping[str, str] | None = None) -> Iterator[Callable[[], Mapping[str, Any]]]:
        """Send the head of a request and some of its body; give a function that reads the answer."""
        address = urlsplit(self.url)
        lines = [f"POST {JOBS} HTTP/1.1", f"Host: {address.netloc}", "Content-Type: application/json", "Content-Length: 100"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as connection:
            connection.sendall("\r\n".join([*lines, "", "{"]).encode())
            time.sleep(0.5)

            def read() -> Mapping[str, Any]:
                received = b""
                while b"\r\n\r\n" not in received or not received.endswith(b"}"):
                    received += connection.recv(65536)
                return dict(json.loads(received.partition(b"\r\n\r\n")[2]))

            yield read


def fields_of(folder: Path) -> list[tuple[str, tuple[str, bytes]]]:
    """Return the form fields of a folder with a folder per class."""
    return [(file.parent.name, (file.name, file.read_bytes())) for file in sorted(folder.rglob("*.png"))]


def provoke_without_keys(service: Provoker, folder: Path, blobs: Path) -> None:
    """Ask a service that everybody may use for what it refuses."""
    write_folders(folder / "drawn", num_images=3)
    images = fields_of(folder / "drawn")
    service.expect("access.foreign_host", "GET", JOBS, headers={"Host": "evil.example"})
    service.expect("access.foreign_origin", "POST", JOBS, json={}, headers={"Origin": "https://evil.example"})
    service.expect("not_found", "GET", f"{JOBS}/job_0f1e2d3c4b5a69788796a5b4")
    service.expect("request.invalid", "POST", JOBS, json={"seed": "one"})
    service.expect("request.unsupported_media_type", "POST", JOBS, content=b"{}", headers={"Content-Type": "text/plain"})
    service.expect("request.malformed", "POST", SETS, content=b"x", headers={"Content-Type": "multipart/form-data"})
    service.expect("request.too_large", "POST", JOBS, json={"name": "x" * 5000})
    service.expect("cursor.invalid", "GET", f"{JOBS}?cursor=nowhere")
    service.expect("webhook.bad_url", "POST", "/v1/webhooks", json={"url": "http://10.0.0.1/", "events": ["job.failed"]})
    with service.unfinished_request() as read:
        service.keep("request.too_slow", read())
    provoke_uploads(service, images)
    provoke_work(service, images, blobs)


def provoke_uploads(service: Provoker, images: list[tuple[str, tuple[str, bytes]]]) -> None:
    """Send images that cannot be used, and change sets in ways that are refused."""
    service.expect("images.nothing_usable", "POST", SETS, files=[("star", ("notes.txt", b"no image"))])
    service.expect("archive.not_a_zip", "POST", SETS, files={"archive": ("set.zip", b"no zip")})
    service.expect("groups.invalid", "POST", SETS, files=images, data={"groups": '{"000.png": 7}'})
    service.expect("bands.invalid", "POST", SETS, params={"bands": "4,3"}, files=images)
    one_class = service.make("POST", SETS, files=images[:3])["id"]
    service.expect("support_set.bands_fixed", "PATCH", f"{SETS}/{one_class}", json={"bands": "4,3,2"})
    service.expect("support_set.too_few_classes", "POST", JOBS, json={"support_set_id": one_class})
    drawn = service.make("POST", SETS, files=images)
    here, first, second = f"{SETS}/{drawn['id']}", *(one["label"] for one in drawn["classes"][:2])
    service.expect("support_set.label_taken", "PATCH", f"{here}/classes?label={first}", json={"label": second})
    service.expect("support_set.same_tokens", "PATCH", f"{here}/classes?label={first}", json={"label": second.upper()})
    service.expect("support_set.bad_label", "PATCH", f"{here}/classes?label={first}", json={"label": "two words\u0007"})
    body = {"support_set_id": drawn["id"]}
    service.expect("backbone.unknown", "POST", JOBS, json={**body, "backbone": "ViT-B-99/openai"})
    service.expect("recipe.invalid", "POST", JOBS, json={**body, "method": "clip-lora+vtt", "recipe": {"rank": 0}})
    service.make("DELETE", here)
    service.expect("gone", "GET", here)


def provoke_work(service: Provoker, images: list[tuple[str, tuple[str, bytes]]], blobs: Path) -> None:
    """Start jobs, batches and exports, and ask for what is not possible now."""
    drawn = service.make("POST", SETS, files=images)
    here, body = f"{SETS}/{drawn['id']}", {"support_set_id": drawn["id"], "backbone": "mini", "method": "frozen"}
    key = {"Idempotency-Key": "one"}
    job = service.make("POST", JOBS, json=body, headers=key)
    service.expect("idempotency.conflict", "POST", JOBS, json={**body, "seed": 2}, headers=key)
    service.expect("support_set.frozen", "PATCH", f"{here}/classes?label=star", json={"label": "sun"})
    model_id = service.wait(f"{JOBS}/{job['id']}")["model_id"]
    service.expect("job.illegal_transition", "POST", f"{JOBS}/{job['id']}/cancel")
    model = f"{MODELS}/{model_id}"
    service.expect("model.class_exists", "POST", f"{model}/classes", files=images[:1])
    service.expect("evaluation.unknown_classes", "POST", f"{model}/evaluations", files=[("spiral", images[0][1])])
    long = {**body, "method": "clip-lora+vtt", "recipe": {"iterations": 500}}
    busy = service.make("POST", JOBS, json=long)
    service.expect("support_set.in_use", "DELETE", here)
    batch = service.make("POST", f"{model}/predictions", files=[("images", one) for _, one in images])["id"]
    service.expect("batch.not_ready", "GET", f"{BATCHES}/{batch}/result")
    service.make("POST", f"{model}/exports/open_clip")
    service.expect("export.not_ready", "GET", f"{model}/exports/open_clip")
    service.make("POST", f"{JOBS}/{busy['id']}/cancel")
    service.wait(f"{BATCHES}/{batch}")
    service.expect("batch.ended", "POST", f"{BATCHES}/{batch}/cancel")
    lost = service.make("GET", here)["images"][0]["id"]
    for file in blobs.rglob("*"):
        if file.is_file() and lost in file.name:
            file.unlink()
    service.expect("store.missing", "GET", f"{here}/images/{lost}")


def provoke_with_keys(service: Provoker, make_key: Callable[[str, str], str]) -> None:
    """Ask a service that needs keys and takes two requests at once."""
    service.expect("access.key_required", "GET", JOBS)
    service.expect("access.key_refused", "GET", JOBS, headers={"Authorization": "Bearer vtt_0_wrong"})
    both, reader = make_key("clinic", "train,predict"), make_key("clinic", "predict")
    first, second = ({"Authorization": f"Bearer {key}"} for key in (both, reader))
    service.expect("access.missing_scope", "POST", JOBS, json={"support_set_id": "set_0"}, headers=second)
    with service.unfinished_request(first), service.unfinished_request(first):
        service.expect("access.too_many_at_once", "POST", JOBS, json={}, headers=first)
    while (answer := service.http.get(JOBS, headers=first)).is_success:
        pass
    service.keep("access.rate_limited", answer.json())


@contextmanager
def service_of(folder: Path, problems: dict[str, Any], **settings: str) -> Iterator[Provoker]:
    """Run a service with these variables of the environment."""
    names = {f"VTT_{name.upper()}": value for name, value in settings.items()}
    before = dict(os.environ)
    os.environ.update(names)
    try:
        with running_service(folder) as url:
            provoker = Provoker(url, problems)
            yield provoker
            assert provoker.mistakes == [], "\n".join(provoker.mistakes)
    finally:
        os.environ.clear()
        os.environ.update(before)


def main() -> None:
    """Record the documents."""
    problems: dict[str, Any] = {}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with service_of(scratch / "open", problems, max_json_bytes="4096", body_pause_seconds="2") as service:
            provoke_without_keys(service, scratch, scratch / "open" / "blobs")
        tight = {"require_keys": "1", "max_requests": "2", "client_share": "1", "requests_per_minute": "40"}
        with service_of(scratch / "keys", problems, **tight) as service:

            def make_key(tenant: str, scopes: str) -> str:
                command = [
                    sys.executable,
                    "-m",
                    "app.cli.main",
                    "keys",
                    "create",
                    "--tenant",
                    tenant,
                    "--scopes",
                    scopes,
                    "--json",
                ]
                variables = os.environ | {"VTT_DATA_DIR": str(scratch / "keys")}
                made = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
                return str(json.loads(made.stdout)["key"])

            provoke_with_keys(service, make_key)
        recorded = json.dumps(problems, indent=1, sort_keys=True).replace(str(scratch), "/var/lib/vtt")
    PROBLEMS.write_text(recorded + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
