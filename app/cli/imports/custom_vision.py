"""`vtt import custom-vision`: take the images of a project of Azure Custom Vision, which ends in 2028."""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.console import stderr_console, write_json
from app.cli.imports.export_files import ExportFile, export_files
from app.cli.imports.tagged_images import TaggedImages, readable, tagged_images
from app.cli.remote.service import JsonOption, KeyOption, connect
from app.cli.remote.sets import write_remarks
from vtt_core.inspection.words import counted

NAMES_FILE = "names.json"
LONGEST_NAME_BYTES = 200
"""Of a folder or file; the usual file systems take 255."""
NUM_NAMED = 10
"""Files that are left out and named."""


def custom_vision(
    export: Annotated[Path, typer.Argument(metavar="EXPORT", help="Folder or zip with the images and the JSON of their tags.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder to write, with a folder per tag.")] = None,
    shot: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="The first K images of each tag; all without it.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Upload to this service instead of writing a folder.")] = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the tagged images of a Custom Vision project: write a folder that `vtt adapt` reads, or upload a support set.

    The negative tag becomes the negative class. Images with no tag or with several are left out, and boxes of an object
    detection are ignored.
    """
    if (out is None) == (url is None):
        raise typer.BadParameter("Pass either --out or --url.", param_hint="--out")
    with export_files(export) as files:
        found = tagged_images(files, shot)
        _write_remarks(found)
        result = _facts(found)
        if out is not None:
            result |= write_folder(found, out)
        else:
            result["support_set_id"] = _upload(found, str(url), key, export.stem)
    if as_json:
        write_json(result)
    else:
        typer.echo(result.get("next") or result["support_set_id"])


def write_folder(found: TaggedImages, out: Path) -> dict[str, Any]:
    """Write a folder per tag; return the folder and the command that comes next.

    A tag that cannot be the name of a folder is written under another, and `names.json` beside the folder says which.

    Raises:
        BadParameter: the folder has something in it, or cannot be written.
        NotAZipError: a file cannot be read; the folder is not made then.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise typer.BadParameter(f"{str(out)!r} is no new or empty folder: name another one.", param_hint="--out")
    try:
        names = _write_whole(found, out)
    except OSError as error:
        raise typer.BadParameter(f"{str(out)!r} cannot be written: {error.strerror or error}.", param_hint="--out") from error
    command = ["vtt", "adapt", str(out), "--out", "adapter"]
    if found.negative is not None:
        command += ["--negative", next(folder for folder, tag in names.items() if tag == found.negative)]
    if any(folder != tag for folder, tag in names.items()):
        names_path = out.with_name(f"{out.name}-{NAMES_FILE}")
        names_path.write_text(json.dumps(names, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        command += ["--names", str(names_path)]
    return {"folder": str(out), "next": shlex.join(command)}


def _write_whole(found: TaggedImages, out: Path) -> dict[str, str]:
    """Write a folder per tag, or nothing if a file cannot be read; return folder -> tag."""
    names: dict[str, str] = {}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".import-") as scratch:
        part = Path(scratch) / "part"
        part.mkdir()
        for tag, files in found.by_tag.items():
            folder = _folder_name(tag, names)
            names[folder] = tag
            (part / folder).mkdir()
            for name, file in _file_names(files).items():
                (part / folder / name).write_bytes(file.read())
        part.replace(out.resolve())
    return names


def _upload(found: TaggedImages, url: str, key: str | None, name: str) -> str:
    images = {
        tag: [(file_name, file.read()) for file_name, file in _file_names(files).items()] for tag, files in found.by_tag.items()
    }
    with connect(url, key) as client:
        made = client.upload(images, name=name[:200], negative=found.negative)
    write_remarks(made)
    return made.id


def _folder_name(tag: str, taken: dict[str, str]) -> str:
    name = _short(re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", tag)).strip(" .") or "_"
    while name in taken:
        name += "_"
    return name


def _short(name: str) -> str:
    """Return the beginning of a name that file systems take, with room for what makes it unique."""
    return name.encode()[:LONGEST_NAME_BYTES].decode(errors="ignore")


def _file_names(files: list[ExportFile]) -> dict[str, ExportFile]:
    """Return the files by a name that no other of them has."""
    names: dict[str, ExportFile] = {}
    for file in files:
        stem, suffix = _short(readable(file.path.stem)), file.path.suffix
        name, place = f"{stem}{suffix}", 1
        while name in names:
            name, place = f"{stem}-{place}{suffix}", place + 1
        names[name] = file
    return names


def _facts(found: TaggedImages) -> dict[str, Any]:
    return {
        "classes": {tag: len(files) for tag, files in found.by_tag.items()},
        "negative": found.negative,
        "iterations": found.iterations,
        "ignored_regions": found.num_regions,
        "unread": [{"file": name, "reason": why} for name, why in found.unread],
        "left_out": [{"file": name, "reason": why} for name, why in found.left_out],
    }


def _write_remarks(found: TaggedImages) -> None:
    console = stderr_console()
    console.print(f"{counted(found.num_images, 'image')} of {counted(len(found.by_tag), 'tag')}", markup=False)
    for name, why in found.unread[:NUM_NAMED]:
        console.print(f"not read: {name}: {why}", style="yellow", markup=False)
    if found.negative is not None:
        console.print(f"negative tag: {found.negative!r}", markup=False)
    if found.iterations:
        console.print(f"iterations, which cannot be taken over: {', '.join(found.iterations)}", markup=False)
    if found.num_regions:
        console.print(
            f"ignored: {counted(found.num_regions, 'region')}, since a class is of the whole image",
            style="yellow",
            markup=False,
        )
    for name, why in found.left_out[:NUM_NAMED]:
        console.print(f"left out {name}: {why}", style="yellow", markup=False)
    if len(found.left_out) > NUM_NAMED:
        console.print(f"left out {len(found.left_out) - NUM_NAMED} more; --json names them", style="yellow", markup=False)
