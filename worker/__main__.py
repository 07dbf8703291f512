"""Start a worker process: `python -m worker`."""

from __future__ import annotations

import sys

from worker.celery_app import celery_app


def main() -> None:
    """Run celery's worker in this process until a signal ends it."""
    celery_app.worker_main(["worker", "--without-gossip", "--without-mingle", *sys.argv[1:]])


if __name__ == "__main__":
    main()
