"""Where the `vtt` script begins: from the first moment, Ctrl-C ends it without a traceback.

The commands take a second to import. `app.cli.main` listens for Ctrl-C in a way that lets a command clean up; until then there
is nothing to clean up.
"""

from __future__ import annotations

import os
import signal

from app.infra.garbage import spare_imports

CTRL_C_EXIT = 130
"""Exit code after SIGINT, as shells give it."""


def main() -> None:
    """Run the command line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not ignored, as in the background of a shell
        signal.signal(signal.SIGINT, _end)
    spare_imports()
    from app.cli.main import main as run  # noqa: PLC0415 - the import is what takes a second

    run()


def _end(number: int, frame: object) -> None:
    # An exception could be caught, or changed, by any of the packages that are being imported.
    os.write(2, b"stopped by Ctrl-C\n")
    os._exit(CTRL_C_EXIT)
