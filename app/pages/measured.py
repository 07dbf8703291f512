"""What models said of photographs with known classes, as pages show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.evaluations import answers
from app.evaluations.schemas import ComparedAnswer, EvaluationDetail
from app.infra.evaluation_repository import EvaluationRepository
from app.infra.tables import EvaluationRow, ModelRow

MOST_LISTED = 50
"""Evaluations of a model that are looked through."""


@dataclass(frozen=True)
class Measured:
    """What one model said."""

    detail: EvaluationDetail

    @property
    def num_right(self) -> int:
        """Images whose likeliest class is the true one, also where the model refused them."""
        return round(self.detail.accuracy.accuracy * self.detail.accuracy.num_images)

    @property
    def num_refused(self) -> int | None:
        """Images of known classes that were called none of these; None if the model cannot tell."""
        refused = self.detail.none_of_these
        return None if refused is None else round(refused.share * refused.num_images)

    @property
    def num_refused_wrong(self) -> int:
        """Refused images that would have been mistakes."""
        return sum(bool(mistake.none_of_these) for mistake in self.detail.mistakes)

    @property
    def num_refused_right(self) -> int:
        """Refused images that would have been right."""
        return (self.num_refused or 0) - self.num_refused_wrong

    @property
    def num_answered_right(self) -> int:
        """Images that were not refused, and are right."""
        return self.num_right - self.num_refused_right

    @property
    def num_answered_wrong(self) -> int:
        """Images that were not refused, and are wrong."""
        return len(self.detail.mistakes) - self.num_refused_wrong


@dataclass(frozen=True)
class Measurement:
    """What one model, or two, said of the same images."""

    sides: tuple[Measured, ...]

    @property
    def name(self) -> str:
        """What the user calls the images."""
        return self.sides[-1].detail.name

    @property
    def compared(self) -> ComparedAnswer:
        """The second model beside the first."""
        compared = self.sides[-1].detail.compared
        assert compared is not None
        return compared

    @property
    def classes(self) -> list[tuple[str, int, list[float | None]]]:
        """Every class that has images, with their number and each model's recall; None where a model lacks the class."""
        sides = [{one.label: one for one in side.detail.per_class if one.support} for side in self.sides]
        labels = dict.fromkeys(label for side in sides for label in side)
        return [
            (
                label,
                next(side[label].support for side in sides if label in side),
                [side[label].recall if label in side else None for side in sides],
            )
            for label in labels
        ]


def verdict(compared: ComparedAnswer) -> str:
    """Return which model is better, as the key of a text: only if the interval of the difference has 0 outside."""
    return "second" if compared.low > 0 else "first" if compared.high < 0 else "neither"


def ends(compared: ComparedAnswer) -> dict[str, int]:
    """Return the ends of a difference that is seen, in points, as values of a text."""
    few, many = sorted(round(abs(100 * end)) for end in (compared.low, compared.high))
    return {"few": few, "many": many}


def common_evaluations(session: Session, first_id: str, second_id: str) -> list[EvaluationDetail]:
    """Return the evaluations of the second model that were made together with one of the first, newest first."""
    found = evaluations_of(session, second_id)
    return [one for one in found if one.compared is not None and one.compared.model == first_id]


def evaluations_of(session: Session, model_id: str, number: int = MOST_LISTED) -> list[EvaluationDetail]:
    """Return the latest evaluations of a model, newest first."""
    rows, _ = EvaluationRepository(session).list_page(model_id, None, number)
    return [answers.detail(row, []) for row in rows]


def measurement(session: Session, models: Sequence[ModelRow], evaluation_id: str) -> Measurement | None:
    """Return what one model or two said of the same images; None if the evaluation is not of the last one, beside the first.

    Raises:
        NotFoundError: there is no such evaluation.
    """
    rows = same_images(session, models[0].id, evaluation_id) if len(models) > 1 else [_get(session, evaluation_id)]
    details = [answers.detail(row, []) for row in rows]
    compared = details[-1].compared
    is_pair = len(models) < 2 or (len(rows) > 1 and compared is not None and compared.model == models[0].id)
    if rows[-1].model_id != models[-1].id or not is_pair:
        return None
    return Measurement(tuple(map(Measured, details)))


def same_images(session: Session, first_id: str, evaluation_id: str) -> list[EvaluationRow]:
    """Return the evaluations of both models on the same images; without the first one if it was deleted."""
    second = _get(session, evaluation_id)
    of_first, _ = EvaluationRepository(session).list_page(first_id, None, MOST_LISTED)
    same = [row for row in of_first if row.data_sha256 == second.data_sha256 and row.id != second.id]
    same.sort(key=lambda row: abs(row.created_at - second.created_at))
    return [*same[:1], second]


def _get(session: Session, evaluation_id: str) -> EvaluationRow:
    return EvaluationRepository(session).get(evaluation_id)
