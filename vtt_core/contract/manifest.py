"""Describe a stripped adapter: all that is needed to use it, nothing that only training needed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from vtt_core.contract.errors import AdapterFormatError

FORMAT_VERSION = 1
"""Raised by one whenever an older reader would misread a new adapter."""


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
class AdapterManifest:
    """The JSON half of an adapter; the tensors lie beside it in safetensors."""

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

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        values = asdict(self)
        values["labels"], values["prompts"] = list(self.labels), list(self.prompts)
        values["preprocessing"].update(mean=list(self.preprocessing.mean), std=list(self.preprocessing.std))
        return values

    @classmethod
    def from_json(cls, values: object) -> AdapterManifest:
        """Read a manifest that somebody may have touched.

        Raises:
            AdapterFormatError: another format version, or a field is missing, unknown or of the wrong type.
        """
        if not isinstance(values, dict):
            raise _malformed("a JSON object", type(values).__name__)
        if values.get("format_version") != FORMAT_VERSION:
            raise AdapterFormatError(
                expected=f"adapter format version {FORMAT_VERSION}",
                got=repr(values.get("format_version")),
                remedy="Use the release that wrote the adapter, or train it again",
            )
        _check_fields(cls, values)
        preprocessing = values["preprocessing"]
        _check_fields(Preprocessing, preprocessing)
        try:
            return cls(
                **{
                    **values,
                    "labels": _strings(values["labels"]),
                    "prompts": _strings(values["prompts"]),
                    "preprocessing": Preprocessing(
                        side_pixels=int(preprocessing["side_pixels"]),
                        resize=str(preprocessing["resize"]),
                        interpolation=str(preprocessing["interpolation"]),
                        mean=_triple(preprocessing["mean"]),
                        std=_triple(preprocessing["std"]),
                    ),
                }
            )
        except (TypeError, ValueError) as error:
            raise _malformed("fields of the documented types", str(error)) from error


def _check_fields(kind: type[AdapterManifest] | type[Preprocessing], values: object) -> None:
    expected = {field.name for field in fields(kind)}
    got = set(values) if isinstance(values, dict) else set()
    if expected != got:
        missing, unknown = sorted(expected - got), sorted(got - expected)
        raise _malformed(f"the fields of {kind.__name__}", f"missing {missing}, unknown {unknown}")


def _malformed(expected: str, got: str) -> AdapterFormatError:
    return AdapterFormatError(expected=expected, got=got, remedy="Take the manifest.json that was written with the adapter")


def _strings(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"expected a list of strings, got {values!r}")
    return tuple(values)


def _triple(values: object) -> tuple[float, float, float]:
    if not isinstance(values, list) or len(values) != 3:
        raise TypeError(f"expected three numbers, got {values!r}")
    first, second, third = (float(value) for value in values)
    return first, second, third
