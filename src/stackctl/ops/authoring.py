"""Which templates there are, and how a new stack file is made from one: checked as a whole, then written."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.errors import StackctlError, StateError, UnknownName, UsageError
from stackctl.core.limits import effective
from stackctl.core.names import check_name, nearest
from stackctl.core.stacktext import stack_text
from stackctl.core.templatefile import parse_template
from stackctl.ops.finding import Found, Places, read_text, stack_files, template_names
from stackctl.ops.preparing import Request, prepare_sources, sources_of
from stackctl.state.atomic import write_atomic

if TYPE_CHECKING:
    from stackctl.core.stack import Configuration, MachinePolicy, Template

SIDECARS = "sidecars/"


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateEntry:
    """A template that was found.

    Args:
        name: `webapp`, or `sidecars/postgres`.
        origin: Where it is from: "shipped", "your configuration" or "this checkout".
        template: What it says; None when it cannot be read.
        trouble: Why it cannot.
    """

    name: str
    folder: Path
    origin: str
    template: Template | None
    trouble: StackctlError | None = None


def list_templates(places: Places) -> tuple[TemplateEntry, ...]:
    """Every template that can be found, sidecars' last; one that is broken says why."""
    names = template_names(places)
    ordered = sorted(names, key=lambda name: (name.startswith(SIDECARS), name))
    return tuple(_entry(name, names[name], places) for name in ordered)


def _entry(name: str, folder: Path, places: Places) -> TemplateEntry:
    origin = _origin(folder, places)
    try:
        template = read_template(name, folder)
    except StackctlError as error:
        return TemplateEntry(name=name, folder=folder, origin=origin, template=None, trouble=error)
    return TemplateEntry(name=name, folder=folder, origin=origin, template=template)


def _origin(folder: Path, places: Places) -> str:
    base = folder.parent.parent if folder.parent.name == "templates" else folder.parent.parent.parent
    if base in places.checkout:
        return "this checkout"
    return "shipped" if base == places.shipped else "your configuration"


def read_template(name: str, folder: Path) -> Template:
    """What a template's folder declares.

    Raises:
        StackFileError: Its `template.yaml` cannot be read or is wrong.
    """
    path = folder / "template.yaml"
    return parse_template(read_text(path), name=name.removeprefix(SIDECARS), source=str(path))


def describe_template(word: str, places: Places) -> TemplateEntry:
    """One template in full; a sidecar's may be named without `sidecars/`.

    Raises:
        UnknownName: There is no such template.
        StackFileError: It is broken.
    """
    names = template_names(places)
    name = next((one for one in (word, SIDECARS + word) if one in names), "")
    if not name:
        near = nearest(word, names) or tuple(sorted(names))
        raise UnknownName(f"there is no template `{word}`", hint=f"there are: {', '.join(near)}")
    entry = _entry(name, names[name], places)
    if entry.trouble:
        raise entry.trouble
    return entry


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStack:
    """What `new` was asked for.

    Args:
        template: Name of the template, empty when there is only one to choose from.
        given: `--set` words.
        force: Replace a file that is there.
        more: Text that stands at the end of the file.
    """

    name: str
    template: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    force: bool = False
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenStack:
    """A stack file that was written; `hides` is a stack of the same name that it now stands before."""

    path: Path
    text: str
    template: str
    replaced: bool
    hides: Path | None


def new_stack(
    asked: NewStack, *, places: Places, configuration: Configuration, machine: MachinePolicy
) -> WrittenStack:
    """Make a stack file that renders and that policy allows, in the nearest `stacks/` or in `./stacks`.

    Raises:
        UsageError: The name, the template or a value is wrong, or the file is there already.
        StackFileError, TemplateError, PolicyError: The stack would not do.
        StackctlError: It cannot be written.
    """
    check_name(asked.name)
    template = _choose(asked.template, places)
    path = check_free(asked.name, stacks_folder(places), force=asked.force)
    found = {entry.name: entry.template for entry in list_templates(places) if entry.template}
    its = found.get(template) or describe_template(template, places).template
    assert its is not None  # noqa: S101 - describe_template raises where it has none
    sidecars = {name: found[key] for name, key in _sidecars_of(its) if key in found}
    limits, _ = effective(configuration.limits, ceilings=machine.ceilings)
    text = stack_text(asked.name, its, sidecars=sidecars, given=asked.given, limits=limits.limits)
    text += asked.more
    check_text(asked.name, text, path, places, configuration, machine)
    before = stack_files(places).get(asked.name)
    replaced = path.exists()
    write_new(path, text, force=asked.force)
    hides = before if before and before != path else None
    return WrittenStack(path=path, text=text, template=template, replaced=replaced, hides=hides)


def _choose(word: str, places: Places) -> str:
    names = [name for name in sorted(template_names(places)) if "/" not in name]
    if word and word not in names:
        near = nearest(word, names) or tuple(names)
        raise UnknownName(f"there is no template `{word}` for a stack", hint=f"there are: {', '.join(near)}")
    if not word and len(names) != 1:
        hint = f"there are: {', '.join(names)}; `stackctl templates` tells what each is"
        raise UsageError("name a template with --template", hint=hint)
    return word or names[0]


def _sidecars_of(template: Template) -> Iterator[tuple[str, str]]:
    for name, spec in template.sidecars.items():
        if spec.template:
            yield name, SIDECARS + spec.template


def stacks_folder(places: Places) -> Path:
    """The nearest `stacks/` of the checkout, else the one that the working directory would have."""
    there = (base / "stacks" for base in places.checkout if (base / "stacks").is_dir())
    return next(there, places.checkout[0] / "stacks")


def check_free(name: str, folder: Path, *, force: bool) -> Path:
    """Where the file of a new stack goes.

    Raises:
        UsageError: The stack is there already; with `force`, in a form that is not just replaced.
    """
    path = folder / f"{name}.yaml"
    same = (folder / f"{name}.yml", folder / name / "stack.yaml", folder / name / "stack.yml")
    other = next((one for one in same if one.exists()), None)
    if other:
        raise UsageError(f"`{other}` is this stack already", hint="edit it, or choose another name")
    if (path.exists() or path.is_symlink()) and not force:
        hint = "edit it, choose another name, or replace it with --force"
        raise UsageError(f"`{path}` is there already", hint=hint)
    return path


def check_text(
    name: str,
    text: str,
    path: Path,
    places: Places,
    configuration: Configuration,
    machine: MachinePolicy,
) -> None:
    """Render and judge a stack that is not on disk yet.

    Raises:
        StackFileError, TemplateError, PolicyError: It would not do; every problem at once.
    """
    base = path.parent.parent
    found = Found(name=name, source=str(path), text=text, base=base, root=str(base), shipped=False)
    request = Request(name=name)
    prepare_sources(sources_of(found, places), request, configuration=configuration, machine=machine)


def write_new(path: Path, text: str, *, force: bool = False) -> None:
    """Write a file as a whole, never over another one unless forced.

    Raises:
        UsageError: It is there already, also when it came to be this moment.
        StackctlError: It cannot be written; nothing is left of it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if force:
            write_atomic(path, text.encode(), 0o644)
        else:
            _create(path, text)
    except FileExistsError as error:
        if path.parent.is_dir():
            raise UsageError(f"`{path}` is there already", hint="choose another name") from error
        raise UsageError(f"`{path.parent}` is no folder", hint="move it out of the way") from error
    except StateError as error:
        error.hint = _look_at(path.parent)
        raise
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise StackctlError(f"cannot write `{path}`: {reason}", hint=_look_at(path.parent)) from error


def _look_at(folder: Path) -> str:
    shown = shlex.quote(str(folder))
    return f"look at `ls -ld {shown}` and `df {shown}`"


def add_lines(path: Path, there: str, lines: Sequence[str]) -> None:
    """Write a text file anew with lines at its end; what stands in it stays, and so does its mode.

    Args:
        there: Its text so far, empty where it is not there.

    Raises:
        StateError: It cannot be written.
    """
    between = "" if not there else "\n" if there.endswith("\n") else "\n\n"
    real = path.resolve()
    mode = real.stat().st_mode & 0o777 if real.exists() else 0o644
    write_atomic(real, f"{there}{between}{chr(10).join(lines)}\n".encode(), mode)


def _create(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as stream:
        try:
            stream.write(text)
            stream.flush()
        except BaseException:
            path.unlink()
            raise
