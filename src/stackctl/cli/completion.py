"""`completion`: the script that a shell loads, and the words that it then asks for at each press of TAB.

A press of TAB must feel instant: words are answered from a table, file names and records, and a command's own
module is loaded only where its options are asked for. Whatever goes wrong, the answer is no words.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from stackctl.cli.command import command
from stackctl.cli.main import COMMANDS, stackctl
from stackctl.core.errors import UsageError

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.records import EnvironmentRecord

PROGRAM = "stackctl"
VARIABLE = "_STACKCTL_COMPLETE"
SHELLS = ("bash", "zsh", "fish")

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


@dataclass(slots=True)
class Typed:
    """What stands on the command line before the word to complete.

    Args:
        words: The command and its arguments, options left out.
        options: Option as typed -> its value.
        pending: The option whose value is to be completed, empty for none.
        ended: True behind a `--`.
    """

    words: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    pending: str = ""
    ended: bool = False

    @property
    def home(self) -> Path:
        """The state directory that is meant."""
        from stackctl.state.home import home_path

        return home_path(self.options.get("--home"), os.environ)


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


def complete_stacks(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """Names of the stacks that can be found from here."""
    from stackctl.ops.finding import stack_files

    return [CompletionItem(name, help=str(path)) for name, path in stack_files(_places(typed)).items()]


def complete_templates(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """Names of the templates that can be found from here."""
    from stackctl.ops.finding import template_names

    return [CompletionItem(name, help=str(path)) for name, path in template_names(_places(typed)).items()]


def complete_stack_templates(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem[Any]]:
    """Templates that a stack can be made from, for options that name one."""
    names: list[CompletionItem[Any]] = []
    with suppress(Exception):
        found = complete_templates(Typed())
        names += (one for one in found if "/" not in one.value and one.value.startswith(incomplete))
    return names


def complete_environments(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """Environments: by the stack's name where that means it here, by project elsewhere."""
    return [
        CompletionItem(_called(record, typed), help=f"{record.phase}, of {record.root}")
        for record in _records(typed)
    ]


def complete_services(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """Services of the environment that was named, those left out that were named already."""
    instance = typed.options.get("--instance", "")
    for record in _records(typed):
        if typed.words[1] == record.project or (
            typed.words[1] == record.stack and record.instance == instance and _is_here(record, typed)
        ):
            return [CompletionItem(name) for name in record.services if name not in typed.words[2:]]
    return ()


def complete_shells(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """The shells that there are scripts for."""
    return [CompletionItem(name) for name in SHELLS]


def complete_service_actions(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """What can be done with the supervisor's service."""
    from stackctl.cli.service import ACTIONS

    return [CompletionItem(action) for action in ACTIONS]


def _records(typed: Typed) -> tuple[EnvironmentRecord, ...]:
    from stackctl.state.home import Home
    from stackctl.state.record_files import environment_folders, survey

    return survey(environment_folders(Home(typed.home).environments)).records


def _called(record: EnvironmentRecord, typed: Typed) -> str:
    instance = typed.options.get("--instance", "")
    here = record.instance == instance and _is_here(record, typed)
    return record.stack if here else record.project


def _is_here(record: EnvironmentRecord, typed: Typed) -> bool:
    from stackctl.ops.finding import checkout_folders

    roots = {str(path) for path in checkout_folders(Path.cwd())} | {str(typed.home.resolve())}
    return record.root in roots


def _places(typed: Typed) -> Any:
    import stackctl as package
    from stackctl.ops.finding import Places, checkout_folders, shipped_folder
    from stackctl.state.home import config_folder

    return Places(
        checkout=checkout_folders(Path.cwd()),
        configured=config_folder(),
        shipped=shipped_folder(Path(package.__file__).parent),
        home=typed.home,
    )


Source = Callable[[Typed], "Iterable[CompletionItem[Any]]"]
WORDS: Mapping[str, tuple[Source, ...]] = {
    "up": (complete_stacks,),
    "down": (complete_environments,),
    "restart": (complete_environments, complete_services),
    "with": (complete_stacks,),
    "batch": (),
    "extend": (complete_environments,),
    "move": (complete_stacks,),
    "purge": (complete_environments,),
    "status": (complete_environments,),
    "ps": (complete_environments,),
    "list": (),
    "logs": (complete_environments, complete_services),
    "exec": (complete_environments, complete_services),
    "shell": (complete_environments, complete_services),
    "url": (complete_environments, complete_services),
    "env": (complete_environments,),
    "render": (complete_stacks,),
    "diff": (complete_stacks,),
    "lint": (complete_stacks,),
    "limits": (complete_stacks,),
    "templates": (complete_templates,),
    "new": (),
    "init": (),
    "supervise": (),
    "reap": (),
    "adopt": (),
    "incidents": (complete_environments,),
    "why": (complete_environments,),
    "guard": (),
    "doctor": (),
    "service": (complete_service_actions,),
    "completion": (complete_shells,),
}
"""Command -> where the words of its arguments come from, by position."""
REPEATING = frozenset({"restart", "logs"})
"""Commands whose last argument may stand many times."""
