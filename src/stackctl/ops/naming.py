"""Which environment a word on the command line means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from stackctl.core.errors import UnknownName
from stackctl.core.names import check_name, nearest, project_name, task_project, unique_match
from stackctl.core.records import LIVE
from stackctl.ops.finding import Places, find_stack, stack_files

if TYPE_CHECKING:
    from pathlib import Path

    from stackctl.core.records import EnvironmentRecord
    from stackctl.ops.protocols import Store

_ID = re.compile(r"(?:inst-)?[0-9a-f]{1,12}")
_LONG_ID = re.compile(r"inst-[0-9a-f]{1,12}|[0-9a-f]{6,12}")
"""What is meant as a task's id where it is nothing else."""


def environment(word: str, instance: str, places: Places, store: Store) -> EnvironmentRecord:
    """The environment that a stack's name (of this checkout) or a project's name means, with its record.

    Args:
        word: A stack's name, a project name, or a unique beginning of a project name.
        instance: Name of the instance, empty for the first.

    Raises:
        UnknownName: It means nothing, more than one thing, or a stack of which there is no environment.
        StateError: Its record cannot be read.
    """
    if instance:
        check_name(instance, "instance")
    records = [record for record in store.records() if record.task is None]
    here = _in_this_checkout(word, instance, places, records)
    if here is not None:
        return here
    if not instance and (found := task_named(word, store)):
        return found
    match = unique_match(word, [record.project for record in records]) if not instance else None
    if match and (match == word or "-" in word):
        return next(record for record in records if record.project == match)
    _refuse_unreadable({word, *_projects_here(word, instance, places)}, store)
    raise _unknown(word, instance, places, records)


def environment_of_folder(places: Places, instance: str, store: Store) -> EnvironmentRecord:
    """The environment of the compose files that Compose would read in the working directory.

    It may be that of a stack that has exactly these files; one that is up comes before one that is not.

    Raises:
        UnknownName: There is no compose file, it is not up, or it is up in several ways.
        StateError: A record cannot be read.
    """
    from stackctl.ops.composing import default_files, sources_from_files

    files = default_files(places.checkout[0])
    if not files:
        raise UnknownName(
            "no name was given, and there is no compose file in this folder",
            hint="`stackctl list` shows every environment",
        )
    if instance:
        check_name(instance, "instance")
    found = sources_from_files(files).found
    own = store.read(project_name(found.name, found.root, instance))
    every = {one.project: one for one in (own, *_of_stacks(files, instance, places, store)) if one}
    chosen = [one for one in every.values() if one.phase in LIVE] or list(every.values())
    if len(chosen) > 1:
        listed = ", ".join(f"`{record.project}`" for record in chosen)
        raise UnknownName(f"this folder's compose file has several environments: {listed}", hint="name one")
    if not chosen:
        named = f"`{found.name}`" + (f" (instance `{instance}`)" if instance else "")
        raise UnknownName(
            f"the compose file of this folder is not up as {named}", hint="start it with `stackctl up`"
        )
    return chosen[0]


def _of_stacks(
    files: Sequence[Path], instance: str, places: Places, store: Store
) -> Iterator[EnvironmentRecord]:
    """The environments of the stacks that have exactly these compose files."""
    from stackctl.ops.linting import stacks_of_files

    records = [record for record in store.records() if record.task is None]
    for name in stacks_of_files(files, places):
        record = _in_this_checkout(name, instance, places, records)
        if record is not None:
            yield record


def aimed(
    words: Sequence[str],
    instance: str,
    places: Places,
    store: Store,
    *,
    belongs: Callable[[EnvironmentRecord, str], bool],
) -> tuple[EnvironmentRecord, tuple[str, ...]]:
    """The environment that a command means, and the words that are left for it.

    The first word names it; without a word, or where the first belongs to the environment of this folder's
    compose file and is nothing's own name, that environment is meant.

    Args:
        belongs: Whether a word is something of an environment, such as a service.

    Raises:
        UnknownName, StateError: As `environment` and `environment_of_folder`.
    """
    if not words:
        return environment_of_folder(places, instance, store), ()
    if not _is_name(words[0], instance, places, store):
        try:
            here = environment_of_folder(places, instance, store)
        except UnknownName:
            here = None
        if here is not None and belongs(here, words[0]):
            return here, tuple(words)
    return environment(words[0], instance, places, store), tuple(words[1:])


def _is_name(word: str, instance: str, places: Places, store: Store) -> bool:
    """Whether something that is there is called exactly so."""
    records = tuple(store.records())
    named = {name for one in records if one.task for name in (one.project, one.task.id, one.task.name)}
    environments = [one for one in records if one.task is None]
    here = _in_this_checkout(word, instance, places, environments)
    return here is not None or word in named or word in {one.project for one in environments}


def has_service(record: EnvironmentRecord, word: str) -> bool:
    """Whether a word is a service of an environment."""
    return word in record.services


def task_named(word: str, store: Store) -> EnvironmentRecord | None:
    """The task whose id is a word, begins with it, or that is called so and lives; None when there is none.

    Raises:
        UnknownName: The ids of several begin with it, or several that live are called so.
        StateError: Its record cannot be read.
    """
    task = unique_match(word.removeprefix("inst-"), store.task_ids(), "task") if _ID.fullmatch(word) else None
    if task:
        record = store.read(task_project(task))
        if record is not None:
            return record
    called = [one for one in store.records() if one.task and one.task.name == word]
    if len(called) > 1:
        listed = ", ".join(one.title for one in called)
        raise UnknownName(f"several tasks are called `{word}`", hint=f"name one by its id: {listed}")
    return called[0] if called else None


def task(word: str, store: Store) -> EnvironmentRecord:
    """The task that a word means.

    Raises:
        UnknownName: It means none, or several.
        StateError: Its record cannot be read.
    """
    found = task_named(word, store)
    if found is None:
        raise UnknownName(f"there is no task `{word}`", hint="`stackctl tasks --all` shows every one")
    return found


def _in_this_checkout(
    word: str, instance: str, places: Places, records: Sequence[EnvironmentRecord]
) -> EnvironmentRecord | None:
    """By its stack here, also when the stack's file is gone."""
    by_project = {record.project: record for record in records}
    for project in _projects_here(word, instance, places):
        if project in by_project:
            return by_project[project]
    return None


def _projects_here(word: str, instance: str, places: Places) -> list[str]:
    """The project names that a stack of this name can have here."""
    roots = [str(path) for path in (*places.checkout, places.home.resolve())]
    return [project_name(word, root, instance) for root in roots]


def _refuse_unreadable(projects: set[str], store: Store) -> None:
    """Raise what is wrong with the record of one of these environments, where it cannot be read."""
    for project, _ in store.unreadable():
        if project in projects:
            store.read(project)


def _unknown(word: str, instance: str, places: Places, records: Sequence[EnvironmentRecord]) -> UnknownName:
    named = f"`{word}`" + (f" (instance `{instance}`)" if instance else "")
    elsewhere = [record for record in records if record.stack == word]
    if elsewhere:
        listed = ", ".join(f"`{record.project}` of {record.root}" for record in elsewhere)
        return UnknownName(f"there is no environment {named} in this checkout", hint=f"there is {listed}")
    if word in stack_files(places) and not instance:
        return UnknownName(f"the stack {named} is not up", hint=f"start it with `stackctl up {word}`")
    near = nearest(word, [*stack_files(places), *(record.project for record in records)])
    if near:
        return UnknownName(f"there is no environment {named}", hint=f"did you mean {' or '.join(near)}?")
    if _LONG_ID.fullmatch(word) and not instance:
        return UnknownName(f"there is no task {named}", hint="`stackctl tasks --all` shows every one")
    try:
        find_stack(word, places)
    except UnknownName as error:
        more = "" if instance else "; `stackctl tasks --all` shows every task"
        nor = "" if instance else ", and no task of that name"
        return UnknownName(f"there is no stack `{word}`{nor}", hint=f"{error.hint}{more}")
    return UnknownName(f"there is no environment {named}", hint="`stackctl list` shows every one")


def moved_environments(stack: str, records: Sequence[EnvironmentRecord]) -> list[EnvironmentRecord]:
    """Environments of that stack whose checkout is gone: the repository may have been moved."""
    from pathlib import Path

    return [record for record in records if record.stack == stack and not Path(record.root).is_dir()]


def known_service(record: EnvironmentRecord, service: str) -> str:
    """The name of a service of an environment.

    Raises:
        UnknownName: It has no such service; the hint has those that it has.
    """
    if service in record.services:
        return service
    known = ", ".join(sorted(record.services))
    raise UnknownName(f"`{record.stack}` has no service `{service}`", hint=f"it has {known}")
