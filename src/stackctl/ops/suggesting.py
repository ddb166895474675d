"""Limits proposed from measured peaks, and written into the stack file that they are for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from stackctl.core.edits import with_value
from stackctl.core.errors import UsageError
from stackctl.core.suggesting import Suggestion, suggest
from stackctl.core.units import format_size
from stackctl.ops.limits import set_by_document
from stackctl.ops.linting import write_edited
from stackctl.ops.preparing import Request, prepare_sources, sources_of, with_document

if TYPE_CHECKING:
    from pathlib import Path

    from stackctl.core.composefiles import Reader
    from stackctl.core.stack import Configuration, MachinePolicy
    from stackctl.ops.finding import Places
    from stackctl.ops.preparing import Prepared
    from stackctl.ops.protocols import Store


def suggestions(prepared: Prepared, store: Store, machine: MachinePolicy) -> tuple[Suggestion, ...]:
    """A proposal for each service of a stack, from the peaks that the supervisor kept of its environment.

    Raises:
        StateError: They cannot be read.
    """
    return suggest(prepared.bounded.services, store.peaks(prepared.project), machine.ceilings)


def fixed_below(prepared: Prepared, found: Suggestion) -> tuple[str, ...]:
    """The limits of a proposal that a stack file cannot raise: the document itself sets a lower one."""
    return tuple(
        name
        for name, value in found.changes.items()
        if value > getattr(found.now, name) and set_by_document(prepared, found.service, name)
    )


def write_suggestions(
    prepared: Prepared,
    found: Sequence[Suggestion],
    compose: Reader,
    *,
    places: Places,
    configuration: Configuration,
    machine: MachinePolicy,
) -> tuple[Path, tuple[Suggestion, ...]]:
    """Write proposals into `services: NAME: limits:` of a stack file, everything else in it kept.

    Returns:
        The file, and what was written; the file stays as it is where that is nothing.

    Raises:
        UsageError: There is no stack file to write to, or it cannot be changed safely, or the stack would not
            do with them (a threshold that lies above its limit); nothing is written then.
        StateError: It cannot be written.
    """
    stack, path = prepared.found, prepared.found.path
    if not stack.text:
        files = " ".join(f"--from {file}" for file in prepared.stack.compose)
        raise UsageError(
            "there is no stack file to write the limits to",
            hint=f"make one: `stackctl new {prepared.stack.name} {files}`",
        )
    if path is None or stack.shipped:
        raise UsageError(
            f"{stack.source} came with stackctl, and is not changed",
            hint=f"copy it to `stacks/{stack.name}.yaml` of your repository first",
        )
    kept = [one for one in found if set(one.changes) - set(fixed_below(prepared, one))]
    text = stack.text
    for one in kept:
        text = _with_limits(text, prepared, one)
    if text == stack.text:
        return path, ()
    request = Request(name=stack.name)
    sources = with_document(sources_of(replace(stack, text=text), places), request, compose)
    prepare_sources(sources, request, configuration=configuration, machine=machine)
    write_edited(path, text)
    return path, tuple(kept)


def _with_limits(text: str, prepared: Prepared, one: Suggestion) -> str:
    for name, value in one.changes.items():
        if name not in fixed_below(prepared, one):
            written = format_size(value) if name == "memory" else value
            path = ("services", one.service, "limits", name)
            text = with_value(text, path, written, source=prepared.found.source)
    return text
