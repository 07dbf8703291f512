"""Say how an extra is installed: from a clone, since the versions that were tested together stand there."""

from __future__ import annotations


def install_extra(extra: str, verb: str = "Install") -> str:
    """Return a remedy that names an extra and what to run for it; the verb may begin a sentence or not."""
    return (
        f"{verb} the extra {extra}: in the clone of the repository, run .venv/bin/pip install -c constraints.txt '.[{extra}]'"
    )
