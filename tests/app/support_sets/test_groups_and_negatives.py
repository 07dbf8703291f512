"""Groups of images and the negative class over HTTP."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from app.support_sets.form_groups import MAX_GROUPS_BYTES
from tests.fixtures.dicom_writer import PATIENT, PATIENT_ID, write_dicom
from tests.fixtures.http_api import Api, MakeApi, encode_image, encode_zip
from vtt_core.contract.limits import Limits

SETS = "/v1/support-sets"
PARTS = [("cat", ("1.png", encode_image(1))), ("cat", ("2.png", encode_image(2))), ("dog", ("1.png", encode_image(3)))]
LONG_LABEL = "plate " + "1234567890" * 8


def groups_of(api: Api, support_set_id: str) -> list[tuple[str, str | None]]:
    images = api.client.get(f"{SETS}/{support_set_id}").json()["images"]
    return [(f"{image['label']}/{image['file']}", image["group"]) for image in images]


class TestGroups:
    @pytest.mark.parametrize(
        "sent",
        [
            ("groups", (None, '{"cat/1.png": "p 1", "2.png": "p 2", "other.png": "p 3"}')),
            ("groups", ("g.csv", b"file,group\ncat/1.png,p 1\n2.png,p 2\nother.png,p 3\n")),
            ("groups", ("data", b'{"cat/1.png": "p 1", "2.png": "p 2", "other.png": "p 3"}')),
        ],
        ids=["text", "csv", "a file without ending"],
    )
    def test_they_come_with_the_images_and_unknown_names_are_noticed(self, api: Api, sent: Any) -> None:
        answer = api.client.post(SETS, files=[sent, *PARTS])
        assert answer.status_code == 201, answer.text
        assert groups_of(api, answer.json()["id"]) == [("cat/1.png", "p 1"), ("cat/2.png", "p 2"), ("dog/1.png", None)]
        assert [result["label"] for result in answer.json()["results"]] == ["cat", "cat", "dog"]
        (notice,) = answer.json()["notices"]
        assert "'other.png'" in notice

    def test_files_of_a_zip_are_named_with_or_without_their_folder(self, api: Api) -> None:
        archive = encode_zip({f"set/{name}": encode_image(place) for place, name in enumerate(("a_b/1.png", "dog/2.png"))})
        groups = json.dumps({"a_b/1.png": "p 1", "2.png": "p 2"})
        answer = api.client.post(SETS, files={"archive": ("set.zip", archive), "groups": (None, groups)})
        assert (answer.status_code, answer.json()["notices"]) == (201, [])
        assert [group for _, group in groups_of(api, answer.json()["id"])] == ["p 1", "p 2"]

    def test_an_image_in_a_field_called_groups_is_one_of_a_class(self, api: Api) -> None:
        groups = [("groups", ("a.png", encode_image(7))), ("groups", ("g.json", b'{"a.png": "p 1"}'))]
        answer = api.client.post(SETS, files=[*groups, *PARTS])
        assert [one["label"] for one in answer.json()["classes"]] == ["groups", "cat", "dog"]
        assert ("groups/a.png", "p 1") in groups_of(api, answer.json()["id"])

    def test_dicom_files_are_grouped_by_patient_where_asked_and_their_headers_are_stored_nowhere(self, api: Api) -> None:
        pixels = np.arange(256, dtype="u1").reshape(16, 16)
        scans = [
            write_dicom(np.roll(pixels, place), PatientID=patient)
            for place, patient in enumerate((PATIENT_ID, PATIENT_ID, "other"))
        ]
        parts = [("cat", (f"{place}.dcm", scan)) for place, scan in enumerate(scans)]
        named = ("groups", (None, '{"2.dcm": "plot 1"}'))
        answer = api.client.post(f"{SETS}?group_by=patient", files=[named, *parts, *PARTS])
        assert answer.status_code == 201, answer.text
        groups = [group for _, group in groups_of(api, answer.json()["id"])]
        assert groups[0] == groups[1] is not None
        assert groups[2:] == ["plot 1", None, None, None]
        added = api.client.post(
            f"{SETS}/{answer.json()['id']}/images?group_by=patient", files=[("dog", ("9.dcm", write_dicom(pixels[::-1])))]
        )
        assert added.status_code == 201, added.text
        assert groups_of(api, answer.json()["id"])[-1][1] == groups[0]
        kept = b"".join(path.read_bytes() for path in api.context.settings.data_dir.rglob("*") if path.is_file())
        assert PATIENT_ID.encode() not in kept
        assert PATIENT.encode() not in kept
        alone = api.client.post(SETS, files=[parts[0], *PARTS]).json()["id"]
        assert groups_of(api, alone)[0] == ("cat/0.dcm", None)

    def test_an_image_that_is_too_large_stays_an_image(self, api: Api) -> None:
        parts = [("groups", ("a.png", encode_image(7) + bytes(MAX_GROUPS_BYTES))), *PARTS]
        answer = api.client.post(SETS, files=parts)
        assert (answer.status_code, answer.json()["results"][0]["code"]) == (207, "image.too_many_bytes")

    @pytest.mark.parametrize(
        ("parts", "got"),
        [
            ([("groups", (None, '{"1.png": '))], "JSON that cannot be read in the field 'groups'"),
            ([("groups", (None, "groups.csv"))], "the text 'groups.csv'"),
            ([("groups", ("g.csv", b"name;patient\n1.png;7"))], "'name;patient'"),
            ([("groups", ("g.csv", "file,group\n1.png,Müller".encode("latin-1")))], "no UTF-8"),
            ([("groups", ("g.json", b" " * (MAX_GROUPS_BYTES + 1)))], f"{MAX_GROUPS_BYTES + 1} bytes"),
            ([("groups", (None, "{}")), ("groups", ("g.json", b"{}"))], "2 of them"),
        ],
    )
    def test_what_cannot_be_read_refuses_the_upload_before_anything_is_stored(self, api: Api, parts: Any, got: str) -> None:
        answer = api.client.post(SETS, files=[*PARTS, *parts])
        assert (answer.status_code, answer.json()["code"]) == (422, "groups.invalid")
        assert got in answer.json()["got"]
        assert api.store_keys() == []

    def test_a_text_over_the_limit_is_refused_while_it_arrives(self, api: Api) -> None:
        answer = api.client.post(SETS, files=[("groups", (None, " " * (MAX_GROUPS_BYTES + 1))), *PARTS])
        assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")

    def test_they_change_until_a_job_freezes_the_set(self, api: Api) -> None:
        support_set_id = api.client.post(SETS, files=[("groups", (None, '{"2.png": "p 2"}')), *PARTS]).json()["id"]
        here = f"{SETS}/{support_set_id}"
        first = api.client.get(here).json()["images"][0]["id"]
        answer = api.client.put(f"{here}/groups", json={"groups": {first: " p  1 ", "dog/1.png": "p 3", "9.png": "p"}})
        assert answer.status_code == 200
        assert [image["group"] for image in answer.json()["images"]] == ["p 1", "p 2", "p 3"]
        assert "'9.png'" in answer.json()["notices"][0]
        api.client.put(f"{here}/groups", json={"groups": {"1.png": None}})
        assert [group for _, group in groups_of(api, support_set_id)] == [None, "p 2", None]

        added = api.client.post(
            f"{here}/images", files=[("cat", ("9.png", encode_image(9))), ("groups", (None, '{"9.png": "p 9"}'))]
        )
        assert (added.status_code, groups_of(api, support_set_id)[2]) == (201, ("cat/9.png", "p 9"))

        api.start_job(support_set_id)
        refused = api.client.put(f"{here}/groups", json={"groups": {first: "late"}})
        assert (refused.status_code, refused.json()["code"]) == (409, "support_set.frozen")

    @pytest.mark.parametrize("groups", [{"1.png": "x" * 201}, {"1.png": "a\u0000"}, {"1.png": "a", "./1.png": "b"}])
    def test_a_change_that_cannot_be_stored_is_refused(self, api: Api, groups: dict[str, str]) -> None:
        answer = api.client.put(f"{SETS}/{api.upload()}/groups", json={"groups": groups})
        assert (answer.status_code, answer.json()["code"]) == (422, "groups.invalid")


class TestNegativeClass:
    def send(self, api: Api, *labels: str, negative: str | None = None) -> Any:
        parts = [(label, (f"{place}.png", encode_image(place))) for place, label in enumerate(labels)]
        return api.client.post(SETS, files=parts, params={} if negative is None else {"negative": negative})

    def test_it_is_listed_last_and_counts_as_no_class(self, api: Api) -> None:
        answer = self.send(api, "none_of_these", "cat", "dog", "none_of_these", negative="none_of these")
        body = answer.json()
        assert (answer.status_code, body["way"], body["negative"]) == (201, 2, "none of these")
        assert body["classes"] == [
            {"label": "cat", "shot": 1, "role": "class"},
            {"label": "dog", "shot": 1, "role": "class"},
            {"label": "none of these", "shot": 2, "role": "negative"},
        ]
        (listed,) = api.client.get(SETS).json()["items"]
        assert (listed["classes"], listed["negative"]) == (body["classes"], "none of these")

    def test_a_label_that_no_prompt_could_say_is_good_enough_for_it(self, api: Api) -> None:
        for label in ("Cat", LONG_LABEL, "IMG"):
            answer = self.send(api, "cat", "dog", label, negative=label)
            assert (answer.status_code, answer.json()["advice"]) == (201, []), answer.text
            api.start_job(answer.json()["id"])

    def test_one_class_beside_it_is_too_few_for_a_job(self, api: Api) -> None:
        support_set_id = self.send(api, "cat", "other", negative="other").json()["id"]
        answer = api.client.post("/v1/jobs", json={"support_set_id": support_set_id})
        assert (answer.status_code, answer.json()["code"]) == (422, "support_set.too_few_classes")
        assert answer.json()["got"] == "1 ('cat')"

    def test_the_bound_on_classes_leaves_it_out_and_that_on_its_images_stays(self, make_api: MakeApi) -> None:
        api = make_api(limits=Limits(max_way=2, max_shot=2))
        answer = self.send(api, "other", "cat", "dog", "cow", "other", "other", negative="other")
        assert [result["code"] for result in answer.json()["results"] if result["status"] == 422] == [
            "support_set.too_many_classes",
            "support_set.too_many_shots",
        ]
        support_set_id = answer.json()["id"]
        refused = api.client.patch(f"{SETS}/{support_set_id}", json={"negative": None})
        assert (refused.status_code, refused.json()["code"]) == (422, "support_set.too_many_classes")
        api.start_job(support_set_id)

    def test_named_without_an_image_it_is_an_empty_class(self, api: Api) -> None:
        answer = self.send(api, "cat", "dog", negative="other")
        assert (answer.status_code, answer.json()["empty_classes"]) == (207, ["other"])
        here = f"{SETS}/{answer.json()['id']}"
        refused = api.client.post("/v1/jobs", json={"support_set_id": answer.json()["id"]})
        assert refused.json()["code"] == "support_set.empty_class"
        added = api.client.post(f"{here}/images", files=[("other", ("9.png", encode_image(9)))])
        assert (added.status_code, added.json()["empty_classes"]) == (201, [])
        assert added.json()["classes"][-1] == {"label": "other", "shot": 1, "role": "negative"}

    def test_there_is_at_most_one(self, api: Api) -> None:
        here = f"{SETS}/{self.send(api, 'cat', 'dog').json()['id']}"
        parts = [("other", ("8.png", encode_image(8)))]
        assert api.client.post(f"{here}/images", files=parts, params={"negative": "other"}).json()["negative"] == "other"
        parts = [("more", ("9.png", encode_image(9)))]
        refused = api.client.post(f"{here}/images", files=parts, params={"negative": "more"})
        assert (refused.status_code, refused.json()["code"]) == (409, "support_set.negative_class_taken")
        assert api.client.post(f"{here}/images", files=parts, params={"negative": "other"}).json()["way"] == 3

    def test_it_is_changed_until_a_job_freezes_the_set(self, api: Api) -> None:
        support_set_id = self.send(api, "cat", "dog", "cow", negative="cow").json()["id"]
        here = f"{SETS}/{support_set_id}"
        for label, way in (("cat", 2), (None, 3), ("dog", 2)):
            answer = api.client.patch(here, json={"negative": label})
            assert (answer.status_code, answer.json()["negative"], answer.json()["way"]) == (200, label, way)
        missing = api.client.patch(here, json={"negative": "bird"})
        assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
        assert api.client.get(here).json()["negative"] == "dog"
        api.start_job(support_set_id)
        refused = api.client.patch(here, json={"negative": None})
        assert (refused.status_code, refused.json()["code"]) == (409, "support_set.frozen")

    def test_its_label_must_do_for_a_prompt_once_it_is_a_class(self, api: Api) -> None:
        here = f"{SETS}/{self.send(api, 'cat', 'dog', 'Cat', negative='Cat').json()['id']}"
        answer = api.client.patch(here, json={"negative": None})
        assert (answer.status_code, answer.json()["code"]) == (422, "support_set.same_tokens")
        assert api.client.get(here).json()["negative"] == "Cat"
        assert api.client.patch(here, json={"negative": "cat"}).json()["negative"] == "cat"

    @pytest.mark.parametrize("remove", ["image", "class"])
    def test_it_is_gone_with_its_last_image(self, api: Api, remove: str) -> None:
        sent = self.send(api, "cat", "dog", "other", negative="other").json()
        here = f"{SETS}/{sent['id']}"
        if remove == "image":
            api.client.delete(f"{here}/images/{sent['results'][2]['image_id']}")
        else:
            api.client.delete(f"{here}/classes", params={"label": "other"})
        assert api.client.get(here).json()["negative"] is None

    @pytest.mark.parametrize("label", ["", "a\u0007b", "x" * 401])
    def test_a_label_that_is_none_is_refused(self, api: Api, label: str) -> None:
        assert self.send(api, "cat", "dog", negative=label).status_code == 422
        assert api.store_keys() == []
