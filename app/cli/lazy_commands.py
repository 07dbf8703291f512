"""Import a command when it is called: all of them together take a second, one of them a third of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command


@dataclass(frozen=True)
class Place:
    """Where a command is."""

    target: str
    """As in `app.cli.up:up`: a function with typer's annotations, or a group of commands."""
    panel: str | None = None
    """Heading in the help; None hides the command."""


class LazyCommands(Mapping[str, Any]):
    """Commands by name, in the order of the help.

    Args:
        places: by name.
    """

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._places = dict(places)
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(name, self._places[name])
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def group_of(places: Mapping[str, Place]) -> type[TyperGroup]:
    """Return the class of a group with these commands, for `typer.Typer(cls=...)`."""

    class LazyGroup(TyperGroup):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.commands = LazyCommands(places)  # type: ignore[assignment]  # nothing is added later

    return LazyGroup


def _load(name: str, place: Place) -> Any:
    module, _, attribute = place.target.partition(":")
    found, around = getattr(import_module(module), attribute), typer.Typer()
    around.callback()(lambda: None)  # makes a group of it, whatever it holds
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name, rich_help_panel=place.panel)
    else:
        around.command(name, rich_help_panel=place.panel, hidden=place.panel is None)(found)
    return get_command(around).commands[name]  # type: ignore[attr-defined]  # a group has them
