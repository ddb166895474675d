"""The words that may stand next on a command line: names from file names and records, nothing slow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stackctl.cli.commands import OWN_ACTIONS, SERVICE_ACTIONS, SHELLS
from stackctl.state.layout import home_path

if TYPE_CHECKING:
    from stackctl.cli.typed import Typed
    from stackctl.state.glance import Glimpse


class Word(NamedTuple):
    """One word that is offered.

    Args:
        about: What it is, for shells that show it.
        kind: `plain`; `file` or `dir` where the shell itself knows what there is.
    """

    value: str
    about: str = ""
    kind: str = "plain"


def complete_stacks(typed: Typed) -> Iterable[Word]:
    """Names of the stacks that can be found from here."""
    from stackctl.ops.listing import stack_files

    return [Word(name, str(path)) for name, path in stack_files(_bases()).items()]


def complete_templates(typed: Typed) -> Iterable[Word]:
    """Names of the templates that can be found from here."""
    from stackctl.ops.listing import template_folders

    return [Word(name, str(path)) for name, path in template_folders(_bases()).items()]


def complete_stack_templates(typed: Typed) -> Iterable[Word]:
    """Templates that a stack can be made from, for options that name one."""
    return [one for one in complete_templates(typed) if "/" not in one.value]


def complete_contexts(typed: Typed) -> Iterable[Word]:
    """Docker's contexts, for the option that names one."""
    from stackctl.engine.endpoint import contexts

    found = {"default": "this machine's own engine", **contexts(os.environ)}
    return [Word(one, host) for one, host in found.items()]


def complete_environments(typed: Typed) -> Iterable[Word]:
    """Environments: by the stack's name where that means it here, by project elsewhere."""
    here = _here(typed)
    return [Word(_called(one, typed, here), f"{one.phase}, of {one.root}") for one in _environments(typed)]


def complete_either(typed: Typed) -> Iterable[Word]:
    """Environments and tasks."""
    return [*complete_environments(typed), *complete_tasks(typed)]


def complete_services_here(typed: Typed) -> Iterable[Word]:
    """Services of the environment of this folder's compose file, whose name may be left out."""
    from stackctl.ops.listing import DEFAULT_FILES

    here = str(Path.cwd().resolve())
    names = [
        name
        for one in _environments(typed)
        if one.root == here and Path(one.stack_file).name in DEFAULT_FILES
        for name in one.services
    ]
    return [Word(name) for name in dict.fromkeys(names)]


def complete_inside(typed: Typed) -> Iterable[Word]:
    """Environments, and services of the one that is this folder's."""
    return [*complete_environments(typed), *complete_services_here(typed)]


def complete_inside_either(typed: Typed) -> Iterable[Word]:
    """Environments and tasks, and services of the environment that is this folder's."""
    return [*complete_either(typed), *complete_services_here(typed)]


def complete_tasks(typed: Typed) -> Iterable[Word]:
    """Ids of the tasks that live, or ended a moment ago, those left out that were named already."""
    from stackctl.core.phases import LIVE
    from stackctl.state.glance import live_tasks

    chosen = sorted(live_tasks(_home(typed)), key=lambda one: (one.phase not in LIVE, one.project))
    return [Word(one.task, f"{one.phase}, {one.about}") for one in chosen if one.task not in typed.words[1:]]


def complete_stack_tasks(typed: Typed) -> Iterable[Word]:
    """Behind `run --in ENV`: the tasks of that environment's stack."""
    named, here = typed.options.get("--in", ""), _here(typed)
    for one in _environments(typed) if named else ():
        if named in (_called(one, typed, here), one.project):
            return [Word(name) for name in _tasks_in(Path(one.stack_file))]
    return ()


def _tasks_in(stack_file: Path) -> Iterable[str]:
    from stackctl.core.outline import keys_below

    text = stack_file.read_text(encoding="utf-8-sig")
    names = keys_below(text, "tasks")
    if names is not None:
        return names
    from stackctl.core.documents import load

    tasks: Iterable[str] = load(text, source=str(stack_file)).data.get("tasks") or ()
    return tasks


def complete_services(typed: Typed) -> Iterable[Word]:
    """Services of the environment that was named, those left out that were named already."""
    instance, here = typed.options.get("--instance", ""), _here(typed)
    for one in _environments(typed):
        if typed.words[1] == one.project or (
            typed.words[1] == one.stack and one.instance == instance and one.root in here
        ):
            return [Word(name) for name in one.services if name not in typed.words[2:]]
    return ()


def complete_task_actions(typed: Typed) -> Iterable[Word]:
    """What can be done with all tasks."""
    return [Word("prune")]


def complete_guard_actions(typed: Typed) -> Iterable[Word]:
    """What `guard` can do."""
    return [Word("run"), Word("sweep")]


def complete_shells(typed: Typed) -> Iterable[Word]:
    """The shells that there are scripts for."""
    return map(Word, SHELLS)


def complete_schemas(typed: Typed) -> Iterable[Word]:
    """What there is a schema of."""
    return map(Word, ("stack", "template", "config", "policy", "json"))


def complete_service_actions(typed: Typed) -> Iterable[Word]:
    """What can be done with the supervisor's service."""
    return map(Word, SERVICE_ACTIONS)


def complete_own_actions(typed: Typed) -> Iterable[Word]:
    """What can be done with stackctl itself."""
    return map(Word, OWN_ACTIONS)


def _home(typed: Typed) -> Path:
    """The state directory that is meant."""
    return home_path(typed.options.get("--home"), os.environ)


def _environments(typed: Typed) -> list[Glimpse]:
    from stackctl.state.glance import environments

    return environments(_home(typed))


def _called(one: Glimpse, typed: Typed, here: frozenset[str]) -> str:
    means_it = one.instance == typed.options.get("--instance", "") and one.root in here
    return one.stack if means_it else one.project


def _here(typed: Typed) -> frozenset[str]:
    """The roots whose stacks can be named from here by their own name."""
    from stackctl.ops.listing import checkout_folders

    return frozenset(map(str, (*checkout_folders(Path.cwd()), _home(typed).resolve())))


def _bases() -> tuple[Path, ...]:
    """As `Places.all`."""
    import stackctl
    from stackctl.ops.listing import checkout_folders, shipped_folder
    from stackctl.state.layout import config_folder

    package = Path(stackctl.__file__).parent
    return (*checkout_folders(Path.cwd()), config_folder(), shipped_folder(package))


Source = Callable[["Typed"], Iterable[Word]]
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
    "guard": (complete_guard_actions,),
    "doctor": (),
    "service": (complete_service_actions,),
    "self": (complete_own_actions,),
    "completion": (complete_shells,),
}
"""Command -> where the words of its arguments come from, by position."""
REPEATING = frozenset({"restart", "logs", "wait", "cancel", "rm"})
"""Commands whose last argument may stand many times."""
VALUES: Mapping[str, Source] = {
    "--context": complete_contexts,
    "--template": complete_stack_templates,
    "--in": complete_environments,
}
"""Option -> where the words of its value come from; for others see `Row`."""
