"""Reads the files of `batch`: many tasks, as JSON lines or YAML, with every problem at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from stackctl.core.documents import Loaded, load, refusal
from stackctl.core.errors import Problem
from stackctl.core.fields import Fields, Report, kind, text, words
from stackctl.core.limits import Setting
from stackctl.core.names import check_name, check_variable, shorten
from stackctl.core.settings import container_path, image, read_limits, read_sidecars, scalar
from stackctl.core.stackfile import command, read_allowed, read_guard
from stackctl.core.tasks import Mount, TaskSpec, parse_mount, parse_sidecars
from stackctl.core.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from stackctl.core.limits import Layer
    from stackctl.core.stack import SidecarSpec

MAX_BYTES = 64 << 20
"""Bytes of JSON lines."""
MAX_TASKS = 100_000
MAX_KEY = 200
Form = Literal["jsonl", "yaml"]
SHARED = (
    "image",
    "command",
    "env",
    "mounts",
    "workdir",
    "user",
    "network",
    "limits",
    "lifetime",
    "sidecars",
    "guard",
    "allow",
)
_OWN = ("key", "name", *SHARED)
_MERGED = ("environment", "limits", "sidecars")
"""What of a task adds to the defaults; all else replaces it."""
_BROKEN = object()
"""Stands where a line is no JSON, of which nothing more can be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTask:
    """One task of a batch; `path` is where it stands, `[3]` or `tasks[3]`; `line` 1-based, 0 unknown."""

    key: str
    spec: TaskSpec
    path: str
    line: int = 0


def form_of(name: str) -> Form:
    """How a file is written, by its name; `-` and what has no other ending is JSON lines."""
    return "yaml" if name.lower().endswith((".yaml", ".yml")) else "jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What could be read of a file: the tasks with which nothing is wrong so far, and every problem."""

    tasks: tuple[BatchTask, ...]
    problems: tuple[Problem, ...]


def parse_batch(
    content: str, *, source: str, form: Form, limits: Layer | None = None
) -> tuple[BatchTask, ...]:
    """Read a file of tasks; as `read_batch`.

    Raises:
        StackFileError: With every problem, each with file, line and path.
    """
    reading = read_batch(content, source=source, form=form, limits=limits)
    if reading.problems:
        raise refusal(source, reading.problems)
    return reading.tasks


def read_batch(content: str, *, source: str, form: Form, limits: Layer | None = None) -> Reading:
    """Read a file of tasks as far as it can be read.

    Args:
        content: Its text.
        source: The file, as messages show it.
        limits: Of the command line: stronger than the file's `defaults`, weaker than what a task says.

    Raises:
        StackFileError: It is too large, or no YAML.
    """
    loaded, broken = (load(content, source=source), ()) if form == "yaml" else _json_lines(content, source)
    report = Report(loaded)
    shared, entries, above = _top(report, loaded.data)
    shared = _merged(shared, {"limits": dict(limits or {})})
    tasks, sound = [], []
    for place, raw in enumerate(entries):
        if raw is _BROKEN:
            continue
        before = len(report.problems)
        tasks.append(_task(report, raw, f"{above}[{place}]", place + 1, shared))
        sound += tasks[-1:] if len(report.problems) == before else []
    _check_keys(report, tasks)
    problems = sorted((*broken, *report.problems), key=lambda problem: problem.line)
    return Reading(tasks=tuple(sound), problems=tuple(problems))


def _top(report: Report, data: Any) -> tuple[dict[str, Any], list[Any], str]:
    """The defaults, the tasks, and the path of what the tasks stand in."""
    shared: dict[str, Any] = {}
    entries, path = data, ""
    if isinstance(data, dict):
        sheet = Fields(report, data, "", ("defaults", "tasks"))
        shared = read_parts(sheet.inner("defaults", SHARED))
        entries, path = data.get("tasks"), "tasks"
    if entries is None or entries == []:
        report.wrong(path, "there is no task in it", "write one task a line, or a list of tasks")
    elif not isinstance(entries, list):
        report.wrong(path, f"must be a list of tasks, not {kind(entries)}")
    elif len(entries) > MAX_TASKS:
        report.wrong(path, f"there are {len(entries)} tasks, more than the {MAX_TASKS} allowed", "split it")
    else:
        return shared, entries, path
    return shared, [], path


def _task(report: Report, raw: Any, path: str, number: int, shared: Mapping[str, Any]) -> BatchTask:
    sheet = Fields(report, raw, path, _OWN)
    if raw is None:
        sheet.lacking("there is nothing here", "write a mapping with `image` and `command`")
    name = sheet.read("name", _name, "")
    parts = _merged(shared, read_parts(sheet))
    if "image" not in parts and raw is not None:
        sheet.lacking("the task needs an `image`")
    line = report.loaded.line(path)
    source = f"{report.loaded.source}:{line}" if line else report.loaded.source
    spec = replace(TaskSpec(image="", name=name, source=source), **parts)
    return BatchTask(key=sheet.read("key", _key, "") or name or str(number), spec=spec, path=path, line=line)


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    both = {name: {**shared[name], **own[name]} for name in _MERGED if name in shared and name in own}
    return {**shared, **own, **both}


def read_parts(sheet: Fields) -> dict[str, Any]:
    """What a mapping says of a task, as fields of `TaskSpec`; nothing for what it does not say."""
    found: dict[str, Any] = {}
    for key, name, read in _READ:
        if key in sheet:
            found[name] = read(sheet)
    limits: dict[str, Setting] = dict(found.get("limits") or {})
    if "lifetime" in sheet:
        seconds = sheet.read("lifetime", parse_duration, 0.0)
        limits["lifetime"] = Setting(seconds, sheet.report.origin(sheet.at("lifetime")))
    return {**found, "limits": limits} if limits else found


def _key(raw: Any) -> str:
    """What tells a task from the others of its batch.

    Raises:
        ValueError: It is no short text of printable characters.
    """
    found = str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else text(raw)
    if len(found) > MAX_KEY or not found.isprintable():
        raise ValueError(f"a key has at most {MAX_KEY} printable characters")
    return found


def _name(raw: Any) -> str:
    return check_name(text(raw), "task")


def _command(sheet: Fields) -> tuple[str, ...]:
    nothing: tuple[str, ...] = ()
    return sheet.read("command", command, nothing)


def _environment(sheet: Fields) -> dict[str, str]:
    if isinstance(sheet.raw["env"], list):
        return sheet.read("env", _environment_list, {})
    inner = sheet.inner("env")
    inner.check_keys(check_variable)
    return {
        name: inner.report.attempt(inner.at(name), partial(_value, raw), "")
        for name, raw in inner.entries().items()
    }


def _environment_list(raw: Any) -> dict[str, str]:
    found = {}
    for word in words(raw):
        name, sign, value = word.partition("=")
        if not sign:
            raise ValueError(f"`{shorten(word)}` has no value; write {shorten(name)}=value")
        found[check_variable(name)] = _value(value)
    return found


def _value(raw: Any) -> str:
    value = scalar(raw)
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    if "\0" in shown:
        raise ValueError("has a NUL in it")
    return shown


def _mounts(sheet: Fields) -> tuple[Mount, ...]:
    nothing: tuple[Mount, ...] = ()
    return sheet.read("mounts", lambda raw: tuple(parse_mount(word, {}) for word in words(raw)), nothing)


def _sidecars(sheet: Fields) -> Mapping[str, SidecarSpec]:
    if isinstance(sheet.raw["sidecars"], dict):
        return read_sidecars(sheet)
    return sheet.read("sidecars", lambda raw: parse_sidecars(words(raw)), {})


_READ: tuple[tuple[str, str, Callable[[Fields], Any]], ...] = (
    ("image", "image", lambda sheet: sheet.read("image", image, "")),
    ("command", "command", _command),
    ("env", "environment", _environment),
    ("mounts", "mounts", _mounts),
    ("workdir", "workdir", lambda sheet: sheet.read("workdir", container_path, "")),
    ("user", "user", lambda sheet: sheet.read("user", _user, "")),
    ("network", "network", lambda sheet: sheet.text("network")),
    ("limits", "limits", read_limits),
    ("sidecars", "sidecars", _sidecars),
    ("guard", "guard", read_guard),
    ("allow", "allow", lambda sheet: read_allowed(sheet, "allow")),
)
"""Key in the file, field of `TaskSpec`, and how it is read."""


def _user(raw: Any) -> str:
    return str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else text(raw)


def _check_keys(report: Report, tasks: list[BatchTask]) -> None:
    seen: dict[str, BatchTask] = {}
    for task in tasks:
        first = seen.setdefault(task.key, task)
        if first is not task:
            where = f"line {first.line}" if first.line else first.path
            hint = "give each task a `key` of its own"
            report.wrong(task.path, f"the key `{shorten(task.key)}` stands twice, first in {where}", hint)


def _json_lines(content: str, source: str) -> tuple[Loaded, tuple[Problem, ...]]:
    """One JSON object a line, empty lines left out; and a problem for each line that is no JSON.

    Raises:
        StackFileError: It is too large.
    """
    if len(content) > MAX_BYTES:
        message = f"it is larger than the {MAX_BYTES >> 20} MiB allowed"
        raise refusal(source, (Problem(source=source, message=message, hint="split it"),))
    data: list[Any] = []
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    for number, line in enumerate(content.removeprefix("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        lines[f"[{len(data)}]"] = number
        try:
            data.append(_one(line))
        except (ValueError, RecursionError) as error:
            data.append(_BROKEN)
            hint = "one JSON object a line; a YAML file ends in .yaml"
            problems.append(Problem(source=source, line=number, message=_why(error), hint=hint))
    return Loaded(data, source, lines), tuple(problems)


def _one(line: str) -> Any:
    found = json.loads(line, object_pairs_hook=_once, parse_constant=_no_number)
    if "\\u" in line:  # half of a character can be written so, and nowhere else
        json.dumps(found, ensure_ascii=False).encode()
    return found


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"this is not JSON: {error.msg.lower()} (column {error.colno})"
    if isinstance(error, UnicodeEncodeError):
        return "this is not JSON: half a character cannot stand in a text"
    return f"this is not JSON: {shorten(str(error), 100)}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"`{shorten(twice)}` stands in it twice")
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")
