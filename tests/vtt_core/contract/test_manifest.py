import copy
import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import AdapterFormatError
from vtt_core.contract.manifest import FORMAT_VERSION, NEWEST_VERSION, AdapterManifest, HeadFacts, Preprocessing
from vtt_core.contract.recipe import FinetuneRecipe

MANIFEST = AdapterManifest(
    format_version=FORMAT_VERSION,
    backbone_id="mini",
    backbone_sha256="ab" * 32,
    tensors_sha256="cd" * 32,
    labels=("annual crop", "forêt"),
    prompts=("a photo of a annual crop.", "a photo of a forêt."),
    preprocessing=Preprocessing(48, "squash", "bilinear", (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)),
    recipe=FinetuneRecipe().to_json(),
    seed=3,
    absorption_stopped_at=None,
    library_versions={"torch": "2.13.0"},
    head=HeadFacts("sum", {"ridge": 5.0, "text": 0.0}, (0.1, 0.7), {"mean": 0.8, "deviation": 0.05, "num_values": 25}),
)
FIELDS = [field.name for field in fields(AdapterManifest) if field.name != "bands"]
PREPROCESSING_FIELDS = [field.name for field in fields(Preprocessing)]


@pytest.fixture
def values() -> dict[str, Any]:
    return copy.deepcopy(MANIFEST.to_json())


def test_a_manifest_survives_json(values: dict[str, Any]) -> None:
    assert AdapterManifest.from_json(json.loads(json.dumps(values))) == MANIFEST


def test_what_is_written_is_plain_json(values: dict[str, Any]) -> None:
    assert json.loads(json.dumps(values)) == values


@pytest.mark.parametrize("stopped_at", [None, 51])
def test_the_step_of_the_switch_off_may_be_absent(values: dict[str, Any], stopped_at: int | None) -> None:
    assert AdapterManifest.from_json(values | {"absorption_stopped_at": stopped_at}).absorption_stopped_at == stopped_at


def test_a_manifest_of_the_first_version_has_no_head(values: dict[str, Any]) -> None:
    del values["head"]
    read = AdapterManifest.from_json(values | {"format_version": 1})
    assert read.head is None
    assert "head" not in read.to_json()


@pytest.mark.parametrize("has_head", [True, False])
def test_a_choice_of_bands_survives_json_with_a_version_of_its_own(has_head: bool) -> None:
    head = MANIFEST.head if has_head else None
    with_bands = replace(
        MANIFEST, format_version=NEWEST_VERSION, head=head, bands=BandChoice((4, 3, 2), (0, 0, 0.5), (9, 8, 7.5))
    )
    assert AdapterManifest.from_json(json.loads(json.dumps(with_bands.to_json()))) == with_bands


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_version_has_no_bands(version: int) -> None:
    bands = BandChoice((4, 3, 2), (0, 0, 0), (9, 9, 9)).to_json()
    with pytest.raises(AdapterFormatError, match="no bands"):
        AdapterManifest.from_json(MANIFEST.to_json() | {"format_version": version, "bands": bands})


class TestMalformed:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"kind": 3}, "kind of type str"),
            ({"scales": {"ridge": "5"}}, "scales as numbers"),
            ({"nonconformity": [0.7, 0.1]}, "ascending order"),
            ({"nonconformity": [float("nan")]}, "nonconformity as numbers"),
            ({"familiarity": {"mean": 0.8}}, "mean, deviation and num_values"),
            ({"familiarity": {"mean": 0.8, "deviation": -1.0, "num_values": 25}}, "at least two values"),
            ({"familiarity": {"mean": 0.8, "deviation": 0.1, "num_values": 1}}, "at least two values"),
            ({"has_negative": 1}, "has_negative of type bool"),
            ({"added_labels": [1]}, "a list of strings"),
            ({"more": 1}, "unknown"),
        ],
    )
    def test_facts_of_a_head_that_make_no_sense_are_refused(
        self, values: dict[str, Any], changes: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(AdapterFormatError, match=reason):
            AdapterManifest.from_json(values | {"head": values["head"] | changes})

    @pytest.mark.parametrize("whole", [None, [], "manifest", 1, True])
    def test_what_is_no_object_is_refused(self, whole: object) -> None:
        with pytest.raises(AdapterFormatError, match="a JSON object"):
            AdapterManifest.from_json(whole)

    @pytest.mark.parametrize("version", [0, NEWEST_VERSION + 1, "1", 1.0, True, None])
    def test_another_format_version_is_refused(self, values: dict[str, Any], version: object) -> None:
        with pytest.raises(AdapterFormatError, match="adapter format version 1 to 3, got") as caught:
            AdapterManifest.from_json(values | {"format_version": version})
        assert "the release that wrote the adapter" in caught.value.remedy

    @pytest.mark.parametrize("name", FIELDS)
    def test_a_missing_field_is_refused_by_name(self, values: dict[str, Any], name: str) -> None:
        del values[name]
        with pytest.raises(AdapterFormatError, match="format version" if name == "format_version" else name):
            AdapterManifest.from_json(values)

    @pytest.mark.parametrize("name", PREPROCESSING_FIELDS)
    def test_so_is_one_of_the_preprocessing(self, values: dict[str, Any], name: str) -> None:
        del values["preprocessing"][name]
        with pytest.raises(AdapterFormatError, match=name):
            AdapterManifest.from_json(values)

    def test_an_unknown_field_is_refused_by_name(self, values: dict[str, Any]) -> None:
        with pytest.raises(AdapterFormatError, match="unknown \\['notes'\\]"):
            AdapterManifest.from_json(values | {"notes": ""})
        values["preprocessing"]["crop"] = True
        with pytest.raises(AdapterFormatError, match="unknown \\['crop'\\]"):
            AdapterManifest.from_json(values)

    @pytest.mark.parametrize("name", FIELDS)
    def test_a_field_of_another_type_is_refused(self, values: dict[str, Any], name: str) -> None:
        for wrong in (2.5, True, object()):
            with pytest.raises(AdapterFormatError):
                AdapterManifest.from_json(values | {name: wrong})

    @pytest.mark.parametrize("name", PREPROCESSING_FIELDS)
    def test_so_is_one_in_the_preprocessing(self, values: dict[str, Any], name: str) -> None:
        for wrong in (2.5, True, None, "x" if name not in ("resize", "interpolation") else 3, {}):
            with pytest.raises(AdapterFormatError, match=name):
                AdapterManifest.from_json(values | {"preprocessing": values["preprocessing"] | {name: wrong}})

    @pytest.mark.parametrize(
        "triple", [[], [0.1, 0.2], [0.1] * 4, ["0.1"] * 3, [None] * 3, [True] * 3, [float("nan")] * 3, [10**400] * 3]
    )
    def test_channels_are_three_numbers(self, values: dict[str, Any], triple: list[Any]) -> None:
        values["preprocessing"]["mean"] = triple
        with pytest.raises(AdapterFormatError, match="mean as three numbers"):
            AdapterManifest.from_json(values)

    @pytest.mark.parametrize("labels", ["ab", [1, 2], [None, "b"], {"a": 1}])
    def test_labels_are_a_list_of_strings(self, values: dict[str, Any], labels: object) -> None:
        with pytest.raises(AdapterFormatError, match="labels"):
            AdapterManifest.from_json(values | {"labels": labels})

    def test_labels_and_prompts_are_as_many(self, values: dict[str, Any]) -> None:
        with pytest.raises(AdapterFormatError, match="one prompt for each label, got 2 for 1"):
            AdapterManifest.from_json(values | {"labels": ["annual crop"]})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=200)
@given(name=st.sampled_from(FIELDS), value=JSON_VALUES)
def test_any_json_in_any_field_is_either_read_or_refused(name: str, value: object) -> None:
    try:
        manifest = AdapterManifest.from_json(MANIFEST.to_json() | {name: value})
    except AdapterFormatError:
        return
    assert manifest.to_json()[name] == value


@pytest.mark.parametrize("labels", [["cat"] * 5, ["cat", "dog", "cat"], []])
def test_labels_that_are_equal_or_missing_are_refused(values: dict[str, Any], labels: list[str]) -> None:
    with pytest.raises(AdapterFormatError, match="labels that differ"):
        AdapterManifest.from_json(values | {"labels": labels, "prompts": labels})
