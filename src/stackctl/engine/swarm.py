"""Drives a Swarm by one of its managers; every call is bounded in time and raises core errors only.

`stack deploy` goes through python-on-whales. Everything that is read is docker's own JSON, many objects in
one call: the library asks for one object at a time, and again after 10 ms.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackctl.core.errors import TimedOut
from stackctl.core.labels import PREFIX
from stackctl.core.swarm_facts import NAMESPACE
from stackctl.core.units import show_duration
from stackctl.engine import driver, process, swarm_parse
from stackctl.engine.compose import TIMED_OUT, client_of
from stackctl.engine.errors import explain
from stackctl.engine.swarm_api import KINDS, SwarmApi

if TYPE_CHECKING:
    from stackctl.core.swarm_facts import Cluster, Node, SwarmService, SwarmTask, SwarmThing
    from stackctl.engine.docker import DockerEngine
    from stackctl.engine.endpoint import Endpoint
    from stackctl.engine.wire import Wire

PATIENCE = 30.0
"""Seconds for one question: managers that elect a leader answer late."""
LINES = 2000
"""Of each task of a service, for what is read of agents."""
CONTEXT_PATIENCE = 5.0
"""Seconds for a node's own engine, which may be switched off."""
_GONE = ("no such", "not found")


class Swarm(SwarmApi):
    """The Swarm that one engine belongs to.

    Args:
        endpoint: The engine, a manager.
        environment: Scrubbed, with the engine pinned.
        chain: The docker command, bounded in time, for python-on-whales.
        wire: Makes a connection to the engine.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        environment: Mapping[str, str],
        chain: Callable[[Path, float], list[str]],
        wire: Callable[[], Wire],
    ) -> None:
        super().__init__(wire)
        self._endpoint, self._environment, self._chain = endpoint, dict(environment), chain

    def services(self, project: str) -> tuple[tuple[SwarmService, ...], tuple[SwarmTask, ...]]:
        """Every service of a stack's name, whoever made it, and their tasks."""
        ids = self._listed("service", {NAMESPACE: project})
        raw = self._inspect("service", ids)
        services = tuple(swarm_parse.parse_service(one, project) for one in raw)
        if not services:
            return (), ()
        words = ["service", "ps", "--no-trunc", "--quiet", *(one.id for one in services)]
        templates = swarm_parse.templates_of(raw)
        tasks = self._inspect("task", self._run(words, forgiven=_GONE).split())
        return services, tuple(swarm_parse.parse_task(one, templates) for one in tasks)

    def things(self, project: str) -> tuple[SwarmThing, ...]:
        """The networks, configs and secrets with the project's label."""
        found = []
        for kind in KINDS:
            ids = self._listed(kind, {f"{PREFIX}project": project})
            found += [swarm_parse.parse_thing(kind, one) for one in self._inspect(kind, ids)]
        return tuple(found)

    def _listed(self, kind: str, labels: Mapping[str, str]) -> list[str]:
        filters = [word for key, value in labels.items() for word in ("--filter", f"label={key}={value}")]
        extra = ["--no-trunc"] if kind == "network" else []
        return self._run([kind, "ls", "--quiet", *extra, *filters]).split()

    def _inspect(self, kind: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        if not ids:
            return []
        words = ["inspect", "--type", kind] if kind == "task" else [kind, "inspect"]
        found = json.loads(self._run([*words, *ids], forgiven=_GONE) or "[]")
        return [one for one in found if isinstance(one, dict)]

    def deploy(self, project: str, document: Path, *, timeout: float, pinned: bool) -> None:
        """Tell Swarm what the document says; it goes about it by itself, nothing is waited for.

        Args:
            document: A file for `docker stack deploy`.
            timeout: Seconds for the telling.
            pinned: Every image has a digest, so that no registry has to be asked for one.

        Raises:
            TimedOut: It took longer.
            EngineRefused: As docker says.
        """
        client = client_of(self._endpoint, self._environment, self._chain(document.parent, timeout))
        told = driver.deploy(client, project, str(document), pinned)
        if told["code"] in TIMED_OUT:
            late = f"`docker stack deploy` did not end within {show_duration(timeout) or '1s'}"
            raise TimedOut(late, hint="`docker node ls` shows whether the managers agree")
        if told["code"]:
            raise explain(told["stderr"], doing="`docker stack deploy`")

    def scale_to_nothing(self, services: Sequence[str]) -> None:
        """Have Swarm end every task of services; it goes about it by itself."""
        if services:
            self._run(["service", "scale", "--detach", *(f"{one}=0" for one in services)], forgiven=_GONE)

    def engine_of(self, node: Node) -> DockerEngine | None:
        """The engine of a node: the one that is asked anyway, or that of the docker context of its name.

        None where there is no such context, it does not answer, or another node is behind it.
        """
        from stackctl.core.errors import StackctlError
        from stackctl.engine.docker import DockerEngine

        if node.id == self._cluster.node:
            return DockerEngine(self._environment, endpoint=self._endpoint)
        environ = {key: value for key, value in self._environment.items() if key != "DOCKER_HOST"}
        engine = DockerEngine({**environ, "DOCKER_CONTEXT": node.hostname}, patience=CONTEXT_PATIENCE)
        try:
            there = engine.swarm().cluster()
        except StackctlError:
            return None
        return engine if there.node == node.id else None

    @cached_property
    def _cluster(self) -> Cluster:
        return self.cluster()

    def remove(self, kind: str, ids: Sequence[str]) -> None:
        """Remove services, networks, configs or secrets by id; those that are gone are done."""
        if ids:
            self._run([kind, "rm", *ids], forgiven=_GONE)

    def label_node(self, node: str, key: str, value: str) -> None:
        """Set a label of a node, or take it away where the value is empty."""
        change = ["--label-add", f"{key}={value}"] if value else ["--label-rm", key]
        self._run(["node", "update", *change, node], forgiven=("key",) if not value else ())

    def start_anew(self, service: str) -> None:
        """Have Swarm make every task of a service anew, also where it starts none any more."""
        self._run(["service", "update", "--force", "--detach", "--quiet", service])

    def roll_back(self, service: str) -> None:
        """Have Swarm bring a service back to what it was before its last change."""
        self._run(["service", "rollback", "--detach", service])

    def start_once(
        self,
        name: str,
        *,
        node: str,
        image: str,
        script: str,
        mounts: Sequence[str],
        labels: Mapping[str, str],
    ) -> None:
        """Have a node run a shell script once, as root without a network, within limits of its own.

        Args:
            name: Of the service that is made for it; the caller removes it.
            node: Its id.
            image: One that the node has or can pull, with a shell.
            mounts: Folders of the node, each at its own path in the container.
            labels: Of the service and its container.
        """
        words = ["service", "create", "--detach", "--quiet", "--name", name, "--restart-condition", "none"]
        words += [
            "--constraint",
            f"node.id=={node}",
            "--user",
            "0:0",
            "--no-resolve-image",
            "--no-healthcheck",
        ]
        words += ["--limit-memory", "256m", "--limit-cpu", "1", "--limit-pids", "32"]
        words += [
            "--cap-drop",
            "ALL",
            "--cap-add",
            "CHOWN",
            "--cap-add",
            "DAC_OVERRIDE",
            "--cap-add",
            "FOWNER",
        ]
        for key, value in labels.items():
            words += ["--label", f"{key}={value}", "--container-label", f"{key}={value}"]
        for folder in mounts:
            words += ["--mount", f"type=bind,source={folder},target={folder}"]
        self._run([*words, "--entrypoint", "sh", image, "-ec", script])

    def service_called(self, name: str) -> tuple[SwarmService | None, tuple[SwarmTask, ...]]:
        """A single service by its name, and its tasks."""
        raw = self._inspect("service", [name])
        if not raw:
            return None, ()
        service = swarm_parse.parse_service(raw[0], "")
        ids = self._run(["service", "ps", "--no-trunc", "--quiet", service.id], forgiven=_GONE).split()
        templates = swarm_parse.templates_of(raw)
        tasks = [swarm_parse.parse_task(one, templates) for one in self._inspect("task", ids)]
        return service, tuple(tasks)

    def log_tail(self, task: str, lines: int) -> str:
        """The last lines that a task wrote; empty where they cannot be had."""
        words = ["docker", "service", "logs", "--raw", "--tail", str(lines), task]
        ended = process.run(words, timeout=PATIENCE, env=self._environment)
        return ended.stdout + ended.stderr if ended.code == 0 else ""

    def log_lines(self, source: str) -> list[str]:
        """What a task wrote lately, or the tasks of a service, as far as it can be had.

        Args:
            source: Id of the task, or of the service, whose ended tasks count too.

        Raises:
            TimedOut: A node did not answer in time.
        """
        words = ["docker", "service", "logs", "--raw", "--tail", str(LINES), source]
        ended = process.run(words, timeout=PATIENCE, env=self._environment)
        return ended.stdout.splitlines()  # also of an error: one node that is away does not hide the others

    def logs(self, service: str, *, follow: bool, tail: str, since: str) -> int:
        """Show a service's logs, of every task on every node, on our terminal; the exit code."""
        words = ["docker", "service", "logs", "--tail", tail, *(["--follow"] if follow else [])]
        words += ["--since", since] if since else []
        return process.interactive([*words, service], env=self._environment)

    def _run(self, words: Sequence[str], *, forgiven: tuple[str, ...] = ()) -> str:
        argv = ["docker", *words]
        ended = process.run(argv, timeout=PATIENCE, env=self._environment)
        if ended.code and not any(word in ended.stderr.lower() for word in forgiven):
            raise _told(ended.stderr, argv)
        return ended.stdout


def _told(stderr: str, argv: Sequence[str]) -> Exception:
    return swarm_parse.no_manager(stderr) or explain(stderr, doing=f"`{process.title(argv)}`")
