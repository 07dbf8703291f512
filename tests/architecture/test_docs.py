"""What the documents name exists: links, make targets, vtt commands and options, environment variables, files."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from app.cli.main import cli
from app.infra.settings import Settings
from vtt_core.contract.limits import Limits

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LONGEST_README = 90
WIDEST_README = 120
SOURCE_FOLDERS = ("app", "worker", "vtt_core", "vtt_client", "tests", "migrations")


def names_of(document: Path, pattern: str) -> Iterator[str]:
    return (match.group(1) for match in re.finditer(pattern, document.read_text(encoding="utf-8")))


def every_document(function):  # type: ignore[no-untyped-def]
    return pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))(function)


def every_document_of_today(function):  # type: ignore[no-untyped-def]
    """Leave the changelog out: it also names what is gone."""
    documents = [document for document in DOCUMENTS if document.name != "CHANGELOG.md"]
    return pytest.mark.parametrize("document", documents, ids=lambda path: str(path.relative_to(ROOT)))(function)


@every_document
def test_relative_links_lead_somewhere(document: Path) -> None:
    links = [link.split("#")[0] for link in names_of(document, r"\]\(([^)\s]+)\)") if "://" not in link]
    assert [link for link in links if link and not (document.parent / link).exists()] == []


@every_document_of_today
def test_make_targets_exist(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))
    named = set(names_of(document, r"(?m)(?:^ *|`)make ([a-z-]+)"))
    assert named <= targets


@every_document_of_today
def test_vtt_commands_and_options_exist(document: Path) -> None:
    commands = get_command(cli).commands  # type: ignore[attr-defined]
    wrong = []
    for line in names_of(document, r"(?m)(?:^ *|`|bin/)(vtt [a-z][^`\n]*)"):
        _, name, *words = line.split()
        if name not in commands:
            wrong.append(line)
            continue
        command = commands[name]
        if hasattr(command, "commands") and words and words[0] in command.commands:
            command = command.commands[words[0]]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        wrong += [f"{line}: {word}" for word in words if word.startswith("--") and word.split("=")[0] not in known]
    assert wrong == []


@every_document_of_today
def test_environment_variables_exist(document: Path) -> None:
    known = {f"VTT_{name.upper()}" for name in Settings.model_fields} | {"VTT_LIMITS__*"}
    known |= {f"VTT_LIMITS__{limit.name.upper()}" for limit in fields(Limits)}
    known |= {"VTT_URL", "VTT_KEY"}  # of commands that talk to a service
    assert set(names_of(document, r"\b(VTT_[A-Z_]+\*?)")) <= known


def test_the_settings_page_lists_every_setting() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    names = [f"VTT_{name.upper()}" for name in Settings.model_fields]
    names += [f"VTT_LIMITS__{limit.name.upper()}" for limit in fields(Limits)]
    assert [name for name in names if name not in page] == []


@every_document_of_today
def test_named_source_files_exist(document: Path) -> None:
    pattern = rf"`((?:{'|'.join(SOURCE_FOLDERS)})/[\w./-]*)`"
    assert [name for name in names_of(document, pattern) if not (ROOT / name).exists()] == []


def test_the_command_line_pages_name_every_command() -> None:
    pages = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("cli.md", "client.md", "benchmarks.md"))
    assert isinstance(cli, typer.Typer)
    shown = []
    for name, command in get_command(cli).commands.items():  # type: ignore[attr-defined]
        parts = getattr(command, "commands", {})
        shown += [f"vtt {name} {part}" for part in parts] if parts else [] if command.hidden else [f"vtt {name}"]
    assert [name for name in shown if name not in pages] == []


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST_README
    assert [line for line in lines if len(line) > WIDEST_README] == []


def test_the_index_links_every_page_of_docs() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert sorted(page for page in pages if f"]({page})" not in index) == []
