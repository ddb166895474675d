"""Which engine, and the way to it: what every question to docker starts from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from stackctl.engine.endpoint import Endpoint, find_endpoint

if TYPE_CHECKING:
    from stackctl.engine.dialing import Line
    from stackctl.engine.transport import Transport

PATIENCE = 10.0


class Connection:
    """The way to one engine; nothing is asked before it is needed.

    Args:
        environ: What chooses the engine (DOCKER_*), where programs are (PATH); None for our own.
        patience: Seconds within which a question must be answered.
        endpoint: The engine, where a record names it; None to find it as docker would.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        *,
        patience: float = PATIENCE,
        endpoint: Endpoint | None = None,
    ) -> None:
        self._environ = dict(os.environ if environ is None else environ)
        self._patience = patience
        self._endpoint = endpoint

    @cached_property
    def endpoint(self) -> Endpoint:
        """Where the engine is.

        Raises:
            EngineUnavailable: The docker context that is chosen does not exist.
        """
        return self._endpoint or find_endpoint(self._environ)

    @cached_property
    def environment(self) -> dict[str, str]:
        """What a child that talks to docker may see: scrubbed, and with this engine pinned."""
        from stackctl.engine.process import scrubbed_environment

        return self.endpoint.environment(scrubbed_environment(self._environ))

    @cached_property
    def line(self) -> Line:
        """The way to its API.

        Raises:
            EngineUnavailable: The docker context that is chosen does not exist.
        """
        from stackctl.engine.dialing import find_line

        scrubbed = {} if self.endpoint.socket else self.environment
        return find_line(self.endpoint, self._environ, scrubbed)

    def close(self) -> None:
        """Close what waits for another question."""
        if "_transport" in vars(self):
            self._transport.close()
        spare = self.line.spare if "line" in vars(self) else None
        while spare:
            spare.pop().close()

    @cached_property
    def _transport(self) -> Transport:
        from stackctl.engine.api import SocketTransport

        return SocketTransport(self.line, self._patience)
