"""The engine for the use cases: asks by socket where there is one, drives Compose only when it must."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from stackctl.core.errors import EngineRefused, StackctlError
from stackctl.engine import parse, ports
from stackctl.engine.cgroup import Cgroups
from stackctl.engine.endpoint import find_program
from stackctl.engine.oom import as_the_kernel_says
from stackctl.engine.sending import Sending

if TYPE_CHECKING:
    from stackctl.core.deployment import Deployment
    from stackctl.core.facts import Container, EngineFacts, Image, Network, Reading, Volume
    from stackctl.engine.driving import Driver
    from stackctl.engine.swarm import Swarm
    from stackctl.engine.swarm_lead import Lead

PULL = 1800.0


class DockerEngine(Sending):
    """One docker engine; every call is bounded in time and raises core errors only.

    Not to be shared between threads: its questions share one connection.
    """

    _compose_version = ""
    _warmed = False
    _driver: Driver | None = None

    def facts(self) -> EngineFacts:
        """What the engine says of itself; Compose's version only when it is known already.

        Raises:
            DockerMissing: No docker command on PATH.
            DaemonDown, EngineForbidden, DaemonFrozen: The daemon cannot be asked.
        """
        if not find_program("docker", self._environ):
            from stackctl.engine.process import docker_missing

            raise docker_missing()
        return self.bare_facts()

    def bare_facts(self) -> EngineFacts:
        """As `facts`, for who needs no docker command."""
        info = self._transport.info()
        return parse.parse_engine(
            info,
            host=self.endpoint.host,
            local=self._is_local(info),
            compose_version=self._compose_version,
        )

    def compose_version(self) -> str:
        """Compose's version, asked once.

        Raises:
            ComposeMissing: There is none, or it is older than 2.20.
        """
        if not self._compose_version:
            from stackctl.engine import compose

            self._compose_version = compose.version(self.environment, self._patience)
        return self._compose_version

    def warm(self, begun: Driver | None = None) -> None:
        """Begin beside us what driving Compose needs, for callers that soon call `up`; `close` ends it.

        Args:
            begun: What was begun already.
        """
        if not self._warmed:
            from stackctl.engine.driving import begin

            self._warmed, self._driver = True, begun or begin(self._environ)

    def close(self) -> None:
        """End what was begun beside us, close files; to be called before the process ends."""
        super().close()
        if self._driver is not None:
            self._driver.close()

    def _ask_version(self) -> None:
        with suppress(StackctlError):  # who asks again is told
            self.compose_version()

    def containers(self, labels: Mapping[str, str] | None = None) -> tuple[Container, ...]:
        """Containers in every state that carry all the labels; an empty value asks for mere presence."""
        return self._read(self._transport.find("containers", labels or {}))

    def inspect(self, ids: Sequence[str]) -> tuple[Container, ...]:
        """Containers by id or name, in order; those that are gone are left out."""
        return self._read(self._transport.inspect(ids))

    def _read(self, found: Iterable[Mapping[str, Any]]) -> tuple[Container, ...]:
        return tuple(as_the_kernel_says(self._transport, parse.parse_container(one)) for one in found)

    def swarm(self) -> Swarm:
        """The Swarm that it belongs to; nothing is asked yet."""
        from stackctl.engine import compose
        from stackctl.engine.swarm import Swarm

        def chain(folder: Path, timeout: float) -> list[str]:
            return compose.chain(folder, self._environ, timeout, mute=True)

        return Swarm(self.endpoint, self.environment, chain, self._wire)

    def lead(self) -> Lead:
        """A manager's API on a connection of its own; nothing is asked yet."""
        from stackctl.engine.swarm_api import SwarmApi
        from stackctl.engine.swarm_lead import Lead

        return Lead(SwarmApi(self._wire))

    def networks(self, labels: Mapping[str, str] | None = None) -> tuple[Network, ...]:
        """Networks that carry all the labels, with their members."""
        return tuple(map(parse.parse_network, self._transport.find("networks", labels or {})))

    def volumes(self, labels: Mapping[str, str] | None = None) -> tuple[Volume, ...]:
        """Volumes that carry all the labels."""
        return tuple(map(parse.parse_volume, self._transport.find("volumes", labels or {})))

    def images(self, references: Sequence[str]) -> dict[str, Image | None]:
        """What the engine has of the images asked for: reference -> image, None for what it has not."""
        found: dict[str, Image | None] = {}
        for one in references:
            raw = self._transport.image(one)
            found[one] = parse.parse_image(raw, one) if raw else None
        return found

    def pull(self, reference: str, progress: Callable[[str], None], *, timeout: float = PULL) -> None:
        """Pull one image; `progress` receives docker's lines.

        Raises:
            ImageMissing: No registry that the engine reaches has it.
            TimedOut: It took longer than `timeout` seconds.
        """
        from stackctl.engine import compose

        compose.pull(reference, environ=self.environment, progress=progress, timeout=timeout)

    def up(
        self,
        deployment: Deployment,
        *,
        build: bool = False,
        timeout: float = 600.0,
        services: Sequence[str] = (),
    ) -> None:
        """Create and start what the document says, detached and without waiting for readiness.

        Args:
            services: Only these, all where it is empty.

        Raises:
            ComposeMissing: There is no Compose that will do.
            TimedOut: It took longer than `timeout` seconds.
            EngineRefused, ImageMissing, PortTaken, ServiceFailed: As docker says.
        """
        from stackctl.engine import compose

        beside, self._driver = self._driver, None  # it answers once, and ends itself
        # asked meanwhile: what a Compose that is too old has made is as good as failed, and is undone like it
        asking = Thread(target=self._ask_version, daemon=True)
        asking.start()
        try:
            compose.up(
                deployment,
                endpoint=self.endpoint,
                environ=self._environ,
                build=build,
                timeout=timeout,
                services=services,
                beside=beside,
            )
        except StackctlError:
            asking.join()
            self.compose_version()
            raise
        asking.join()
        self.compose_version()

    def build(
        self, deployment: Deployment, progress: Callable[[str], None], *, timeout: float = PULL
    ) -> None:
        """Build the document's images; `progress` receives the build's lines."""
        from stackctl.engine import compose

        compose.build(deployment, environ=self.environment, progress=progress, timeout=timeout)

    def config(
        self,
        files: Sequence[Path],
        *,
        project: str,
        directory: Path,
        variables: Mapping[str, str] | None = None,
        env_files: Sequence[Path] = (),
        profiles: Sequence[str] = (),
        dotenv: bool = False,
        text: str = "",
        timeout: float = 30.0,
    ) -> dict[str, Any]:
        """People's own compose files as one document, as `compose.config`."""
        from stackctl.engine import compose

        return compose.config(
            files,
            project=project,
            directory=directory,
            environ=self.environment,
            variables=variables or {},
            env_files=env_files,
            profiles=profiles,
            dotenv=dotenv,
            text=text,
            timeout=timeout,
        )

    def stop(self, ids: Sequence[str], *, grace: float | None = None) -> None:
        """Stop containers, all at once; `grace` seconds each between its signal and KILL, None for its own.

        Those that are gone or have ended are done. Whether it worked, `inspect` says.
        """
        self._transport.stop(ids, grace)

    def kill(self, ids: Sequence[str]) -> None:
        """Send KILL to containers, all at once; those that are gone or do not run are done."""
        self._transport.kill(ids)

    def restart(self, ids: Sequence[str], *, grace: float | None = None) -> None:
        """Stop as `stop` does, and start again."""
        self._transport.restart(ids, grace)

    def forbid_restart(self, ids: Sequence[str]) -> None:
        """Take the engine's own restart policy from containers, so that what is ended stays so."""
        self._transport.forbid_restart(ids)

    def renew_limits(self, containers: Sequence[Container]) -> None:
        """Have the engine write the memory limits that containers have by its own word once more.

        With systemd's driver the runtime writes the swap limit itself, and systemd, which does not know of
        it, takes it back when it starts another unit (seen with runc 1.1.15 and systemd 257).
        """
        for one in containers:
            memory, swap = one.limits.memory, one.limits.swap
            if memory and swap and min(memory, swap) > 0:
                with suppress(EngineRefused):  # it has ended meanwhile; who asked looks again
                    self._transport.renew_memory(one.id, memory, swap)

    def remove_containers(self, ids: Sequence[str]) -> None:
        """Remove containers that have ended, never their volumes; what runs is left, as `inspect` shows."""
        self._transport.remove("containers", ids)

    def remove_networks(self, ids: Sequence[str]) -> None:
        """Remove networks by id; one with members is refused."""
        self._transport.remove("networks", ids)

    def log_tail(self, container: str, lines: int) -> str:
        """The last lines that a container wrote, both its streams; empty when it is gone."""
        return self._transport.log_tail(container, lines)

    def logs(
        self,
        project: str,
        services: Sequence[str] = (),
        *,
        follow: bool = False,
        tail: str = "all",
        since: str = "",
    ) -> int:
        """Show a project's logs on our terminal, as `compose.logs`."""
        from stackctl.engine import compose

        return compose.logs(
            project, services, environ=self.environment, follow=follow, tail=tail, since=since
        )

    def container_logs(
        self, container: str, *, follow: bool = False, tail: str = "all", since: str = ""
    ) -> int:
        """Show one container's logs on our terminal, as `compose.container_logs`."""
        from stackctl.engine import compose

        return compose.container_logs(
            container, environ=self.environment, follow=follow, tail=tail, since=since
        )

    def execute(
        self,
        container: str,
        command: Sequence[str],
        *,
        terminal: bool = True,
        user: str = "",
        workdir: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> int:
        """Run a command in a container on our terminal and return its exit code, as `compose.execute`."""
        from stackctl.engine import compose

        return compose.execute(
            container,
            command,
            environ=self.environment,
            terminal=terminal,
            user=user,
            workdir=workdir,
            variables=variables,
        )

    def delete_inside(self, folder: Path, image: str) -> None:
        """Empty a folder of ours with the rights of root in a container, see `inside.delete_inside`."""
        from stackctl.engine import inside

        inside.delete_inside(folder, image, self.environment)

    def readings(self, containers: Sequence[Container]) -> dict[str, Reading]:
        """A sample of each container whose cgroup this machine has, by id; the others are left out."""
        return Cgroups(self.proc).read(containers) if self.endpoint.socket else {}

    def ports_in_use(self) -> frozenset[int]:
        """Ports of the engine's host that are taken; of another machine, those of its containers."""
        if self.endpoint.socket:
            return ports.ports_in_use()
        listed = self._transport.brief("containers", {})
        return frozenset(
            int(port.get("PublicPort") or 0) for one in listed for port in one.get("Ports") or ()
        )

    def port_holder(self, port: int, protocol: str = "tcp") -> str:
        """Who holds a host port, in words; empty when nobody is found."""
        return ports.port_holder(port, self.containers(), protocol, here=bool(self.endpoint.socket))

    def host_addresses(self) -> frozenset[str]:
        """The IPv4 addresses of this machine."""
        return ports.host_addresses()
