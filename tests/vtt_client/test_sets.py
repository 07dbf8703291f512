"""What the client does with support sets, against a real application."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.http_api import Api, encode_image
from vtt_client import Client, NotFoundError


@pytest.mark.slow
def test_a_support_set_is_corrected_in_small_steps(url: str, photos: Path) -> None:
    with Client(url) as client:
        made = client.upload(photos)
        assert client.add_images(made.id, {"fox": [("fox.png", encode_image(50))]}, groups={"fox.png": "den"}).way == 3
        renamed = client.rename_class(made.id, "fox", "wolf")
        assert [one.label for one in renamed.classes] == ["cat", "dog", "wolf"]
        named = client.change_support_set(made.id, name="pets", negative="dog")
        assert (named.name, named.negative) == ("pets", "dog")
        kept = client.change_support_set(made.id, negative=None)
        assert (kept.name, kept.negative) == ("pets", None)
        client.remove_class(made.id, "wolf")
        first, *_ = client.set_groups(made.id, {"cat/0.png": "litter"}).images
        moved = client.change_image(made.id, first.id, label="dog")
        assert (moved.label, moved.group) == ("dog", "litter")
        assert client.change_image(made.id, first.id, group=None).group is None
        client.remove_image(made.id, first.id)
        assert [(one.label, one.shot) for one in client.support_set(made.id).classes] == [("cat", 1), ("dog", 2)]


def test_a_copy_can_be_changed_after_a_job_has_used_the_set(url: str, photos: Path) -> None:
    with Client(url) as client:
        made = client.upload(photos)
        job = client.train(made.id)
        copied = client.copy_support_set(made.id, name="second try")
        assert (copied.name, copied.is_frozen) == ("second try", False)
        assert [one.id for one in client.jobs()] == [job.id]
        with pytest.raises(NotFoundError):
            client.copy_support_set("set_0")


def test_a_report_on_a_support_set_comes_before_any_job(url: str, photos: Path) -> None:
    with Client(url) as client:
        said = client.inspect(client.upload(photos).id)
        assert (said.num_images, [one.label for one in said.classes]) == (4, ["cat", "dog"])


def test_the_backbones_are_listed(url: str) -> None:
    with Client(url) as client:
        assert [one.id for one in client.backbones() if one.is_default] == ["mini"]


@pytest.mark.slow
def test_classes_are_added_to_a_model(url: str, api: Api, photos: Path) -> None:
    with Client(url) as client:
        job = client.train(client.upload(photos).id)
        model_id = api.publish(job.id)
        foxes = {"fox": [("fox.png", encode_image(50)), ("notes.txt", b"no image")]}
        added = client.add_classes(model_id, foxes, idempotency_key="one")
        assert (added.base_model_id, [one.file for one in added.refused]) == (model_id, ["notes.txt"])
        assert client.add_classes(model_id, foxes, idempotency_key="one").id == added.id
