"""Open labelled images: a data set by name, or any folder or zip with a folder for each class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vtt_core.bench.datasets.dataset import IMAGE_SUFFIXES, Dataset, has_images, list_folders, shown_contents
from vtt_core.bench.datasets.folder_layout import list_class_folders
from vtt_core.bench.datasets.labelled_image import LOCAL_LIMITS, LabelledImage
from vtt_core.bench.datasets.registry import DATASETS
from vtt_core.bench.episodes.probe_episodes import patient_of
from vtt_core.contract.errors import DatasetLayoutError, UnknownDatasetError
from vtt_core.contract.support_set import clean_label
from vtt_core.ingest.archives import open_images


def parse_data_option(text: str) -> tuple[str | None, Path]:
    """Split `eurosat=FOLDER` into name and folder. Text without a name is a path.

    Raises:
        UnknownDatasetError: the text before `=` is not a data set, and the whole text is not a path.
    """
    name, equals, folder = text.partition("=")
    if equals and name in DATASETS:
        return name, Path(folder)
    if not equals or "/" in name or Path(text).exists():
        return None, Path(text)
    raise unknown_dataset(name)


@contextmanager
def open_labelled_images(
    data: str | Path, *, root: Path | None = None, names: Mapping[str, str] | None = None, by_patient: bool = False
) -> Iterator[Sequence[LabelledImage]]:
    """List labelled images. Any thread can read them inside the `with` block.

    Args:
        data: path of a zip or folder with a folder for each class; or a data set's name, if `root` is its folder; or text for
            `parse_data_option`.
        root: folder of the data set that `data` names.
        names: replacements of class names, by folder or by original class name.
        by_patient: set the group of each image.

    Raises:
        DatasetLayoutError: the path does not contain the data set.
        UnknownDatasetError: no data set has this name.
        ArchiveError: a zip cannot be read.
    """
    name, path = _name_and_path(data, root)
    dataset = DATASETS[name] if name is not None else None
    if by_patient and dataset is not None and (dataset.groups is None or path.is_file()):
        grouped = ", ".join(f"{other.name} ({other.groups})" for other in DATASETS.values() if other.groups)
        raise DatasetLayoutError(
            expected=f"a data set whose images are grouped: {grouped}", got=repr(dataset.name), remedy="Leave the option out"
        )
    if path.is_file():
        with _open_zip(path, dataset) as images:
            yield _finished(images, names, dataset, by_patient=by_patient)
    elif dataset is not None:
        yield _finished(dataset.read(dataset, path), names, dataset, by_patient=by_patient)
    else:
        yield _finished(_read_folder(path), names, None, by_patient=by_patient)


def _name_and_path(data: str | Path, root: Path | None) -> tuple[str | None, Path]:
    if isinstance(data, Path):
        return None, data
    if root is None:
        return parse_data_option(data)
    if data not in DATASETS:
        raise unknown_dataset(data)
    return data, root


def unknown_dataset(name: str) -> UnknownDatasetError:
    """Return the error for an unknown data set name."""
    return UnknownDatasetError(
        expected="a data set among " + ", ".join(DATASETS),
        got=repr(name[:80]),
        remedy="Write NAME=FOLDER with one of them, or only the path of class folders",
    )


@contextmanager
def _open_zip(path: Path, dataset: Dataset | None) -> Iterator[list[LabelledImage]]:
    if dataset is not None and dataset.zip_label is None:
        raise dataset.bad_layout(f"the file {str(path)!r}")
    label_of = clean_label if dataset is None or dataset.zip_label is None else dataset.zip_label
    with open_images(path, LOCAL_LIMITS) as contents:
        labels = {folder: label_of(folder) for folder in contents.folders}
        images = [
            LabelledImage(file.name, label, None, file.read)
            for file in contents.files
            if (label := labels[file.label]) is not None and file.name.lower().endswith(IMAGE_SUFFIXES)
        ]
        if not images:
            expected = (
                "a folder for each class with images in it"
                if dataset is None
                else f"{dataset.title} laid out as {dataset.layout}"
            )
            raise DatasetLayoutError(
                expected=expected,
                got=f"the folders {', '.join(map(repr, contents.folders[:5])) or 'nothing'} in {str(path)!r}",
                remedy="Unpack it and pass the folder, or pack class folders",
            )
        yield images


def _read_folder(top: Path) -> list[LabelledImage]:
    """List class folders. A single enclosing folder is entered, as in a zip."""
    folder = top
    while len(inner := list_folders(folder)) == 1 and not has_images(inner[0].path):
        folder = Path(inner[0].path)
    images = list_class_folders(folder, clean_label)
    if not images:
        raise DatasetLayoutError(
            expected="a folder or zip with a folder for each class and images directly inside",
            got=shown_contents(top),
            remedy=f"Check the path. Write the name of a public data set before it, as in eurosat={top}",
        )
    return images


def _finished(
    images: list[LabelledImage], names: Mapping[str, str] | None, dataset: Dataset | None, *, by_patient: bool
) -> list[LabelledImage]:
    """Return the images with the chosen class names, and with groups if requested."""
    if by_patient and dataset is not None and any(image.group is None for image in images):
        raise dataset.bad_layout(f"images whose {dataset.groups} is unknown")
    chosen = {clean_label(key): clean_label(name) for key, name in (names or {}).items()}
    if not by_patient and not chosen and all(image.group is None for image in images):
        return images
    return [
        replace(image, label=_chosen_label(image, chosen) if chosen else image.label, group=_group(image, dataset, by_patient))
        for image in images
    ]


def _chosen_label(image: LabelledImage, chosen: Mapping[str, str]) -> str:
    folder = clean_label(image.name.partition("/")[0])
    return chosen.get(folder, chosen.get(image.label, image.label))


def _group(image: LabelledImage, dataset: Dataset | None, by_patient: bool) -> str | None:
    if not by_patient:
        return None
    return patient_of(image.name) if dataset is None else image.group
