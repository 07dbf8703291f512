"""Every shell block of the documents is run by a test, or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.shell_blocks import RUN, WALKS, shell_blocks

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_shell_block_is_run_or_says_why_not(document: Path) -> None:
    name = str(document.relative_to(ROOT))
    sections = WALKS.get(name)
    wrong = []
    for block in shell_blocks(document, ROOT):
        if block.language == RUN:
            is_right = sections is not None and (not sections or block.section in sections)
            reason = "is bash, but no test walks its section; see WALKS in tests/fixtures/shell_blocks.py"
        else:
            is_right, reason = block.is_marked, "is not run and does not say why: put <!-- not run: WHY --> above it"
        if not is_right:
            wrong.append(f"{name}:{block.line} {reason}")
    assert wrong == []


@pytest.mark.parametrize("name", WALKS)
def test_every_walk_has_lines_to_run(name: str) -> None:
    sections = {block.section for block in shell_blocks(ROOT / name, ROOT) if block.language == RUN}
    assert sections
    assert set(WALKS[name]) <= sections


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("```bash\nvtt up\n```\n", [("bash", False)]),
        ("<!-- not run: WHY -->\n```sh\nvtt up\n```\n", [("sh", True)]),
        ("<!-- not run: WHY -->\n\nText.\n\n```sh\nvtt up\n```\n", [("sh", False)]),
        ("Text.\n\n    vtt up\n", [("", False)]),
        (
            "<!-- shell blocks of this page are not run: WHY -->\n# T\n\n    make demo\n\n```\ncurl x\n```\n",
            [("", True), ("", True)],
        ),
        ("    vtt up ─┬─ redis\n\n```json\n{}\n```\n\n    POST /v1/jobs\n", []),
    ],
)
def test_shell_blocks_and_their_marks_are_found(tmp_path: Path, text: str, found: list[tuple[str, bool]]) -> None:
    document = tmp_path / "page.md"
    document.write_text(text)
    assert [(block.language, block.is_marked) for block in shell_blocks(document, tmp_path)] == found
