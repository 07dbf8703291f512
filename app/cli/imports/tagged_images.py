"""Read what was saved of a project of Azure Custom Vision: images, their tags, and which tag is the negative one.

Custom Vision offers no export of images. What people have is what its training API answers, saved as JSON, beside the images:
the answers of `GetTaggedImages` (`id`, `tags` with `tagName`, `regions`), of `GetTags` (`name`, `type`) and of `GetIterations`
(`name`, `status`). Its Python client writes the same with names such as `tag_name`. Scripts that save the images use the id as
the file's name, or as its beginning, and a folder for each tag.

Source: Custom Vision Training API 3.3, definitions Image, ImageTag, Tag, Iteration.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.cli.imports.export_files import ExportFile
from vtt_core.contract.errors import ArchiveLayoutError
from vtt_core.contract.limits import DEFAULT_LIMITS
from vtt_core.inspection.words import counted

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"})
MAX_JSON_BYTES = 64 * 2**20


@dataclass
class TaggedImages:
    """The images of a project by tag."""

    by_tag: dict[str, list[ExportFile]] = field(default_factory=dict)
    negative: str | None = None
    """The tag that says: none of the others."""
    iterations: list[str] = field(default_factory=list)
    """Names of the iterations that were trained."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Files that are not taken, and why."""
    num_regions: int = 0
    """Boxes of an object detection, which are not used."""
    unread: list[tuple[str, str]] = field(default_factory=list)
    """JSON files that say nothing, and why."""

    @property
    def num_images(self) -> int:
        """Number of images that are taken."""
        return sum(map(len, self.by_tag.values()))


@dataclass
class _Project:
    tags_of: dict[str, list[str]] = field(default_factory=dict)
    """By the id of an image."""
    id_of: dict[str, str] = field(default_factory=dict)
    """By the name of a file, where the export says it."""
    negatives: list[str] = field(default_factory=list)
    iterations: list[str] = field(default_factory=list)
    num_regions: int = 0
    unread: list[tuple[str, str]] = field(default_factory=list)


def tagged_images(files: Sequence[ExportFile], shot: int | None = None) -> TaggedImages:
    """Return the images of an export by their one tag.

    Args:
        files: of the export.
        shot: images of each tag that are taken, the first by name; None for all.

    Raises:
        ArchiveLayoutError: there is no tagged image.
    """
    project = _project(files)
    found = TaggedImages(iterations=project.iterations, num_regions=project.num_regions, unread=project.unread)
    for file in files:
        if file.path.suffix.lower() not in IMAGE_SUFFIXES or _is_hidden(file):
            continue
        tags = _tags_of(file, project)
        why = _why_not(file, tags)
        if why is not None:
            found.left_out.append((readable(str(file.path)), why))
        elif shot is None or len(found.by_tag.get(tags[0], ())) < shot:
            found.by_tag.setdefault(tags[0], []).append(file)
    if not found.by_tag:
        raise ArchiveLayoutError(
            expected="images in a folder for each tag, or the JSON of GetTaggedImages beside the images",
            got=_nothing(found, files),
            remedy="Save the images and the answers of the training API: see docs/client.md",
        )
    found.negative = next((tag for tag in project.negatives if tag in found.by_tag), None)
    return found


def readable(text: str) -> str:
    """Return a text that can be written; of what is no character its number."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_hidden(file: ExportFile) -> bool:
    return any(part.startswith((".", "__")) and part != ".." for part in file.path.parts)


def _nothing(found: TaggedImages, files: Sequence[ExportFile]) -> str:
    """Say what there is instead of tagged images."""
    reasons = Counter(why for _, why in found.left_out)
    parts = [f"{counted(count, 'image')} left out because {why}" for why, count in reasons.most_common(3)]
    parts += [f"{name!r}, which cannot be read: {why}" for name, why in found.unread[:3]]
    silent = [readable(str(file.path)) for file in files if _is_json(file)]
    if silent and not found.unread:
        parts.append(f"no tag of these images in {', '.join(map(repr, silent[:3]))}")
    return "; ".join(parts) or "no image"


def _is_json(file: ExportFile) -> bool:
    return file.path.suffix.lower() == ".json" and not _is_hidden(file)


def _project(files: Sequence[ExportFile]) -> _Project:
    project = _Project()
    for record in _records(files, project.unread):
        tags, name = record.get("tags"), record.get("name")
        if isinstance(tags, list) and isinstance(record.get("id"), str):
            _add_image(project, record, tags)
        elif isinstance(name, str) and record.get("type") in ("Regular", "Negative", "GeneralizedNegative"):
            if record["type"] != "Regular":
                project.negatives.append(readable(name))
        elif isinstance(name, str) and "status" in record:
            project.iterations.append(readable(name))
    return project


def _add_image(project: _Project, record: Mapping[str, Any], tags: list[Any]) -> None:
    boxes = record.get("regions")
    regions = [region for region in boxes if isinstance(region, dict)] if isinstance(boxes, list) else []
    project.num_regions += len(regions)
    names = [_tag_name(tag) for tag in tags or regions]
    image_id = str(record["id"]).lower()
    project.tags_of[image_id] = list(dict.fromkeys(name for name in names if name))
    for key in ("saved_path", "savedPath", "file", "fileName", "file_name"):
        if isinstance(record.get(key), str):
            project.id_of[record[key].replace("\\", "/").rsplit("/", 1)[-1]] = image_id


def _tag_name(tag: Any) -> str:
    if isinstance(tag, dict):
        tag = tag.get("tagName") or tag.get("tag_name")
    return readable(tag).strip() if isinstance(tag, str) else ""


def _records(files: Sequence[ExportFile], unread: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Yield every object in a list of a JSON file, also of a list in an object such as `{"images": [...]}`.

    Args:
        files: of the export.
        unread: gets the files that are no JSON, and why.
    """
    for file in filter(_is_json, files):
        name = readable(str(file.path))
        if file.size_bytes > MAX_JSON_BYTES:
            unread.append((name, f"it has {file.size_bytes} bytes, and at most {MAX_JSON_BYTES} are read"))
            continue
        try:
            document = json.loads(file.read())
        except RecursionError:
            unread.append((name, "it is nested too deeply"))
            continue
        except UnicodeDecodeError:
            unread.append((name, "it is no text in UTF-8, UTF-16 or UTF-32"))
            continue
        except ValueError as error:
            unread.append((name, f"it is no JSON ({error})"))
            continue
        lists = document.values() if isinstance(document, dict) else [document]
        yield from (record for each in lists if isinstance(each, list) for record in each if isinstance(record, dict))


def _tags_of(file: ExportFile, project: _Project) -> list[str]:
    stem = file.path.stem.lower()
    image_id = project.id_of.get(file.path.name)
    for candidate in (image_id, stem, stem.partition("_")[0], stem.removeprefix("image_")):
        if candidate is not None and candidate in project.tags_of:
            return project.tags_of[candidate]
    folder = readable(file.path.parent.name)
    return [folder] if folder and not project.tags_of else []


def _why_not(file: ExportFile, tags: Sequence[str]) -> str | None:
    if file.size_bytes > DEFAULT_LIMITS.max_image_bytes:
        return f"it has {file.size_bytes} bytes, and at most {DEFAULT_LIMITS.max_image_bytes} are read"
    if ".." in file.path.parts:
        return "its path leads out of the export"
    if not tags:
        return "it has no tag"
    if len(tags) > 1:
        return f"it has {len(tags)} tags ({', '.join(tags)}), and an image is of one class"
    return None
