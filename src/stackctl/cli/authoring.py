"""`templates`, `new`: what stacks can be made from, and making one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stackctl.cli.command import command, files_option
from stackctl.cli.words import shown_path
from stackctl.core.errors import UsageError

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.stack import Template, Variable
    from stackctl.ops.authoring import TemplateEntry


@command("templates")
@click.argument("name", metavar="[NAME]", required=False)
def templates_command(session: Session, name: str | None) -> None:
    """List the templates, or show one: its variables, sidecars and data.

    Those below `sidecars/` are named in the `sidecars:` of a stack file, the others in `template:`.
    """
    from stackctl.ops.authoring import describe_template, list_templates

    if name:
        _show_one(session, describe_template(name, session.places))
        return
    entries = list_templates(session.places)
    for entry in entries:
        if entry.trouble:
            session.output.warn(str(entry.trouble))
    session.output.result([_data(entry) for entry in entries])
    if session.output.json:
        return
    rows = [
        (entry.name, entry.template.description if entry.template else "(broken)", entry.origin)
        for entry in entries
    ]
    session.output.table(("TEMPLATE", "WHAT IT IS", "FROM"), rows)
    session.output.note("next: stackctl templates NAME | stackctl new NAME --template TEMPLATE")


def _show_one(session: Session, entry: TemplateEntry) -> None:
    output, template = session.output, entry.template
    output.result(_data(entry))
    if output.json or template is None:
        return
    output.line(f"{entry.name}: {template.description}" if template.description else entry.name)
    output.line(f"from {entry.origin}, {shown_path(entry.folder)}")
    if template.variables:
        output.line()
        output.table(
            ("VARIABLE", "TYPE", "DEFAULT", "WHAT IT IS"),
            [(one.name, _type(one), _default(one), one.help) for one in template.variables.values()],
        )
    for line in _facts(template):
        output.line(line)


def _facts(template: Template) -> list[str]:
    found = []
    if template.sidecars:
        named = (f"{name} ({spec.template or spec.image})" for name, spec in template.sidecars.items())
        found.append(f"sidecars: {', '.join(named)}")
    if template.data:
        found.append(f"data: {', '.join(folder.name for folder in template.data)}, kept between runs")
    if template.sidecar:
        its = template.sidecar
        found.append(f"port: {its.port}")
        found += [f"data: {its.data}, kept between runs"] if its.data else []
        found += [f"url: {its.url}"] + ([f"carried to services by: {its.env}"] if its.env else [])
    return ["", *found] if found else []


def _type(variable: Variable) -> str:
    return " | ".join(map(_word, variable.choices)) if variable.choices else variable.type


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _default(variable: Variable) -> str:
    from stackctl.core.stacktext import required, show_default

    if required(variable):
        return "(required)"
    default = show_default(variable)
    if default is None:
        return "(generated)"
    return _word(default) or '""'


def _data(entry: TemplateEntry) -> dict[str, Any]:
    template = entry.template
    about: dict[str, Any] = {"name": entry.name, "from": entry.origin, "path": str(entry.folder)}
    if template is None:
        return {**about, "error": str(entry.trouble)}
    its = template.sidecar
    return {
        **about,
        "description": template.description,
        "variables": [_variable_data(one) for one in template.variables.values()],
        "sidecars": {name: spec.template or spec.image for name, spec in template.sidecars.items()},
        "data": [folder.name for folder in template.data],
        "sidecar": {"port": its.port, "data": its.data, "url": its.url, "env": its.env} if its else None,
    }


def _variable_data(variable: Variable) -> dict[str, Any]:
    from stackctl.core.stacktext import required, show_default

    return {
        "name": variable.name,
        "type": variable.type,
        "required": required(variable),
        "default": show_default(variable),
        "choices": list(variable.choices),
        "pattern": variable.pattern,
        "help": variable.help,
    }


@command("new")
@click.argument("name", metavar="NAME")
@click.option(
    "--template",
    default="",
    metavar="TEMPLATE",
    help="What to make it from.",
)
@files_option("Make it from this compose file instead")
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="With --from: a profile.")
@click.option("--write-allow", "allowed", is_flag=True, help="With --from: grant all that it needs.")
@click.option(
    "--set", "given", multiple=True, metavar="NAME=VALUE", help="Set a variable (sidecar.name too)."
)
@click.option("--force", is_flag=True, help="Replace the stack file that is there.")
def new_command(
    session: Session,
    name: str,
    template: str,
    files: Sequence[Path],
    profiles: Sequence[str],
    allowed: bool,
    given: Sequence[str],
    force: bool,
) -> None:
    """Write `stacks/NAME.yaml` from a template or compose files.

    It goes to the nearest `stacks/` of the checkout, else to one in the working directory. Every variable of
    a template stands in it with its default as a comment; of compose files, what policy refuses unless
    `allow:` names it.
    """
    if files:
        _check_alone(template, given)
        asked = (name, tuple(files), tuple(profiles), allowed, force)
        _new_from(session, *asked)
        return
    if profiles or allowed:
        option = "--profile" if profiles else "--write-allow"
        raise UsageError(f"{option} goes with --from", hint="`--from docker-compose.yml`")
    from stackctl.cli.values import settings
    from stackctl.ops.authoring import NewStack, new_stack

    wanted = NewStack(name=name, template=template, given=settings(given, "--set"), force=force)
    made = new_stack(
        wanted, places=session.places, configuration=session.configuration, machine=session.machine
    )
    _tell_hidden(session, name, made.hides)
    session.output.result(
        {"stack": name, "path": str(made.path), "template": made.template, "replaced": made.replaced}
    )
    session.output.line(str(shown_path(made.path)))
    session.output.note(f"next: stackctl up {name}")


def _check_alone(template: str, given: Sequence[str]) -> None:
    if template:
        raise UsageError("a stack has either a template or compose files", hint="--template or --from")
    if given:
        raise UsageError("--set goes without --from", hint="write `variables:` into the new stack file")


def _tell_hidden(session: Session, name: str, hides: Path | None) -> None:
    if hides:
        session.output.warn(f"`{name}` now means this file and no longer {shown_path(hides)}")


def _new_from(
    session: Session,
    name: str,
    files: tuple[Path, ...],
    profiles: tuple[str, ...],
    allowed: bool,
    force: bool,
) -> None:
    from stackctl.cli.choosing import compose_reader
    from stackctl.ops.writing_stacks import NewComposeStack, new_compose_stack

    made = new_compose_stack(
        NewComposeStack(name=name, files=files, profiles=profiles, allowed=allowed, force=force),
        compose_reader(session),
        places=session.places,
        configuration=session.configuration,
        machine=session.machine,
    )
    _tell_hidden(session, name, made.hides)
    needed = {service: list(words) for service, words in made.needed.items()}
    session.output.result(
        {"stack": name, "path": str(made.path), "needed": needed, "replaced": made.replaced}
    )
    session.output.line(str(shown_path(made.path)))
    left = tuple(one for one in made.problems if allowed or not one.word)
    for problem in left:
        session.output.warn(f"policy refuses it still: {problem}")
    if needed and not allowed:
        session.output.note(f"what policy refuses stands in it as a comment: {_words(needed)}")
    session.output.note(f"next: stackctl up {name}" if not needed else f"review it, then: stackctl up {name}")


def _words(needed: dict[str, list[str]]) -> str:
    return "; ".join(f"{service}: {', '.join(words)}" for service, words in needed.items())
