"""Asks docker what `doctor` wants to know, within a bound in time for all of it together."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from stackctl.core.checkup_facts import EngineSight, Owned, Socket, Trouble
from stackctl.core.errors import DaemonFrozen, StackctlError
from stackctl.core.labels import PREFIX
from stackctl.engine.endpoint import Endpoint, find_program, in_the_clear

if TYPE_CHECKING:
    from stackctl.core.facts import Container, EngineFacts, Network, Volume
    from stackctl.ops.protocols import Clock

PATIENCE = 4.0
"""Seconds for one question; a healthy engine takes milliseconds."""
TOGETHER = 8.0
"""Seconds for all questions; with Compose's and docker's own versions after them, 12 at most."""
_VERSION = re.compile(r"version\s+v?([0-9][^\s,]*)")
_OURS = {f"{PREFIX}home": ""}


class Examined(Protocol):
    """What `doctor` asks of an engine."""

    @property
    def endpoint(self) -> Endpoint: ...

    @property
    def environment(self) -> dict[str, str]: ...

    def facts(self) -> EngineFacts: ...

    def compose_version(self) -> str: ...

    def containers(self, labels: Mapping[str, str] | None = None) -> tuple[Container, ...]: ...

    def networks(self, labels: Mapping[str, str] | None = None) -> tuple[Network, ...]: ...

    def volumes(self, labels: Mapping[str, str] | None = None) -> tuple[Volume, ...]: ...


def trouble_of(error: StackctlError) -> Trouble:
    """An error as a fact."""
    return Trouble(type(error).__name__, error.message, error.hint)


@dataclass(slots=True)
class _Answers:
    """What was learnt so far; filled by one thread, read by another when its patience is over."""

    known: dict[str, Any] = field(default_factory=dict)

    def sight(self, **more: Any) -> EngineSight:
        return EngineSight(**{**dict(self.known), **more})


def look_at_engine(
    engine: Examined, clock: Clock, environ: Mapping[str, str], *, together: float = TOGETHER
) -> EngineSight:
    """Everything about docker, within about 12 seconds; whatever fails is part of the answer.

    Args:
        engine: Whom to ask.
        clock: Ours, to compare the engine's with.
        environ: Where the docker command is looked for.
        together: Seconds for all questions to the daemon.
    """
    answers = _Answers()
    thread = Thread(target=_interview, args=(engine, clock, environ, answers), daemon=True)
    thread.start()
    tools = {**_command(environ), **_compose(engine)}
    thread.join(together)
    if thread.is_alive():
        frozen = DaemonFrozen(
            f"the docker daemon did not answer all questions within {together:g} s",
            hint="look at the daemon's log and at the load of its host, and restart it if it stays so",
        )
        return answers.sight(**tools, trouble=trouble_of(frozen))
    return answers.sight(**tools)


def _interview(engine: Examined, clock: Clock, environ: Mapping[str, str], answers: _Answers) -> None:
    known = answers.known
    try:
        endpoint = engine.endpoint
        known.update(host=endpoint.host, context=endpoint.context, socket=look_at_socket(endpoint.socket))
        before = clock.now().wall
        facts = engine.facts()
        after = clock.now().wall
        known.update(facts=facts, skew=_skew(facts.system_time, before, after))
        known["clear"] = in_the_clear(endpoint, environ)
        known["elsewhere"] = bool(endpoint.socket) and _other_network(endpoint.socket)
        known["networks"] = engine.networks()
        known["objects"] = tuple(_objects(engine, known["networks"]))
    except StackctlError as error:
        known["trouble"] = trouble_of(error)


def _skew(theirs: float, before: float, after: float) -> float | None:
    """Seconds by which their clock is ahead; 0 within the time that the answer took."""
    if not theirs:
        return None
    return theirs - after if theirs > after else min(0.0, theirs - before)


def _objects(engine: Examined, networks: Iterable[Network]) -> Iterable[Owned]:
    for container in engine.containers(_OURS):
        yield _owned("container", container.id, container.name, container.labels)
    for network in networks:
        if f"{PREFIX}home" in network.labels:
            yield _owned("network", network.id, network.name, network.labels)
    for volume in engine.volumes(_OURS):
        yield _owned("volume", volume.name, volume.name, volume.labels)


def _owned(kind: str, number: str, name: str, labels: Mapping[str, str]) -> Owned:
    words = {key: labels.get(f"{PREFIX}{key}", "") for key in ("home", "project", "generation")}
    return Owned(kind=kind, id=number, name=name, **words)


def _command(environ: Mapping[str, str]) -> dict[str, str]:
    from stackctl.engine import process

    path = find_program("docker", environ)
    if not path:
        return {}
    try:
        ended = process.run([path, "--version"], timeout=PATIENCE / 2)
    except StackctlError:
        return {"command": path}
    match = _VERSION.search(ended.stdout)
    return {"command": path, "command_version": match[1] if match else ""}


def _compose(engine: Examined) -> dict[str, Any]:
    try:
        return {"compose": engine.compose_version()}
    except StackctlError as error:
        return {"compose_trouble": trouble_of(error)}


def look_at_socket(path: str) -> Socket | None:
    """A unix socket as the file system has it; None for an engine that has none."""
    if not path:
        return None
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return Socket(path=path)
    return Socket(
        path=path,
        mode=status.st_mode & 0o7777,
        owner=user_name(status.st_uid),
        group=_group_name(status.st_gid),
        usable=os.access(path, os.R_OK | os.W_OK),
    )


def user_name(number: int) -> str:
    """The name of a user, or the number where there is none."""
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group_name(number: int) -> str:
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _other_network(socket: str) -> bool:
    """Whether the daemon is proven to live in another network namespace than we do."""
    from stackctl.engine.wire import Wire

    wire = Wire(socket, PATIENCE)
    try:
        listener = wire.peer()
        return bool(listener) and _network_of(str(listener)) != _network_of("self")
    except (OSError, StackctlError):
        return False  # only root may look; without proof it counts as ours
    finally:
        wire.close()


def _network_of(process: str) -> str:
    return os.readlink(f"/proc/{process}/ns/net")  # noqa: PTH115 -- it names a namespace, not a path
