"""The reference of the settings, from the model that reads them."""

from __future__ import annotations

import ast
import inspect
from dataclasses import MISSING, fields

from app.infra.settings import Settings
from docs.site.markdown import cell, code, table
from vtt_core.contract.limits import Limits


def setting_page() -> str:
    """Return a page with every setting, its default and its meaning."""
    page = "# Settings\n\nMade from the model that reads the environment. "
    page += "[settings.md](../docs/settings.md) groups them by subject.\n\n"
    meanings = meanings_of(Settings)
    rows = [
        (
            code(f"VTT_{name.upper()}"),
            code(field.default) if field.default not in ("", None) else "none",
            cell(meanings.get(name, "")),
        )
        for name, field in Settings.model_fields.items()
        if name != "limits"
    ]
    page += table(("variable", "default", "meaning"), rows)
    meanings = meanings_of(Limits)
    limits = [
        (
            code(f"VTT_LIMITS__{field.name.upper()}"),
            code(field.default) if field.default is not MISSING else "",
            cell(meanings.get(field.name, "")),
        )
        for field in fields(Limits)
    ]
    return page + "## Limits\n\n" + table(("variable", "default", "meaning"), limits)


def meanings_of(model: type) -> dict[str, str]:
    """Return the string under each field of a class."""
    (body,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    names: list[str] = []
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.append(node.target.id)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            # A string may be about several fields that stand above it, such as host and port.
            found |= dict.fromkeys(names, node.value.value)
            names = []
        else:
            names = []
    return found
