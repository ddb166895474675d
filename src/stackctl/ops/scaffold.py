"""`init`: a `stacks/` folder with one example that works, where there is no stack yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.ops.authoring import NewStack, new_stack
from stackctl.ops.finding import Places, stack_files

if TYPE_CHECKING:
    from stackctl.core.stack import Configuration, MachinePolicy

EXAMPLE = "example"
TEMPLATE = "hello"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffolded:
    """What `init` found and made.

    Args:
        folder: The `stacks/` folder.
        written: What was written, nothing when stacks were there.
        present: Names of the stacks that were there.
    """

    folder: Path
    written: tuple[Path, ...] = ()
    present: tuple[str, ...] = ()


def scaffold(places: Places, configuration: Configuration, machine: MachinePolicy) -> Scaffolded:
    """Write an example stack into the repository's `stacks/`; where there are stacks, change nothing.

    Raises:
        StackctlError: It cannot be written.
    """
    root = places.checkout[-1]
    only = Places(checkout=(root,), configured=places.configured, shipped=places.shipped, home=places.home)
    folder = root / "stacks"
    present = tuple(sorted(name for name, path in stack_files(only).items() if path.is_relative_to(folder)))
    if present:
        return Scaffolded(folder=folder, present=present)
    asked = NewStack(name=EXAMPLE, template=TEMPLATE)
    made = new_stack(asked, places=only, configuration=configuration, machine=machine)
    return Scaffolded(folder=folder, written=(made.path,))
