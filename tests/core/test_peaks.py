"""Peaks only rise, whoever watches."""

from __future__ import annotations

from worlds import MIB, quiet, readings

from stackctl.core.world import Trail
from stackctl.ops.watch import higher


def test_peaks_are_raised_by_trails_and_never_lowered() -> None:
    trail = Trail()
    for one in readings((2.0, 9, 3 * MIB), (1.0, 4, 8 * MIB), (0.0, 2, MIB)).readings:
        trail = trail.add(one, keep=60.0)
    found = higher({}, [("web", trail)])
    assert found == {"web": {"pids": 9, "memory": 8 * MIB}}
    assert higher(found, [("web", Trail(quiet().readings, 0, 1, 1))]) == found
    both = higher(
        found, [("web", Trail((), 0, 12, 0)), ("db", Trail((), 0, 3, 5)), ("db", Trail((), 0, 2, 7))]
    )
    assert both == {"web": {"pids": 12, "memory": 8 * MIB}, "db": {"pids": 3, "memory": 7}}
