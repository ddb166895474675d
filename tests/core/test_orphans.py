"""Orphans among literal process tables: who may be swept, and who never."""

from __future__ import annotations

from typing import Any

import pytest

from stackctl.core.orphans import HostProcess, ancestors, descendants, orphaned, over_limits, swept

ME = 1000


def process(pid: int, parent: int, **values: Any) -> HostProcess:
    plain = {
        "started": pid,
        "age": 600.0,
        "user": ME,
        "name": "pytest",
        "command": "pytest -x",
        "session": pid,
    }
    return HostProcess(pid=pid, parent=parent, **{**plain, **values})


INIT = process(1, 0, name="systemd", user=0, session=1)


def table(*processes: HostProcess, init: HostProcess = INIT) -> dict[int, HostProcess]:
    return {one.pid: one for one in (init, *processes)}


def sweep(
    known: dict[int, HostProcess], *, spare: frozenset[int] = frozenset(), older: float = 60.0
) -> set[int]:
    matches = {pid: "pytest" in one.command for pid, one in known.items()}
    return {one.pid for one in swept(known, matches, user=ME, older_than=older, spare=spare)}


@pytest.mark.parametrize("name", ["systemd", "init", "tini", "docker-init", "containerd-shim"])
def test_a_child_of_an_init_is_an_orphan(name: str) -> None:
    known = table(process(50, 1), init=process(1, 0, name=name, user=0))
    assert orphaned(known[50], known)


def test_a_child_of_a_subreaper_is_an_orphan() -> None:
    known = table(process(40, 1, name="systemd"), process(50, 40))
    assert orphaned(known[50], known)


def test_a_process_with_a_living_parent_is_none() -> None:
    known = table(process(40, 1, name="bash", command="bash"), process(50, 40))
    assert not orphaned(known[50], known)
    assert sweep(known) == set()


def test_a_parent_that_cannot_be_seen_proves_nothing() -> None:
    assert not orphaned(process(50, 77), table())


def test_children_of_an_application_that_is_process_1_are_its_own() -> None:
    app = process(1, 0, name="python3", command="python3 app.py", session=1)
    own, other, daemon = process(50, 1, session=1), process(51, 1, session=44), process(52, 1, session=52)
    known = table(own, other, daemon, init=app)
    assert [orphaned(one, known) for one in (own, other, daemon)] == [False, True, False]


def test_what_a_service_manager_started_has_an_owner() -> None:
    unit = "/system.slice/ci.service"
    main, lost = process(50, 1, unit=unit), process(60, 1, unit=unit)
    known = table(main, lost)
    assert not orphaned(main, known)
    assert orphaned(lost, known)
    scope = process(70, 1, unit="/user.slice/session-3.scope")
    assert orphaned(scope, table(scope))


def test_only_what_matches_is_old_enough_and_is_ours() -> None:
    known = table(
        process(50, 1),
        process(51, 1, command="vim notes"),
        process(52, 1, age=59.0),
        process(53, 1, user=0),
        process(54, 1, zombie=True),
    )
    assert sweep(known) == {50}


def test_descendants_of_an_orphan_go_with_it_when_they_match() -> None:
    known = table(process(50, 1), process(51, 50), process(52, 51, command="make"), process(53, 52))
    assert sweep(known) == {50, 51, 53}


def test_the_sweeper_and_its_ancestors_are_spared() -> None:
    known = table(process(50, 1), process(51, 50), process(52, 51, command="stackctl guard sweep pytest"))
    spare = ancestors(52, known)
    assert spare == {52, 51, 50, 1}
    assert sweep(known, spare=spare) == set()


def test_a_loop_in_a_torn_table_ends() -> None:
    known = {5: process(5, 6), 6: process(6, 5)}
    assert ancestors(5, known) == {5, 6}
    assert {one.pid for one in descendants([5], known)} == {6}


def test_limits_count_threads_and_resident_memory() -> None:
    members = [process(50, 1, threads=3, memory=5 << 20), process(51, 50, threads=2, memory=6 << 20)]
    known = table(*members)
    assert list(over_limits(known, members)) == []
    assert list(over_limits(known, members, pids=5, memory=11 << 20)) == []
    assert list(over_limits(known, members, pids=4)) == ["5 processes and threads, limit 4"]
    assert list(over_limits(known, members, memory=10 << 20)) == ["11 MiB of resident memory, limit 10 MiB"]
