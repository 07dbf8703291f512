"""Write the model card of an export, a README.md for people and for model hubs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vtt_core.contract.bands import BandChoice
from vtt_core.contract.exports import ExportKind

LICENCE_FILE = "LICENSE-base.txt"
SNIPPETS = {
    ExportKind.PEFT: (
        "from peft import PeftModel\nfrom transformers import CLIPModel\n\n"
        'model = PeftModel.from_pretrained(CLIPModel.from_pretrained("{base}"), "DIR")'
    ),
    ExportKind.OPEN_CLIP: (
        "import open_clip\n\n"
        'model, preprocess = open_clip.create_model_from_pretrained("local-dir:DIR")\n'
        "features = model.encode_image(preprocess(image).unsqueeze(0))"
    ),
    ExportKind.ONNX: (
        "import onnxruntime\n\n"
        'session = onnxruntime.InferenceSession("DIR/model.onnx")\n'
        'logits, probabilities, feature, *unknown = session.run(None, {{"pixels": pixels}})'
    ),
    ExportKind.ADAPTER: 'import vtt_core\n\nlabels = vtt_core.load("DIR").predict(["image.jpg"])',
}
"""The lines that load each kind, for a folder DIR."""


_MARKS = re.compile(r"[\\`*_\[\]|~!$]")
"""What means something in Markdown in the middle of a line, besides HTML."""


def write_card(facts: Mapping[str, Any], folder: Path) -> None:
    """Write the card, and the licence of the base.

    Args:
        facts: of `facts_of`.
        folder: of the export.
    """
    base = facts["base"]
    parts = [_front_matter(facts), _title(facts), _how_to_load(facts), _numbers(facts["metrics"]), _preprocessing(facts)]
    (folder / "README.md").write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    source = base["repository"] or base["transformers_repository"]
    place = f"https://huggingface.co/{source}" if source else "the package vtt-service, or a file of its user"
    (folder / LICENCE_FILE).write_text(
        f"Base:     {base['backbone_id']}\nWeights:  sha256 {base['weights_sha256']}\n"
        f"Source:   {place}\nRevision: {base['revision'] or 'not known'}\nLicence:  {base['licence']}\n\n"
        "The licence of the base applies to what is made from it. Its full text is where the base was published.\n",
        encoding="utf-8",
    )


def _front_matter(facts: Mapping[str, Any]) -> str:
    kind, base = facts["kind"], facts["base"]
    library = {"peft": "peft", "open_clip": "open_clip", "onnx": "onnxruntime", "web": "onnxruntime"}.get(kind, "vtt-service")
    lines = ["---", f"library_name: {library}", "pipeline_tag: image-classification"]
    if base["transformers_repository"]:
        lines.append(f"base_model: {base['transformers_repository']}")
    return "\n".join([*lines, "tags: [clip, few-shot]", "---"])


def _title(facts: Mapping[str, Any]) -> str:
    base, labels = facts["base"], facts["labels"]
    rows = (f"| {_plain(label)} | {_plain(prompt)} |" for label, prompt in zip(labels, facts["prompts"], strict=True))
    shown = "\n".join(rows)
    return (
        f"# A classifier of {len(labels)} classes on {base['backbone_id']}\n\n"
        f"Learnt from a few labelled images by vtt-service, method `{facts['recipe'].get('method', '')}`.\n"
        f"Base: `{base['backbone_id']}`, weights sha256 `{base['weights_sha256']}`, "
        f"revision {base['revision'] or 'not known'}, licence {base['licence']} (`{LICENCE_FILE}`).\n\n"
        f"| class | prompt |\n| --- | --- |\n{shown}"
    )


def _plain(text: str) -> str:
    """Return a text that Markdown shows as it is: no markup, no link, no HTML, and no end of a line or of a cell."""
    marked = _MARKS.sub(r"\\\g<0>", " ".join(text.split()))
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _how_to_load(facts: Mapping[str, Any]) -> str:
    kind = ExportKind(facts["kind"])
    if kind is ExportKind.WEB:
        return (
            "## Use\n\n    python -m http.server --directory DIR\n\n"
            "Then open http://localhost:8000. Images stay in the browser, and no network is needed."
        )
    snippet = SNIPPETS[kind].format(base=facts["base"]["transformers_repository"] or "DIR/base")
    script = "" if kind is ExportKind.ADAPTER else "\n\n`python classify.py IMAGE...` does all of it, the classes included."
    return f"## Use\n\n```python\n{snippet}\n```{script}"


def _numbers(metrics: Mapping[str, Any]) -> str:
    expected, training = metrics.get("expected_accuracy"), metrics.get("training_accuracy")
    lines = []
    if isinstance(expected, dict):
        ends = f"95 % interval {100 * expected['low']:.0f} to {100 * expected['high']:.0f} %; {expected['how']}"
        lines.append(f"- Expected accuracy on new images: {100 * expected['accuracy']:.1f} % ({ends}).")
    if isinstance(training, int | float):
        lines.append(f"- On the images that it has learnt from: {100 * training:.1f} % (an upper bound).")
    lines += [f"- {_plain(str(sentence))}" for sentence in metrics.get("advice", [])]
    return "## Numbers\n\n" + ("\n".join(lines) or "Nothing was measured, or it is not with the adapter.")


def _preprocessing(facts: Mapping[str, Any]) -> str:
    wanted, bands = facts["preprocessing"], facts["bands"]
    shown = "" if bands is None else f"{BandChoice.from_json(bands).sentence} Then:\n\n"
    return (
        f"## Preprocessing\n\n{shown}"
        f"RGB, both sides resized to {wanted['side_pixels']} pixels whatever the ratio (Pillow's bilinear filter, which is "
        f"antialiased), divided by 255, less the mean {wanted['mean']}, divided by {wanted['std']}. "
        "`model.json` has this, the thresholds for images of none of the classes, and all other facts."
    )
