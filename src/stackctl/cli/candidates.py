"""The words that may stand next on a command line: names from file names and records, nothing slow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord

SHELLS = ("bash", "zsh", "fish")


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


def complete_contexts(incomplete: str) -> list[CompletionItem[Any]]:
    """Docker's contexts, for the option that names one."""
    names: list[CompletionItem[Any]] = []
    with suppress(Exception):
        from stackctl.engine.endpoint import contexts

        found = {"default": "this machine's own engine", **contexts(os.environ)}
        names += (CompletionItem(one, help=host) for one, host in found.items() if one.startswith(incomplete))
    return names


def complete_environments(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """Environments: by the stack's name where that means it here, by project elsewhere."""
    return [
        CompletionItem(_called(record, typed), help=f"{record.phase}, of {record.root}")
        for record in _records(typed)
    ]


def complete_either(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """Environments and tasks."""
    return [*complete_environments(typed), *complete_tasks(typed)]


def complete_services_here(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """Services of the environment of this folder's compose file, whose name may be left out."""
    from stackctl.core.composefiles import DEFAULT_FILES

    here = str(Path.cwd().resolve())
    names = [
        name
        for record in _records(typed)
        if record.root == here and Path(record.stack_file).name in DEFAULT_FILES
        for name in record.services
    ]
    return [CompletionItem(name) for name in dict.fromkeys(names)]


def complete_inside(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """Environments, and services of the one that is this folder's."""
    return [*complete_environments(typed), *complete_services_here(typed)]


def complete_inside_either(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """Environments and tasks, and services of the environment that is this folder's."""
    return [*complete_either(typed), *complete_services_here(typed)]


def complete_tasks(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """Ids of the tasks that live, or ended a moment ago, those left out that were named already."""
    from stackctl.core.records import LIVE
    from stackctl.state.home import Home
    from stackctl.state.record_files import survey
    from stackctl.state.task_files import marked

    home = Home(typed.home)
    records = survey(marked(home.live_tasks, home.tasks)).records
    chosen = sorted(records, key=lambda one: (one.phase not in LIVE, one.project))
    return [
        CompletionItem(one.task.id, help=f"{one.phase}, {one.task.name or one.task.image}")
        for one in chosen
        if one.task and one.task.id not in typed.words[1:]
    ]


def complete_stack_tasks(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """Behind `run --in ENV`: the tasks of that environment's stack."""
    from stackctl.core.documents import load
    from stackctl.ops.finding import read_text

    named = typed.options.get("--in", "")
    for record in _records(typed) if named else ():
        if named == _called(record, typed) or named == record.project:
            tasks = load(read_text(Path(record.stack_file)), source=record.stack_file).data.get("tasks")
            return [CompletionItem(name) for name in tasks or ()]
    return ()


def complete_services(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """Services of the environment that was named, those left out that were named already."""
    instance = typed.options.get("--instance", "")
    for record in _records(typed):
        if typed.words[1] == record.project or (
            typed.words[1] == record.stack and record.instance == instance and _is_here(record, typed)
        ):
            return [CompletionItem(name) for name in record.services if name not in typed.words[2:]]
    return ()


def complete_task_actions(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """What can be done with all tasks."""
    return [CompletionItem("prune")]


def complete_shells(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """The shells that there are scripts for."""
    return [CompletionItem(name) for name in SHELLS]


def complete_schemas(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """What there is a schema of."""
    return [CompletionItem(name) for name in ("stack", "template", "config", "policy", "json")]


def complete_service_actions(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """What can be done with the supervisor's service."""
    from stackctl.cli.service import ACTIONS

    return [CompletionItem(action) for action in ACTIONS]


def complete_own_actions(typed: Typed) -> Iterable[CompletionItem[Any]]:
    """What can be done with stackctl itself."""
    from stackctl.cli.own import ACTIONS

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
    "restart": (complete_inside, complete_services),
    "with": (complete_stacks,),
    "run": (complete_stack_tasks,),
    "batch": (),
    "tasks": (complete_task_actions,),
    "wait": (complete_tasks,),
    "cancel": (complete_tasks,),
    "inspect": (complete_tasks,),
    "rm": (complete_tasks,),
    "extend": (complete_environments,),
    "move": (complete_stacks,),
    "purge": (complete_environments,),
    "status": (complete_environments,),
    "ps": (complete_environments,),
    "list": (),
    "logs": (complete_inside_either, complete_services),
    "exec": (complete_inside_either, complete_services),
    "shell": (complete_inside, complete_services),
    "url": (complete_inside_either, complete_services),
    "env": (complete_environments,),
    "render": (complete_stacks,),
    "bound": (),
    "lock": (complete_stacks,),
    "eject": (complete_stacks,),
    "diff": (complete_stacks,),
    "lint": (complete_stacks,),
    "limits": (complete_stacks,),
    "templates": (complete_templates,),
    "new": (),
    "init": (),
    "make": (),
    "schema": (complete_schemas,),
    "supervise": (),
    "reap": (),
    "adopt": (),
    "incidents": (complete_environments,),
    "why": (complete_either,),
    "guard": (),
    "doctor": (),
    "service": (complete_service_actions,),
    "self": (complete_own_actions,),
    "completion": (complete_shells,),
}
"""Command -> where the words of its arguments come from, by position."""
REPEATING = frozenset({"restart", "logs", "wait", "cancel", "rm"})
"""Commands whose last argument may stand many times."""
