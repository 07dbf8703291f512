"""The reference of the commands, from typer itself."""

from __future__ import annotations

from typing import Any

from typer.main import get_command

from app.cli.main import cli
from docs.site.markdown import cell, code, fenced, plain, table


def command_page() -> str:
    """Return a page with every command, its arguments and its options, as `--help` names them."""
    page = "# Commands\n\nMade from the commands themselves; [cli.md](../docs/cli.md) explains them by subject.\n\n"
    root: Any = get_command(cli)
    for name, command in sorted(root.commands.items()):
        if not command.hidden:
            page += _described(command, f"vtt {name}")
    return page


def _described(command: Any, name: str) -> str:
    parts = getattr(command, "commands", None)
    text = f"## {name}\n\n{_prose(command.help)}\n\n"
    if parts:
        return text + "".join(_described(part, f"{name} {part_name}") for part_name, part in sorted(parts.items()))
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    arguments = [parameter for parameter in shown if parameter.param_type_name == "argument"]
    usage = " ".join([name, *("[OPTIONS]" for _ in range(len(shown) > len(arguments))), *map(_metavar, arguments)])
    return text + fenced(usage, "text") + table(("argument or option", "default", "meaning"), map(_row, shown))


def _metavar(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _row(parameter: Any) -> tuple[str, str, str]:
    if parameter.param_type_name == "argument":
        named = code(_metavar(parameter))
    else:
        value = "" if getattr(parameter, "is_flag", False) else f" {parameter.metavar or _last_word(parameter)}"
        named = ", ".join(code(f"{option}{value}") for option in parameter.opts)
    return named, _default(parameter), cell(parameter.help or "")


def _last_word(option: Any) -> str:
    return str(option.opts[0]).rpartition("-")[2].upper()


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if getattr(parameter, "is_flag", False) and parameter.default in {None, False}:
        return "off"
    return "" if parameter.default in {None, ""} else code(parameter.default)


def _prose(text: str | None) -> str:
    return plain("\n\n".join(" ".join(paragraph.split()) for paragraph in (text or "").split("\n\n")))
