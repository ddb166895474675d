"""Making single containers over the engine's API: Compose takes a second to do what takes it 50 ms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stackctl.engine.sensors import Sensors
from stackctl.engine.transport import quote

if TYPE_CHECKING:
    from stackctl.engine.attachment import Attachment, ExitWait
    from stackctl.engine.wire import Answer, Wire

SLOW = 120.0
"""Seconds for one act: where images are large and the disk is slow, making a container takes its time."""

REGISTRY = 30.0
"""Seconds for a registry's answer: the engine itself tries for 15, and again."""


class Making(Sensors):
    """The engine as tasks use it."""

    def create_container(self, name: str, order: Mapping[str, Any]) -> str:
        """Make a container, not yet started; its id.

        Args:
            name: Its name.
            order: As `core.creation.container_order`.

        Raises:
            ImageMissing, EngineRefused, TimedOut: As the engine says.
        """
        answer = self._act("POST", f"/containers/create?name={quote(name)}", order, "making a container")
        return str((answer.json() or {}).get("Id", ""))

    def start_container(self, container: str) -> None:
        """Start a container that was made.

        Raises:
            ServiceFailed, EngineRefused, TimedOut: As the engine says.
        """
        self._act("POST", f"/containers/{quote(container)}/start", None, "starting a container")

    def join_network(self, container: str, network: str) -> None:
        """Attach a container to one more network.

        Raises:
            EngineRefused, TimedOut: As the engine says.
        """
        target = f"/networks/{quote(network)}/connect"
        self._act("POST", target, {"Container": container}, "joining a network")

    def resize(self, container: str, columns: int, rows: int) -> None:
        """Tell a container's terminal its size; one that is gone needs none."""
        self._ask("POST", f"/containers/{quote(container)}/resize?h={rows}&w={columns}")

    def attach(self, container: str, *, stdin: bool, terminal: bool) -> Attachment:
        """The streams of a container, to be opened before it is started.

        Raises:
            DaemonDown, DaemonFrozen, EngineRefused: It could not be attached to.
        """
        from stackctl.engine.attachment import Attachment

        return Attachment.open(self.line, container, self._patience, stdin=stdin, terminal=terminal)

    def exit_wait(self, container: str) -> ExitWait:
        """What tells of a container's end, to be opened before it is started.

        Raises:
            DaemonDown, DaemonFrozen, EngineRefused: It cannot be waited for.
        """
        from stackctl.engine.attachment import ExitWait

        return ExitWait.open(self.line, container, self._patience)

    def output(self, container: str) -> bytes:
        """All that a container wrote, as far as its log still has it; both streams, in order."""
        from stackctl.engine.parse import log_bytes

        query = "stdout=1&stderr=1"
        answer = self._ask("GET", f"/containers/{quote(container)}/logs?{query}", extra=SLOW)
        return log_bytes(answer.body) if answer.status == 200 else b""

    def capture(
        self,
        container: str,
        command: Sequence[str],
        *,
        seconds: float,
        user: str = "",
        workdir: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> tuple[int, tuple[tuple[int, bytes], ...]]:
        """Run a command in a container to its end.

        Args:
            seconds: How long it may take; beyond it, it goes on in the container and is left alone.
            user: As in `docker exec --user`, empty for the container's.
            workdir: Its working directory, empty for the container's.

        Returns:
            Its exit code, and what it wrote, in order: (1 for its standard output, 2 for its standard error;
            bytes), 64 MiB at most.

        Raises:
            TimedOut: It did not end in time.
            ServiceFailed, EngineRefused: The container does not run, or the command cannot be started.
        """
        order = {
            "Cmd": list(command),
            "Env": [f"{name}={value}" for name, value in (variables or {}).items()],
            "User": user,
            "WorkingDir": workdir,
            "AttachStdout": True,
            "AttachStderr": True,
        }
        answer = self._act("POST", f"/containers/{quote(container)}/exec", order, "running a command")
        execution = f"/exec/{quote(str((answer.json() or {}).get('Id', '')))}"
        return self._run_out(execution, seconds, command[0])

    def _run_out(
        self, execution: str, seconds: float, name: str
    ) -> tuple[int, tuple[tuple[int, bytes], ...]]:
        from stackctl.core.errors import DaemonFrozen, TimedOut
        from stackctl.engine.errors import explain
        from stackctl.engine.parse import frames

        start = {"Detach": False, "Tty": False}
        try:
            answer = self._ask("POST", f"{execution}/start", start, extra=seconds - self._patience)
        except DaemonFrozen:
            raise TimedOut(
                f"`{name}` did not end within {seconds:g} s",
                hint="it goes on in the container; give it more time, or end the task",
            ) from None
        if answer.status >= 400:
            raise explain(answer.message, doing="running a command")
        found = self._act("GET", f"{execution}/json", None, "running a command").json() or {}
        return int(found.get("ExitCode") or 0), frames(answer.body)

    def registry_digest(self, reference: str) -> str:
        """The digest that an image's registry has for it now, as the engine asks it; nothing is pulled.

        Args:
            reference: The image, by name and tag.

        Returns:
            `sha256:…`, of all its platforms where it has several.

        Raises:
            ImageMissing: The registry does not have it.
            EngineRefused, TimedOut: The registry cannot be reached, does not answer, or wants a password.
        """
        from stackctl.core.errors import DaemonFrozen, TimedOut
        from stackctl.engine.errors import explain

        try:
            answer = self._ask("GET", f"/distribution/{quote(reference)}/json", extra=REGISTRY)
        except DaemonFrozen:
            raise TimedOut(f"its registry did not answer within {self._patience + REGISTRY:g} s") from None
        if answer.status >= 400:
            raise explain(answer.message, doing="asking its registry")
        described = (answer.json() or {}).get("Descriptor") or {}
        return str(described.get("digest") or "")

    def _act(self, method: str, target: str, body: Mapping[str, Any] | None, doing: str) -> Answer:
        answer = self._ask(method, target, body, extra=SLOW)
        if answer.status >= 400:
            from stackctl.engine.errors import explain

            raise explain(answer.message, doing=doing)
        return answer

    def _ask(
        self, method: str, target: str, body: Mapping[str, Any] | bytes | None = None, *, extra: float = 0.0
    ) -> Answer:
        """One question on a connection of its own, which is let go of whatever comes."""
        wire = self._wire()
        try:
            return wire.call(method, target, body, extra=extra)
        finally:
            wire.close()

    def _wire(self) -> Wire:
        from stackctl.engine.wire import Wire

        return Wire(self.line, self._patience)
