"""What the engine tells as it happens: a reason to look sooner, never the truth itself.

Dropped streams, a daemon that was restarted and networks (whose events carry no labels) leave gaps, so
whoever listens also lists everything now and then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from stackctl.engine.chunks import Chunks
from stackctl.engine.parse import parse_event
from stackctl.engine.transport import label_filters, quote
from stackctl.engine.wire import Wire

if TYPE_CHECKING:
    import socket

    from stackctl.core.facts import Event
    from stackctl.engine.dialing import Line

# not exec_*: each health check makes three of them
ACTIONS = (
    *("create", "start", "restart", "die", "kill", "oom", "stop", "destroy"),
    *("pause", "unpause", "rename", "update", "health_status"),
)
_LONGEST = 1 << 20
_AT_ONCE = 1 << 16


class EventStream:
    """An open stream of events to `select` on.

    Attributes:
        closed: True once the stream has ended, for whatever reason; what happened since then is not known.
    """

    def __init__(self, connection: socket.socket, begun: bytes) -> None:
        self.closed = False
        self._connection = connection
        self._chunks = Chunks()
        self._text = self._chunks.feed(begun)

    @classmethod
    def open(cls, line: Line | str, labels: Mapping[str, str], patience: float) -> EventStream:
        """Listen to what happens to containers that carry all the labels.

        Args:
            line: The way to the engine, or the path of its unix socket.
            labels: Name -> value; an empty value asks for the label's mere presence.
            patience: Seconds within which the stream must begin.

        Raises:
            DaemonDown, EngineForbidden, DaemonFrozen, EngineRefused: It did not begin.
        """
        filters = {"label": list(label_filters(labels)), "event": ACTIONS, "type": ["container"]}
        target = f"/events?filters={quote(json.dumps(filters))}"
        return cls(*Wire(line, patience).hand_over(target))

    def fileno(self) -> int:
        """The descriptor that becomes readable; -1 when the stream is closed."""
        return self._connection.fileno()

    def read(self) -> tuple[Event, ...]:
        """What has arrived since the last call, without waiting; sets `closed` when no more will."""
        if not self.closed:
            self._receive()
        *lines, self._text = self._text.split(b"\n")
        if self.closed or len(self._chunks) + len(self._text) > _LONGEST:
            self.close()
        return tuple(event for line in lines if (event := _event(line)) is not None)

    def close(self) -> None:
        """Hang up."""
        self.closed = True
        self._connection.close()

    def _receive(self) -> None:
        received = 0
        try:
            while received < _AT_ONCE:
                data = self._connection.recv(_AT_ONCE)
                self._text += self._chunks.feed(data)
                received += len(data)
                if not data or self._chunks.ended:
                    self.closed = True
                    return
        except BlockingIOError:
            return
        except OSError:
            self.closed = True


def _event(line: bytes) -> Event | None:
    try:
        raw = json.loads(line)
    except ValueError:
        return None
    return parse_event(raw) if isinstance(raw, dict) else None
