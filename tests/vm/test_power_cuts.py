"""The power is cut at random moments: nothing that was safe is lost, nothing is forgotten, nothing leaked."""

from __future__ import annotations

import os
import random
import shlex
from typing import Any

import pytest
from guest import Guest, say
from guest_command import STILL, GuestCommand
from ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.vm, pytest.mark.timeout(1500)]

SEED = int(os.environ.get("STACKCTL_VM_SEED") or random.SystemRandom().randrange(1 << 32))
# What ran when the host went down is marked as lost, and its containers wait for `up` or `down`
MAY_HAVE_OBJECTS = ("starting", "running", "stopping", "lost")
# A process for each `extend` would spend nearly all of its time on starting
EXTEND = """
import contextlib, sys
from stackctl.__main__ import main
sys.argv = ["stackctl", "--quiet", "extend", "data", "2h"]
while True:
    with contextlib.suppress(SystemExit):
        main()
"""


def cut(ledger: Ledger, command: str, between: tuple[float, float], name: str) -> None:
    """Start a command, cut the power a random time later, boot again.

    Args:
        between: The earliest and the latest moment, in seconds of the guest's own clock.
        name: What is cut, in words; the moment depends on it and on the seed.
    """
    moment = random.Random(f"{SEED} {name}").uniform(*between)
    say(f"cutting the power {moment:.2f} s into {name}; STACKCTL_VM_SEED={SEED} does so again")
    guest = ledger.command.guest
    with ledger.growing(), guest.running(command):
        guest.run(f"sleep {moment}").ok()
        guest.power_cut()
    guest.boot()


def listed(command: GuestCommand) -> dict[str, dict[str, Any]]:
    """Project -> what `list` says of it; every folder of an environment is spoken of."""
    told = command("list --json").ok()
    records = {one["project"]: one for one in told.data["environments"]}
    folders = command.guest.run(f"cd {command.home}/environments && ls").ok().out.split()
    silent = [folder for folder in folders if folder not in records and folder not in told.out]
    bare = [folder for folder in silent if not has_record(command, folder)]
    assert silent == bare, f"nothing is said of {silent}"
    return records


def has_record(command: GuestCommand, project: str) -> bool:
    return command.guest.run(f"test -e {command.home}/environments/{project}/record.json").code == 0


def check(ledger: Ledger) -> None:
    """Every record is readable, nothing is forgotten, and after `reap` nothing is leaked or left to do."""
    command = ledger.command
    records = listed(command)
    assert "data" in {one["stack"] for one in records.values()}
    assert set(command.objects().values()) <= set(records), "a container or network without a record"
    command("reap").ok()
    again = command("reap --json").ok().data
    assert (again["done"], again["planned"]) == ([], [])
    left = set(command.objects().values())
    phases = {project: one["phase"] for project, one in listed(command).items() if project in left}
    assert set(phases.values()) <= set(MAY_HAVE_OBJECTS), f"something is left of what has ended: {phases}"
    ledger.bring_up()
    ledger.check()


@pytest.fixture
def victim(ledger: Ledger) -> GuestCommand:
    """The environment `data` runs; a stack `other` is there to be brought up."""
    ledger.bring_up()
    ledger.command.stack(
        "other", {"web": {"command": ["sh", "-c", STILL]}, "job": {"command": ["sh", "-c", STILL]}}
    )
    return ledger.command


def test_during_up(ledger: Ledger, victim: GuestCommand) -> None:
    cut(ledger, victim.line("up other"), (0.2, 7), "up")
    check(ledger)


def test_during_writes_of_a_record(ledger: Ledger, victim: GuestCommand) -> None:
    victim.guest.put("/srv/extend.py", EXTEND)
    own = f"cd {victim.checkout} && STACKCTL_HOME={victim.home} /opt/stackctl/bin/python /srv/extend.py"
    cut(ledger, own, (1.5, 4), "writes of a record")
    check(ledger)


def test_during_a_reap(ledger: Ledger, victim: GuestCommand) -> None:
    killed_up(victim)
    cut(ledger, victim.line("reap"), (0.3, 4), "reap")
    check(ledger)


def killed_up(command: GuestCommand) -> None:
    """Leave behind what an `up` does that is killed as soon as a container of it is there."""
    seen = f"docker ps -aq {command.label} --filter name=^other- | grep -q ."
    guest: Guest = command.guest
    guest.run(f"{command.line('down other')} || true")
    script = (
        f"setsid sh -c '{command.line('up other')}' & until {seen}; do sleep 0.1; done; kill -9 -- -$!; wait"
    )
    guest.run(f"timeout 120 bash -c {shlex.quote(script)}")
    guest.until(seen, 5)
