"""`completion`: the script that a shell loads; what that asks for is answered by `cli/tab.py`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import FishComplete, ZshComplete

from stackctl.cli.command import command
from stackctl.cli.commands import SHELLS
from stackctl.cli.main import stackctl
from stackctl.cli.tab import VARIABLE
from stackctl.core.errors import UsageError

if TYPE_CHECKING:
    from stackctl.cli.session import Session

PROGRAM = "stackctl"

_BASH = """\
%(complete_func)s() {
    local kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o default 2> /dev/null ;;
            dir) compopt -o dirnames 2> /dev/null ;;
        esac
    done < <(
        IFS=' '
        export COMP_CWORD %(complete_var)s=bash_complete
        env COMP_WORDS="${COMP_WORDS[*]}" "$1" 2> /dev/null
    )
}
complete -o nosort -F %(complete_func)s %(prog_name)s 2> /dev/null ||
    complete -F %(complete_func)s %(prog_name)s
"""
"""Ours and not click's: it also works with bash 3.2 (macOS), and prints nothing that is no word."""


@command("completion")
@click.argument("shell", metavar="[bash|zsh|fish]", required=False)
def completion_command(session: Session, shell: str | None) -> None:
    """Print the completion script for a shell, the one in $SHELL unless named.

    bash: eval "$(stackctl completion bash)" in ~/.bashrc; zsh: the same in ~/.zshrc, after compinit;
    fish: stackctl completion fish > ~/.config/fish/completions/stackctl.fish
    """
    name = shell or Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        what = f"`{shell}` is no shell" if shell else "$SHELL names no shell"
        raise UsageError(f"{what} that can be completed for", hint=f"name one of {', '.join(SHELLS)}")
    text = script(name)
    session.output.result({"shell": name, "script": text})
    session.output.line(text.rstrip("\n"))


def script(shell: str) -> str:
    """The text that teaches a shell to complete `stackctl`."""
    completer = (FishComplete if shell == "fish" else ZshComplete)(stackctl, {}, PROGRAM, VARIABLE)
    return (_BASH if shell == "bash" else completer.source_template) % completer.source_vars()
