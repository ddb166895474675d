"""A task's spec as plain data and back, for those that wait while nobody who asked for them may live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from stackctl.core.limits import Setting, Threshold
from stackctl.core.stack import Guard, SidecarSpec
from stackctl.core.tasks import Mount, TaskSpec

SCHEMA = 1


def spec_to_plain(spec: TaskSpec) -> dict[str, Any]:
    """The spec as plain data for JSON."""
    return {"schema": SCHEMA, **asdict(spec)}


def spec_from_plain(raw: Any) -> TaskSpec:
    """Read plain data back; keys that this version does not know are left out.

    Raises:
        ValueError: It is no spec, or a newer version wrote it.
    """
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        raise ValueError("it is not a task's spec, or a newer version wrote it")
    try:
        values = {one.name: raw[one.name] for one in fields(TaskSpec) if one.name in raw}
        for name, read in _READERS.items():
            if name in values:
                values[name] = read(values[name])
        return TaskSpec(**values)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not a task's spec: {error}") from None


def _settings(raw: Mapping[str, Any]) -> dict[str, Setting]:
    return {name: Setting(_value(one["value"]), str(one["origin"])) for name, one in raw.items()}


def _value(raw: Any) -> Any:
    return Threshold(**raw) if isinstance(raw, dict) else raw


def _sidecar(raw: Mapping[str, Any]) -> SidecarSpec:
    return SidecarSpec(**{**raw, "variables": _settings(raw["variables"]), "reach": tuple(raw["reach"])})


def _guard(raw: Mapping[str, Any] | None) -> Guard | None:
    return Guard(**{**raw, "patterns": tuple(raw["patterns"])}) if raw else None


_READERS: Mapping[str, Any] = {
    "command": tuple,
    "mounts": lambda raw: tuple(Mount(**one) for one in raw),
    "limits": _settings,
    "watchdog": _settings,
    "sidecars": lambda raw: {name: _sidecar(one) for name, one in raw.items()},
    "sidecar_limits": lambda raw: {name: _settings(one) for name, one in raw.items()},
    "guard": _guard,
    "allow": tuple,
}
