"""The reference of `vtt_core`'s public functions and classes, from their docstrings. The source is read, not imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from docs.site.markdown import docstring, fenced

PACKAGE = "vtt_core"
Definition = ast.FunctionDef | ast.ClassDef


def python_pages(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, page) of each room of the package, and `index` with the list of rooms.

    Args:
        root: folder that holds the package.
    """
    rooms: dict[str, list[Path]] = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root / PACKAGE).parts
        if path.name != "__init__.py" or len(parts) == 1:
            rooms.setdefault(parts[0] if len(parts) > 1 else PACKAGE, []).append(path)
    listing = ""
    for room, paths in rooms.items():
        found = "".join(_module(path, root) for path in paths)
        if found:
            yield room, f"# {PACKAGE}.{room}\n\n".replace(f".{PACKAGE}\n", "\n") + found
            about = (
                ast.get_docstring(ast.parse((root / PACKAGE / room / "__init__.py").read_text())) if room != PACKAGE else None
            )
            listing += f"- [{room}]({room}.md)" + (f": {about.splitlines()[0]}" if about else "") + "\n"
    yield "index", f"# Python\n\nThe rooms of `{PACKAGE}`, with their public functions and classes.\n\n{listing}"


def _module(path: Path, root: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    public = [node for node in tree.body if isinstance(node, Definition) and not node.name.startswith("_") and _has_text(node)]
    if not public:
        return ""
    name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    return f"## {name}\n\n{docstring(ast.get_docstring(tree))}" + "".join(map(_definition, public))


def _definition(node: Definition) -> str:
    text = f"### {node.name}\n\n" + fenced(_signature(node), "python") + docstring(ast.get_docstring(node))
    if isinstance(node, ast.ClassDef):
        methods = [inner for inner in node.body if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_")]
        text += "".join(
            f"#### {node.name}.{inner.name}\n\n" + fenced(_signature(inner), "python") + docstring(ast.get_docstring(inner))
            for inner in methods
            if _has_text(inner)
        )
    return text


def _signature(node: Definition) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, node.bases))
        return f"class {node.name}({bases})" if bases else f"class {node.name}"
    returned = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    arguments = ast.unparse(node.args)
    whole = f"def {node.name}({arguments}){returned}"
    return whole if len(whole) <= 100 else f"def {node.name}(\n    {arguments},\n){returned}"


def _has_text(node: Definition) -> bool:
    return ast.get_docstring(node) is not None
