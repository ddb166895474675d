"""Which of the points that a command passes it has to be killed at, to meet every state of the world."""

from __future__ import annotations

from collections.abc import Iterable


def each_state(points: Iterable[str]) -> list[str]:
    """One point for each state that the changes of a command leave.

    Between the point after one change and the point before the next nothing is changed, so one of the two
    will do: by turns the one after and the one before.

    Args:
        points: `NAME#NUMBER:before` and `NAME#NUMBER:after`, in the order in which they are passed.
    """
    kept: list[str] = []
    pairs = 0
    for point in points:
        if kept and kept[-1].endswith(":after") and point.endswith(":before"):
            pairs += 1
            if pairs % 2:
                continue
            kept.pop()
        kept.append(point)
    return kept
