"""Writes a new stack file: what was asked for as it counts, everything else as comments with its default."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackctl.core.documents import dump
from stackctl.core.errors import Problem, UsageError
from stackctl.core.limits import DEFAULT, Limits
from stackctl.core.names import nearest
from stackctl.core.variables import value_for

if TYPE_CHECKING:
    from stackctl.core.stack import Scalar, SidecarSpec, Template, Variable

SECRET_FILE = "file:/path/to/the/secret"  # noqa: S105 - it stands in a comment, and is no secret
_WIDTH = 96
_LIMITS = "What the kernel enforces for each service, and how long all of them may live"
_READ_ME = "# What begins with `#` is a default: take the `# ` away to change it."
_SIDECARS = "What comes along beside the services"


@dataclass(frozen=True, slots=True)
class _Node:
    """A key of the file; one that is not `live` stands there as a comment, with all below it.

    Args:
        example: Its value is only one, so that it stays a comment when what it stands in is no longer one.
    """

    key: str
    value: Scalar | list[str] = ""
    children: tuple[_Node, ...] = ()
    help: str = ""
    live: bool = False
    example: bool = False


def stack_text(
    name: str,
    template: Template,
    *,
    sidecars: Mapping[str, Template] | None = None,
    given: Mapping[str, str] | None = None,
    limits: Limits = DEFAULT,
) -> str:
    """The text of a stack file made from a template.

    Args:
        name: Name of the stack.
        template: The template.
        sidecars: The template of each sidecar that it brings along, by the sidecar's name.
        given: Values as in `--set`: variable, or `<sidecar>.<variable>`, -> text.
        limits: What a service gets when the file says nothing.

    Raises:
        UsageError: A variable does not exist, has a value that it may not have, or needs one; all at once.
    """
    known, given = sidecars or {}, given or {}
    values, problems = _values(template, known, given)
    if problems:
        raise UsageError(
            f"the template `{template.name}` cannot be used like this",
            hint=f"`stackctl templates {template.name}` tells what each variable may be",
            problems=tuple(problems),
        )
    nodes = [
        _Node("description", template.description or f"The stack {name}", live=True),
        _Node("template", template.name, live=True),
        _group("variables", _variables(template.variables, values, "")),
        _group("sidecars", _sidecars(template, known, values), _SIDECARS),
        _group("limits", [_Node(key, value) for key, value in _limits(limits).items()], _LIMITS),
    ]
    head = [f"# `stackctl up {name}` starts it, `stackctl limits {name}` shows what bounds it.", _READ_ME]
    first = [line for node in nodes[:2] for line in _shown(node)]
    parts = [head, first, *(_shown(node) for node in nodes[2:] if node.children)]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def compose_text(
    name: str,
    files: Sequence[str],
    *,
    profiles: Sequence[str] = (),
    allow: Mapping[str, Sequence[str]] | None = None,
    allowed: bool = False,
) -> str:
    """The text of a stack file for people's own compose files.

    Args:
        name: Name of the stack.
        files: As the stack file names them.
        profiles: Those that are active.
        allow: Service -> the words without which policy refuses it.
        allowed: Write these words so that they count, not as a comment.
    """
    head = [
        f"# `stackctl up {name}` starts it, `stackctl bound --explain` shows what is laid over the files.",
        dump({"compose": files[0] if len(files) == 1 else [*files]}).rstrip("\n"),
        *([dump({"profiles": [*profiles]}).rstrip("\n")] if profiles else []),
    ]
    if not allow:
        return "\n".join(head) + "\n"
    about = "# What policy refuses unless it is named here: read each, and keep what must be so."
    keys = [dump([service])[2:].rstrip("\n") for service in allow]
    words = [f"  {key}: [{', '.join(its)}]" for key, its in zip(keys, allow.values(), strict=True)]
    lines = ["allow:", *words]
    return "\n".join([*head, "", about, *(lines if allowed else (f"# {line}" for line in lines))]) + "\n"


def _sidecars(template: Template, known: Mapping[str, Template], values: Mapping[str, Scalar]) -> list[_Node]:
    specs = template.sidecars.items()
    return [_sidecar(name, spec, known[name], values) for name, spec in specs if name in known]


def _values(
    template: Template, sidecars: Mapping[str, Template], given: Mapping[str, str]
) -> tuple[dict[str, Scalar], list[Problem]]:
    variables = dict(template.variables)
    for sidecar, its in sidecars.items():
        variables.update({f"{sidecar}.{name}": one for name, one in its.variables.items()})
    values: dict[str, Scalar] = {}
    problems: list[Problem] = []
    for word, text in given.items():
        if word not in variables:
            near = nearest(word, variables)
            meant = f"; did you mean {' or '.join(near)}?" if near else ""
            problems.append(Problem(path=word, message=f"the template has no such variable{meant}"))
            continue
        try:
            values[word] = value_for(variables[word], text)
        except ValueError as error:
            problems.append(Problem(path=word, message=str(error)))
    lacking = [name for name, one in template.variables.items() if required(one) and name not in given]
    for name in lacking:
        about = template.variables[name].help
        words = f"needs a value: {about}" if about else "needs a value"
        problems.append(Problem(path=name, message=words, hint=f"give it with `--set {name}=VALUE`"))
    return values, problems


def required(variable: Variable) -> bool:
    """Whether somebody must set it: nobody generates or chooses it, and it has no default."""
    return variable.default is None and variable.type not in ("secret", "port")


def show_default(variable: Variable) -> Scalar | None:
    """Its default as a stack file would have it; None for what is required or generated."""
    if variable.type == "port" and not variable.default:
        return "auto"
    return variable.default


def _limits(limits: Limits) -> dict[str, Scalar]:
    return {
        "memory": limits.show("memory"),
        "cpus": limits.cpus,
        "pids": limits.pids,
        "lifetime": limits.show("lifetime"),
    }


def _group(key: str, children: list[_Node], about: str = "") -> _Node:
    return _Node(key, children=tuple(children), help=about, live=any(one.live for one in children))


def _variables(variables: Mapping[str, Variable], values: Mapping[str, Scalar], owner: str) -> list[_Node]:
    nodes = []
    for name, one in variables.items():
        chosen = values.get(f"{owner}{name}")
        plain = show_default(one) if chosen is None else _auto(one, chosen)
        value = SECRET_FILE if plain is None else plain
        nodes.append(_Node(name, value, help=_about(one), live=chosen is not None, example=plain is None))
    return nodes


def _auto(variable: Variable, value: Scalar) -> Scalar:
    return "auto" if variable.type == "port" and not value else value


def _about(variable: Variable) -> str:
    what: str = variable.type
    if variable.choices:
        what = "one of " + ", ".join(str(one) for one in variable.choices)
    elif variable.type == "secret":
        what = "secret, generated unless it is read from a file"
    return f"{variable.help} ({what})" if variable.help else what


def _sidecar(name: str, spec: SidecarSpec, template: Template, values: Mapping[str, Scalar]) -> _Node:
    """A sidecar in a stack file replaces the template's own as a whole, so what that says is said again."""
    own = {f"{name}.{key}": setting.value for key, setting in spec.variables.items()}
    asked = any(key.startswith(f"{name}.") for key in values)
    variables = _group("variables", _variables(template.variables, {**own, **values}, f"{name}."))
    children = [_Node("template", spec.template, live=True)]
    children += [variables] if variables.children else []
    children += [_Node("reach", [*spec.reach], live=True)] if spec.reach else []
    return _Node(name, children=tuple(children), help=template.description, live=asked)


def _shown(node: _Node, *, commented: bool = False) -> list[str]:
    about = [f"# {line}" for line in textwrap.wrap(node.help, _WIDTH, break_long_words=False)]
    if node.live or (commented and not node.example):
        return about + _body(node, commented=commented)
    return about + [f"# {line}" for line in _body(node, commented=True)]


def _body(node: _Node, *, commented: bool) -> list[str]:
    if not node.children:
        return dump({node.key: node.value}).splitlines()
    return [f"{node.key}:", *_indented(node, commented=commented)]


def _indented(node: _Node, *, commented: bool) -> Iterator[str]:
    for child in node.children:
        for line in _shown(child, commented=commented):
            yield f"  {line}"
