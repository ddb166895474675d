"""Which points the crash tests choose: each state of the world once."""

from __future__ import annotations

from points import each_state


def points(changes: int) -> list[str]:
    return [f"{number}:{side}" for number in range(1, changes + 1) for side in ("before", "after")]


def state(point: str) -> int:
    """How many changes are done there."""
    number, side = point.split(":")
    return int(number) - (side == "before")


def test_each_state_is_met_once_by_turns_after_and_before() -> None:
    chosen = each_state(points(4))
    assert [state(point) for point in chosen] == [0, 1, 2, 3, 4]
    assert chosen == ["1:before", "1:after", "3:before", "3:after", "4:after"]


def test_changes_within_a_change_are_all_met() -> None:
    assert each_state(["a:before", "b:before", "b:after", "a:after"]) == [
        "a:before",
        "b:before",
        "b:after",
        "a:after",
    ]
