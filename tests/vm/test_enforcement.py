"""On cgroup v2, under systemd and a newer engine, limits hold and readings are the kernel's own."""

from __future__ import annotations

import pytest
from guest import Guest
from guest_command import STILL, GuestCommand
from ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.vm, pytest.mark.timeout(900)]
MEBIBYTE = 1024 * 1024


def test_it_is_the_machine_that_it_is_meant_to_be(guest: Guest) -> None:
    asked = guest.run("docker info -f '{{.CgroupVersion}} {{.CgroupDriver}} {{.ServerVersion}}'; uname -r")
    version, kernel = asked.ok().out.splitlines()
    assert version.startswith("2 systemd 26.1.")
    assert "cloud-amd64" in kernel
    assert guest.run("cat /proc/1/comm; stat -fc %T /sys/fs/cgroup").ok().out.split() == [
        "systemd",
        "cgroup2fs",
    ]


def test_doctor_finds_nothing_wrong(cli: GuestCommand) -> None:
    checks = cli("doctor --json").ok().data["checks"]
    assert {check["check"]: check["message"] for check in checks if check["state"] == "failed"} == {}


def test_limits_stand_in_the_kernel(cli: GuestCommand) -> None:
    up = cli("up hello").ok()
    assert "limits proven in the kernel" in up.out
    group = cli.cgroup(cli.container("hello", "web"))
    assert cli.reads(group, "memory.max", "memory.swap.max", "pids.max", "cpu.max") == {
        "memory.max": str(64 * MEBIBYTE),
        "memory.swap.max": "0",
        "pids.max": "32",
        "cpu.max": "50000 100000",
    }
    assert cli.status("hello")["limits_verified"] == "kernel"


def test_the_kernel_enforces_them(cli: GuestCommand) -> None:
    hog = "head -c 40m /dev/zero | tail | sleep 1"
    cli.stack("tight", {"web": {"command": ["sh", "-c", STILL]}}, limits={"memory": "32m", "pids": 16})
    cli("up tight").ok()
    forks = "for i in $(seq 40); do sleep 60 & done"
    assert "can't fork" in cli(f"exec -T tight web sh -c '{forks}'").err
    group = cli.cgroup(cli.container("tight", "web"))
    cli(f"exec -T tight web sh -c '{hog}'")
    events = cli.reads(group, "memory.events", "pids.events")
    assert "oom_kill 0" not in events["memory.events"]
    assert events["pids.events"] != "max 0"


def test_readings_are_those_of_the_control_group(cli: GuestCommand) -> None:
    """Memory in use counts; what a file left in the page cache does not."""
    fill = f"head -c {20 * MEBIBYTE} /dev/zero > /tmp/used"
    read = "dd if=/dev/zero of=/big bs=1M count=60 && sync && cat /big > /dev/null"
    service = {
        "command": ["sh", "-c", f"{fill}; {read}; touch /tmp/ready; {STILL}"],
        "tmpfs": ["/tmp"],
        "healthcheck": {"test": ["CMD", "test", "-e", "/tmp/ready"], "interval": "1s", "retries": 60},
    }
    cli.stack("still", {"web": service}, limits={"memory": "200m", "pids": 32})
    cli("up still").ok()
    group = cli.cgroup(cli.container("still", "web"))
    usage = cli.status("still")["services"]["web"]["usage"]
    current = int(cli.reads(group, "memory.current")["memory.current"])
    assert current > 80 * MEBIBYTE
    assert 20 * MEBIBYTE <= usage["memory_bytes"] < 30 * MEBIBYTE
    assert 2 <= usage["pids"] <= 4


def test_rows_and_files_outlive_the_environment(ledger: Ledger) -> None:
    ledger.command("down data").ok()
    assert ledger.command.objects() == {}
    ledger.bring_up()
    ledger.check()
