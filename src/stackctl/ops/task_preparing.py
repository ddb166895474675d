"""From what a task was asked to be to its bounded document: sidecars rendered, policy laid over."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackctl.core.allow import check_allowed
from stackctl.core.errors import PolicyError, StackFileError, UsageError
from stackctl.core.names import check_image, check_name, task_project
from stackctl.core.records import TASK_SERVICE
from stackctl.core.stack import Rendered, ServiceSettings, SidecarSpec, Stack
from stackctl.core.tasks import COMMAND_LINE, NO_NETWORK, STACK, Mount, TaskSpec
from stackctl.core.tokens import escape
from stackctl.ops.finding import Found, Places, find_template, read_macros
from stackctl.ops.preparing import Prepared, Request, Sources, in_bounds, rules_for

if TYPE_CHECKING:
    from stackctl.core.errors import Problem
    from stackctl.core.rules import Bounded, Rules
    from stackctl.core.stack import Configuration, MachinePolicy, TemplateFolder

_PLAIN_MOUNT = "outside-mount"
"""The word that a mount holds which was named for this one task: that it lies elsewhere was the point."""
LEAST_PIDS = 2
"""A container's init, and what it starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedTask:
    """A task, ready to be placed on a host.

    Args:
        prepared: Its document, as that of an environment; without sidecars it is never given to Compose.
    """

    id: str
    spec: TaskSpec
    prepared: Prepared

    @property
    def project(self) -> str:
        """`inst-<id>`."""
        return self.prepared.project

    @property
    def has_sidecars(self) -> bool:
        """Whether anything is to be up before it."""
        return bool(self.prepared.rendered.sidecars)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kitchen:
    """What tasks are prepared with: the same for all of one process.

    Args:
        places: Where sidecar templates are looked for.
        root: The working directory, which mounts are judged by.
    """

    places: Places
    configuration: Configuration
    machine: MachinePolicy
    root: Path
    _beside: dict[str, Rendered] = field(default_factory=dict)

    def sidecars(self, specs: Mapping[str, SidecarSpec], source: str = "") -> Rendered:
        """The sidecars with a task that says nothing, rendered once for each set of them.

        Rendering forks, which it cannot beside threads: there, what was shipped with stackctl is trusted and
        rendered in this process, and a user's own template in a new interpreter, which takes 0.3 s more.

        Raises:
            UsageError: A template is missing or wrong.
        """
        key = repr(sorted(specs.items()))
        if key not in self._beside:
            self._beside[key] = self._render(specs, source)
        return self._beside[key]

    def folders(self, specs: Mapping[str, SidecarSpec]) -> dict[str, TemplateFolder]:
        """The sidecars' templates, by name.

        Raises:
            UnknownName, StackFileError: One is not there, or cannot be read.
        """
        names = {one.template for one in specs.values() if one.template}
        return {
            f"sidecars/{name}": find_template(f"sidecars/{name}", self.places, first=self.root)
            for name in sorted(names)
        }

    def _render(self, specs: Mapping[str, SidecarSpec], source: str) -> Rendered:
        from stackctl.core.render import render_stack

        stack = Stack(name=STACK, source=source, sidecars=specs)
        folders, macros = self.folders(specs), read_macros(self.places)
        document = {"services": {TASK_SERVICE: {"image": TASK_SERVICE}}}

        work = partial(
            render_stack,
            stack,
            folders=folders,
            macros=macros,
            given={},
            configured=self.configuration.variables,
            document=document,
        )
        trusted = all(folder.shipped for folder in folders.values())
        return work() if trusted and threading.active_count() > 1 else in_bounds(work)


def prepare_task(task: str, spec: TaskSpec, kitchen: Kitchen) -> PreparedTask:
    """Everything from the request to the bounded document; reads templates, writes nothing.

    Args:
        task: The id that it is to have.

    Raises:
        UsageError: Something of it is wrong, or a sidecar's template is missing.
        PolicyError: It asks for what policy refuses, all problems at once.
    """
    check_spec(spec)
    stack = _stack(spec)
    try:
        rendered = _rendered(spec, kitchen)
    except StackFileError as error:
        error.advice = "correct what the task asks for; nothing was started"
        raise
    found = Found(
        name=STACK, root=str(kitchen.root), source=spec.source, text="", base=kitchen.root, shipped=False
    )
    sources = Sources(found=found, stack=stack, folders={}, macros={}, document=rendered.document)
    rules, watchdogs = rules_for(
        sources, rendered, Request(name=STACK), kitchen.configuration, kitchen.machine
    )
    bounded = _bounded(spec, rendered, rules)
    text = _text(bounded)
    whole = Prepared(
        found=found,
        stack=stack,
        rendered=rendered,
        bounded=bounded,
        project=task_project(task),
        instance="",
        effective=rules.limits,
        watchdogs=watchdogs,
        given={},
        text=text,
        digest=sha256(text.encode()).hexdigest(),
        sources=sources,
    )
    return PreparedTask(id=task, spec=spec, prepared=whole)


def _text(bounded: Bounded) -> str:
    from stackctl.core.documents import dump

    return dump(bounded.document)


def _bounded(spec: TaskSpec, rendered: Rendered, rules: Rules) -> Bounded:
    from stackctl.core.file_stamps import stamp_files
    from stackctl.core.policy import bound

    try:
        bounded = bound(rendered.document, rules)
    except PolicyError as error:
        raise _as_a_tasks(error, spec) from None
    return replace(bounded, document=stamp_files(bounded.document, rendered.files))


def check_spec(spec: TaskSpec) -> None:
    """Say what of a request cannot be, before anything is looked for.

    Raises:
        UsageError: The image is no reference, a name cannot be one, or its network excludes its sidecars.
    """
    try:
        check_image(spec.image)
    except ValueError as error:
        raise UsageError(f"{spec.source}: {error}") from None
    if spec.name:
        check_name(spec.name, "task")
    if spec.network == NO_NETWORK and spec.sidecars:
        raise UsageError(
            f"{spec.source}: a task without a network cannot reach its sidecars",
            hint="leave out the network, or the sidecars",
        )
    if TASK_SERVICE in spec.sidecars:
        raise UsageError(f"{spec.source}: a sidecar cannot be called `{TASK_SERVICE}`")
    check_allowed(spec.allow, spec.source)
    _check_limits(spec)
    for word in (*spec.command, spec.workdir, spec.user):
        if "\0" in word:
            raise UsageError(f"{spec.source}: a word has a NUL in it")
    if spec.workdir and not spec.workdir.startswith("/"):
        raise UsageError(f"{spec.source}: the working directory `{spec.workdir}` is not absolute")


def _check_limits(spec: TaskSpec) -> None:
    layers = {"": spec.limits, **{f"{name}.": one for name, one in spec.sidecar_limits.items()}}
    for owner, layer in layers.items():
        if owner and "lifetime" in layer:
            raise UsageError(
                f"{spec.source}: {owner}lifetime: a sidecar has the lifetime of its task",
                hint="set the task's, as in --lifetime 1h",
            )
        if "pids" in layer and layer["pids"].value < LEAST_PIDS:
            raise UsageError(
                f"{spec.source}: {owner}pids: with {layer['pids'].value} nothing can start, "
                "since the init of a container is a process too",
                hint=f"set {LEAST_PIDS} or more, such as {owner}pids=64",
            )


def _as_a_tasks(error: PolicyError, spec: TaskSpec) -> PolicyError:
    """A refusal in the words of a task, for which no stack file is."""

    def told(one: Problem) -> Problem:
        own = one.service == TASK_SERVICE
        path = one.path.removeprefix(f"services.{TASK_SERVICE}.") if own else one.path
        if not own or "stack file" not in one.hint:
            return replace(one, path=path)
        way = f"--allow {one.word}" if spec.source == COMMAND_LINE else f"allow: [{one.word}]"
        return replace(one, path=path, hint=f"if it must be so, allow it by name: `{way}`")

    problems = tuple(map(told, error.problems))
    return PolicyError(f"{spec.source}: the task asks for what policy refuses", problems=problems)


def _stack(spec: TaskSpec) -> Stack:
    words = {*spec.allow, *([_PLAIN_MOUNT] if spec.mounts else [])}
    return Stack(
        name=STACK,
        source=spec.source,
        sidecars=spec.sidecars,
        limits={name: one for name, one in spec.limits.items() if name == "lifetime"},
        watchdog=spec.watchdog,
        services={
            TASK_SERVICE: ServiceSettings(limits=spec.limits, guard=spec.guard),
            **{name: ServiceSettings(limits=one) for name, one in spec.sidecar_limits.items()},
        },
        allow={TASK_SERVICE: tuple(sorted(words))} if words else {},
        lines=spec.lines,
    )


def _rendered(spec: TaskSpec, kitchen: Kitchen) -> Rendered:
    own = _service(spec)
    if not spec.sidecars:
        return Rendered(document={"services": {TASK_SERVICE: own}, **_networks(spec)})
    beside = kitchen.sidecars(spec.sidecars, spec.source)
    services = dict(beside.document["services"])
    services[TASK_SERVICE] = _joined(services[TASK_SERVICE], own)
    return replace(beside, document={**beside.document, "services": services, **_networks(spec)})


def _joined(connected: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The task's service with what connects it to its sidecars; its own variables win."""
    environment = {**(connected.get("environment") or {}), **(own.get("environment") or {})}
    return {**connected, **own, **({"environment": environment} if environment else {})}


def _service(spec: TaskSpec) -> dict[str, Any]:
    """The task as a service of a compose document, every dollar sign plain."""
    service: dict[str, Any] = {"image": spec.image}
    if spec.command:
        service["command"] = [escape(word) for word in spec.command]
    if spec.environment:
        service["environment"] = {name: escape(value) for name, value in sorted(spec.environment.items())}
    if spec.mounts:
        service["volumes"] = [_bind(mount) for mount in spec.mounts]
    for key, value in (("working_dir", spec.workdir), ("user", spec.user)):
        if value:
            service[key] = escape(value)
    if spec.terminal:
        service["tty"] = True
    if spec.stdin:
        service["stdin_open"] = True
    if spec.network == NO_NETWORK or (not spec.sidecars and not spec.network):
        service["network_mode"] = spec.network or "bridge"
    elif spec.network:
        service["networks"] = [*(["default"] if spec.sidecars else []), spec.network]
    return service


def _bind(mount: Mount) -> dict[str, Any]:
    entry = {
        "type": "bind",
        "source": escape(mount.source),
        "target": escape(mount.target),
        "bind": {"create_host_path": False},
    }
    return {**entry, "read_only": True} if mount.read_only else entry


def _networks(spec: TaskSpec) -> dict[str, Any]:
    if not spec.network or spec.network == NO_NETWORK:
        return {}
    return {"networks": {spec.network: {"external": True}}}
