"""The `stackctl` group: its commands by name, each loaded only when it is run."""

from __future__ import annotations

from importlib import import_module

import click

from stackctl import __version__
from stackctl.cli.command import SharedCommand, shared_options

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("lifecycle", "Bring an environment up, or make it what its stack file says."),
    "down": ("lifecycle", "End an environment; its data stays."),
    "restart": ("lifecycle", "Restart services of an environment."),
    "with": ("tied", "Run a command with an environment that ends with it."),
    "run": ("running", "Run a command in a container of its own, as a task."),
    "batch": ("batch", "Run the tasks of a file, so many at a time."),
    "tasks": ("tasks", "List tasks; forget those that ended long ago."),
    "wait": ("tasks", "Wait until tasks have ended."),
    "cancel": ("tasks", "End tasks."),
    "inspect": ("tasks", "Show all that is known of a task."),
    "rm": ("tasks", "Forget tasks that have ended."),
    "extend": ("lifecycle", "Give an environment more lifetime."),
    "move": ("upkeep", "Take an environment's data along after its repository was moved."),
    "purge": ("upkeep", "Delete an environment's data."),
    "status": ("looking", "Show how an environment stands."),
    "ps": ("looking", "Show how an environment stands (same as status)."),
    "list": ("looking", "List every environment of this user."),
    "logs": ("inside", "Show the logs of an environment."),
    "exec": ("inside", "Run a command in a service."),
    "shell": ("inside", "Open a shell in a service."),
    "url": ("addresses", "Print where a service is reached."),
    "env": ("addresses", "Print an environment's variables for a shell, dotenv or JSON."),
    "render": ("documents", "Print the bounded compose document."),
    "bound": ("bounding", "Print a compose file as it would run, bounded."),
    "lock": ("locking", "Write down the digests of a stack's images."),
    "eject": ("ejecting", "Write a folder that runs a stack without stackctl."),
    "diff": ("documents", "Show what `up` would change in what runs."),
    "lint": ("linting", "Check a stack or compose file against the policy."),
    "limits": ("documents", "Show each limit, what it bounds and where it came from."),
    "templates": ("authoring", "List templates and their variables."),
    "new": ("authoring", "Write a new stack file."),
    "init": ("scaffolding", "Make a repository ready: a stack, targets for make, what git ignores."),
    "make": ("making", "Write `stackctl.mk`: targets for make."),
    "schema": ("schema", "Print the JSON Schema of a file, or of `--json`."),
    "supervise": ("supervising", "Watch every environment, act below the limits, end lifetimes."),
    "reap": ("reaping", "Clean up what crashes left behind; data is never deleted."),
    "adopt": ("reaping", "Take on an environment whose record was lost."),
    "incidents": ("incidents", "List what the watchdog enforced."),
    "why": ("incidents", "Tell in plain words why an environment was ended."),
    "guard": ("guarding", "Run a command of this host so that nothing outlives it; sweep orphans."),
    "doctor": ("health", "Check the engine, the host and the state directory."),
    "service": ("service", "Run the supervisor as a systemd service."),
    "self": ("own", "Update, take back, remove or look over stackctl itself."),
    "completion": ("completion", "Print the completion script for a shell."),
}

SECTIONS = {
    "Environments": ("up", "down", "restart", "with", "extend", "move", "purge"),
    "Tasks": ("run", "batch", "tasks", "wait", "cancel", "inspect", "rm"),
    "Watching": ("supervise", "reap", "adopt", "incidents", "why"),
    "Looking": ("status", "list", "logs", "exec", "shell", "url", "env"),
    "Stack files": ("render", "bound", "lock", "eject", "diff", "lint", "limits", "templates"),
    "A repository": ("init", "new", "make", "schema"),
    "This machine": ("guard", "doctor", "service", "self", "completion"),
}


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
