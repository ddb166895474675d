"""Looks at the state directory for `doctor`, without making it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stackctl.core.checkup_facts import Leftover, StateSight, Trouble
from stackctl.core.errors import StackctlError
from stackctl.core.records import LIVE
from stackctl.ops.doctor_engine import trouble_of, user_name

if TYPE_CHECKING:
    from stackctl.core.records import EnvironmentRecord, Lease


class Surveyed(Protocol):
    """What `doctor` asks of the state directory."""

    @property
    def identity(self) -> str: ...

    def records(self) -> Iterator[EnvironmentRecord]: ...

    def unreadable(self) -> tuple[tuple[str, str], ...]: ...

    def lease_alive(self, lease: Lease) -> bool | None: ...


def look_at_state(home: Path, open_store: Callable[[], Surveyed]) -> StateSight:
    """Everything about the state directory; whatever fails is part of the answer.

    Args:
        home: Where it is or will be.
        open_store: Opens it; called only when it is there.
    """
    if "\0" not in str(home) and not os.path.lexists(home):
        return StateSight(path=str(home), exists=False, trouble=_unmakeable(home))
    mode, owner = _status(home)
    try:
        store = open_store()
        unreadable = store.unreadable()
        records = tuple(store.records())
        leftovers = tuple(_leftovers(records, store))
    except StackctlError as error:
        return StateSight(path=str(home), mode=mode, owner=owner, trouble=trouble_of(error))
    return StateSight(
        path=str(home),
        mode=mode,
        owner=owner,
        identity=store.identity,
        generations={record.project: record.generation for record in records},
        live=tuple(record.project for record in records if record.phase in LIVE),
        unreadable=unreadable,
        leftovers=leftovers,
    )


def _unmakeable(home: Path) -> Trouble | None:
    """Why it could not be made where it is missing, None when it could."""
    above = next(path for path in home.parents if path.exists())
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return None
    return Trouble(
        "StateError",
        f"the state directory `{home}` is not there, and `{above}` lets nobody make it",
        "set `STACKCTL_HOME` to a folder of your own",
    )


def _status(home: Path) -> tuple[int | None, str]:
    try:
        found = home.lstat()
    except (OSError, ValueError):
        return None, ""
    return stat.S_IMODE(found.st_mode), user_name(found.st_uid)


def _leftovers(records: Sequence[EnvironmentRecord], store: Surveyed) -> Iterator[Leftover]:
    """Environments that need a live command, to be worked on or to be tied to, and have none."""
    for record in records:
        working = record.phase in ("starting", "stopping")
        if not working and not (record.tied and record.phase == "running"):
            continue
        if record.lease is None or store.lease_alive(record.lease) is False:
            yield Leftover(record.project, record.phase, record.lease.command if record.lease else "")
