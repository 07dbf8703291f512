"""Ask every model of an evaluation about its images, a few at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from app.dependencies import AppContext
from app.evaluations.kept_images import KeptImages
from app.evaluations.query_images import QueryImage, QueryImages
from app.infra.band_columns import choice_of
from app.infra.tables import ModelRow
from app.models.service import read_adapter
from app.predictions.asked import Asked
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import VttError
from vtt_core.evaluation.evaluate import Judged
from vtt_core.evaluation.label_match import match_labels
from vtt_core.ingest.strip_metadata import CleanImage, clean_image


class Measuring:
    """What models say of the images that came so far.

    Args:
        context: of the process.
        models: to ask.
        asked: what predictions should say besides probabilities.
        images: told which images cannot be used.
        kept: takes the images that can; None where none is kept.
    """

    def __init__(
        self, context: AppContext, models: Sequence[ModelRow], asked: Asked, images: QueryImages, kept: KeptImages | None
    ) -> None:
        assert context.predictor is not None
        self._context = context
        self._engine = context.predictor.engine
        self._models = models
        self._asked = asked
        self._images = images
        self._kept = kept
        self.judged: list[list[Judged]] = [[] for _ in models]
        """What each model says of each image that can be used."""
        self.taken: list[tuple[str, str]] = []
        """SHA-256 and label of these images."""
        for model in models:
            self._engine.set_pinned(model.id, model.is_pinned)

    def take(self, chunk: Sequence[QueryImage]) -> None:
        """Read, classify and, where they are kept, store some images."""
        cleaned = self._cleaned(chunk)
        ways = [(model.backbone_id, choice_of(model)) for model in self._models]
        read = {way: self._read(*way, chunk) for way in dict.fromkeys(ways)}
        usable = []
        for place, image in enumerate(chunk):
            clean = cleaned[place]
            errors = [found for found in (clean, *(pixels[place] for pixels in read.values())) if isinstance(found, VttError)]
            if errors:
                self._images.refuse(image.name, image.label, errors[0], in_archive=image.in_archive)
            else:
                usable.append(place)
        if not usable:
            return
        answers = [
            self._ask(model, [read[way][place] for place in usable]) for model, way in zip(self._models, ways, strict=True)
        ]
        for row, place in enumerate(usable):
            image, clean = chunk[place], cleaned[place]
            image_id = self._kept.keep(image, clean) if self._kept is not None and isinstance(clean, CleanImage) else None
            self.taken.append((image.sha256, image.label))
            for model, judged, predictions in zip(self._models, self.judged, answers, strict=True):
                label = match_labels([image.label], model.labels)[image.label]
                judged.append(Judged.of(image.name, image.label, label, predictions[row], image_id))

    def _cleaned(self, chunk: Sequence[QueryImage]) -> list[CleanImage | VttError | None]:
        """Return the images without metadata; None where none is kept."""
        if self._kept is None:
            return [None] * len(chunk)
        return [self._clean(image) for image in chunk]

    def _clean(self, image: QueryImage) -> CleanImage | VttError:
        try:
            choices = (choice for model in self._models if (choice := choice_of(model)) is not None)
            return clean_image(image.encoded, self._context.settings.limits, next(choices, None))
        except VttError as error:
            return error

    def _read(self, backbone_id: str, bands: BandChoice | None, chunk: Sequence[QueryImage]) -> Sequence[Any | VttError]:
        readers = [partial(_encoded, image) for image in chunk]
        return self._engine.read_images(backbone_id, readers, self._context.settings.limits, bands)

    def _ask(self, model: ModelRow, images: Sequence[Any]) -> Sequence[Any]:
        load_files = partial(read_adapter, self._context, model)
        return self._engine.predict(model.id, model.backbone_id, load_files, images, self._asked.options(model))


def _encoded(image: QueryImage) -> bytes:
    return image.encoded
