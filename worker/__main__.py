"""Start a worker process: `python -m worker`."""

from __future__ import annotations

import logging
import os
import sys
import warnings

from app.infra.garbage import spare_imports


def main() -> None:
    """Run celery's worker in this process until a signal ends it."""
    spare_imports()
    from celery.platforms import SecurityWarning  # noqa: PLC0415 - what the garbage collector is to spare

    from worker.celery_app import celery_app  # noqa: PLC0415

    # Celery warns of root because messages may be pickled. Here they are JSON only, and containers run as root.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    code = 0
    try:
        celery_app.worker_main(["--quiet", "worker", "--without-gossip", "--without-mingle", *sys.argv[1:]])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # Skip the interpreter's last garbage collection: it takes seconds, and compiled packages print pages about leaks.
    os._exit(code)


if __name__ == "__main__":
    main()
