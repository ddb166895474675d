"""A process is dead only when something proves it."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stackctl.core.records import Lease
from stackctl.state.clock import SystemClock
from stackctl.state.leases import alive, boot_id, lease, parse_stat

UNUSED = 4_194_304 + 7
"""Above the largest pid that a kernel gives out (proc(5), pid_max)."""


def fake(root: Path, *, boot: str = "this-boot", namespace: str = "pid:[1]", stat: str | None = None) -> Path:
    (root / "sys/kernel/random").mkdir(parents=True)
    (root / "sys/kernel/random/boot_id").write_text(f"{boot}\n")
    (root / "self/ns").mkdir(parents=True)
    (root / "self/ns/pid").symlink_to(namespace)
    if stat is not None:
        (root / str(UNUSED)).mkdir()
        (root / str(UNUSED) / "stat").write_text(stat)
    return root


def stat_line(state: str = "S", started: int = 500, name: str = "python3") -> str:
    behind = " ".join(["1"] * 18)
    return f"{UNUSED} ({name}) {state} {behind} {started} 123 456\n"


OWNER = Lease(boot="this-boot", pid=UNUSED, started=500, namespace="pid:[1]")


@pytest.mark.parametrize(
    ("stat", "expected"),
    [
        (stat_line(), True),
        (stat_line("R"), True),
        (stat_line("D"), True),
        (stat_line("T"), True),
        (stat_line(name="a) Z 1 (b"), True),
        (stat_line("Z"), False),
        (stat_line("X"), False),
        (stat_line(started=501), False),
        (None, False),
        ("", None),
        ("garbage", None),
        (f"{UNUSED} (python3) S 1 1", None),
    ],
)
def test_what_a_stat_file_proves(tmp_path: Path, stat: str | None, expected: bool | None) -> None:
    assert alive(OWNER, proc=fake(tmp_path / "proc", stat=stat)) is expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"boot": "another-boot"}, False),
        ({"boot": "another-boot", "namespace": "pid:[2]"}, False),
        ({"namespace": "pid:[2]"}, None),
        ({"namespace": ""}, True),
        ({"boot": ""}, None),
        ({"started": 0}, None),
        ({"pid": 0}, None),
        ({"pid": -1}, None),
        ({"pid": 10**30}, False),
    ],
)
def test_what_a_lease_proves(tmp_path: Path, change: dict[str, object], expected: bool | None) -> None:
    proc = fake(tmp_path / "proc", stat=stat_line())
    assert alive(replace(OWNER, **change), proc=proc) is expected


def test_without_a_process_table_nothing_is_proven(tmp_path: Path) -> None:
    assert alive(OWNER, proc=tmp_path) is None
    hidden = fake(tmp_path / "proc")
    assert alive(replace(OWNER, pid=os.getpid()), proc=hidden) is None
    (hidden / "self/ns/pid").unlink()
    (hidden / "self/ns").rmdir()
    (hidden / "self").rmdir()
    assert alive(replace(OWNER, namespace=""), proc=hidden) is None


def test_an_unreadable_stat_file_proves_nothing(tmp_path: Path) -> None:
    proc = fake(tmp_path / "proc")
    (proc / str(UNUSED) / "stat").mkdir(parents=True)
    assert alive(OWNER, proc=proc) is None


def test_this_process_lives() -> None:
    mine = lease("stackctl up")
    assert (mine.pid, mine.boot, mine.command) == (os.getpid(), boot_id(), "stackctl up")
    assert mine.started > 0
    assert alive(mine) is True
    assert alive(replace(mine, started=mine.started + 1)) is False


def test_a_zombie_and_then_nothing_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        stat = parse_stat(Path(f"/proc/{child.pid}/stat").read_text())
        owner = replace(lease(""), pid=child.pid, started=stat.started)
        assert alive(owner) is True
        child.stdin.close()
        deadline = time.monotonic() + 30
        while parse_stat(Path(f"/proc/{child.pid}/stat").read_text()).state != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(child.pid, 0)
        assert alive(owner) is False
    finally:
        child.wait()
    assert alive(owner) is False


def test_the_process_of_another_user_can_be_seen(as_nobody) -> None:
    script = f"""
from stackctl.core.records import Lease
from stackctl.state.leases import alive
print(alive({lease("root")!r}))
"""
    assert as_nobody(script).stdout == "True\n"


def test_the_clock_reads_all_three_and_sleeps() -> None:
    clock = SystemClock()
    before = clock.now()
    clock.sleep(0.02)
    clock.sleep(-1)
    after = clock.now()
    assert before.boot == boot_id()
    assert 0.02 <= after.boottime - before.boottime < 10
    assert abs(after.wall - time.time()) < 10
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert abs(after.boottime - uptime) < 10
