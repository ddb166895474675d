"""The stamp as it stands in a bounded document, and labels of the user's own beside it."""

from __future__ import annotations

from typing import Any

from stackctl.core import holes
from stackctl.core.labels import PREFIX, SCHEMA
from stackctl.core.rules import Findings, Rules, entries

RESERVED = (PREFIX, "com.docker.compose.")


def stamp(rules: Rules) -> dict[str, str]:
    """The labels of `labels.Stamp`: what belongs to a run is a hole, the rest is written out."""
    values = {
        "project": holes.PROJECT,
        "stack": rules.stack,
        "instance": holes.INSTANCE,
        "generation": holes.GENERATION,
        "home": holes.HOME,
        "user": holes.USER,
        "engine": holes.ENGINE,
        "schema": str(SCHEMA),
    }
    return {f"{PREFIX}{name}": value for name, value in values.items()}


def own_labels(findings: Findings, path: str, value: Any) -> dict[str, Any]:
    """The user's labels as a mapping, from either way of writing; ours among them are refused.

    A stamp that is exactly ours is left out in silence: bounding a bounded document changes nothing.
    """
    ours = stamp(findings.rules)
    labels = {}
    for name, text in _pairs(findings, path, value):
        if not name:
            findings.change(path, "one without a name left out", "Compose reads no such label back")
        elif name.startswith(RESERVED):
            if ours.get(name) != text:
                owner = "stackctl" if name.startswith(PREFIX) else "Compose"
                message = f"the label `{name}` belongs to {owner}: it decides what may be removed"
                findings.refuse(path, message, "choose another name")
        else:
            labels[name] = text
    return labels


def _pairs(findings: Findings, path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        pairs = [(str(name), text) for name, text in value.items()]
    elif value is None or isinstance(value, list):
        texts = [entry if isinstance(entry, str) else "" for _, entry in entries(value)]
        pairs = [(name, text) for name, _, text in (one.partition("=") for one in texts)]
    else:
        pairs = [("", {})]
    if any(isinstance(text, (dict, list)) for _, text in pairs):
        findings.refuse(path, "labels must be a mapping of names to text, or a list of `name=text`")
        return []
    return pairs
