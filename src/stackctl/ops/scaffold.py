"""`init`: a repository made ready, with a stack that runs, targets for make, and what git is to ignore.

Nothing that is there is ever changed, but for lines added at the end of `.gitignore`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.errors import StackFileError, UsageError
from stackctl.core.makefile import FILE
from stackctl.ops.authoring import NewStack, add_lines, check_free, new_stack
from stackctl.ops.finding import Places, read_text
from stackctl.ops.fragment import included, look_at_fragment, write_fragment
from stackctl.ops.listing import DEFAULT_FILES, stacks_at

if TYPE_CHECKING:
    from stackctl.core.composefiles import Reader
    from stackctl.core.errors import Problem
    from stackctl.core.stack import Configuration, MachinePolicy

EXAMPLE = "example"
TEMPLATE = "hello"
TEST = """
# `make stack-test`, or `stackctl run --in example test`, while the stack is up
tasks:
  test: {image: "busybox:1.35", command: [wget, -q, -O, "-", "http://web:8080/health.txt"], lifetime: 1m}
"""
IGNORED = ("*.results.jsonl", "/.stackctl/")
"""What `batch` writes beside its file, and a state directory that is kept in the repository."""
_COMMENT = "# stackctl: results of batches; STACKCTL_HOME, where it is kept here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `init` was asked for.

    Args:
        files: Compose files to make the stack from; none for an example.
        dry: Only say what would be written.
        version: Ours, for the fragment's first line.
    """

    files: tuple[Path, ...] = ()
    dry: bool = False
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffolded:
    """What `init` found and made.

    Args:
        folder: The `stacks/` folder.
        written: What was written, or would be.
        kept: Files that were there already.
        present: Names of the stacks that were there.
        stack: The stack that may be started now, empty where there are several.
        needed: Of a stack from compose files: service -> words without which policy refuses it.
        problems: What no word allows.
        compose: A compose file that no stack was made from.
        included: Whether a Makefile includes the fragment.
    """

    folder: Path
    written: tuple[Path, ...] = ()
    kept: tuple[Path, ...] = ()
    present: tuple[str, ...] = ()
    stack: str = ""
    needed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    compose: Path | None = None
    included: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """The stack that was made, or that would be."""

    name: str
    path: Path
    needed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def scaffold(
    plan: Plan, compose: Reader, *, places: Places, configuration: Configuration, machine: MachinePolicy
) -> Scaffolded:
    """Write what is missing in the repository's root.

    Raises:
        StackFileError: A compose file is missing.
        EngineRefused: Compose does not accept the files.
        StackctlError: Something cannot be written.
    """
    root = places.checkout[-1]
    only = Places(checkout=(root,), configured=places.configured, shipped=places.shipped, home=places.home)
    present = stacks_at(root)
    made = _stack(plan, compose, present, only, configuration, machine)
    written, kept = _beside(plan, only)
    names = present or ((made.name,) if made else ())
    return Scaffolded(
        folder=root / "stacks",
        written=(*((made.path,) if made else ()), *written),
        kept=kept,
        present=present,
        stack=made.name if made else names[0] if len(names) == 1 else "",
        needed=made.needed if made else {},
        problems=made.problems if made else (),
        compose=None if plan.files or present else _compose_file(root),
        included=included(root / FILE),
    )


def _stack(
    plan: Plan,
    compose: Reader,
    present: tuple[str, ...],
    places: Places,
    configuration: Configuration,
    machine: MachinePolicy,
) -> _Made | None:
    folder = places.checkout[0] / "stacks"
    if plan.files:
        return _from_files(plan, compose, present, places, configuration, machine)
    if present:
        return None
    if plan.dry:
        return _Made(name=EXAMPLE, path=check_free(EXAMPLE, folder, force=False))
    asked = NewStack(name=EXAMPLE, template=TEMPLATE, more=TEST)
    made = new_stack(asked, places=places, configuration=configuration, machine=machine)
    return _Made(name=EXAMPLE, path=made.path)


def _from_files(
    plan: Plan,
    compose: Reader,
    present: tuple[str, ...],
    places: Places,
    configuration: Configuration,
    machine: MachinePolicy,
) -> _Made | None:
    from stackctl.ops.composing import sources_from_files
    from stackctl.ops.writing_stacks import NewComposeStack, new_compose_stack

    for file in plan.files:
        if not file.is_file():
            raise StackFileError(f"there is no compose file `{file}`", hint="name it as --from sees it here")
    name = sources_from_files(plan.files).found.name
    if name in present:
        return None
    if plan.dry:
        return _Made(name=name, path=check_free(name, places.checkout[0] / "stacks", force=False))
    made = new_compose_stack(
        NewComposeStack(name=name, files=plan.files),
        compose,
        places=places,
        configuration=configuration,
        machine=machine,
    )
    return _Made(name=name, path=made.path, needed=made.needed, problems=made.problems)


def _beside(plan: Plan, places: Places) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The fragment and, in a repository, `.gitignore`: those written, and those that were there."""
    written, kept, root = [], [], places.checkout[0]
    path = root / FILE
    if path.exists() or path.is_symlink():
        kept.append(path)
    else:
        if not plan.dry:
            write_fragment(look_at_fragment(places, plan.version, None, None), force=False)
        written.append(path)
    if (root / ".git").exists() and _ignore(root / ".gitignore", dry=plan.dry):
        written.append(root / ".gitignore")
    elif (root / ".gitignore").exists():
        kept.append(root / ".gitignore")
    return tuple(written), tuple(kept)


def _ignore(path: Path, *, dry: bool) -> bool:
    """Add the lines that are missing; False where none is."""
    if path.exists() and not path.is_file():
        raise UsageError(f"`{path}` is no file", hint="move it out of the way")
    there = read_text(path) if path.exists() else ""
    missing = [line for line in IGNORED if line not in there.splitlines()]
    if missing and not dry:
        add_lines(path, there, [_COMMENT, *missing])
    return bool(missing)


def _compose_file(root: Path) -> Path | None:
    return next((root / name for name in DEFAULT_FILES if (root / name).is_file()), None)
