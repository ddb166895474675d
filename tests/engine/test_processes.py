"""Who runs in a container: from trees of files, from rows of ps, and of real containers."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stackctl.core.facts import Container, Process
from stackctl.engine.docker import DockerEngine
from stackctl.engine.processes import parse_top, processes

ID = "ab" * 32
FIRST = 100
V1 = "35 1 0:32 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
V2 = "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
Start = Callable[..., str]


class Table:
    """A process table and a container's cgroup, as files."""

    def __init__(self, root: Path, *, first: bool) -> None:
        self.root, self.proc = root, root / "proc"
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "self" / "mountinfo").write_text(V1 if first else V2)
        self.line = f"8:pids:/docker/{ID}\n" if first else f"0::/system.slice/docker-{ID}.scope\n"
        at = "pids/docker/" + ID if first else f"system.slice/docker-{ID}.scope"
        self.cgroup = root / "sys/fs/cgroup" / at
        self.cgroup.mkdir(parents=True)

    def member(self, *pids: int, below: str = "") -> None:
        folder = self.cgroup / below
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))

    def process(
        self, pid: int, *, parent: int, inside: str, command: bytes = b"x\0", extra: str = ""
    ) -> None:
        folder = self.proc / str(pid)
        folder.mkdir()
        (folder / "cgroup").write_text(self.line)
        (folder / "cmdline").write_bytes(command)
        (folder / "status").write_text(
            f"Name:\tname\nPPid:\t{parent}\n{extra}Threads:\t2\nNSpid:\t{pid}\t{inside}\n"
        )

    def read(self, most: int = 5000) -> dict[int, Process]:
        one = Container(id=ID, name="x", image="y", state="running", pid=FIRST)
        return {found.pid: found for found in processes(one, self.proc, self.root, most)}


@pytest.fixture(params=[True, False], ids=["v1", "v2"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Table:
    made = Table(tmp_path, first=request.param)
    made.member(FIRST, 101, 102)
    made.process(FIRST, parent=9, inside="1", command=b"sh\0-c\0wait\0", extra="VmRSS:\t    1024 kB\n")
    made.process(101, parent=FIRST, inside="7", command=b"pytest\0-x\0")
    made.process(102, parent=101, inside="8", command=b"")
    return made


def test_numbers_are_the_containers_own_and_parents_too(table: Table) -> None:
    found = table.read()
    assert found[FIRST] == Process(
        pid=FIRST, inside=1, parent=0, command="sh -c wait", memory=1 << 20, threads=2, name="name"
    )
    assert (found[101].inside, found[101].parent, found[101].command) == (7, 1, "pytest -x")
    assert (found[102].inside, found[102].parent, found[102].command) == (8, 7, "[name]")
    assert found[102].memory == 0


def test_one_that_vanished_is_left_out_and_shields_nobody(table: Table) -> None:
    table.member(FIRST, 101, 102, 103)
    (table.proc / "101" / "status").unlink()
    found = table.read()
    assert set(found) == {FIRST, 102}
    assert found[102].parent == 0


def test_cgroups_below_the_containers_belong_to_it(table: Table) -> None:
    table.member(103, below="inner")
    table.process(103, parent=102, inside="9")
    assert table.read()[103].parent == 8


def test_a_namespace_within_the_containers_does_not_mislead(table: Table) -> None:
    table.member(FIRST, 103)
    table.process(103, parent=FIRST, inside="9\t1")
    assert table.read()[103].inside == 9


def test_without_its_first_process_the_innermost_number_is_told(table: Table) -> None:
    table.member(101)
    assert table.read()[101].inside == 7


def test_no_more_are_looked_at_than_asked_for(table: Table) -> None:
    assert set(table.read(most=2)) == {FIRST, 101}


def test_a_command_line_is_one_line_that_cannot_move_the_cursor(table: Table) -> None:
    (table.proc / "101" / "cmdline").write_bytes(b"sh\0-c\0a\nb\x1b[2Jc\0\xff" + b"z" * 5000)
    command = table.read()[101].command
    assert command.startswith("sh -c a b [2Jc")
    assert len(command) == 300


def test_who_is_gone_or_elsewhere_has_no_processes(table: Table) -> None:
    (table.proc / str(FIRST) / "cgroup").write_text("8:pids:/docker/another\n0::/user.slice\n")
    assert table.read() == {}
    (table.proc / str(FIRST) / "cgroup").unlink()
    assert table.read() == {}


def test_children_in_the_making_are_none_of_the_dead(table: Table) -> None:
    (table.proc / "101" / "task" / "101").mkdir(parents=True)
    (table.proc / "101" / "task" / "102").mkdir()
    (table.proc / "101" / "task" / "101" / "children").write_text("104 junk ")
    (table.proc / "101" / "task" / "102" / "children").write_text("105 999 102 ")
    table.process(104, parent=101, inside="10", extra="State:\tS (sleeping)\n")
    table.process(105, parent=101, inside="11", extra="State:\tZ (zombie)\n")
    found = table.read()
    assert set(found) == {FIRST, 101, 102, 105}
    assert (found[105].command, found[105].parent) == ("[name] <defunct>", 7)
    assert set(table.read(most=3)) == {FIRST, 101, 102}


def test_rows_of_ps() -> None:
    rows = [
        ("50", "9", "1380", "1", "sh -c wait"),
        ("51", "50", "2048", "3", "pytest -x  a\tb\n"),
        ("52", "51", "0", "1", "sleep 1"),
        ("x", "51", "0", "1", "sleep 1"),
        ("53", "51", "0", "1"),
    ]
    assert parse_top(rows, 50) == (
        Process(pid=50, inside=1, parent=0, command="sh -c wait", memory=1380 << 10, threads=1),
        Process(pid=51, inside=0, parent=1, command="pytest -x a b", memory=2 << 20, threads=3),
        Process(pid=52, inside=0, parent=0, command="sleep 1", memory=0, threads=1),
    )


@pytest.mark.engine
def test_a_real_container_and_a_command_within_it(engine: DockerEngine, start: Start) -> None:
    container = start("sh", "-c", "sleep 301 & sleep 302 & wait")
    subprocess.run(["docker", "exec", "-d", container, "sleep", "303"], check=True, timeout=60)
    (one,) = engine.inspect([container])
    deadline = time.monotonic() + 20
    found = engine.processes(one)
    while "sleep 303" not in {process.command for process in found}:
        assert time.monotonic() < deadline
        found = engine.processes(one)
    by_command = {process.command: process for process in found}
    assert by_command["sh -c sleep 301 & sleep 302 & wait"].pid == one.pid
    assert by_command["sh -c sleep 301 & sleep 302 & wait"].inside == 1
    assert [by_command[f"sleep 30{n}"].parent for n in (1, 2, 3)] == [1, 1, 0]
    seen = subprocess.run(
        ["docker", "exec", container, "pidof", "sleep"], check=True, capture_output=True, text=True
    ).stdout.split()
    assert {str(by_command[f"sleep 30{n}"].inside) for n in (1, 2, 3)} == set(seen)
    assert all(process.memory > 0 and process.threads == 1 for process in found)


@pytest.mark.slow
@pytest.mark.engine
def test_hundreds_of_processes_are_told_while_they_come_and_go(engine: DockerEngine, start: Start) -> None:
    script = "for n in $(seq 400); do sleep 300 & done; echo all; while :; do sleep 0.001; done"
    container = start("sh", "-c", script, options=["--pids-limit", "1000"])
    (one,) = engine.inspect([container])
    deadline = time.monotonic() + 60
    while "all" not in engine.log_tail(container, 1):
        assert time.monotonic() < deadline

    def told() -> int:
        found = engine.processes(one)
        return sum(process.command == "sleep 300" and process.parent == 1 for process in found)

    while told() < 400:  # the last ones are still the shell that forked them
        assert time.monotonic() < deadline
    assert [told() for _ in range(20)] == [400] * 20


@pytest.mark.engine
def test_the_dead_that_nobody_waits_for_are_told(engine: DockerEngine, start: Start) -> None:
    """They count against the limit, and the kernel leaves them out of the cgroup's own list."""
    script = "for n in $(seq 30); do sleep 0.5 & done; exec sleep 300"
    (one,) = engine.inspect([start("sh", "-c", script)])
    deadline = time.monotonic() + 30
    while sum(process.command == "[sleep] <defunct>" for process in engine.processes(one)) < 30:
        assert time.monotonic() < deadline
    found = engine.processes(one)
    assert len(found) == engine.sample([one])[one.id].pids == 31
    assert {process.parent for process in found if process.inside != 1} == {1}
