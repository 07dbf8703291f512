"""Start a worker process: `python -m worker`."""

from __future__ import annotations

import sys
import warnings

from celery.platforms import SecurityWarning

from worker.celery_app import celery_app


def main() -> None:
    """Run celery's worker in this process until a signal ends it."""
    # Celery warns of root because of pickled messages; here they are JSON only, and containers run as root.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    celery_app.worker_main(["--quiet", "worker", "--without-gossip", "--without-mingle", *sys.argv[1:]])


if __name__ == "__main__":
    main()
