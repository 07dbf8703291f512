"""Bad input gets an answer that says what came, what was expected and what to do, and loses nothing that was good."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest
from httpx2 import Response
from PIL import Image

from app.problem_details import Problem
from tests.fixtures.http_api import Api, encode_image, encode_zip

LONG_LABEL = "x" * 500
TWO_GOOD = [("cat", ("good-0.png", encode_image(0))), ("dog", ("good-1.png", encode_image(1)))]


def animated_gif() -> bytes:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def sixteen_bit_png() -> bytes:
    buffer = io.BytesIO()
    Image.new("I;16", (16, 16), 40_000).save(buffer, "PNG")
    return buffer.getvalue()


def noise_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 80).save(buffer, "JPEG")
    return buffer.getvalue()


@dataclass(frozen=True)
class Sent:
    """One file that comes after two good ones, and what is said about it."""

    name: str
    label: str
    file: str
    content: bytes
    code: str | None
    """None: it is kept."""


NESTED = {"a/b/c/d.png": encode_image(9), "e/f.png": encode_image(10), "a/g.png": encode_image(11)}
EMPTY_FOLDER = {"cat/a.png": encode_image(9), "bird/": b""}

IMAGES = [
    Sent("not an image", "cat", "a.png", b"hello, this is text", "image.not_an_image"),
    Sent("a document named like an image", "cat", "a.jpg", b"%PDF-1.7 " + bytes(100), "image.not_an_image"),
    Sent("truncated", "cat", "a.jpg", noise_jpeg()[:600], "image.truncated"),
    Sent("0 bytes", "cat", "a.png", b"", "image.empty"),
    Sent("animated", "cat", "a.gif", animated_gif(), "image.animated"),
    Sent("CMYK", "cat", "a.jpg", encode_image(7, mode="CMYK", image_format="JPEG"), None),
    Sent("16 bit", "cat", "a.png", sixteen_bit_png(), None),
    Sent("wrong extension", "cat", "a.gif", encode_image(8, image_format="JPEG"), None),
    Sent("huge dimensions", "cat", "a.png", encode_image(9, side=(2000, 600)), "image.bad_dimensions"),
    Sent("tiny dimensions", "cat", "a.png", encode_image(9, side=(2, 2)), "image.bad_dimensions"),
    Sent("too many bytes", "cat", "a.bmp", bytes(200_001), "image.too_many_bytes"),
    Sent("same image in the same class", "cat", "a.png", encode_image(0), "support_set.duplicate_image"),
    Sent("same image in another class", "dog", "a.png", encode_image(0), "support_set.conflicting_labels"),
    Sent("label of 500 characters", LONG_LABEL, "a.png", encode_image(9), "support_set.bad_label"),
    Sent("label without characters", "   ", "a.png", encode_image(9), "support_set.bad_label"),
    Sent("no zip", "archive", "a.zip", b"no zip at all", "archive.not_a_zip"),
    Sent("zip with a path outside", "archive", "a.zip", encode_zip({"../evil/a.png": encode_image(9)}), "archive.unsafe_path"),
    Sent("zip with nested folders", "archive", "a.zip", encode_zip(NESTED), "archive.bad_layout"),
    Sent("zip with an empty folder", "archive", "a.zip", encode_zip(EMPTY_FOLDER), "support_set.empty_class"),
]


def explained(problem: dict[str, object]) -> bool:
    return all(isinstance(problem[key], str) and problem[key] for key in ("code", "expected", "got", "remedy"))


@pytest.mark.slow
@pytest.mark.parametrize("sent", IMAGES, ids=lambda sent: sent.name)
def test_a_bad_image_is_named_and_the_good_ones_are_kept(api: Api, sent: Sent) -> None:
    answer = api.client.post("/v1/support-sets", files=[*TWO_GOOD, (sent.label, (sent.file, sent.content))])
    body = answer.json()
    kept = [result for result in body["results"] if result["status"] == 201]
    refused = [result for result in body["results"] if result["status"] != 201]
    assert [result["file"] for result in kept[:2]] == ["good-0.png", "good-1.png"]
    assert {"cat", "dog"} <= {summary["label"] for summary in body["classes"]}
    assert len(api.blobs("support-sets")) == len(kept)
    if sent.code is None:
        assert answer.status_code == 201
        assert len(kept) == 3
    else:
        assert answer.status_code == 207
        assert [result["code"] for result in refused] == [sent.code]
        assert all(explained(result) and result["status"] == 422 for result in refused)


def test_only_bad_images_give_a_problem_that_names_each_and_store_nothing(api: Api) -> None:
    parts = [("cat", ("a.png", b"")), ("dog", ("b.png", b"text"))]
    answer = api.client.post("/v1/support-sets", files=parts)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "images.nothing_usable")
    assert [(result["file"], result["code"]) for result in problem["results"]] == [
        ("a.png", "image.empty"),
        ("b.png", "image.not_an_image"),
    ]
    assert api.blobs("support-sets") == []
    assert api.client.get("/v1/support-sets").json()["items"] == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"no zip at all", "archive.not_a_zip"),
        (encode_zip({"cat/a.png": bytes(2**22 + 1)}), "archive.too_large"),
    ],
    ids=["no zip", "bomb"],
)
def test_an_archive_that_is_refused_as_a_whole_is_the_problem(api: Api, content: bytes, code: str) -> None:
    answer = api.client.post("/v1/support-sets", files=[("archive", ("a.zip", content))])
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert explained(answer.json())


def test_a_bomb_beside_good_images_leaves_them(api: Api) -> None:
    bomb = encode_zip({"cat/a.png": bytes(2**22 + 1)})
    answer = api.client.post("/v1/support-sets", files=[*TWO_GOOD, ("archive", ("a.zip", bomb))])
    assert (answer.status_code, answer.json()["way"]) == (207, 2)
    assert answer.json()["results"][-1]["code"] == "archive.too_large"


def test_a_problem_of_nothing_usable_is_as_the_description_says(api: Api) -> None:
    no_class = encode_zip({"a.png": encode_image(5)})
    uploaded = api.client.post("/v1/support-sets", files=[("archive", ("a.zip", no_class))])
    predicted = predict(api, api.publish(), b"no image")
    for answer in (uploaded, predicted):
        assert (answer.status_code, answer.json()["code"]) == (422, "images.nothing_usable")
        assert Problem.model_validate(answer.json()).results


@pytest.mark.slow
def test_two_hundred_classes_are_taken_and_the_next_one_is_named(api: Api) -> None:
    parts = [(f"class {place}", (f"{place}.png", encode_image(place))) for place in range(200)]
    answer = api.client.post("/v1/support-sets", files=parts)
    assert (answer.status_code, answer.json()["way"]) == (201, 200)
    more = api.client.post("/v1/support-sets", files=[*parts, ("one more", ("x.png", encode_image(999)))])
    assert (more.status_code, more.json()["way"], more.json()["empty_classes"]) == (207, 200, [])
    assert (more.json()["results"][-1]["label"], more.json()["results"][-1]["code"]) == (
        "one more",
        "support_set.too_many_classes",
    )


def test_sixteen_images_of_a_class_are_taken_and_the_next_one_is_named(api: Api) -> None:
    parts = [("cat", (f"{place}.png", encode_image(place))) for place in range(17)]
    answer = api.client.post("/v1/support-sets", files=parts)
    assert (answer.status_code, answer.json()["classes"]) == (207, [{"label": "cat", "shot": 16, "role": "class"}])
    assert (answer.json()["results"][-1]["file"], answer.json()["results"][-1]["code"]) == (
        "16.png",
        "support_set.too_many_shots",
    )


def check_problem(answer: Response, status: int, code: str, *mentions: str) -> None:
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert explained(problem)
    assert all(mention in problem["detail"] for mention in mentions)


def test_a_job_on_one_class_is_refused(api: Api) -> None:
    support_set_id = api.upload({"cat": [encode_image(0)]})
    answer = api.client.post("/v1/jobs", json={"support_set_id": support_set_id})
    check_problem(answer, 422, "support_set.too_few_classes", "at least 2 classes", "'cat'")
    assert api.client.get(f"/v1/support-sets/{support_set_id}").json()["is_frozen"] is False


def test_a_job_on_an_empty_class_is_refused_by_its_name_until_it_is_left_out(api: Api) -> None:
    archive = encode_zip({"cat/a.png": encode_image(0), "dog/b.png": encode_image(1), "bird/": b""})
    answer = api.client.post("/v1/support-sets", files=[("archive", ("a.zip", archive))])
    support_set_id = answer.json()["id"]
    assert (answer.status_code, answer.json()["empty_classes"]) == (207, ["bird"])
    check_problem(
        api.client.post("/v1/jobs", json={"support_set_id": support_set_id}), 422, "support_set.empty_class", "'bird'"
    )
    left_out = api.client.delete(f"/v1/support-sets/{support_set_id}/classes", params={"label": "bird"})
    assert left_out.status_code == 204
    assert api.client.post("/v1/jobs", json={"support_set_id": support_set_id}).status_code == 202


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "code", "mention"),
    [
        ({"backbone": "ViT-B-61/openai"}, "backbone.unknown", "ViT-B-16"),
        ({"recipe": {"iterations": 0}}, "recipe.invalid", "iterations"),
        ({"recipe": {"iteratons": 5}}, "recipe.invalid", "iteratons"),
        ({"recipe": {"rank": "many"}}, "recipe.invalid", "rank"),
        ({"method": "magic"}, "request.invalid", "method"),
        ({"seed": -1}, "request.invalid", "seed"),
        ({"sed": 1}, "request.invalid", "sed"),
        ({"method": "clip-lora", "recipe": {"method": "clip-lora+vtt"}}, "request.invalid", "one method"),
    ],
)
def test_a_wrong_job_is_refused_and_freezes_nothing(api: Api, fields: dict[str, object], code: str, mention: str) -> None:
    support_set_id = api.upload()
    answer = api.client.post("/v1/jobs", json={"support_set_id": support_set_id, **fields})
    check_problem(answer, 422, code, mention)
    assert api.client.get(f"/v1/support-sets/{support_set_id}").json()["is_frozen"] is False
    assert api.client.get("/v1/jobs").json()["items"] == []


def predict(api: Api, model: str, content: bytes = encode_image(5)) -> Response:
    return api.client.post(f"/v1/models/{model}/predict", files=[("images", ("a.png", content))])


def test_predicting_with_a_deleted_model_says_that_it_was_deleted(api: Api) -> None:
    model_id = api.publish()
    assert predict(api, model_id).status_code == 200
    assert api.client.delete(f"/v1/models/{model_id}").status_code == 204
    check_problem(predict(api, model_id), 410, "gone", "deleted at")


def test_predicting_with_an_unfinished_model_says_how_its_job_stands(api: Api) -> None:
    job_id = api.start_job()
    check_problem(predict(api, job_id), 409, "model.not_ready", "queued", "events")
    api.client.post(f"/v1/jobs/{job_id}/cancel")
    check_problem(predict(api, job_id), 409, "model.not_ready", "cancelled")


def test_predicting_with_an_unknown_model_says_so(api: Api) -> None:
    check_problem(predict(api, "mdl_nothing"), 404, "not_found", "mdl_nothing")


def test_a_bad_query_image_is_named_and_the_good_one_is_answered(api: Api) -> None:
    model_id = api.publish()
    parts = [("images", ("bad.png", b"text")), ("images", ("good.png", encode_image(3)))]
    answer = api.client.post(f"/v1/models/{model_id}/predict", files=parts)
    bad, good = answer.json()["predictions"]
    assert answer.status_code == 207
    assert (bad["status"], bad["code"]) == (422, "image.not_an_image")
    assert explained(bad)
    assert (good["status"], good["label"]) == (200, "cat")


def test_one_query_image_too_many_is_refused(api: Api) -> None:
    model_id = api.publish()
    parts = [("images", (f"{place}.png", encode_image(place))) for place in range(65)]
    assert api.client.post(f"/v1/models/{model_id}/predict", files=parts[:64]).status_code == 200
    check_problem(api.client.post(f"/v1/models/{model_id}/predict", files=parts), 413, "request.too_large", "64", "65")
    check_problem(api.client.post("/predict", files=parts, data={"model": model_id}), 413, "request.too_large")


@pytest.mark.slow
@pytest.mark.parametrize("field", ["support_set_id", "recipe", "rank", "method", "prompt_template"])
def test_json_of_any_depth_is_refused(api: Api, field: str) -> None:
    support_set_id = api.upload()
    for depth in [1, 100, *range(300, 1000, 20), 5000]:
        nested = f'"{field}": {"[" * depth}{"]" * depth}'
        body = (
            nested if field in ("support_set_id", "recipe") else f'"support_set_id": "{support_set_id}", "recipe": {{{nested}}}'
        )
        answer = api.client.post("/v1/jobs", content=f"{{{body}}}", headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), answer.text
        assert explained(answer.json())
        assert len(answer.text) < 5000
