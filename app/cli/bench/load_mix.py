"""Choose the requests of `vtt bench load`: predictions of mixed images by mixed models, uploads and short jobs."""

from __future__ import annotations

import io
import time
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, get_args

import httpx2
from PIL import Image

from app.cli.synthetic_images import PAINTERS, make_image
from app.domain.errors import ServiceRefusedError
from vtt_core.contract.errors import InputError
from vtt_core.contract.recipe import AUTO_FINETUNING

Kind = Literal["predict", "upload", "job"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SIDES_PIXELS = (96, 224, 480, 1024)
"""Sides of the query images; support images have the first."""
IMAGES_OF_A_QUERY = (1, 1, 1, 4)
NUM_DRAWN = 6
"""Images of each class and size."""
NUM_RECENT_SETS = 8
"""Jobs choose from so many support sets, the last ones sent."""
ITERATIONS = 5
"""Steps of a job; there shall be many jobs rather than good ones."""
READY_SECONDS = 300.0
LONGEST_PAGE = 100

Part = tuple[str, tuple[str, bytes, str]]


@dataclass(frozen=True)
class Ask:
    """One request to send."""

    kind: Kind
    path: str
    files: list[Part] | None = None
    json: dict[str, Any] | None = None


@dataclass
class Mix:
    """Chooses requests at random; the same seed and the same answers give the same requests."""

    weights: dict[Kind, float]
    model_ids: list[str]
    recent_sets: deque[str]
    images: dict[int, dict[str, list[bytes]]]
    random: Random = field(default_factory=lambda: Random(0))
    job_ids: list[str] = field(default_factory=list)

    def draw(self) -> Ask:
        """Return the next request."""
        kind = self.random.choices(list(self.weights), list(self.weights.values()))[0]
        if kind == "upload":
            return Ask(kind, "/v1/support-sets", files=self.support_parts())
        if kind == "job":
            return Ask(kind, "/v1/jobs", json=job_request(self.random.choice(self.recent_sets), self.random))
        return Ask(kind, f"/v1/models/{self.random.choice(self.model_ids)}/predict", files=self._query_parts())

    def learn(self, kind: Kind, answer: dict[str, Any]) -> None:
        """Remember what a successful request has created."""
        if kind == "upload":
            self.recent_sets.append(str(answer["id"]))
        elif kind == "job":
            self.job_ids.append(str(answer["id"]))

    def _query_parts(self) -> list[Part]:
        number = self.random.choice(IMAGES_OF_A_QUERY)
        drawn = [self.images[self.random.choice(SIDES_PIXELS)][self.random.choice(list(PAINTERS))] for _ in range(number)]
        return [("images", _file(self.random.choice(encoded))) for encoded in drawn]

    def support_parts(self) -> list[Part]:
        """Return the form of a support set, 1 to 3 images of each class."""
        shot = self.random.randint(1, 3)
        drawn = {label: self.random.sample(encoded, shot) for label, encoded in self.images[SIDES_PIXELS[0]].items()}
        return [(label, _file(content)) for label, several in drawn.items() for content in several]


def _file(encoded: bytes) -> tuple[str, bytes, str]:
    return "image.jpg", encoded, "image/jpeg"


def parse_weights(text: str) -> dict[Kind, float]:
    """Return the weight of each kind from a text such as `predict=90,upload=8,job=2`.

    Raises:
        InputError: it is not such a text.
    """
    weights: dict[Kind, float] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        kind = next((kind for kind in KINDS if kind == name.strip()), None)
        if kind is None or not number.replace(".", "", 1).strip().isdigit():
            weights.clear()
            break
        weights[kind] = float(number)
    if sum(weights.values()) <= 0:
        raise InputError(expected="shares such as predict=90,upload=8,job=2", got=repr(text), remedy="Correct --mix")
    return weights


def job_request(support_set_id: str, random: Random) -> dict[str, Any]:
    """Return a short fine-tuning on a support set; by itself the service might choose to fine-tune nothing."""
    recipe = {"method": AUTO_FINETUNING, "iterations": ITERATIONS}
    return {"support_set_id": support_set_id, "recipe": recipe, "seed": random.randrange(2**31)}


def make_images() -> dict[int, dict[str, list[bytes]]]:
    """Return JPEG files by their side and class."""
    random = Random(0)
    drawn: dict[int, dict[str, list[bytes]]] = {side: {label: [] for label in PAINTERS} for side in SIDES_PIXELS}
    for label in PAINTERS:
        for _ in range(NUM_DRAWN):
            image = make_image(label, random)
            for side, by_label in drawn.items():
                by_label[label].append(_encode(image, side))
    return drawn


def _encode(image: Image.Image, side_pixels: int) -> bytes:
    buffer = io.BytesIO()
    image.resize((side_pixels, side_pixels), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def prepare_mix(http: httpx2.Client, weights: dict[Kind, float], num_models: int) -> Mix:
    """Create what requests refer to: a support set, and the models that the service lacks.

    Args:
        http: connection to the service.
        weights: of the kinds.
        num_models: number that predictions choose from.

    Raises:
        ServiceRefusedError: the service refused something, or a job did not succeed in time.
    """
    mix = Mix(weights, [], deque(maxlen=NUM_RECENT_SETS), make_images())
    upload = http.post("/v1/support-sets", files=mix.support_parts())
    mix.learn("upload", _checked(upload))
    if "predict" not in weights:
        return mix
    known = _checked(http.get("/v1/models", params={"limit": min(num_models, LONGEST_PAGE)}))["items"]
    requests = [job_request(mix.recent_sets[0], mix.random) for _ in range(num_models - len(known))]
    job_ids = [str(_checked(http.post("/v1/jobs", json=request))["id"]) for request in requests]
    mix.model_ids = [*(str(model["id"]) for model in known), *(_model_of(http, job_id) for job_id in job_ids)]
    return mix


def _model_of(http: httpx2.Client, job_id: str) -> str:
    deadline = time.monotonic() + READY_SECONDS
    job = _checked(http.get(f"/v1/jobs/{job_id}"))
    while job["model_id"] is None and job["finished_at"] is None and time.monotonic() < deadline:
        time.sleep(0.2)
        job = _checked(http.get(f"/v1/jobs/{job_id}"))
    if job["model_id"] is None:
        raise ServiceRefusedError(
            expected=f"a model within {READY_SECONDS:g} s",
            got=f"a job that is {job['state']}: {job['error']}",
            remedy="Look at the worker's log",
        )
    return str(job["model_id"])


def _checked(response: httpx2.Response) -> dict[str, Any]:
    if response.is_success:
        return dict(response.json())
    raise ServiceRefusedError(
        expected="an answer without an error while the load is prepared",
        got=f"status {response.status_code}: {response.text[:300]}",
        remedy="Correct --url or --key, or wait until /readyz answers 200",
    )
