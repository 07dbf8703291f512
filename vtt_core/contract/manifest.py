"""The manifest of a stripped adapter: all that is needed to use it, nothing that only training needed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import AdapterFormatError, shown

FORMAT_VERSION = 2
"""Of an adapter with a head. One without a head still says 1."""
NEWEST_VERSION = 3
"""Of an adapter with a choice of bands. Raised by one whenever an older reader would misread a new adapter."""


@dataclass(frozen=True)
class Preprocessing:
    """How an RGB image becomes a backbone's input."""

    side_pixels: int
    """Height and width after resizing."""
    resize: str
    """`squash`: both sides to `side_pixels`, whatever the ratio."""
    interpolation: str
    """`bilinear`, with Pillow's antialiasing."""
    mean: tuple[float, float, float]
    """Subtracted from the channels, which lie between 0 and 1."""
    std: tuple[float, float, float]
    """Divides the channels after that."""


@dataclass(frozen=True)
class HeadFacts:
    """What is known of an adapter's head besides its tensors."""

    kind: str
    """Its name in the recipe, such as `sum`."""
    scales: dict[str, float]
    """Factor on each base; 0 for one that the support images did not ask for."""
    nonconformity: tuple[float, ...]
    """Of the held-out images, the smallest first; prediction sets are made with it. Empty where none could be held out."""
    familiarity: dict[str, float] | None
    """`mean`, `deviation` and `num_values` of the held-out images' familiarity; None where too few could be held out."""
    has_negative: bool = False
    """Whether the last row of the head is the negative class, which is no label."""
    added_labels: tuple[str, ...] = ()
    """Classes that were added to a model that was there before. Its fine-tuning, if there was one, has not seen them."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        values = asdict(self)
        return {**values, "nonconformity": list(self.nonconformity), "added_labels": list(self.added_labels)}

    @classmethod
    def from_json(cls, values: object) -> HeadFacts:
        """Read the facts of a manifest that may have been edited.

        Raises:
            AdapterFormatError: a field is missing, unknown or of the wrong type.
        """
        _check_fields(cls, values)
        assert isinstance(values, dict)
        scores = _numbers(values["nonconformity"], "nonconformity")
        if list(scores) != sorted(scores):
            raise _malformed("nonconformity in ascending order", "another order")
        _numbers(list(values["scales"].values()), "scales")
        familiarity = values["familiarity"]
        if familiarity is not None:
            if set(familiarity) != {"mean", "deviation", "num_values"}:
                raise _malformed("familiarity with mean, deviation and num_values", shown(sorted(familiarity)))
            _numbers(list(familiarity.values()), "familiarity")
            if familiarity["num_values"] < 2 or familiarity["deviation"] < 0:
                raise _malformed("familiarity of at least two values", shown(familiarity))
        return cls(**{**values, "nonconformity": scores, "added_labels": _strings(values, "added_labels")})


@dataclass(frozen=True)
class AdapterManifest:
    """The JSON file of an adapter; its tensors are in a safetensors file."""

    format_version: int
    backbone_id: str
    backbone_sha256: str
    """Hash of the backbone's weights, see `weight_sha256`."""
    tensors_sha256: str
    """Hash of the adapter's safetensors file."""
    labels: tuple[str, ...]
    """Class labels in the order of the prototypes."""
    prompts: tuple[str, ...]
    """Prompt of each class."""
    preprocessing: Preprocessing
    recipe: dict[str, Any]
    """Fields of the FinetuneRecipe that was run."""
    seed: int
    absorption_stopped_at: int | None
    """Step that switched absorption off, or None."""
    library_versions: dict[str, str]
    head: HeadFacts | None = None
    """None for an adapter whose prototypes alone classify."""
    bands: BandChoice | None = None
    """How images of many bands are shown; None where it has learnt from ordinary images."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        values = asdict(self)
        del values["head"], values["bands"]
        if self.head is not None:
            values["head"] = self.head.to_json()
        if self.bands is not None:
            values["bands"] = self.bands.to_json()
        values["labels"], values["prompts"] = list(self.labels), list(self.prompts)
        values["preprocessing"].update(mean=list(self.preprocessing.mean), std=list(self.preprocessing.std))
        return values

    @classmethod
    def from_json(cls, values: object) -> AdapterManifest:
        """Read a manifest that may have been edited.

        Raises:
            AdapterFormatError: another format version, or a field is missing, unknown or of the wrong type.
        """
        if not isinstance(values, dict):
            raise _malformed("a JSON object", type(values).__name__)
        version = values.get("format_version")
        if type(version) is not int or not 1 <= version <= NEWEST_VERSION:
            raise AdapterFormatError(
                expected=f"adapter format version 1 to {NEWEST_VERSION}",
                got=shown(version),
                remedy="Use the release that wrote the adapter, or train it again",
            )
        if version != FORMAT_VERSION and "head" not in values:
            values = {**values, "head": None}
        bands = None
        if version == NEWEST_VERSION:
            bands = BandChoice.from_json(values.get("bands"))
        elif "bands" in values:
            raise _malformed(f"no bands in format version {version}", shown(values["bands"]))
        _check_fields(cls, {**values, "bands": bands})
        if version == FORMAT_VERSION or values["head"] is not None:
            values = {**values, "head": HeadFacts.from_json(values["head"])}
        preprocessing = values["preprocessing"]
        _check_fields(Preprocessing, preprocessing)
        labels, prompts = _strings(values, "labels"), _strings(values, "prompts")
        if len(labels) != len(prompts):
            raise _malformed("one prompt for each label", f"{len(prompts)} for {len(labels)}")
        if not labels or len(set(labels)) != len(labels):
            raise _malformed("labels that differ from each other", shown(list(labels)))
        read = Preprocessing(**{**preprocessing, "mean": _triple(preprocessing, "mean"), "std": _triple(preprocessing, "std")})
        return cls(**{**values, "labels": labels, "prompts": prompts, "preprocessing": read, "bands": bands})


_TYPES: dict[str, tuple[type, ...]] = {
    "backbone_id": (str,),
    "backbone_sha256": (str,),
    "tensors_sha256": (str,),
    "labels": (list,),
    "prompts": (list,),
    "preprocessing": (dict,),
    "recipe": (dict,),
    "seed": (int,),
    "absorption_stopped_at": (int, type(None)),
    "library_versions": (dict,),
    "side_pixels": (int,),
    "resize": (str,),
    "interpolation": (str,),
    "mean": (list,),
    "std": (list,),
    "kind": (str,),
    "scales": (dict,),
    "nonconformity": (list,),
    "familiarity": (dict, type(None)),
    "has_negative": (bool,),
    "added_labels": (list,),
}
"""JSON types of the fields; exact, since Python's bool is an int."""


def _check_fields(kind: type[AdapterManifest] | type[Preprocessing] | type[HeadFacts], values: object) -> None:
    expected = {field.name for field in fields(kind)}
    got = set(values) if isinstance(values, dict) else set()
    if expected != got:
        missing, unknown = sorted(expected - got), sorted(got - expected)
        raise _malformed(f"the fields of {kind.__name__}", f"missing {missing}, unknown {unknown}")
    assert isinstance(values, dict)
    for name, value in values.items():
        if name in _TYPES and type(value) not in _TYPES[name]:
            names = " or ".join(allowed.__name__ for allowed in _TYPES[name])
            raise _malformed(f"{name} of type {names}", shown(value))


def _strings(values: dict[str, Any], name: str) -> tuple[str, ...]:
    if not all(isinstance(value, str) for value in values[name]):
        raise _malformed(f"{name} as a list of strings", shown(values[name]))
    return tuple(values[name])


def _numbers(values: list[Any], name: str) -> tuple[float, ...]:
    if not all(type(value) in (int, float) and abs(value) < 1e9 for value in values):
        raise _malformed(f"{name} as numbers", shown(values))
    return tuple(values)


def _triple(values: dict[str, Any], name: str) -> tuple[float, float, float]:
    if len(values[name]) != 3 or not all(type(value) in (int, float) and abs(value) < 1e6 for value in values[name]):
        raise _malformed(f"{name} as three numbers", shown(values[name]))
    first, second, third = map(float, values[name])
    return first, second, third


def _malformed(expected: str, got: str) -> AdapterFormatError:
    return AdapterFormatError(expected=expected, got=got, remedy="Take the manifest.json that was written with the adapter")
