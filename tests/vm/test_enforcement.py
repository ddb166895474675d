"""On cgroup v2, under systemd and a newer engine, limits hold and readings are the kernel's own."""

from __future__ import annotations

import pytest
from guest import Done, Guest
from guest_command import STILL, GuestCommand
from ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.vm, pytest.mark.timeout(1500)]
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
    """Asked again where the host left the guest no time to answer in time."""

    def failed(done: Done) -> dict[str, str]:
        return {one["check"]: one["message"] for one in done.data["checks"] if one["state"] == "failed"}

    cli.guest.until(cli.line("doctor --json"), 240, lambda done: failed(done) == {}).ok()


def test_limits_stand_in_the_kernel(cli: GuestCommand) -> None:
    up = cli.up("hello")
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
    cli.stack("tight", {"web": {"command": ["sh", "-c", STILL]}}, limits={"memory": "32m", "pids": 16})
    cli.up("tight")
    inside = f"docker exec {cli.container('tight', 'web')}"
    group = cli.cgroup(cli.container("tight", "web"))
    hog = """awk 'BEGIN { text = "xxxxxxxx"; while (1) text = text text }'"""
    assert cli.guest.run(f"{inside} {hog}").code == 137
    forks = "for i in $(seq 40); do sleep 60 > /dev/null 2>&1 & done"
    assert "can't fork" in cli.guest.run(f"{inside} sh -c '{forks}'").err
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
    cli.up("still")
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
