"""Export an adapter: write a folder, load it with the other library, compare the answers, and only then give it its name."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

from PIL.Image import Image

from vtt_core.adapter.files import load_adapter, save_adapter
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.load import load_backbone
from vtt_core.contract.errors import ExportExistsError, InputError, MissingExportPackageError, VerificationError
from vtt_core.contract.exports import LARGEST_LOGIT_DIFFERENCE, Agreement, ExportKind, ExportReport, Variant
from vtt_core.contract.extras import install_extra
from vtt_core.exports.companions import write_companions
from vtt_core.exports.open_clip_folder import write_open_clip
from vtt_core.exports.source import METRICS_FILE, ExportSource, Stopwatch, no_time, open_source

PACKAGES = {
    ExportKind.PEFT: ("peft", "transformers"),
    ExportKind.ONNX: ("onnx", "onnxruntime", "onnxscript"),
    ExportKind.WEB: ("onnx", "onnxruntime", "onnxscript"),
}
"""What each kind needs besides what every installation has."""
Written = tuple[Agreement, float, dict[str, Variant]]


def export_model(
    adapter_dir: Path,
    kind: ExportKind,
    out: Path,
    *,
    images: Sequence[Image] | None = None,
    stopwatch: Stopwatch = no_time,
    backbone_of: Callable[[str], Backbone] = load_backbone,
) -> ExportReport:
    """Export an adapter to a folder.

    The folder is written beside its final place, loaded with the stock library that it is for, and compared with our own
    logits. What differs is removed.

    Args:
        adapter_dir: folder that `vtt adapt` wrote.
        kind: format.
        out: folder to make; there must be nothing yet.
        images: to compare on, in RGB; int8 is calibrated on them too. None for generated ones.
        stopwatch: gives monotonic seconds; without it, no time is reported.
        backbone_of: returns a backbone for its id; the export does not change it.

    Raises:
        AdapterFormatError: `adapter_dir` is no readable adapter.
        BackboneUnavailableError: the backbone's weights are out of reach.
        ExportExistsError: there is something at `out`.
        MissingExportPackageError: a package of the extra `exports` is not installed.
        UnsupportedExportError: the format has no place for this adapter.
        VerificationError: the export gives other answers than the adapter.
    """
    check_packages(kind)
    check_out(out)
    source = open_source(adapter_dir, kind, images, stopwatch, backbone_of)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(mkdtemp(prefix=".export-", dir=out.parent))
    try:
        temporary.chmod(0o755)  # as of any new folder; mkdtemp's is its owner's alone
        agreement, seconds, variants = _write(source, kind, temporary, adapter_dir)
        check_agreement(agreement)
        temporary.replace(out)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and error.filename is None:  # of a write, which does not say where
            error.filename = str(out.parent)
        raise
    return ExportReport(kind, _sizes(out), seconds, agreement, variants)


def check_out(out: Path) -> None:
    """Refuse a path where no folder can be made, before anything is computed.

    Raises:
        ExportExistsError: there is something, if only a link that leads nowhere.
        InputError: no file can have this name.
    """
    try:
        out.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(
            expected="a path where a folder can be made",
            got=f"{str(out)!r} ({error.strerror or error})",
            remedy="Choose another folder",
        ) from error
    raise ExportExistsError(
        expected="a path where there is nothing yet", got=repr(str(out)), remedy="Choose another folder, or remove this one"
    )


def check_packages(kind: ExportKind) -> None:
    """Refuse a kind whose packages are not installed.

    Raises:
        MissingExportPackageError: with the extra that brings them.
    """
    missing = [name for name in PACKAGES.get(kind, ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExportPackageError(
            expected=f"the packages {', '.join(PACKAGES[kind])} for an export as {kind.value}",
            got=f"no {', '.join(missing)}",
            remedy=install_extra("exports"),
        )


def check_agreement(agreement: Agreement) -> None:
    """Refuse an export in float32 that answers otherwise than the adapter.

    Raises:
        VerificationError: a logit is too far off, or an image has another likeliest class.
    """
    # Not <, so that a logit which is no number is refused too.
    if not agreement.largest_logit_difference <= LARGEST_LOGIT_DIFFERENCE or agreement.same_top1 < 1:
        raise VerificationError(
            expected=f"logits within {LARGEST_LOGIT_DIFFERENCE} of the adapter's, and the same class for every image",
            got=f"a difference of {agreement.largest_logit_difference:.2e}, "
            f"and the same class for {100 * agreement.same_top1:.1f} % of {agreement.num_images} images",
            remedy="Report this with the versions of the libraries; nothing was written",
        )


def _write(source: ExportSource, kind: ExportKind, folder: Path, adapter_dir: Path) -> Written:
    if kind is ExportKind.ADAPTER:
        return _write_adapter(source, folder, adapter_dir)
    if kind is ExportKind.OPEN_CLIP:
        return (*write_open_clip(source, folder), {})
    # These import packages that not every installation has.
    if kind is ExportKind.PEFT:
        from vtt_core.exports.peft_folder import write_peft  # noqa: PLC0415

        return (*write_peft(source, folder), {})
    from vtt_core.exports.onnx_folder import write_onnx  # noqa: PLC0415
    from vtt_core.exports.web_folder import write_web  # noqa: PLC0415

    return write_web(source, folder) if kind is ExportKind.WEB else write_onnx(source, folder)


def _write_adapter(source: ExportSource, folder: Path, adapter_dir: Path) -> Written:
    """Write our own two files again, with a card; what is read back must give the same answers."""
    write_companions(source, ExportKind.ADAPTER, folder)
    save_adapter(source.adapter, folder)
    if (adapter_dir / METRICS_FILE).is_file():
        shutil.copyfile(adapter_dir / METRICS_FILE, folder / METRICS_FILE)
    started = source.stopwatch()
    written = replace(source, adapter=load_adapter(folder))
    return source.agreement(written.own_scores_BR), source.stopwatch() - started, {}


def _sizes(folder: Path) -> dict[str, int]:
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in found}
