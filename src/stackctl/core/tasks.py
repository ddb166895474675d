"""What a task is asked to be, and what is shown of one: pure data, read and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from stackctl.core.errors import UsageError
from stackctl.core.names import check_name, check_variable

if TYPE_CHECKING:
    from stackctl.core.limits import Layer, Setting
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.stack import Guard, SidecarSpec

NO_NETWORK = "none"
COMMAND_LINE = "the command line"
"""The `source` of a task whose options were typed."""
STACK = "inst"
"""What stands where an environment has the name of its stack."""
ENDED_WELL = "succeeded"
FINISHED = ("succeeded", "failed", "cancelled", "expired", "killed", "lost")
"""The phases in which a task stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A file or folder of the host that a task sees; `source` is absolute."""

    source: str
    target: str
    read_only: bool = False

    @property
    def words(self) -> str:
        """As it is written, `SRC:DST[:ro]`."""
        return f"{self.source}:{self.target}{':ro' if self.read_only else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """One task as it was asked for.

    Args:
        image: Reference of the image.
        command: Words; empty for the image's own.
        name: What the user calls it.
        environment: Variables for it.
        mounts: Files and folders of the host; each was named for it, so policy asks for no further word
            but where the host itself would be in danger.
        network: `none`, the name of a network that is there, or empty: its own where it has sidecars.
        limits: For the task's own container, and the lifetime of all of it.
        watchdog: As in a stack file, for the task and its sidecars alike.
        sidecars: By name; each has its template's limits unless `sidecar_limits` has others for it.
        allow: Words that policy would else refuse.
        terminal, stdin: Whether it has a terminal, and whether its standard input is open.
        keep: Whether its container stays when it has ended.
        holder, key: As in `TaskPart`.
        source: Where it was written, for messages.
        lines: Dotted path -> line in `source`.
    """

    image: str
    command: tuple[str, ...] = ()
    name: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    workdir: str = ""
    user: str = ""
    network: str = ""
    limits: Layer = field(default_factory=dict)
    watchdog: Mapping[str, Setting] = field(default_factory=dict)
    sidecars: Mapping[str, SidecarSpec] = field(default_factory=dict)
    sidecar_limits: Mapping[str, Layer] = field(default_factory=dict)
    guard: Guard | None = None
    allow: tuple[str, ...] = ()
    terminal: bool = False
    stdin: bool = False
    keep: bool = False
    holder: str = ""
    key: str = ""
    source: str = COMMAND_LINE
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLine:
    """What a list shows of a task; times in seconds since the epoch, 0 when not yet, memory in bytes.

    `forgotten` says that only its data is left, and this line; `node` is a Swarm's node that ran it.
    """

    id: str
    name: str = ""
    phase: str
    image: str = ""
    command: tuple[str, ...] = ()
    created: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    exit_code: int | None = None
    peak_pids: int = 0
    peak_memory: int = 0
    reason: str = ""
    incident: str = ""
    holder: str = ""
    key: str = ""
    inside: str = ""
    node: str = ""
    forgotten: bool = False

    def plain(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {**asdict(self), "command": list(self.command)}


_TEXTS = frozenset(
    {"id", "name", "phase", "image", "reason", "incident", "holder", "key", "inside", "node"},
)
_NUMBERS = frozenset({"created", "started", "finished", "peak_pids", "peak_memory"})


def task_line(record: EnvironmentRecord) -> TaskLine:
    """What is shown of a task.

    Raises:
        ValueError: It is an environment's record.
    """
    task = record.task
    if task is None:
        raise ValueError(f"{record.project} is no task")
    ending = record.ending if record.phase in FINISHED else None
    finished = task.finished or (ending.at if ending else 0.0)
    return TaskLine(
        id=task.id,
        name=task.name,
        phase=record.phase,
        image=task.image,
        command=task.command,
        created=record.created,
        started=task.started,
        # docker writes the start of what ends at once later than its end
        finished=max(finished, task.started) if finished else 0.0,
        exit_code=task.exit_code,
        peak_pids=task.peak_pids,
        peak_memory=task.peak_memory,
        reason=ending.reason if ending else "",
        incident=ending.incident if ending else "",
        holder=task.holder,
        key=task.key,
        inside=task.inside,
        node=task.node,
        forgotten=task.forgotten,
    )


def read_line(raw: Any) -> TaskLine | None:
    """Plain data back to a line; None when it is no such thing, so that its record is read instead."""
    if not isinstance(raw, dict):
        return None
    texts = {name: raw.get(name, "") for name in _TEXTS}
    numbers = {name: raw.get(name, 0) for name in _NUMBERS}
    command, code = raw.get("command", []), raw.get("exit_code")
    sound = (
        all(isinstance(value, str) for value in texts.values())
        and all(isinstance(value, (int, float)) for value in numbers.values())
        and isinstance(command, list)
        and (code is None or isinstance(code, int))
        and bool(texts["id"] and texts["phase"])
    )
    if not sound:
        return None
    known = {**texts, **numbers, "forgotten": raw.get("forgotten") is True}
    return TaskLine(**known, command=tuple(map(str, command)), exit_code=code)


def parse_mount(text: str, absolute: Mapping[str, str]) -> Mount:
    """Read `SRC:DST[:ro]`.

    Args:
        absolute: Source as written -> its absolute path, where the shell has looked it up.

    Raises:
        UsageError: It is none.
    """
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if not source or not target.startswith("/") or mode not in ("", "ro", "rw"):
        raise UsageError(
            f"`{text}` is no mount", hint="write SRC:DST or SRC:DST:ro, DST being a path in the container"
        )
    return Mount(source=absolute.get(source, source), target=target, read_only=mode == "ro")


def parse_sidecar(word: str) -> tuple[str, str]:
    """Read `TEMPLATE` or `NAME=TEMPLATE`: the sidecar's name, and its template's.

    Raises:
        UsageError: A name cannot be one.
    """
    name, sign, template = word.partition("=")
    name, template = name.strip(), (template if sign else name).strip()
    check_name(template, "sidecar template")
    if name == "task":
        raise UsageError("a sidecar cannot be called `task`", hint="that is the task itself")
    return check_name(name, "sidecar"), template


def parse_sidecars(words: Iterable[str]) -> dict[str, SidecarSpec]:
    """Read several, by name; of one template the first has its variable, each other `<NAME>_URL`.

    Raises:
        UsageError: A name cannot be one, or stands twice.
    """
    from stackctl.core.stack import SidecarSpec  # here: lists of tasks do without the stack file's classes

    found: dict[str, SidecarSpec] = {}
    for word in words:
        name, template = parse_sidecar(word)
        if name in found:
            hint = f"name one, such as second={template}"
            raise UsageError(f"two sidecars are called `{name}`", hint=hint)
        again = any(one.template == template for one in found.values())
        found[name] = SidecarSpec(template=template, env=url_variable(name) if again else "")
    return dict(sorted(found.items()))


def url_variable(name: str) -> str:
    """The variable that carries a sidecar's URL where that of its template is taken: `<NAME>_URL`."""
    return f"{'_' if name[0].isdigit() else ''}{name.upper().replace('-', '_')}_URL"


def check_environment(values: Mapping[str, str], source: str) -> dict[str, str]:
    """The variables, each name checked.

    Raises:
        UsageError: One cannot be the name of a variable, or has a NUL in its value.
    """
    for name, value in values.items():
        try:
            check_variable(name)
        except ValueError as error:
            raise UsageError(f"{source}: {error}") from None
        if "\0" in value:
            raise UsageError(f"{source}: the value of {name} has a NUL in it")
    return dict(values)


Outcome = Literal["succeeded", "failed", "killed"]


def outcome(exit_code: int, *, oom_killed: bool) -> Outcome:
    """What an ended task's phase is by its container: 137 with the kernel's word is its memory limit."""
    if exit_code == 0:
        return "succeeded"
    return "killed" if oom_killed and exit_code == KILLED else "failed"


KILLED = 137
"""Exit code of what SIGKILL ended: 128 + 9, as shells have it."""
TIMED_OUT = 124
"""Exit code where a lifetime ended, as timeout(1) has it."""
CANCELLED = 143
"""Exit code where somebody cancelled it: 128 + SIGTERM."""


def exit_code_of(record: EnvironmentRecord) -> int:
    """The exit code that stands for a finished task: its own, or what ended it from outside."""
    own = record.task.exit_code if record.task else None
    if record.phase in ("succeeded", "failed") and own is not None:
        return own
    return {"expired": TIMED_OUT, "killed": KILLED, "cancelled": CANCELLED}.get(record.phase, 125)
