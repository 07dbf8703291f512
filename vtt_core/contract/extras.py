"""Say how an extra is installed: from a clone, whose versions were tested together, in the way of `make setup`."""

from __future__ import annotations


def install_extra(extra: str, verb: str = "Install") -> str:
    """Return a remedy that names an extra and what to run for it; the verb may begin a sentence or not."""
    command = f".venv/bin/pip install -c constraints.txt -e '.[{extra}]'"
    return f"{verb} the extra {extra}: in the clone of the repository, run {command}"
