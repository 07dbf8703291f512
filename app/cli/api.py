"""`vtt api`: one HTTP process, in the role that VTT_ROLE names."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated

import typer

from app.infra.garbage import spare_imports


def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on; VTT_HOST, else 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; VTT_PORT, else 8000. 0 takes a free one.")] = None,
    role: Annotated[str | None, typer.Option(help="all, control or predict; VTT_ROLE, else all.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Data folder; VTT_DATA_DIR, else vtt-data.")] = None,
    fd: Annotated[int | None, typer.Option(hidden=True, help="Listening socket inherited from the parent.")] = None,
) -> None:
    """Run one HTTP process. It needs a broker and, for jobs, a worker."""
    spare_imports()
    put_in_environment(host=host, port=port, role=role, data_dir=data_dir)
    # The web stack takes most of a second to import; `vtt --help` does without it.
    from app.infra.data_folder import load_local_settings  # noqa: PLC0415
    from app.infra.telemetry import configure_logging  # noqa: PLC0415
    from app.infra.tracing import start_tracing  # noqa: PLC0415
    from app.main import create_app  # noqa: PLC0415
    from app.server import serve  # noqa: PLC0415

    settings = load_local_settings()
    configure_logging(settings.log_format, in_thread=True)
    start_tracing("vtt-api")
    serve(create_app(settings), settings, None if fd is None else socket.socket(fileno=fd))


def put_in_environment(**options: object) -> None:
    """Put options into the environment, from which this process and its children read their settings.

    Args:
        options: values by the name of the setting; None changes nothing.
    """
    for name, value in options.items():
        if value is not None:
            os.environ[f"VTT_{name.upper()}"] = str(value)


if __name__ == "__main__":
    typer.run(api)  # as `vtt up` starts it, without the other commands' imports
