"""What every command says at its end: lifetimes that are over, or soon will be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackctl.cli.words import named
from stackctl.core.errors import StackctlError
from stackctl.core.records import LIVE
from stackctl.core.units import show_duration

if TYPE_CHECKING:
    from stackctl.cli.session import Session

SOON = 3600.0
"""Seconds before its end at which a lifetime is announced; half of a lifetime shorter than two hours."""


def announce(session: Session) -> None:
    """Warn of each environment whose lifetime is over or ends within the hour; only where state was read."""
    from stackctl.ops.lifetimes import time_left

    if "store" not in vars(session):
        return
    try:
        records = [
            record
            for record in session.store.recall().records
            if record.phase in LIVE and record.task is None
        ]
    except StackctlError:
        return
    for record in records:
        left = time_left(session.clock, record)
        if left <= 0:
            over = show_duration(-left)
            session.output.warn(
                f"the lifetime of `{named(record)}` is over since {over}: `stackctl down {named(record)}` "
                f"ends it, `stackctl extend {named(record)}` lets it live"
            )
        elif left < min(SOON, record.lifetime / 2):
            name = named(record)
            session.output.warn(
                f"`{name}` has {show_duration(left)} left; `stackctl extend {name}` gives more"
            )
