"""`completion`: the script that a shell loads, and the words that it then asks for at each press of TAB.

A press of TAB must feel instant: words are answered from a table, file names and records, and a command's own
module is loaded only where its options are asked for. Whatever goes wrong, the answer is no words.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from stackctl.cli.candidates import REPEATING, SHELLS, WORDS, Typed
from stackctl.cli.command import command
from stackctl.cli.main import COMMANDS, stackctl
from stackctl.core.errors import UsageError

if TYPE_CHECKING:
    from stackctl.cli.session import Session

PROGRAM = "stackctl"
VARIABLE = "_STACKCTL_COMPLETE"

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
    completer = _completer(shell, None)
    return (_BASH if shell == "bash" else completer.source_template) % completer.source_vars()


def answer(environ: Mapping[str, str], output: object = None) -> int:
    """Print the words that a shell asks for (`_STACKCTL_COMPLETE=bash_complete`); 0 whatever happens.

    Args:
        environ: Has the instruction in VARIABLE; click reads the words to complete beside it.
        output: What commands find as their `Output`.
    """
    shell = environ.get(VARIABLE, "").partition("_")[0]
    with suppress(Exception):
        click.echo(_completer(shell, output).complete())
    return 0


def _completer(shell: str, output: object) -> ShellComplete:
    base = get_completion_class(shell) or ShellComplete
    kind: type[ShellComplete] = type("Completer", (_Answers, base), {})
    return kind(stackctl, {"obj": output}, PROGRAM, VARIABLE)


def read_words(words: Sequence[str]) -> Typed:
    """Tell arguments from options and their values."""
    typed = Typed()
    for word in words:
        if typed.pending:
            typed.options[typed.pending], typed.pending = word, ""
        elif typed.ended or not word.startswith("-") or word == "-":
            typed.words.append(word)
            typed.ended = typed.ended or _takes_commands(typed.words)
        elif word == "--":
            typed.ended = True
        else:
            name, sign, value = word.partition("=")
            if sign:
                typed.options[name] = value
            elif _takes_value(name, typed.words):
                typed.pending = name
    return typed


def _takes_commands(words: Sequence[str]) -> bool:
    """Behind their first argument these commands have somebody else's words."""
    return len(words) == 2 and words[0] in ("exec", "with")


def _takes_value(option: str, words: Sequence[str]) -> bool:
    known: list[click.Parameter] = list(stackctl.params)
    if words and not any(option in one.opts for one in known):
        loaded = stackctl.get_command(click.Context(stackctl), words[0])
        known += loaded.params if loaded else []
    found = (one for one in known if option in one.opts and isinstance(one, click.Option))
    return any(not one.is_flag and not one.count for one in found)


class _Answers:
    """Answers arguments from the table, and leaves options to click."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        typed = read_words(args)
        if typed.pending or (incomplete.startswith("-") and not typed.ended):
            answers: Any = super()
            return list(answers.get_completions(args, incomplete))
        return [one for one in candidates(typed) if str(one.value).startswith(incomplete)]


def candidates(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """Every word that may stand next."""
    if not typed.words:
        return [CompletionItem(name, help=about) for name, (_, about) in COMMANDS.items()]
    name, *given = typed.words
    sources = WORDS.get(name, ())
    if len(given) < len(sources):
        return sources[len(given)](typed)
    return sources[-1](typed) if sources and name in REPEATING else ()
