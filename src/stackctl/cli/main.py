"""The `stackctl` group: its commands by name, each loaded only when it is run."""

from __future__ import annotations

from importlib import import_module

import click

from stackctl import __version__
from stackctl.cli.command import SharedCommand, shared_options
from stackctl.cli.commands import COMMANDS, SECTIONS


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command; None for a word that is none."""
        if cmd_name not in COMMANDS:
            return None
        name = "status" if cmd_name == "ps" else cmd_name
        module = import_module(f"stackctl.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from stackctl.core.names import nearest

            near = nearest(args[0], COMMANDS)
            meant = f": did you mean `{near[0]}`?" if near else ""
            raise click.UsageError(f"No such command `{args[0]}`{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in sections without loading any."""
        for section, names in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, COMMANDS[name][1]) for name in names])


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"stackctl {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `stackctl up hello`. Exit codes: 0 done, 1 failed, 2 usage or stack file, 3 policy, "
    "4 docker missing or down, 5 docker refused, 6 timed out, 7 busy, 70 bug, 130 interrupted, "
    "143 terminated.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Print the version and leave.",
)
@shared_options
def stackctl() -> None:
    """Dev stacks on Docker: rendered, bounded, watched, and cleaned up after a crash."""


__all__ = ["COMMANDS", "SECTIONS", "SharedCommand", "stackctl"]
