"""The page of a model, without scripts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.infra.clock import utc_now
from app.infra.leases import LeaseRepository
from app.infra.settings import Role
from app.infra.tables import ModelRow
from tests.app.models.test_interim import publish_interim
from tests.app.models.test_report import OLD_METRICS
from tests.app.pages.test_jobs import csrf, page, send
from tests.fixtures.http_api import Api, MakeApi, encode_image


def accuracy(right: int, low: float, high: float) -> dict[str, Any]:
    return {"accuracy": right / 10, "low": low, "high": high, "num_images": 10}


METRICS: dict[str, Any] = {
    "num_support_images": 10,
    "training_accuracy": 1.0,
    "expected_accuracy": accuracy(8, 0.49, 0.943) | {"how": "5-fold cross-validation", "widening": 1.6},
    "zero_shot": accuracy(4, 0.168, 0.687),
    "linear_probe": accuracy(7, 0.397, 0.892),
    "frozen_head": accuracy(8, 0.49, 0.943),
    "fine_tuned": None,
    "per_class": [
        {"label": "cat", "num_images": 5, "num_held_out": 5, "recall": 1.0},
        {"label": "dog", "num_images": 5, "num_held_out": 5, "recall": 0.6},
    ],
    "confusion": [[5, 0], [2, 3]],
    "mistakes": [
        {"image": "0.png", "label": "dog", "said": "cat", "probability": 0.913},
        {"image": "lost.png", "label": "dog", "said": "cat", "probability": 0.6},
    ],
    "calibration_error": {"before": 0.2, "after": 0.07},
    "reliability": [{"low": 0.9, "high": 1.0, "num_images": 10, "stated": 0.95, "accuracy": 0.8}],
    "largest_coverage": 10 / 11,
    "unknown": {"threshold": 0.6, "num_images": 10},
    "groups": {"count": 10, "near_duplicates": [], "suspected_leaks": 0},
    "choice": {"method": "auto", "tower": "frozen", "scales": {"ridge": 5.0}},
    "advice": ["2 of 5 left-out images of 'dog' were taken for 'cat'."],
}


def model_of(api: Api, model_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.client.get(f"/v1/models/{model_id}").json()
    return found


def test_a_model_says_in_a_sentence_what_to_expect_of_it(api: Api) -> None:
    shown = page(api, f"/models/{api.publish(metrics=METRICS)}")
    assert "About 80 of 100 new photographs like these should be right (49 to 94)." in shown
    assert "without your images, it would be 40" in shown
    assert "Pure guessing would give 50." in shown
    assert "2 of 5 left-out images of &#39;dog&#39; were taken for &#39;cat&#39;." in shown
    assert "3 of 5" in shown  # the recall of dogs


def test_the_ways_to_classify_are_one_picture_and_a_table(api: Api) -> None:
    shown = page(api, f"/models/{api.publish(metrics=METRICS)}")
    chart = shown[shown.index('<svg class="chart ways"') :]
    chart = chart[: chart.index("</svg>")]
    assert chart.count('class="point"') == 3
    assert chart.count('class="served"') == 1
    assert re.search(r'<th scope="row">Knowing only the class names</th><td class="number">40\s%</td>', shown)


def test_a_mistake_is_shown_with_its_image_and_without_where_that_is_gone(api: Api) -> None:
    images = {"cat": [encode_image(1)], "dog": [encode_image(2)]}
    set_id = api.upload(images)
    model_id = api.publish(api.start_job(set_id), metrics=METRICS)
    shown = page(api, f"/models/{model_id}")
    [address] = re.findall(r'<img src="([^"]+)"', shown)
    assert api.client.get(address).headers["content-type"] == "image/webp"
    assert "said: cat" in shown
    assert "91\N{NO-BREAK SPACE}% sure" in shown
    assert "lost.png" in shown
    api.client.delete(f"/v1/support-sets/{set_id}")
    assert "<img" not in page(api, f"/models/{model_id}")


def test_a_cell_of_the_matrix_says_how_many_were_taken_for_what(api: Api) -> None:
    shown = page(api, f"/models/{api.publish(metrics=METRICS)}")
    assert re.search(r"<bdi>dog</bdi></th>\s*<td class=\"wrong heat-2\">2</td><td class=\"right heat-3\">3</td>", shown)
    assert "1, taken for cat" in shown


def test_many_classes_are_shown_as_the_pairs_that_were_confused(api: Api) -> None:
    way = 31
    labels = [f"kind {number}" for number in range(way)]
    confusion = [[3 if said == truth else 0 for said in range(way)] for truth in range(way)]
    confusion[4][7] = 2
    per_class = [{"label": label, "num_images": 3, "num_held_out": 3, "recall": 1.0} for label in labels]
    model_id = api.publish(metrics={**METRICS, "per_class": per_class, "confusion": confusion})
    with api.context.sessions.begin() as session:
        session.get_one(ModelRow, model_id).labels = labels
    shown = page(api, f"/models/{model_id}")
    assert 'class="matrix"' not in shown
    assert '<bdi>kind 4</bdi></th><td><bdi>kind 7</bdi></td><td class="number">2</td>' in shown


def test_a_model_of_an_earlier_release_shows_what_it_has(api: Api) -> None:
    shown = page(api, f"/models/{api.publish(metrics=OLD_METRICS)}")
    assert "How often it is right was not measured." in shown
    assert "made by an earlier release" in shown
    assert "right in 100 of 100" in shown
    assert shown.count('class="point"') == 2  # zero-shot and the probe


def test_a_model_without_any_measurement_has_a_page(api: Api) -> None:
    shown = page(api, f"/models/{api.publish(metrics={'num_support_images': 2})}")
    assert "How often it is right was not measured." in shown
    assert '<svg class="chart' not in shown


def test_a_model_is_renamed_pinned_and_given_a_short_name_by_forms(api: Api) -> None:
    model_id = api.publish(metrics=METRICS)
    here = f"/models/{model_id}"
    token = csrf(api, here)
    assert send(api, f"{here}/name", token, name="leaf <spots>") == 303
    assert send(api, f"{here}/false-rejects", token, false_rejects="0.01") == 303
    assert send(api, f"{here}/pin", token, pinned="yes") == 303
    assert send(api, f"{here}/aliases", token, alias=" Leaf Spots ") == 303
    changed = model_of(api, model_id)
    assert (changed["name"], changed["false_rejects"], changed["pinned"]) == ("leaf <spots>", 0.01, True)
    assert changed["aliases"] == ["leaf-spots"]
    shown = page(api, "/models/leaf-spots")
    assert "leaf &lt;spots&gt;" in shown
    assert '<option value="0.01" selected>' in shown
    assert send(api, f"{here}/pin", token, pinned="no") == send(api, f"{here}/aliases/delete", token, alias="leaf-spots") == 303
    changed = model_of(api, model_id)
    assert (changed["pinned"], changed["aliases"]) == (False, [])


def test_a_share_that_was_set_elsewhere_can_be_seen_and_kept(api: Api) -> None:
    model_id = api.publish(metrics=METRICS)
    api.client.patch(f"/v1/models/{model_id}", json={"false_rejects": 0.033})
    assert '<option value="0.033" selected>1 of 30 refused</option>' in page(api, f"/models/{model_id}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "fields"),
    [("name", {"name": "a" * 201}), ("false-rejects", {"false_rejects": "none"}), ("aliases", {"alias": "a_b"})],
)
def test_a_form_with_a_wrong_value_says_what_is_wrong(api: Api, form: str, fields: dict[str, str]) -> None:
    model_id = api.publish(metrics=METRICS)
    before = model_of(api, model_id)
    token = csrf(api, f"/models/{model_id}")
    answer = api.client.post(f"/models/{model_id}/{form}", data={**fields, "csrf": token})
    assert answer.status_code == 422
    assert "What to do:" in answer.text
    assert model_of(api, model_id) == before


def test_a_model_is_deleted_by_a_form(api: Api) -> None:
    model_id = api.publish(metrics=METRICS)
    assert send(api, f"/models/{model_id}/delete", csrf(api, f"/models/{model_id}")) == 303
    assert api.client.get(f"/models/{model_id}").status_code == 410


@pytest.mark.slow
@pytest.mark.parametrize("form", ["name", "false-rejects", "pin", "aliases", "aliases/delete", "delete"])
def test_a_form_of_another_site_is_refused(api: Api, form: str) -> None:
    model_id = api.publish(metrics=METRICS)
    before = model_of(api, model_id)
    page(api, f"/models/{model_id}")
    fields = {"name": "stolen", "false_rejects": "0.25", "pinned": "yes", "alias": "stolen"}
    assert send(api, f"/models/{model_id}/{form}", None, **fields) == 403
    assert model_of(api, model_id) == before


def test_an_interim_model_says_what_it_is_and_later_leads_to_its_successor(api: Api) -> None:
    job_id = api.start_job()
    interim_id = publish_interim(api, job_id)
    shown = page(api, f"/models/{interim_id}")
    assert "This is a first version" in shown
    assert f'href="/jobs/{job_id}"' in shown
    with api.context.sessions.begin() as session:
        lease = LeaseRepository(session).claim(job_id, "tester", 60, utc_now())
        assert lease is not None
        LeaseRepository(session).begin_verifying(lease, utc_now())
        final = ModelRow(
            id="mdl_final",
            job_id=job_id,
            backbone_id="mini",
            backbone_sha256="0" * 64,
            labels=["cat", "dog"],
            recipe={"method": "frozen"},
            metrics={},
            adapter_key="models/mdl_final",
            adapter_bytes=1,
            created_at=utc_now(),
        )
        LeaseRepository(session).succeed(lease, final, utc_now())
    answer = api.client.get(f"/models/{interim_id}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/models/mdl_final")


def test_the_role_without_torch_shows_a_model(make_api: MakeApi) -> None:
    api = make_api(role=Role.CONTROL)
    assert "About 80 of 100" in page(api, f"/models/{api.publish(metrics=METRICS)}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ("name", {"name": "leaf spots"}),
        ("false-rejects", {"false_rejects": "0.01"}),
        ("pin", {"pinned": "yes"}),
        ("aliases", {"alias": "spots"}),
    ],
)
def test_a_form_that_was_saved_is_said_to_be(api: Api, form: str, fields: dict[str, str]) -> None:
    here = f"/models/{api.publish(metrics=METRICS)}"
    token = csrf(api, here)
    assert "Saved." not in page(api, here)
    sent = api.client.post(f"{here}/{form}", data={**fields, "csrf": token}, follow_redirects=False)
    assert page(api, sent.headers["location"]).count(">Saved.<") == 1


def test_the_choice_of_none_of_these_warns_that_more_may_be_refused(api: Api) -> None:
    assert "Count on more than the choice says" in page(api, f"/models/{api.publish(metrics=METRICS)}")


def reliability(*groups: tuple[int, float, float]) -> list[dict[str, float]]:
    return [
        {"low": 0.1 * place, "high": 0.1 * place + 0.1, "num_images": number, "stated": stated, "accuracy": right}
        for place, (number, stated, right) in enumerate(groups)
    ]


def test_small_groups_are_hollow_points_beside_the_line(api: Api) -> None:
    bins = reliability((3, 0.05, 0.0), (20, 0.15, 0.2), (17, 0.25, 0.3))
    shown = page(api, f"/models/{api.publish(metrics={**METRICS, 'reliability': bins})}")
    assert shown.count('class="point hollow"') == 1
    line = re.search(r'<polyline class="line-1" points="([^"]*)"', shown)
    assert line is not None
    assert line[1].split() == ["15.0,80.0", "25.0,70.0"]


@pytest.mark.parametrize(
    ("number", "error", "said"),
    [
        (40, 0.03, "off by 3 points: they can be taken as they are."),
        (40, 0.12, "off by 12 points: take them as a hint."),
        (9, 0.03, "so few images were left out that this is rough"),
    ],
)
def test_a_sentence_says_whether_percentages_can_be_trusted(api: Api, number: int, error: float, said: str) -> None:
    measured = {"reliability": reliability((number, 0.9, 0.9)), "calibration_error": {"before": 0.2, "after": error}}
    assert said in page(api, f"/models/{api.publish(metrics={**METRICS, **measured})}")


@pytest.mark.parametrize(
    ("scales", "said"),
    [({"ridge": 5.0, "text": 0.4}, "The names of the classes count"), ({"ridge": 5.0, "text": 0.0}, "your images alone do")],
)
def test_a_model_says_whether_it_uses_the_names_of_its_classes(api: Api, scales: dict[str, float], said: str) -> None:
    choice = {"method": "auto", "tower": "frozen", "scales": scales}
    assert said in page(api, f"/models/{api.publish(metrics={**METRICS, 'choice': choice})}")


def test_a_model_says_what_it_sees_and_what_it_is_not_for(api: Api) -> None:
    model_id = api.publish(metrics=METRICS)
    shown = page(api, f"/models/{model_id}")
    side = next(one["image_side_pixels"] for one in api.client.get("/v1/backbones").json()["items"] if one["id"] == "mini")
    assert f"It sees photographs at {side} by {side} pixels" in shown
    assert "It is not for diagnosis" in shown


def test_the_line_of_guessing_leaves_out_the_names_of_the_rows(api: Api) -> None:
    shown = page(api, f"/models/{api.publish(metrics=METRICS)}")
    pieces = [tuple(map(float, found)) for found in re.findall(r'<line class="chance"[^>]* y1="([\d.]+)" y2="([\d.]+)"', shown)]
    names = [float(y) for y in re.findall(r'<text x="10" y="([\d.]+)"', shown)]
    assert len(pieces) == len(names) == 3
    # A name of 14 units stands on its line, and reaches a little below.
    assert not any(start < name + 4 and end > name - 11 for start, end in pieces for name in names)
