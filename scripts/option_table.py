"""The options of every command as completion reads them, `src/stackctl/cli/options.json`, from click."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from stackctl.cli.main import COMMANDS, stackctl
from stackctl.cli.typed import TABLE as PATH
from stackctl.cli.typed import Row

__all__ = ["PATH", "text"]
SHARED = [one for one in stackctl.params if one.name != "version"]


def text() -> str:
    """The table, a line for each option, so that changes of several people do not meet."""
    commands = dict(tables())
    lines = [f'{{"shared": {listed(SHARED)},', '"commands": {']
    lines += [f"{json.dumps(path)}: {entry}," for path, entry in commands.items()]
    return "\n".join(lines).rstrip(",") + "}}\n"


def tables() -> Iterator[tuple[str, str]]:
    group = click.Context(stackctl, info_name="stackctl", **stackctl.context_settings)
    yield "", entry(stackctl, group)
    for name in COMMANDS:
        command = stackctl.get_command(group, name)
        assert command is not None
        yield from below(name, command, group)


def below(path: str, command: click.Command, parent: click.Context) -> Iterator[tuple[str, str]]:
    context = click.Context(command, info_name=path, parent=parent, **command.context_settings)
    yield path, entry(command, context)
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from below(f"{path} {name}", one, context)


def entry(command: click.Command, context: click.Context) -> str:
    options = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    names = [one.name for one in SHARED]
    shared = [one.name for one in options[: len(SHARED)]] == names
    runs = not context.allow_interspersed_args and not isinstance(command, click.Group)
    head = f'"runs": {json.dumps(runs)}, "shared": {json.dumps(shared)}'
    return f'{{{head}, "options": {listed(options[len(SHARED) :] if shared else options)}}}'


def listed(options: list[click.Parameter]) -> str:
    rows = [json.dumps(row(one), ensure_ascii=False) for one in options if isinstance(one, click.Option)]
    return "[\n" + ",\n".join(rows) + "]"


def row(option: click.Option) -> Row:
    made: dict[str, Any] = {"names": [*option.opts, *option.secondary_opts], "for": option.name}
    if not option.is_flag and not option.count:
        made["value"] = value(option.type)
    made |= {"hidden": True} if option.hidden else {}
    made |= {"again": True} if option.multiple else {}
    return made | {"help": option.help or ""}


def value(kind: click.ParamType) -> str | list[str]:
    if isinstance(kind, click.Choice):
        return [str(one) for one in kind.choices]
    if isinstance(kind, click.Path):
        return "dir" if kind.dir_okay and not kind.file_okay else "file"
    return ""
