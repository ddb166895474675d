"""Reads stack files: every key there is, all problems at once."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

from stackctl.core.allow import ALLOW
from stackctl.core.deploys import MOST_REPLICAS
from stackctl.core.documents import load
from stackctl.core.fields import Fields, Report, choice, kind, words
from stackctl.core.names import check_name, check_service, check_variable
from stackctl.core.settings import (
    image,
    mark_path,
    mark_problems,
    read_limits,
    read_sidecars,
    read_variables,
    read_watchdog,
    scalar,
    template_name,
)
from stackctl.core.stack import Guard, ServiceSettings, Stack, TaskDefinition
from stackctl.core.stray_processes import guard_patterns
from stackctl.core.units import parse_duration
from stackctl.core.volumes import project_word

if TYPE_CHECKING:
    from stackctl.core.limits import Layer, Setting

KEYS = (
    "description",
    "template",
    "compose",
    "variables",
    "profiles",
    "env_file",
    "sidecars",
    "limits",
    "watchdog",
    "services",
    "tasks",
    "allow",
    "use_volumes_of",
    "engine",
)
SERVICE_KEYS = ("limits", "watchdog", "guard", "replicas", "placement", "publish")
GUARD_KEYS = ("patterns", "after", "older_than")
SWEPT = ("exec", "never")
ENGINES = ("local", "swarm")
PUBLISH = ("ingress", "host")


def parse_stack(text: str, *, name: str, source: str) -> Stack:
    """Read a stack file and check it in itself, not yet against its template.

    Args:
        text: The file's text.
        name: Name of the stack, from the file's name.
        source: The file, as messages show it.

    Raises:
        StackFileError: With every problem, each with file, line and path.
        UsageError: The name cannot be one.
    """
    check_name(name)
    loaded = load(text, source=source)
    report = Report(loaded)
    sheet = Fields(report, loaded.data, "", KEYS)
    _check_origin(sheet)
    limits, watchdog = read_limits(sheet), read_watchdog(sheet, whole=True)
    for field, sentence in mark_problems(limits, watchdog):
        report.wrong(mark_path("", field), sentence)
    stack = Stack(
        name=name,
        source=source,
        description=sheet.text("description"),
        template=sheet.read("template", template_name, ""),
        compose=sheet.read("compose", _files, ()),
        variables=read_variables(sheet),
        profiles=sheet.words("profiles"),
        env_file=sheet.read("env_file", _files, ()),
        sidecars=read_sidecars(sheet),
        limits=limits,
        watchdog=watchdog,
        services=_services(sheet, limits, watchdog),
        tasks=_tasks(sheet),
        allow=_allow(sheet),
        use_volumes_of=sheet.read("use_volumes_of", project_word, ""),
        engine=cast('Literal["local", "swarm"]', sheet.one_of("engine", ENGINES, "local")),
        lines=loaded.lines,
    )
    report.finish()
    return stack


def _check_origin(sheet: Fields) -> None:
    if "template" in sheet and "compose" in sheet:
        sheet.wrong("compose", "a stack has either a template or compose files", "remove one of the two")
    elif "template" not in sheet and "compose" not in sheet:
        hint = "write `template: NAME`, or `compose: FILE` for an existing compose file"
        sheet.lacking("a stack needs `template` or `compose`", hint)
    for key in ("profiles", "env_file"):
        if "template" in sheet and key in sheet:
            sheet.wrong(key, "only compose files have this", "remove it, or use `variables` of the template")


def _files(raw: Any) -> tuple[str, ...]:
    files = words(raw)
    if not files:
        raise ValueError("must name at least one file")
    if not all(file.isprintable() for file in files):
        raise ValueError("a path cannot have control characters")
    return files


def _services(stack: Fields, limits: Layer, watchdog: Mapping[str, Setting]) -> Mapping[str, ServiceSettings]:
    sheet = stack.inner("services")
    sheet.check_keys(check_service)
    found = {}
    for name, raw in sheet.entries().items():
        one = Fields(sheet.report, raw, sheet.at(name), SERVICE_KEYS)
        settings = ServiceSettings(
            limits=read_limits(one),
            watchdog=read_watchdog(one),
            guard=read_guard(one),
            replicas=one.read("replicas", replicas, None),
            placement=one.read("placement", placement, ()),
            publish=cast('Literal["ingress", "host"]', one.one_of("publish", PUBLISH, "ingress")),
        )
        _check_marks(one, settings, limits, watchdog)
        found[name] = settings
    return found


def _check_marks(sheet: Fields, own: ServiceSettings, limits: Layer, watchdog: Mapping[str, Setting]) -> None:
    inherited = set(mark_problems(limits, watchdog))
    for field, sentence in mark_problems({**limits, **own.limits}, {**watchdog, **own.watchdog}):
        if (field, sentence) in inherited:
            continue
        name = field.removeprefix("urgent_")
        path = mark_path(sheet.path, field) if field in own.watchdog else f"{sheet.path}.limits.{name}"
        sheet.report.wrong(path, sentence)


def replicas(raw: Any) -> int:
    """How many there are of a service.

    Raises:
        ValueError: It is no whole number within reason.
    """
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw <= MOST_REPLICAS:
        raise ValueError(f"must be a whole number up to {MOST_REPLICAS}")
    return raw


PLACEMENT = r"node\.(?:id|hostname|role|labels\.[A-Za-z0-9_.-]+) *(?:==|!=) *[A-Za-z0-9_.:-]+"


def placement(raw: Any) -> tuple[str, ...]:
    """On which nodes a service may run: constraints, each as Swarm writes it.

    Raises:
        ValueError: One of them is none.
    """
    found = words(raw)
    for word in found:
        if not re.fullmatch(PLACEMENT, word):
            raise ValueError(f"`{word}` is no constraint; write `node.hostname == NAME`, or node.labels.KEY")
    return found


def read_guard(service: Fields) -> Guard | None:
    """The guard of a service or task, None where it has none."""
    if "guard" not in service:
        return None
    sheet = service.inner("guard", GUARD_KEYS)
    if "patterns" not in sheet:
        sheet.lacking("a guard needs `patterns`, the processes that it sweeps")
    return Guard(
        patterns=sheet.read("patterns", guard_patterns, ()),
        after=cast('Literal["exec", "never"]', sheet.one_of("after", SWEPT, "exec")),
        older_than=sheet.read("older_than", parse_duration, 60.0),
    )


TASK_KEYS = ("image", "command", "lifetime", "environment", "limits", "guard")


def _tasks(stack: Fields) -> Mapping[str, TaskDefinition]:
    sheet = stack.inner("tasks")
    sheet.check_keys(partial(check_name, what="task"))
    return {name: _task(sheet.report, raw, sheet.at(name)) for name, raw in sheet.entries().items()}


def _task(report: Report, raw: Any, path: str) -> TaskDefinition:
    sheet = Fields(report, raw, path, TASK_KEYS)
    if "image" not in sheet:
        sheet.lacking("the task needs an `image`")
    return TaskDefinition(
        image=sheet.read("image", image, ""),
        command=sheet.read("command", command, ()),
        lifetime=sheet.read("lifetime", parse_duration, 0.0),
        environment=_environment(sheet),
        limits=read_limits(sheet),
        guard=read_guard(sheet),
    )


def command(raw: Any) -> tuple[str, ...]:
    """A command as an argument vector; text is split as a shell splits it, and nothing more.

    Raises:
        ValueError: It is neither a list of words nor text, is empty, or its quotes do not match.
    """
    if isinstance(raw, str):
        try:
            parts = shlex.split(raw)
        except ValueError:
            raise ValueError("its quotes do not match; write the command as a list") from None
    elif isinstance(raw, list):
        parts = [_argument(place, part) for place, part in enumerate(raw)]
    else:
        raise ValueError(f"must be a list of words, or text, not {kind(raw)}")
    if not parts or not parts[0]:
        raise ValueError("must not be empty")
    return tuple(parts)


def _argument(place: int, part: Any) -> str:
    if isinstance(part, (str, int)) and not isinstance(part, bool):
        return str(part)
    raise ValueError(f"item {place + 1} must be text, not {kind(part)}; put it in quotes")


def _environment(task: Fields) -> Mapping[str, str]:
    if isinstance(task.raw.get("environment"), list):
        return task.read("environment", _environment_list, {})
    sheet = task.inner("environment")
    sheet.check_keys(check_variable)
    return {
        name: sheet.report.attempt(sheet.at(name), partial(_environment_value, raw), "")
        for name, raw in sheet.entries().items()
    }


def _environment_value(raw: Any) -> str:
    value = scalar(raw)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _environment_list(raw: Any) -> Mapping[str, str]:
    pairs = [word.partition("=") for word in words(raw)]
    for name, equals, _ in pairs:
        check_variable(name)
        if not equals:
            raise ValueError(f"`{name}` has no value; write {name}=value")
    return {name: value for name, _, value in pairs}


def _allow(stack: Fields) -> Mapping[str, tuple[str, ...]]:
    sheet = stack.inner("allow")
    sheet.check_keys(check_service)
    return {name: read_allowed(sheet, name) for name in sheet.entries()}


def read_allowed(sheet: Fields, name: str) -> tuple[str, ...]:
    """The words of `allow` that stand at a key, each once."""
    found = sheet.words(name)
    for place, word in enumerate(found):
        path = f"{sheet.at(name)}[{place}]"
        sheet.report.attempt(path, partial(choice, word, ALLOW), "")
    return tuple(dict.fromkeys(found))
