"""Report on support sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from app.dependencies import AppContext
from app.domain.errors import PredictorNotReadyError
from app.infra.band_columns import wish_of
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import SupportImageRow
from app.inspections.schemas import ReportAnswer
from vtt_core.contract.bands import BandWish
from vtt_core.contract.serving import PredictionEngine
from vtt_core.contract.support_set import check_shape
from vtt_core.contract.support_set_report import ImageToInspect
from vtt_core.ingest.band_images import measure_bands, shown_png


@dataclass(frozen=True)
class ReportRequest:
    """A support set that can be reported on."""

    support_set_id: str
    labels: tuple[str, ...]
    images: tuple[SupportImageRow, ...]
    negative_label: str | None
    bands: BandWish | None


def read_request(context: AppContext, support_set_id: str) -> ReportRequest:
    """Return what is to be reported on.

    Raises:
        NotFoundError: there was never a set with this id.
        GoneError: it was deleted.
        TooFewClassesError: it has fewer than two classes with an image.
        PredictorNotReadyError: the process is still loading.
    """
    with context.readers() as session:
        repository = SupportSetRepository(session)
        row = repository.get(support_set_id)
        images, negative_label, bands = tuple(repository.images(support_set_id)), row.negative_label, wish_of(row)
    shots: dict[str, int] = {}
    for image in images:
        if image.label != negative_label:
            shots[image.label] = shots.get(image.label, 0) + 1
    check_shape(shots, context.settings.limits)
    _engine(context)
    return ReportRequest(support_set_id, tuple(shots), images, negative_label, bands)


def report(context: AppContext, request: ReportRequest) -> ReportAnswer:
    """Report on a support set.

    Raises:
        PredictorNotReadyError: the process is still loading.
        BackboneUnavailableError: the weights of the service's backbone are out of reach.
        SameTokensError: the backbone cannot tell two labels apart.
        BlobMissingError: an image is not in the store.
        StoreUnavailableError: the store does not answer.
    """
    engine, backbone_id, names = _engine(context), context.settings.default_backbone, shown_names(request.images)
    readers = _readers(context, request)
    images = [
        ImageToInspect(
            name=name,
            label=None if row.label == request.negative_label else row.label,
            group=row.group_name,
            read=read,
        )
        for name, row, read in zip(names, request.images, readers, strict=True)
    ]
    found = engine.inspect(backbone_id, request.labels, images, context.settings.limits)
    return ReportAnswer.model_validate(
        {
            **{name: getattr(found, name) for name in ReportAnswer.model_fields if hasattr(found, name)},
            "support_set_id": request.support_set_id,
            "backbone": found.backbone_id,
            "image_ids": {name: row.id for name, row in zip(names, request.images, strict=True)},
        },
        from_attributes=True,
    )


def _readers(context: AppContext, request: ReportRequest) -> list[Callable[[], bytes]]:
    """Return what reads each image; those of many bands as PNGs of what a model will see."""
    stored: list[Callable[[], bytes]] = [partial(context.store.get, row.blob_key) for row in request.images]
    if request.bands is None:
        return stored
    limits = context.settings.limits
    choice = measure_bands(stored, request.bands, limits)
    return [lambda read=read: shown_png(read(), choice, limits) for read in stored]  # type: ignore[misc]


def shown_names(images: Sequence[SupportImageRow]) -> list[str]:
    """Return a name for each image: `<class>/<file>`, with the id where two would have the same."""
    plain = [row.file_name if "/" in row.file_name else f"{row.label}/{row.file_name}" for row in images]
    return [name if plain.count(name) == 1 else f"{name} ({row.id})" for name, row in zip(plain, images, strict=True)]


def _engine(context: AppContext) -> PredictionEngine:
    if context.predictor is None:  # the role `control`, which has no such endpoint
        raise PredictorNotReadyError(
            expected="a process that has a backbone", got="one without", remedy="Ask a process of the role `predict`"
        )
    return context.predictor.engine
