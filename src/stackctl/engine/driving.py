"""Begins the process that drives Compose (`driver`); small, so that it begins before all else is loaded."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from stackctl.core.errors import EngineRefused, UsageError
from stackctl.engine import driver, process


def begin(environ: Mapping[str, str]) -> Driver | None:
    """One that gets ready; None where no process can be started, so that who drives does it itself."""
    try:
        return Driver(environ)
    except (OSError, UsageError):  # none is left, or the interpreter may not be started by this user
        return None


class Driver:
    """A process that imports what drives Compose while we do other things; of use for one `up`.

    Args:
        environ: The caller's environment; it is scrubbed on the way.

    Raises:
        OSError, UsageError: It cannot be started.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        argv = [sys.executable, "-I", "-S", driver.__file__]
        told = f"{json.dumps(sys.path)}\n"
        self._child = process.Waiting(argv, told, env=process.scrubbed_environment(environ))

    def drive(self, job: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """Have it done; see `driver.drive`.

        Raises:
            TimedOut: It took longer than `timeout` seconds.
            EngineRefused: It ended without a word.
        """
        ended = self._child.ask(f"{json.dumps(job)}\n", timeout)
        try:
            return dict(json.loads(ended.stdout))
        except ValueError:
            lines = ended.stderr.strip().splitlines()
            raise EngineRefused(
                f"`docker compose up` could not be driven: {lines[-1] if lines else f'code {ended.code}'}"
            ) from None

    def close(self) -> None:
        """End it, with all that it started."""
        self._child.end()
