"""Orphans of a container among literal process tables: who is swept by its guard, and who never."""

from __future__ import annotations

from typing import Any

import pytest

from stackctl.core.facts import Process
from stackctl.core.stack import Guard
from stackctl.core.stray_processes import (
    guard_patterns,
    matched,
    orphans,
    plain_guard,
    read_guard,
    sweep_words,
)

GUARD = Guard(patterns=("pytest",), older_than=60.0)


def process(inside: int, parent: int, command: str = "pytest -x", **values: Any) -> Process:
    plain: dict[str, Any] = {
        "pid": 1000 + inside,
        "name": command.split(maxsplit=1)[0],
        "session": inside,
        "started": 50_000 + inside,
        "age": 600.0,
    }
    return Process(inside=inside, parent=parent, command=command, **{**plain, **values})


INIT = process(1, 0, "docker-init -- sh")
MAIN = process(7, 1, "sh run-pytest")


def swept(*processes: Process, first: Process = INIT, main: Process = MAIN, guard: Guard = GUARD) -> set[int]:
    return {one.inside for one in orphans((*processes, first, main), guard)}


def test_what_was_given_to_the_init_is_swept_whatever_its_session() -> None:
    assert swept(process(20, 1), process(21, 1, session=15), process(22, 1, session=7)) == {20, 21, 22}


def test_the_main_process_and_what_lives_below_it_never_is() -> None:
    assert swept(process(20, 7), process(21, 20, session=15)) == set()


def test_the_oldest_child_of_the_init_is_its_main_process_wherever_it_stands_in_the_table() -> None:
    late = process(3, 1, started=60_000)
    assert swept(late) == {3}


def test_a_main_process_that_has_ended_is_still_none_of_the_others() -> None:
    assert swept(process(20, 1), main=process(7, 1, defunct=True)) == {20}


def test_the_containers_first_process_never_is() -> None:
    assert swept(first=process(1, 0, "pytest")) == set()


def test_what_somebody_entered_the_container_with_never_is_nor_what_lives_below() -> None:
    assert swept(process(20, 0), process(21, 20), process(22, 21, session=22)) == set()


def test_a_living_owner_spares_though_it_is_an_orphan_itself() -> None:
    assert swept(process(20, 1, "make"), process(21, 20)) == set()


def test_descendants_go_with_the_orphan_when_they_match_young_ones_too() -> None:
    below = (process(21, 20, age=0.1), process(22, 21, "make"), process(23, 22))
    assert swept(process(20, 1), *below) == {20, 21, 23}


@pytest.mark.parametrize(
    "one",
    [
        process(20, 1, "vim notes"),
        process(20, 1, age=59.9),
        process(20, 1, defunct=True),
        process(20, 1, started=0),
        process(0, 1),
    ],
    ids=["another name", "too young", "defunct", "without a start time", "without a number"],
)
def test_who_is_spared(one: Process) -> None:
    assert swept(one) == set()
    assert swept(one, process(21, 1)) == {21}


def test_an_application_as_the_first_process_keeps_what_may_be_its_own() -> None:
    app = process(1, 0, "python app.py")
    own, daemon, lost = process(20, 1, session=1), process(21, 1), process(22, 1, session=15)
    unknown = process(23, 1, session=0)
    assert swept(own, daemon, lost, unknown, first=app) == {22}


@pytest.mark.parametrize("name", ["docker-init", "tini", "dumb-init", "catatonit"])
def test_an_init_that_was_lost_adopts_as_well(name: str) -> None:
    inner = process(20, 1, f"{name} -s -- make")
    table = (inner, process(21, 20, "pytest main"), process(22, 20), process(23, 22, "pytest below"))
    assert swept(*table) == {22, 23}


def test_an_init_with_a_living_owner_does_not() -> None:
    entered = process(20, 0, "tini -s -- make")
    assert swept(entered, process(21, 20), process(22, 20)) == set()
    below_main = process(30, 7, "tini -s -- make")
    assert swept(below_main, process(31, 30), process(32, 30)) == set()


def test_a_table_without_the_first_process_proves_nothing() -> None:
    assert orphans([process(20, 1), process(7, 1)], GUARD) == ()


def test_a_loop_in_a_torn_table_ends() -> None:
    torn = (process(20, 1), process(21, 22), process(22, 21), process(23, 23))
    assert swept(*torn) == {20}
    reborn = (process(20, 1), process(21, 20), process(20, 21, pid=2020))
    assert swept(*reborn) == {20, 21}


def test_patterns_are_searched_for_in_the_beginning_of_the_command() -> None:
    guard = Guard(patterns=("xdist", "^py.est"))
    assert matched(process(2, 1, "pytest -n 4"), guard) == "^py.est"
    assert matched(process(2, 1, "a pytest"), guard) == ""
    assert matched(process(2, 1, "x" * 256 + "xdist"), guard) == ""


def test_no_pattern_can_take_long_wherever_it_is_searched_for() -> None:
    assert guard_patterns(["pytest|xdist", ".*pytest.*"]) == ("pytest|xdist", ".*pytest.*")
    for pattern in ("(a+)+", ".*.*.*x", "a)(b", "(?i)x"):
        with pytest.raises(ValueError, match=r"too long|regular expression|plain groups"):
            guard_patterns(pattern)


def test_a_guard_is_read_back_from_a_record() -> None:
    guard = Guard(patterns=("pytest", "x[0-9]"), after="never", older_than=0.25)
    assert read_guard(plain_guard(guard)) == guard
    for plain in (
        {},
        {"patterns": ["a"]},
        {**plain_guard(guard), "patterns": ["("]},
        {**plain_guard(guard), "older_than": "x"},
    ):
        assert read_guard(plain) is None


def test_words_name_the_service_and_what_matched() -> None:
    guard = Guard(patterns=("pytest", "xdist"))
    many = [process(n, 1, "python xdist" if n % 2 else "pytest") for n in range(2, 216)]
    assert sweep_words("web", many, guard) == "swept 214 orphans of `web`: pytest, xdist"
    assert sweep_words("web", many[:1], guard) == "swept 1 orphan of `web`: pytest"
