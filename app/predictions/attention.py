"""Say where a model looked in an image."""

from __future__ import annotations

from functools import partial

from app.dependencies import AppContext
from app.display_names import shown_file_name
from app.models.service import read_adapter
from app.predictions.schemas import AttentionAnswer, PredictingModel
from app.predictions.service import IMAGES_FIELD, check_fields, model_to_serve, read_images
from app.uploads.form import FormLimits, SpooledForm
from vtt_core.contract.errors import VttError
from vtt_core.contract.limits import Limits

IMAGE_COST = 2
"""How many images of a prediction one image takes the time of: it goes through the tower with the adapter and without."""


def attention_limits(limits: Limits) -> FormLimits:
    """Return what a form of one image may hold."""
    return FormLimits(
        max_parts=2,
        max_text_bytes=1000,
        max_file_bytes=lambda field: limits.max_image_bytes,
        description="one image in a request",
        example=f"-F {IMAGES_FIELD}=@photo.jpg",
    )


def attention(context: AppContext, reference: str, form: SpooledForm) -> AttentionAnswer:
    """Return how much each part of an image has to do with what is read of it.

    Args:
        context: of the caller.
        reference: id or alias of the model.
        form: one image in a field named `images`.

    Raises:
        NotFoundError: nothing has this id or alias.
        GoneError: the model was deleted.
        ModelNotReadyError: it is a job that has not published a model.
        InvalidRequestError: no image came, or under another field name.
        RequestTooLargeError: more than one image came.
        ImageError: the image cannot be read.
        RateLimitedError: the tenant has asked for more images in this minute than it may.
        PredictorNotReadyError: the process is still loading.
        UnsupportedBackboneError: the backbone does not gather an image by attention.
        BackboneUnavailableError: the weights of the model's backbone are out of reach.
        BackboneMismatchError: this process has other weights of the backbone than the model was made on.
    """
    assert context.predictor is not None
    model = model_to_serve(context, reference)
    check_fields(form, 1, "Send each image in a request of its own")
    caller = context.caller
    context.rates.count("query images", caller.tenant_id, caller.quotas.max_predictions_per_minute, 1)
    engine = context.predictor.engine
    (image,) = read_images(engine, model, form, context.settings.limits)
    if isinstance(image, VttError):
        raise image
    grids = engine.attention(model.id, model.backbone_id, partial(read_adapter, context, model), image)
    shown = PredictingModel(id=model.id, name=model.name, backbone=model.backbone_id)
    return AttentionAnswer.of(shown, shown_file_name(form.files[0].file_name or ""), grids)
