"""Write the paragraph for a methods section: what was really run, in the words of the field."""

from __future__ import annotations

from app.reports.facts import ReportFacts
from app.reports.metrics import Accuracy
from app.reports.references import Citations
from app.reports.wording import percent, span
from vtt_core.contract.recipe import AUTO, FinetuneRecipe
from vtt_core.inspection.words import counted

_HOSTS = {
    "clip-lora": "Low-rank adapters of the query, key and value projections of the image tower",
    "clip-lora-text": "Low-rank adapters of the query, key and value projections of the text tower",
    "clip-lora-both": "Low-rank adapters of the query, key and value projections of both towers",
}
_AGGREGATORS = {
    "ssm": "a state-space model",
    "attention": "an attention layer",
    "rnn": "a recurrent network",
    "lstm": "an LSTM",
}
_LEVELS = "the pooled token and the mean patch token at three depths of the image tower"
_BASES = {
    "text": "the cosine similarity with the class prompts {}",
    "ridge": f"ridge regression {{}} on one-hot labels, with classes weighted equally, from {_LEVELS}",
    "centroid": f"the cosine similarity with centred class means of {_LEVELS}",
    "gda": f"Gaussian discriminant analysis with one shrunk covariance {{}}, from {_LEVELS}",
    "ridge-text": f"kernel ridge regression towards the class prompts {{}}, from {_LEVELS}",
    "text-centroid": "class means in the joint space, drawn towards the class prompts {}",
    "probe": "ridge regression {} on one-hot labels, with classes weighted equally, from the pooled token of the image tower",
}
_SOURCES = {"text": "clip", "probe": "ridge", "centroid": None}
"""Publication of a base, where it is not called as the base."""


def methods_text(facts: ReportFacts, cite: Citations) -> str:
    """Return the paragraph.

    Args:
        facts: of the model.
        cite: gives each publication its number.
    """
    parts = [_task(facts), _backbone(facts, cite), *_training(facts, cite), *_head(facts, cite), *_choice(facts)]
    metrics = facts.metrics
    if metrics.expected is not None:
        parts += [*_validation(facts), _result(facts, cite), *_baselines(facts), *_certainty(facts, cite)]
    elif metrics.is_old:
        parts += _old_result(facts, cite)
    else:
        parts.append("The accuracy on new images was not measured.")
    return " ".join(parts)


def _task(facts: ReportFacts) -> str:
    version = facts.manifest.library_versions.get("vtt-service")
    by = f" with vtt-service {version}" if version else ""
    shots = facts.shots
    images = "from labelled images"
    if shots and facts.num_images:
        each = f"{shots[0]}" if len(set(shots)) == 1 else f"{min(shots)} to {max(shots)}"
        images = f"from {facts.num_images} labelled images ({each} per class)"
    negatives = facts.data.num_negatives if facts.data is not None else 0
    more = f" and {counted(negatives, 'image')} of none of the classes" if negatives else ""
    return f"A classifier of {len(facts.manifest.labels)} classes was made{by} {images}{more}."


def _backbone(facts: ReportFacts, cite: Citations) -> str:
    manifest = facts.manifest
    return (
        f"It is based on the pretrained vision-language model {manifest.backbone_id}, of the kind of CLIP {cite('clip')} "
        f"(SHA-256 of the weights {manifest.backbone_sha256[:12]}), which reads images of {manifest.preprocessing.side_pixels} "
        f"by {manifest.preprocessing.side_pixels} pixels."
        + (f" {manifest.bands.sentence}" if manifest.bands is not None else "")
    )


def _training(facts: ReportFacts, cite: Citations) -> list[str]:
    if not facts.is_fine_tuned:
        return ["The model was kept frozen."]
    recipe = facts.recipe
    optimiser = {"adamw": "AdamW", "sgd": "SGD"}[recipe.optimiser]
    sentences = [
        f"{_host(recipe, cite)} were trained for {recipe.iterations} steps of {optimiser} (learning rate "
        f"{recipe.host_learning_rate:g}, batches of {recipe.batch_size}) on {recipe.num_views} fixed augmented views of each "
        "image, all else of the model being frozen."
    ]
    if recipe.uses_absorption:
        sentences.append(_vtt(recipe, cite))
        if facts.manifest.absorption_stopped_at is not None:
            sentences.append(f"Its schedule switched VtT off at step {facts.manifest.absorption_stopped_at}.")
    return sentences


def _host(recipe: FinetuneRecipe, cite: Citations) -> str:
    if recipe.host == "coop":
        return f"{recipe.num_context_tokens} context vectors of the class prompts (CoOp {cite('coop')})"
    if recipe.host == "maple":
        return (
            f"Prompts of {recipe.num_prompt_tokens} tokens in up to {recipe.prompt_depth} blocks of both towers "
            f"(MaPLe {cite('maple')})"
        )
    return (
        f"{_HOSTS[recipe.host]} (CLIP-LoRA {cite('clip-lora', 'lora')}; rank {recipe.rank}, alpha {recipe.alpha:g}, "
        f"dropout {recipe.lora_dropout:g})"
    )


def _vtt(recipe: FinetuneRecipe, cite: Citations) -> str:
    """Describe VtT with what an ablation left of it."""
    reader = _AGGREGATORS.get(recipe.aggregator)
    parts = [f"{reader} fused the image feature and the features of all layers of both towers"] if reader else []
    fused = "the result" if reader else "the image feature"
    if recipe.absorption == "text-tower":
        parts.append(f"the text tower read {fused} in place of a word of the prompt")
    parts.append(f"the image feature learnt to agree with the result (weight {recipe.absorption_weight:g})")
    if recipe.projects_conflict:
        parts.append("the gradient of this lost its part along the classification gradient where the two conflict")
    return f"VtT {cite('vtt')} taught them: {'; '.join(parts)}."


def _head(facts: ReportFacts, cite: Citations) -> list[str]:
    head = facts.manifest.head
    prompt = f"“{facts.recipe.prompt_template}”, with the label in place of {{}}"
    if head is None:
        return [f"Images were classified by {_BASES['text'].format(cite('clip'))} ({prompt})."]
    used = [base for base, scale in head.scales.items() if scale > 0]
    named = [
        _BASES[base].format(cite(source) if (source := _SOURCES.get(base, base)) else "") for base in used if base in _BASES
    ]
    reads_text = any("text" in base for base in used)
    sentences = [f"Images were classified by {' plus '.join(named)}{f' ({prompt})' if reads_text else ''}."]
    if "text" in head.scales and "text" not in used:
        sentences.append("The class prompts were not used, since they did not clearly help.")
    if head.has_negative:
        sentences.append("The images of none of the classes are one more class of this classifier.")
    if head.added_labels:
        added = counted(len(head.added_labels), "class", "classes")
        sentences.append(f"{added} joined after the training, without a new one.")
    return sentences


def _is_regularised(facts: ReportFacts) -> bool:
    head = facts.manifest.head
    return head is not None and any(_SOURCES.get(base, base) in ("ridge", "ridge-text") for base in head.scales)


def _choice(facts: ReportFacts) -> list[str]:
    if facts.metrics.asked_method != AUTO:
        return []
    if facts.metrics.fine_tuned is None:
        return ["The service chose the method (auto), without trying a fine-tuning on these images."]
    chosen = "the fine-tuned" if facts.is_fine_tuned else "the frozen"
    return [f"Of fine-tuned and frozen model, {chosen} one was chosen by its log-likelihood on the held-out images."]


def _validation(facts: ReportFacts) -> list[str]:
    metrics = facts.metrics
    grouped = facts.data is not None and facts.data.num_groups > 0
    sentences = [
        f"Accuracy was estimated on the labelled images by {metrics.how}: each held-out image was scored by classifiers "
        "that had not learnt from it."
    ]
    if grouped:
        sentences.append("Images of one group were held out together.")
    if facts.is_fine_tuned:
        recipe = facts.recipe
        sentences.append(
            f"The fine-tuning was repeated from its start for each fold, with {recipe.validation_iterations} steps "
            f"({recipe.iterations} for the published model)."
        )
    chosen = "The strength of regularisation and the scale" if _is_regularised(facts) else "The scale"
    sentences.append(
        f"{chosen} of the scores came from these held-out scores too, so the estimates may be slightly optimistic."
    )
    return sentences


def _result(facts: ReportFacts, cite: Citations) -> str:
    metrics = facts.metrics
    assert metrics.expected is not None
    interval = f"95 % Wilson interval {cite('wilson')}"
    if metrics.widening is not None and metrics.widening != 1:
        interval += f" with the variance multiplied by {metrics.widening:g}, since the folds share images"
    return (
        f"Of {metrics.expected.num_images} held-out images, {percent(metrics.expected.accuracy)} were classified correctly "
        f"({interval}: {span(metrics.expected)})."
    )


def _baselines(facts: ReportFacts) -> list[str]:
    metrics = facts.metrics
    named: list[tuple[str, Accuracy | None]] = [
        ("the class prompts alone (zero-shot)", metrics.zero_shot),
        ("a linear probe on the frozen model", metrics.linear_probe),
        ("the fine-tuned model with a head", None if facts.is_fine_tuned else metrics.fine_tuned),
        ("the frozen model with a head", metrics.frozen_head if facts.is_compared or facts.is_fine_tuned else None),
    ]
    known = [f"{name} {percent(one.accuracy)} ({span(one)})" for name, one in named if one is not None]
    sentences = [f"For comparison: {'; '.join(known)}."] if known else []
    if facts.is_compared:
        sentences.append("Fine-tuned and frozen model, each with a head, were compared in the same folds.")
    return sentences


def _certainty(facts: ReportFacts, cite: Citations) -> list[str]:
    metrics, sentences = facts.metrics, []
    if metrics.calibration is not None:
        before, after = metrics.calibration
        sentences.append(
            "Probabilities are a softmax whose scale was fitted to the held-out scores (temperature scaling "
            f"{cite('temperature')}); their expected calibration error, on the same images in 10 bins, was {after:.3f} "
            f"({before:.3f} at the default scale)."
        )
    if metrics.largest_coverage:
        sentences.append(
            f"Prediction sets are made from the held-out probabilities by cross-conformal prediction "
            f"{cite('cross-conformal', 'least-ambiguous')}, for coverages up to {percent(metrics.largest_coverage)}."
        )
    if metrics.num_familiar is not None:
        sentences.append(
            "An image whose similarity with the class means is below a threshold is rejected as none of the classes; the "
            f"threshold is Student's prediction bound of {metrics.num_familiar} held-out images."
        )
    return sentences


def _old_result(facts: ReportFacts, cite: Citations) -> list[str]:
    metrics = facts.metrics
    sentences = ["The accuracy on images that the model had not learnt from was not measured."]
    if metrics.zero_shot is not None:
        sentences.append(
            f"The class prompts alone (zero-shot) classified {percent(metrics.zero_shot.accuracy)} of the labelled images "
            f"correctly (95 % Wilson interval {cite('wilson')}: {span(metrics.zero_shot)})."
        )
    if metrics.linear_probe is not None:
        sentences.append(
            f"A linear probe on the frozen model classified {percent(metrics.linear_probe.accuracy)} correctly, with each "
            f"image left out in turn ({span(metrics.linear_probe)})."
        )
    return sentences
