"""Run child processes that end with this one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from app.infra.child_processes import die_with_parent, yielding

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
"""A child that lived this long is restarted after the first pause."""


class Child:
    """One supervised process: it is restarted with growing pauses when it dies.

    Args:
        name: what messages call it.
        command: program and arguments.
        environment: the whole environment of the process.
        inherited_fds: file descriptors that stay open in it.
        niceness: above 0, other processes go first.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        inherited_fds: Sequence[int] = (),
        niceness: int = 0,
    ) -> None:
        self.name, self._niceness = name, niceness
        self._command, self._environment, self._fds = list(command), dict(environment), tuple(inherited_fds)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._due_at = 0.0
        self._has_reported_death = False

    def start(self, now: float) -> None:
        """Start the process, in a session of its own: a Ctrl-C reaches only the parent."""
        # The parent starts children from its only thread, so running Python between fork and exec is safe.
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            pass_fds=self._fds,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            start_new_session=True,
            preexec_fn=yielding(self._niceness, die_with_parent()) if self._niceness else die_with_parent(),
        )
        self._started_at, self._has_reported_death = now, False

    @property
    def pid(self) -> int | None:
        """Process id, or None before the first start."""
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the process that ended, or None while it runs."""
        return self._process.poll() if self._process else None

    def revive(self, now: float) -> str | None:
        """Restart the process if it died and its pause is over.

        Args:
            now: monotonic seconds.

        Returns:
            A message if there is something to say.
        """
        if self.exit_code is None:
            return None
        if not self._has_reported_death:
            self._has_reported_death = True
            if now - self._started_at >= HEALTHY_SECONDS:
                self._pause_seconds = FIRST_PAUSE_SECONDS
            self._due_at = now + self._pause_seconds
            message = f"{self.name} ended ({describe_exit(self.exit_code)}); it starts again in {self._pause_seconds:g} s"
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
            return message
        if now >= self._due_at:
            self.start(now)
            return f"{self.name} started again"
        return None

    def terminate(self) -> None:
        """Ask the process to end."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for the end of the process; return False if it still runs."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End the process now."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def stop_all(children: Sequence[Child], grace_seconds: float, is_impatient: Callable[[], bool] = lambda: False) -> list[str]:
    """Ask every child to end, then kill those that do not.

    Args:
        children: what to stop.
        grace_seconds: how long all of them may take together.
        is_impatient: asked now and then; True ends the grace period.

    Returns:
        Names of the children that had to be killed.
    """
    for child in children:
        child.terminate()
    deadline = time.monotonic() + grace_seconds
    while any(not child.wait(0.1) for child in children):
        if is_impatient() or time.monotonic() > deadline:
            break
    stubborn = [child.name for child in children if not child.wait(0)]
    for child in children:
        child.kill()
    return stubborn


def describe_exit(code: int | None) -> str:
    """Return an exit code in words; negative ones are signals."""
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
