"""`limits --suggest`: what the services used at most, what they are limited to, what would be enough."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackctl.cli.choosing import compose_reader
from stackctl.cli.words import NONE
from stackctl.core.units import format_size, show_size
from stackctl.ops.suggesting import fixed_below, suggestions, write_suggestions

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.suggesting import Measure, Suggestion
    from stackctl.ops.preparing import Prepared

HEADINGS = ("SERVICE", "PEAK MEMORY", "NOW", "SUGGESTED", "PEAK PIDS", "NOW", "SUGGESTED")


def suggest_limits(session: Session, prepared: Prepared, write: bool) -> None:
    """Print the proposals, or write them into the stack file.

    Raises:
        UsageError: They are to be written, and there is no stack file that can be changed.
    """
    found = suggestions(prepared, session.store, session.machine)
    data: dict[str, Any] = {"services": [_data(one, prepared) for one in found], "written": None}
    session.output.result(data)
    if not session.output.json:
        session.output.table(HEADINGS, [_row(one) for one in found])
    _tell(session, prepared, found)
    if write:
        _write(session, prepared, found, data)
    elif any(one.changes for one in found):
        session.output.note(f"`stackctl limits {prepared.stack.name} --suggest --write` writes them")


def _write(session: Session, prepared: Prepared, found: Sequence[Suggestion], data: dict[str, Any]) -> None:
    path, written = write_suggestions(
        prepared,
        found,
        compose_reader(session),
        places=session.places,
        configuration=session.configuration,
        machine=session.machine,
    )
    if not written:
        session.output.note(f"nothing to write: {_shown(path)} stays as it is")
        return
    session.output.result({**data, "written": str(path)})
    names = ", ".join(one.service for one in written)
    session.output.note(f"wrote limits of {names} into {_shown(path)}")
    session.output.note(f"next: stackctl up {prepared.stack.name}")


def _tell(session: Session, prepared: Prepared, found: Sequence[Suggestion]) -> None:
    """What was not measured, and what a stack file cannot raise."""
    unmeasured = [one.service for one in found if not one.measured]
    if unmeasured:
        session.output.note(
            f"not measured, so kept as it is: {', '.join(unmeasured)}; use `{prepared.stack.name}` under a "
            f"supervisor for a while"
        )
    for one in found:
        for name in fixed_below(prepared, one):
            session.output.warn(
                f"`{one.service}`: {name} is set to {_plain(name, one.now)} by "
                f"{'its template' if prepared.stack.template else 'the compose file'}; raise it there"
            )


def _plain(name: str, measure: Measure) -> str:
    return format_size(measure.memory) if name == "memory" else str(measure.pids)


def _row(one: Suggestion) -> tuple[str, ...]:
    peak, now, limits, changes = one.peak, one.now, one.limits, one.changes
    return (
        one.service,
        show_size(peak.memory) if peak.memory else "not measured",
        format_size(now.memory),
        format_size(limits.memory) if "memory" in changes else NONE,
        str(peak.pids) if peak.pids else "not measured",
        str(now.pids),
        str(limits.pids) if "pids" in changes else NONE,
    )


def _data(one: Suggestion, prepared: Prepared) -> dict[str, Any]:
    return {
        "service": one.service,
        "measured": one.measured,
        "peak": _measure(one.peak),
        "now": _measure(one.now),
        "suggested": _measure(one.limits),
        "held_by_document": list(fixed_below(prepared, one)),
    }


def _measure(measure: Measure) -> dict[str, int | None]:
    return {"memory_bytes": measure.memory or None, "pids": measure.pids or None}


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
