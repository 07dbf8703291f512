"""Report on a support set before any training, in seconds.

STEP 1 examine    each image is read once: plain facts about the file, and features of the frozen backbone
STEP 2 copies     images that look like one photo; with the user's groups they say which images are independent
STEP 3 recognise  images are classified by what was learnt from others: doubtful labels, weak classes, a learning curve
STEP 4 shortcuts  plain facts that give the class away
STEP 5 say        everything worth knowing, as sentences
"""

from __future__ import annotations

from collections.abc import Sequence

from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.support_set import SupportSet
from vtt_core.contract.support_set_report import ImageToInspect, SupportSetReport
from vtt_core.inspection.copies import copies_findings, copies_in, copies_report, group_findings, independent_groups
from vtt_core.inspection.examined import Examined, ReadAll, examine
from vtt_core.inspection.learning_curve import curve_findings, gain_of_doubling, learning_curve, typical_shot
from vtt_core.inspection.make_up import make_up_findings
from vtt_core.inspection.recognition import (
    class_reports,
    doubt_findings,
    label_doubts,
    recognise,
    recognition_findings,
    single_findings,
)
from vtt_core.inspection.shortcuts import shortcut_findings, shortcuts


def images_of(support_set: SupportSet) -> list[ImageToInspect]:
    """Return the images of a support set."""
    pairs = [(one.label, image) for one in support_set.classes for image in one.images]
    named = [*pairs, *((None, image) for image in support_set.negatives)]
    return [ImageToInspect(image.name, label, image.group, image.read) for label, image in named]


def inspect_images(
    backbone: Backbone,
    labels: Sequence[str],
    images: Sequence[ImageToInspect],
    read_all: ReadAll = map,
    limits: Limits = DEFAULT_LIMITS,
) -> SupportSetReport:
    """Return the report; the arguments and errors are those of `examine`."""
    return report_on(examine(backbone, labels, images, read_all, limits), backbone.backbone_id)


def report_on(examined: Examined, backbone_id: str) -> SupportSetReport:
    """Return the report on images that have been read."""
    pairs = copies_in(examined)
    groups = independent_groups(examined, pairs)
    recognition = recognise(examined, groups)
    doubts = label_doubts(examined, recognition) if recognition is not None else []
    curve = learning_curve(examined, groups, recognition) if recognition is not None else []
    gain, head = gain_of_doubling(curve), recognition.measured if recognition is not None else None
    found = shortcuts(examined, groups, head)
    findings = [
        *copies_findings(examined, pairs),
        *doubt_findings(doubts),
        *group_findings(examined, groups),
        *shortcut_findings(found, head),
        *(recognition_findings(examined, recognition) if recognition is not None else []),
        *curve_findings(curve, gain, typical_shot(examined, groups)),
        *single_findings(examined),
        *make_up_findings(examined),
    ]
    return SupportSetReport(
        backbone_id=backbone_id,
        num_images=len(examined.images),
        held_out=head,
        classes=tuple(class_reports(examined, groups, recognition)),
        copies=tuple(copies_report(examined, pairs)),
        label_doubts=tuple(doubts),
        shortcuts=tuple(found),
        learning_curve=tuple(curve),
        gain_of_doubling=gain,
        findings=tuple(sorted(findings, key=lambda finding: finding.severity != "problem")),
    )
