"""Read docker-compose.yml like compose: with anchors merged and variables filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
ENV_EXAMPLE = ROOT / "deploy" / "env.example"
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::\?([^}]*))?\})")


class MissingVariableError(Exception):
    """A required variable is missing."""


def env_example() -> dict[str, str]:
    """Return the variables of deploy/env.example."""
    lines = (line for line in ENV_EXAMPLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def filled_in_env() -> dict[str, str]:
    """Return deploy/env.example, filled in."""
    return {name: value or f"{name.lower().replace('_', '')}1" for name, value in env_example().items()}


def read_compose(env: Mapping[str, str]) -> dict[str, Any]:
    """Return the file's content. Raises MissingVariableError if a `${NAME:?...}` is not set."""

    def fill(match: re.Match[str]) -> str:
        dollar, name, message = match.groups()
        if dollar:
            return "$"
        if message is not None and not env.get(name):
            raise MissingVariableError(f"{name}: {message}")
        return env[name]

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        return _VARIABLE.sub(fill, value) if isinstance(value, str) else value

    content = walk(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))
    assert isinstance(content, dict)
    return content
