"""Whether what was asked for is what the engine wrote down and what the kernel enforces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stackctl.core.units import format_size

if TYPE_CHECKING:
    from stackctl.core.facts import AppliedLimits
    from stackctl.core.records import ServiceRecord

UNLIMITED = -1
# the kernel rounds memory limits down to whole pages; 64 KiB is the largest page of any Linux
_PAGE = 64 << 10
_CPU = 0.01
_NAMES = ("pids", "memory", "swap", "cpus")


def unenforced(
    asked: ServiceRecord, engine: AppliedLimits, kernel: AppliedLimits | None = None
) -> tuple[str, ...]:
    """Say what of the limits asked for one service is not in force.

    A stricter limit than was asked differs as well: somebody changed it behind our back.

    Args:
        asked: What the record says.
        engine: What the container's HostConfig says.
        kernel: What its cgroup says; None where it cannot be reached or nothing runs. A limit that the
            cgroup does not show counts as not in force.

    Returns:
        One sentence for each limit and place that differs; empty when all are in force.
    """
    return (*_differences(asked, engine, "the engine"), *_differences(asked, kernel, "the kernel"))


def _differences(asked: ServiceRecord, applied: AppliedLimits | None, who: str) -> Iterator[str]:
    for name in _NAMES if applied else ():
        wanted, found = getattr(asked, name), getattr(applied, name)
        if found is None:
            yield f"{name} {_show(name, wanted)} was asked for and {who} shows no such limit"
        elif not _same(name, wanted, found):
            yield f"{name} {_show(name, wanted)} was asked for and {who} enforces {_show(name, found)}"


def _same(name: str, wanted: float, found: float) -> bool:
    if found < 0:
        return False
    if name == "cpus":
        return abs(wanted - found) < _CPU
    if name == "pids":
        return wanted == found
    return 0 <= wanted - found < _PAGE


def _show(name: str, value: float) -> str:
    if value == UNLIMITED:
        return "no limit"
    return format_size(int(value)) if name in ("memory", "swap") else f"{value:g}"
