"""The limits of a stack as rows for people: value, threshold, where each came from, what it bounds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from stackctl.core.limits import (
    DEFAULT,
    SENTENCES,
    Effective,
    Layer,
    Limits,
    Watchdog,
    effective,
    watchdog_for,
)
from stackctl.core.units import format_size, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stackctl.core.records import ServiceRecord
    from stackctl.core.stack import Configuration, MachinePolicy
    from stackctl.ops.preparing import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRow:
    """One limit of one service (of every service when `service` is empty)."""

    service: str
    name: str
    value: str
    threshold: str
    origin: str
    sentence: str

    def as_data(self) -> dict[str, Any]:
        """The row for JSON."""
        return asdict(self)


def general_limits(
    configuration: Configuration, machine: MachinePolicy, given: Layer
) -> tuple[list[LimitRow], tuple[str, ...]]:
    """The limits of a service of which nothing else is said, and what of `given` cannot stand."""
    found, wrong = effective(given, configuration.limits, ceilings=machine.ceilings)
    return _rows("", found, watchdog_for(configuration.watchdog)), wrong


def stack_limits(prepared: Prepared) -> list[LimitRow]:
    """The limits of each service as policy laid them, and the lifetime of the whole."""
    rows = []
    for name, service in sorted(prepared.bounded.services.items()):
        asked = _laid(prepared.effective[name], service, prepared)
        rows += [r for r in _rows(name, asked, prepared.watchdogs[name]) if r.name != "lifetime"]
    whole = _rows("", prepared.effective[""], Watchdog())
    return rows + [row for row in whole if row.name == "lifetime"] + list(_budget(prepared))


def _budget(prepared: Prepared) -> Iterator[LimitRow]:
    """The marks on the sum over all services, where the stack sets them."""
    for name, show in (("budget_pids", str), ("budget_memory", format_size)):
        setting = prepared.stack.watchdog.get(name)
        if setting is not None:
            yield LimitRow(
                service="",
                name=name.replace("_", " "),
                value="",
                threshold=show(setting.value),
                origin=setting.origin,
                sentence=Watchdog.__dataclass_fields__[name].metadata["sentence"],
            )


def _laid(asked: Effective, service: ServiceRecord, prepared: Prepared) -> Effective:
    """What is in force; a value that differs from the settings' was set by the document itself."""
    limits = Limits(
        pids=service.pids,
        memory=service.memory,
        swap=service.swap,
        cpus=service.cpus,
        lifetime=asked.limits.lifetime,
    )
    document = f"template {prepared.stack.template}" if prepared.stack.template else "the compose file"
    origins = {
        name: asked.origins[name] if getattr(asked.limits, name) == getattr(limits, name) else document
        for name in SENTENCES
    }
    return Effective(limits=limits, origins=origins)


def set_by_document(prepared: Prepared, service: str, name: str) -> bool:
    """Whether a limit that holds is the template's or the compose file's own; a stack can only lower it."""
    asked = getattr(prepared.effective[service].limits, name)
    return bool(asked != getattr(prepared.bounded.services[service], name))


def _rows(service: str, found: Effective, watchdog: Watchdog) -> list[LimitRow]:
    return [
        LimitRow(
            service=service or "",
            name=name,
            value=found.limits.show(name),
            threshold=_threshold(name, found.limits, watchdog),
            origin=found.origins[name] or "default",
            sentence=SENTENCES[name],
        )
        for name in (field for field in SENTENCES if hasattr(DEFAULT, field))
    ]


def _threshold(name: str, limits: Limits, watchdog: Watchdog) -> str:
    if name == "pids":
        return str(watchdog.pids.at(limits.pids))
    if name == "memory":
        return show_size(watchdog.memory.at(limits.memory))
    return ""
