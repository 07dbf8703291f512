"""Images of many bands are read alike by the service and by the commands."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from tests.fixtures.band_images import LABELS, band_tiff
from vtt_client import Client
from vtt_client.errors import InvalidError

pytestmark = [pytest.mark.services, pytest.mark.slow]


def test_a_model_of_the_service_answers_as_the_command_does(service_url: str, tmp_path: Path) -> None:
    for label in LABELS:
        (tmp_path / "fields" / label).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "fields" / label / f"{number}.tif").write_bytes(band_tiff(label, number))
    queries = [tmp_path / f"{label}.tif" for label in LABELS]
    for label, path in zip(LABELS, queries, strict=True):
        path.write_bytes(band_tiff(label, 8))
    with Client(service_url) as client, httpx2.Client(base_url=service_url, timeout=60) as http:
        with pytest.raises(InvalidError):
            client.upload(tmp_path / "fields")
        made = client.upload(tmp_path / "fields", bands=(4, 3, 2), stretch=(1, 99))
        job = client.wait(client.train(made.id, backbone="mini", method="frozen", seed=3).id)
        assert job.model_id is not None
        model = client.model(job.model_id)
        assert model.bands is not None
        exported = http.get(f"/v1/models/{model.id}/exports/adapter").content
        sent = [("images", (path.name, path.read_bytes())) for path in queries]
        over_http = http.post(f"/v1/models/{model.id}/predict", files=sent).json()["predictions"]
        judged = {"archive": ("fields.zip", zip_of(tmp_path / "fields"))}
        evaluated = http.post(f"/v1/models/{model.id}/evaluations", files=judged, params={"keep_images": True})
        assert evaluated.status_code == 201, evaluated.text
    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        archive.extractall(tmp_path / "exported")

    own = tmp_path / "own"
    command = ["adapt", str(tmp_path / "fields"), "--out", str(own), "--method", "frozen", "--seed", "3", "--query", "0"]
    adapted = CliRunner().invoke(cli, [*command, "--bands", "4,3,2", "--stretch", "1,99", "--json"])
    assert adapted.exit_code == 0, adapted.output
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (own, tmp_path / "exported")]
    assert manifests[0]["bands"] == manifests[1]["bands"] == model.bands.model_dump()
    for folder in (own, tmp_path / "exported"):
        predicted = CliRunner().invoke(cli, ["predict", str(folder), *map(str, queries), "--json"])
        assert predicted.exit_code == 0, predicted.output
        for here, there in zip(json.loads(predicted.stdout)["predictions"], over_http, strict=True):
            assert there["probabilities"] == pytest.approx(here["probabilities"], abs=1e-5)
    assert [one["label"] for one in over_http] == list(LABELS)


def zip_of(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in sorted(folder.rglob("*.tif")):
            archive.write(file, file.relative_to(folder.parent))
    return content.getvalue()
