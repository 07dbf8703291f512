"""The reference of the HTTP API, from its OpenAPI description."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.infra.settings import Role, Settings
from app.main import create_app
from docs.site.markdown import cell, code, docstring, fenced, plain, table

METHODS = ("get", "post", "put", "patch", "delete")


def api_page() -> str:
    """Return a page with every operation and every schema."""
    document = create_app(Settings(role=Role.ALL, host="127.0.0.1")).openapi()
    page = "# HTTP API\n\nMade from the OpenAPI description, which a service answers at `/openapi.json` and shows at `/docs`. "
    page += "[api.md](../docs/api.md) leads through it. Errors: [by code](errors.md).\n\n"
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                tag = (operations[method].get("tags") or ["other"])[0]
                by_tag.setdefault(tag, []).append(_operation(path, method, operations[method]))
    for tag, texts in by_tag.items():
        page += f"## {tag}\n\n" + "".join(texts)
    page += "## Schemas\n\n"
    for name, schema in sorted(document["components"]["schemas"].items()):
        page += f"### {name}\n\n{docstring(schema.get('description'))}" + table(("field", "type", "meaning"), _fields(schema))
    return page


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    text = f"### {operation.get('summary', operation['operationId'])}\n\n" + fenced(f"{method.upper()} {path}", "text")
    text += docstring(operation.get("description"))
    rows = [
        (code(one["name"]), one["in"], _type(one.get("schema", {})), cell(one.get("description", "")))
        for one in operation.get("parameters", [])
    ]
    text += table(("parameter", "in", "type", "meaning"), rows)
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        text += f"Body: {code(kind)}, {_type(content.get('schema', {}))}\n\n"
    answers = [
        (status, _answer(answer), cell(answer.get("description", "")))
        for status, answer in operation.get("responses", {}).items()
    ]
    return text + table(("status", "answer", "meaning"), answers)


def _one_line(description: str) -> str:
    """Return a list of errors as one line, which fits into a table."""
    return "; ".join(line.strip().removeprefix("- ") for line in description.splitlines() if line.strip())


def _answer(answer: Mapping[str, Any]) -> str:
    return ", ".join(f"{code(kind)} {_type(content.get('schema', {}))}" for kind, content in answer.get("content", {}).items())


def _fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        default = f" Default: `{json.dumps(field['default'])}`." if field.get("default") is not None else ""
        yield (
            code(name) + (" (required)" if name in required else ""),
            _type(field),
            cell(field.get("description", "")) + default,
        )
    if "enum" in schema:
        yield "", "one of", ", ".join(map(code, schema["enum"]))


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{plain(name)}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(part) for part in schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if "enum" in schema:
        return ", ".join(map(code, schema["enum"]))
    if "const" in schema:
        return code(schema["const"])
    return cell(schema.get("format") or schema.get("type") or "any")
