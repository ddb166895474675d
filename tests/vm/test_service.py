"""The supervisor as a systemd service: it starts at boot, beats, and comes back whatever ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from guest_command import GuestCommand
from ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.vm, pytest.mark.timeout(1500)]

UNIT = "stackctl-supervisor.service"
# As installed it may freeze for a minute, which is too long for a test
SHORTER = "[Service]\nWatchdogSec=20\nTimeoutAbortSec=3\nRestartSec=1\n"


class Unit:
    """The installed unit, as systemd tells of it."""

    def __init__(self, command: GuestCommand) -> None:
        self.command = command
        self.guest = command.guest

    def shows(self, *properties: str) -> dict[str, str]:
        out = self.guest.run(f"systemctl show {UNIT} -p {','.join(properties)}").ok().out
        return dict(line.split("=", 1) for line in out.splitlines())

    def until(
        self, seconds: float, holds: Callable[[dict[str, str]], bool], *properties: str
    ) -> dict[str, str]:
        shown: dict[str, str] = {}

        def fits(_done: object) -> bool:
            shown.update(self.shows(*properties))
            return holds(shown)

        self.guest.until("true", seconds, fits)
        return shown

    def until_active(self, seconds: float = 90) -> dict[str, str]:
        return self.until(
            seconds, lambda one: one["ActiveState"] == "active", "ActiveState", "MainPID", "NRestarts"
        )

    def until_another(self, before: dict[str, str], seconds: float) -> dict[str, str]:
        """Wait for the successor of a supervisor that ended."""
        return self.until(
            seconds,
            lambda one: one["ActiveState"] == "active"
            and one["MainPID"] != before["MainPID"]
            and int(one["NRestarts"]) > int(before["NRestarts"]),
            "ActiveState", "MainPID", "NRestarts",
        )  # fmt: skip


@pytest.fixture(scope="module")
def unit(ledger: Ledger) -> Iterator[Unit]:
    """The service that watches the environment `data`, which runs."""
    ledger.bring_up()
    ledger.command("service install").ok()
    yield Unit(ledger.command)
    ledger.command("service uninstall").ok()
    assert ledger.command.guest.run(f"systemctl cat {UNIT}").code != 0


def test_it_is_what_systemd_takes_for_sound(unit: Unit) -> None:
    verified = unit.guest.run(f"systemd-analyze verify /etc/systemd/system/{UNIT}").ok()
    assert UNIT not in verified.err, verified.err
    unit.until_active()
    assert unit.shows("Type", "UnitFileState", "Restart", "WatchdogUSec") == {
        "Type": "notify",
        "UnitFileState": "enabled",
        "Restart": "always",
        "WatchdogUSec": "1min",
    }
    told = unit.command("service status --json").ok().data
    assert (told["enabled"], told["active"]) == (True, True)


def test_its_limits_stand_in_the_kernel(unit: Unit) -> None:
    group = f"/sys/fs/cgroup/system.slice/{UNIT}"
    read = unit.command.reads(group, "memory.max", "memory.swap.max", "pids.max")
    assert read == {"memory.max": str(256 * 1024 * 1024), "memory.swap.max": "0", "pids.max": "128"}
    pid = unit.until_active()["MainPID"]
    assert unit.guest.run(f"cat /proc/{pid}/oom_score_adj").ok().out.strip() == "-500"


def test_it_beats_and_says_how_it_is(unit: Unit) -> None:
    unit.until_active()
    first = int(unit.shows("WatchdogTimestampMonotonic")["WatchdogTimestampMonotonic"])
    unit.until(60, lambda one: int(one["WatchdogTimestampMonotonic"]) > first, "WatchdogTimestampMonotonic")
    assert unit.shows("StatusText")["StatusText"]
    asked = unit.command("supervise --status --json").ok().data
    assert str(asked["pid"]) == unit.shows("MainPID")["MainPID"]


def test_it_is_restarted_when_it_is_frozen(unit: Unit) -> None:
    unit.guest.put(f"/etc/systemd/system/{UNIT}.d/shorter.conf", SHORTER)
    unit.guest.run(f"systemctl daemon-reload && systemctl restart {UNIT}").ok()
    before = unit.until_active()
    unit.guest.run(f"kill -STOP {before['MainPID']}").ok()
    unit.until_another(before, 120)
    assert "Watchdog timeout" in unit.guest.run(f"journalctl -b -u {UNIT} --no-pager").ok().out


def test_it_is_restarted_when_it_runs_into_its_memory_limit(unit: Unit) -> None:
    before = unit.until_active()
    lower = f"systemctl set-property --runtime {UNIT} MemoryMax"
    gone = f"while [ -e /proc/{before['MainPID']} ]; do sleep 0.2; done"
    unit.guest.run(f"{lower}=4M; {gone}; {lower}=256M").ok()
    unit.until_another(before, 120)
    said = unit.guest.run("journalctl -b -k --no-pager | grep 'Memory cgroup out of memory'").ok().out
    assert f"Killed process {before['MainPID']} " in said


def test_after_a_reboot_it_watches_and_everything_is_told_as_it_is(unit: Unit, ledger: Ledger) -> None:
    """The environment ran when the machine went down: its containers have ended, its data stands."""
    ledger.bring_up()
    unit.guest.reboot()
    unit.until_active(120)
    assert unit.shows("NRestarts")["NRestarts"] == "0"
    command = ledger.command
    marked = unit.guest.until(
        command.line("list --json"), 120, lambda done: done.data["environments"][0]["phase"] != "running"
    )
    (listed,) = marked.data["environments"]
    running = unit.guest.run(f"docker ps -q {command.label}").ok().out.split()
    told = command.status("data")
    assert running == []
    assert told["healthy"] is False
    assert listed["phase"] == "lost"
    assert set(command.objects().values()) <= {listed["project"]}
    ledger.bring_up()
    ledger.check()
    unit.until_active()
