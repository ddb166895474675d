"""Checking a compose file of anybody's against the policy, without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.documents import load
from stackctl.core.errors import Problem, StackFileError
from stackctl.core.limits import effective
from stackctl.core.policy import bound
from stackctl.core.rules import Bounded, Rules
from stackctl.ops.finding import read_text

if TYPE_CHECKING:
    from stackctl.core.stack import Configuration, MachinePolicy


def lint_file(path: Path, configuration: Configuration, machine: MachinePolicy) -> Bounded:
    """Judge a compose file as it stands.

    Raises:
        StackFileError: It cannot be read, or is no compose document.
        PolicyError: It asks for what policy refuses; every problem with its line.
    """
    loaded = load(read_text(path), source=str(path))
    if not isinstance(loaded.data, dict) or not isinstance(loaded.data.get("services"), dict):
        problem = Problem(path="services", message="a mapping of services was expected", source=str(path))
        raise StackFileError(f"{path} is no compose file", problems=(problem,))
    limits, _ = effective(configuration.limits, ceilings=machine.ceilings)
    rules = Rules(
        stack=path.stem,
        limits={"": limits},
        machine=machine,
        root=str(path.resolve().parent),
        source=str(path),
        lines=loaded.lines,
    )
    return bound(loaded.data, rules)
