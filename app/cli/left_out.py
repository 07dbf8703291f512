"""Images that are left out, and classes that have too few or too many usable ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vtt_core.contract.errors import EmptyClassError, TooFewShotsError, TooManyShotsError, VttError
from vtt_core.contract.limits import Limits


@dataclass(frozen=True)
class LeftOut:
    """One image that is not used, and the reason."""

    name: str
    error: VttError


def shot_problem(label: str, num_taken: int, shot: int | None, limits: Limits, left_out: Sequence[LeftOut]) -> VttError | None:
    """Return what is wrong with the number of usable images of a class, if anything.

    Args:
        label: of the class.
        num_taken: number of usable images, at most one more than allowed.
        shot: how many there should be; None for any number.
        limits: the bounds in force.
        left_out: images of the class that cannot be used.
    """
    if not num_taken:
        return EmptyClassError(
            expected="at least one usable image in every class",
            got=f"none in {label!r}{_reasons(left_out)}",
            remedy="Add an image to it or leave the class out",
        )
    if shot is not None and num_taken < shot:
        return TooFewShotsError(
            expected=f"{shot} usable images in every class",
            got=f"{num_taken} in {label!r}{_reasons(left_out)}",
            remedy="Add images to it, or ask for a smaller --shot",
        )
    if shot is None and num_taken > limits.max_shot:
        return TooManyShotsError(
            expected=f"at most {limits.max_shot} images a class",
            got=f"more in {label!r}",
            remedy=f"Pass --shot {limits.max_shot} or fewer: the first ones teach, the rest measure",
        )
    return None


def _reasons(left_out: Sequence[LeftOut]) -> str:
    named = [f"{left.name} ({left.error.title.lower()})" for left in left_out[:3]]
    more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
    return f" (left out: {', '.join(named)}{more})" if named else ""
