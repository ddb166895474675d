"""Every number that stackctl enforces, defined once, each with the sentence that says what it bounds.

The defaults come from the incident that stackctl exists for: a test suite in a loop, more than 4,000
processes and 103 GiB in one container without limits. 256 processes and 8 GiB hold any ordinary service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from stackctl.core.errors import UsageError
from stackctl.core.names import shorten
from stackctl.core.units import (
    format_size,
    parse_count,
    parse_cpus,
    parse_duration,
    parse_share,
    parse_size,
    show_duration,
)

OnViolation = Literal["environment", "service", "report"]
ON_VIOLATION: tuple[OnViolation, ...] = ("environment", "service", "report")


def _limit(default: Any, sentence: str, **extra: Any) -> Any:
    return field(default=default, metadata={"sentence": sentence, **extra})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the kernel enforces for one container, and how long it may live.

    Args:
        pids: Processes and threads, never unlimited.
        memory: Bytes of memory.
        swap: Bytes of memory and swap together, as Docker counts `memswap_limit`; equal to `memory`
            means no swap.
        cpus: Processors' worth of time.
        lifetime: Seconds from the first start to the end, suspended time included.
    """

    pids: int = _limit(256, "processes and threads in a container; the kernel refuses a fork beyond it")
    memory: int = _limit(8 << 30, "memory of a container; beyond it the kernel ends its processes")
    swap: int = _limit(8 << 30, "memory and swap together; equal to memory, so nothing is swapped out")
    cpus: float = _limit(2.0, "processors' worth of time; beyond it a container is slowed, not ended")
    lifetime: float = _limit(12 * 3600.0, "time from the first start until stackctl ends the environment")

    def show(self, name: str) -> str:
        """The value of one limit as a stack file would have it ("8g", "12h")."""
        value = getattr(self, name)
        if name in ("memory", "swap"):
            return format_size(value)
        return show_duration(value) if name == "lifetime" else f"{value:g}"


LEAST_MEMORY = 6 << 20
"""The engine's own minimum; it refuses to create a container with less."""


def _parse_memory(text: str | int) -> int:
    size = parse_size(text)
    if size < LEAST_MEMORY:
        raise ValueError(
            f"the engine takes no less than {format_size(LEAST_MEMORY)}, not {format_size(size)}"
        )
    return size


EXAMPLE = "memory=2g"
EXAMPLES = {
    "pids": "pids=200",
    "memory": EXAMPLE,
    "swap": "swap=2g",
    "cpus": "cpus=1.5",
    "lifetime": "lifetime=8h",
}
PARSERS = {
    "pids": parse_count,
    "memory": _parse_memory,
    "swap": _parse_memory,
    "cpus": parse_cpus,
    "lifetime": parse_duration,
}
SENTENCES: Mapping[str, str] = {f.name: f.metadata["sentence"] for f in fields(Limits)}
DEFAULT = Limits()


@dataclass(frozen=True, slots=True)
class Threshold:
    """A mark below a limit: a share of it, or an absolute number.

    Args:
        share: Fraction of the limit, 0 to 1 exclusive; 0 when `absolute` counts.
        absolute: Processes or bytes; 0 when `share` counts.
    """

    share: float = 0.0
    absolute: int = 0

    def at(self, limit: int) -> int:
        """The mark for a limit in force, in the limit's own unit, never below 1."""
        return max(1, self.absolute or int(self.share * limit))

    def __str__(self) -> str:
        return str(self.absolute) if self.absolute else f"{self.share * 100:g}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchdog:
    """The marks below the limits at which the supervisor acts.

    A mark that is a share scales with its limit: 200 of 256 processes is 50 of 64. The two levels, and
    the time the lower one must hold, follow kubelet's soft and hard eviction.
    """

    pids: Threshold = _limit(Threshold(200 / 256), "processes at which the watchdog acts when they stay")
    memory: Threshold = _limit(Threshold(0.80), "working set at which the watchdog acts when it stays")
    sustain_pids: float = _limit(2.0, "seconds that processes must stay over their threshold")
    sustain_memory: float = _limit(10.0, "seconds that memory must stay over its threshold")
    urgent_pids: Threshold = _limit(Threshold(245 / 256), "processes at which the watchdog acts at once")
    urgent_memory: Threshold = _limit(Threshold(0.95), "working set at which the watchdog acts at once")
    on_violation: OnViolation = _limit("environment", "what a violation ends")
    budget_pids: int = _limit(0, "processes of all services together at which the stack is ended; 0 for none")
    budget_memory: int = _limit(0, "working set of all services together, in bytes; 0 for none")


DEFAULT_WATCHDOG = Watchdog()


@dataclass(frozen=True, slots=True)
class Setting:
    """One value with the place it came from ("default", "--limit", "stacks/myenv.yaml:12")."""

    value: Any
    origin: str


Layer = Mapping[str, Setting]
"""What one place says of the limits: limit name -> setting; absent names are not set there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """The limits of one service with the origin of each.

    Args:
        limits: The numbers in force.
        origins: Limit name -> where it came from; every limit has one.
    """

    limits: Limits
    origins: Mapping[str, str]


_DEFAULT = "default"


def effective(
    *layers: Layer, ceilings: Layer | None = None, defaults: Layer | None = None
) -> tuple[Effective, tuple[str, ...]]:
    """Combine layers, the strongest first, over the defaults and under the machine's ceilings.

    Swap that is set in a weaker place than memory follows memory, since it was meant for another number.
    A ceiling lowers a default that lies above it. Asking for more than a ceiling is an error, never a
    silent clamp.

    Args:
        layers: What was asked for, the strongest place first.
        ceilings: The machine's.
        defaults: What stands in for a default where nobody asks, such as a sidecar template's own.

    Returns:
        The effective limits, and one sentence for each setting that cannot stand (empty when all do).
    """
    chosen = {name: _strongest(layers, name, defaults or {}) for name in SENTENCES}
    if _rank(layers, "memory") < _rank(layers, "swap") or _is_default(chosen["swap"]):
        chosen["swap"] = chosen["memory"]
    # Memory comes before swap in SENTENCES: a swap that follows memory is lowered with it.
    problems = [
        _apply_ceiling(chosen, name, ceilings[name]) for name in SENTENCES if ceilings and name in ceilings
    ]
    if chosen["swap"].value < chosen["memory"].value:
        if _is_default(chosen["memory"]) or chosen["swap"].origin.startswith("ceiling"):
            chosen["memory"] = Setting(chosen["swap"].value, chosen["swap"].origin)
        else:
            problems.append("swap counts memory and swap together, so it cannot be below memory")
    limits = Limits(**{name: setting.value for name, setting in chosen.items()})
    found = Effective(limits=limits, origins={name: setting.origin for name, setting in chosen.items()})
    return found, tuple(problem for problem in problems if problem)


def _rank(layers: Sequence[Layer], name: str) -> int:
    return next((rank for rank, layer in enumerate(layers) if name in layer), len(layers))


def _is_default(setting: Setting) -> bool:
    return setting.origin.startswith(_DEFAULT)


def _strongest(layers: Sequence[Layer], name: str, defaults: Layer) -> Setting:
    found = defaults.get(name)
    own = Setting(found.value, f"{_DEFAULT} of {found.origin}") if found else None
    default = own or Setting(getattr(DEFAULT, name), _DEFAULT)
    return next((layer[name] for layer in layers if name in layer), default)


def _apply_ceiling(chosen: dict[str, Setting], name: str, ceiling: Setting) -> str:
    asked = chosen[name]
    if asked.value <= ceiling.value:
        return ""
    memory_default = name == "swap" and _is_default(chosen["memory"])
    if _is_default(asked) or memory_default or asked.origin.startswith("ceiling"):
        chosen[name] = Setting(ceiling.value, f"ceiling in {ceiling.origin}")
        if name == "memory" and chosen["swap"].origin == asked.origin:
            chosen["swap"] = chosen[name]
        return ""
    limits = replace(DEFAULT, **{name: asked.value})
    most = replace(DEFAULT, **{name: ceiling.value})
    return (
        f"{name} {limits.show(name)} ({asked.origin}) is above this machine's ceiling of "
        f"{most.show(name)} ({ceiling.origin})"
    )


def parse_layer(raw: Mapping[str, Any], origin: Mapping[str, str]) -> tuple[Layer, dict[str, str]]:
    """Read a `limits:` mapping as people write it.

    Args:
        raw: Limit name -> what was written.
        origin: Limit name -> where it was written.

    Returns:
        The layer, and for each name that could not be read the sentence that says why.
    """
    layer: dict[str, Setting] = {}
    wrong: dict[str, str] = {}
    for name, value in raw.items():
        if name not in PARSERS:
            wrong[name] = f"no such limit; there are {', '.join(PARSERS)}"
            continue
        try:
            layer[name] = Setting(PARSERS[name](value), origin.get(name, ""))
        except ValueError as error:
            wrong[name] = str(error)
    return layer, wrong


def limit_layer_from_words(words: Sequence[str], origin: str) -> Layer:
    """Read limits from the command line, `memory=2g` each; the last word for a limit counts.

    Args:
        words: One `name=value` each.
        origin: Where they came from, for messages ("--limit").

    Raises:
        UsageError: A word is not `name=value`, names no limit, or its value cannot be read.
    """
    raw: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            hint = f"write {origin} {EXAMPLE}; there are {', '.join(PARSERS)}"
            raise UsageError(f"`{shorten(word)}` does not set a limit", hint=hint)
        raw[name.strip()] = value
    layer, wrong = parse_layer(raw, dict.fromkeys(raw, origin))
    for name, sentence in wrong.items():
        raise UsageError(
            f"{origin} {shorten(name)}: {sentence}", hint=f"such as {origin} {EXAMPLES.get(name, EXAMPLE)}"
        )
    return layer


def watchdog_for(*layers: Mapping[str, Setting]) -> Watchdog:
    """Combine what several places say of the watchdog, the strongest first, over the defaults."""
    chosen = {name: setting.value for layer in reversed(layers) for name, setting in layer.items()}
    return replace(DEFAULT_WATCHDOG, **chosen)


def parse_threshold(text: str | int, *, size: bool) -> Threshold:
    """Read a threshold: a share of the limit ("80%"), a count, or (where `size`) a size.

    Raises:
        ValueError: With one sentence that says what is wrong.
    """
    if str(text).strip().endswith("%"):
        return Threshold(share=parse_share(text))
    return Threshold(absolute=parse_size(text) if size else parse_count(text))


def check_thresholds(watchdog: Watchdog, limits: Limits) -> tuple[str, ...]:
    """Say which thresholds are at or above their limit, or above their urgent level; empty when none."""
    problems = []
    for name in ("pids", "memory"):
        limit = getattr(limits, name)
        mark, urgent = getattr(watchdog, name).at(limit), getattr(watchdog, f"urgent_{name}").at(limit)
        if limit > 1 and mark >= limit:
            problems.append(f"the {name} threshold {mark} must be below the limit {limits.show(name)}")
        elif limit > 1 and urgent >= limit:
            problems.append(
                f"the urgent {name} threshold {urgent} must be below the limit {limits.show(name)}"
            )
        elif mark > urgent:
            problems.append(f"the {name} threshold {mark} must not be above the urgent one, {urgent}")
    return tuple(problems)
