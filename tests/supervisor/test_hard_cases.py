"""What must be ended is ended also when the disk is full, a lock is held, or the last write failed."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from commandline import Cli
from house import QUIET, clear, docker, end_process, journal, new_cli
from waiting import until

from stackctl.state.home import open_home
from stackctl.state.store import FileStore

pytestmark = [pytest.mark.engine, pytest.mark.slow]

HOG = """
import subprocess, time
END = time.time() + 60
while time.time() < END:
    try: subprocess.Popen(["sleep", "60"])
    except OSError: time.sleep(0.2)
    time.sleep(0.01)
"""


def quiet_stack(cli: Cli, name: str = "app", settings: str = "", **service: object) -> None:
    one = {"image": "busybox:1.35", "init": True, "command": ["sh", "-c", QUIET], **service}
    cli.template(name, json.dumps({"services": {"web": one}}))
    cli.stack(name, f"template: {name}\n{settings}")


def hog(**service: object) -> dict[str, object]:
    return {"image": "python:3.11", "init": True, "command": ["python3", "-c", HOG], **service}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Cli]:
    """A command line whose state directory is a file system of 2 MiB."""
    cli = new_cli(tmp_path)
    cli.home.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "none", str(cli.home)], check=True)
    try:
        yield cli
        (cli.home / "fill").unlink(missing_ok=True)
        clear(cli)
    finally:
        subprocess.run(["umount", "-l", str(cli.home)], check=True)


def fill(cli: Cli) -> None:
    with (cli.home / "fill").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            with suppress(OSError):
                while file.write(b"x" * size) == size:
                    pass


def test_on_a_full_disk_a_lifetime_still_ends(small_disk: Cli) -> None:
    cli = small_disk
    quiet_stack(cli)
    cli("up", "app", "--lifetime", "1s").ok()
    fill(cli)
    time.sleep(1)
    done = cli("supervise", "--once")
    assert cli.containers() == (), done.err
    assert "No space left" in done.err or "full" in done.err
    (cli.home / "fill").unlink()
    cli("supervise", "--once").ok()
    (record,) = FileStore(open_home(cli.home)).records()
    assert record.phase in ("lost", "expired")


def test_on_a_full_disk_down_still_ends(small_disk: Cli) -> None:
    cli = small_disk
    quiet_stack(cli)
    cli("up", "app").ok()
    fill(cli)
    done = cli("down", "app")
    assert done.code == 1
    assert "Traceback" not in done.err
    assert cli.containers() == ()


def test_harm_is_stopped_while_an_up_waits(cli: Cli) -> None:
    slow = {
        "image": "busybox:1.35",
        "init": True,
        "command": ["sh", "-c", QUIET],
        "healthcheck": {"test": ["CMD", "false"], "interval": "1s", "retries": 100},
    }
    cli.template("app", json.dumps({"services": {"bomb": hog(), "slow": slow}}))
    cli.stack("app", "template: app\nlimits: {pids: 40}\n")
    watching = cli.start("supervise", "--log-format", "json")
    starting = cli.start("up", "app", "--wait-timeout", "60s")
    try:
        _, err = starting.communicate(timeout=90)
        assert starting.returncode == 1, err
        assert "`bomb`" in err
        until(lambda: journal(cli.home, event="done"), 20, "the act")
        (line,) = journal(cli.home, event="done")
        assert "beside another command" in line["words"]
    finally:
        end_process(watching)
        end_process(starting)
    (incident,) = cli("incidents", "--json").ok().data
    assert (incident["rule"], incident["service"], incident["result"]) == ("over_pids", "bomb", "done")
    assert cli.containers() == ()


def test_an_ending_whose_last_write_failed_is_finished_by_the_same_supervisor(cli: Cli) -> None:
    quiet_stack(cli)
    cli("up", "app", "--lifetime", "1s").ok()
    failing = {"STACKCTL_TEST": "1", "STACKCTL_FAILPOINT": "record:expired#1:before:enospc"}
    watching = cli.start("supervise", "--log-format", "json", **failing)
    try:
        until(lambda: journal(cli.home, event="failed"), 30, "the failure")
        until(lambda: journal(cli.home, event="done"), 60, "the second try")
    finally:
        end_process(watching)
    (record,) = FileStore(open_home(cli.home)).records()
    assert record.phase == "expired"
    assert cli.containers() == ()


def test_the_only_service_that_is_halted_ends_the_environment(cli: Cli) -> None:
    cli.template("app", json.dumps({"services": {"web": hog()}}))
    cli.stack("app", "template: app\nlimits: {pids: 40}\nwatchdog: {on_violation: service}\n")
    watching = cli.start("supervise")
    try:
        cli("up", "app", "--no-wait").ok()
        until(lambda: cli("status", "app", "--json").data["phase"] == "killed", 60, "the end")
    finally:
        end_process(watching)
    assert "as its limit of 40 allows" in cli("why", "app").ok().out
    assert cli.containers() == ()


def test_a_stop_by_hand_is_remembered_also_by_the_next_supervisor(cli: Cli) -> None:
    quiet_stack(
        cli,
        restart="unless-stopped",
        stop_signal="SIGUSR1",
        command=["sh", "-c", QUIET.replace("TERM", "USR1")],
    )
    cli("up", "app").ok()
    (one,) = cli.containers()
    watching = cli.start("supervise", "--log-format", "json")
    try:
        until(lambda: journal(cli.home, event="began"), 30, "the supervisor")
        docker("stop", one.id)
        until(lambda: cli("status", "app", "--json").data["halted"] == ["web"], 40, "the record")
    finally:
        end_process(watching)
    assert not [line for line in journal(cli.home) if line.get("action") == "restart"]
    again = cli("supervise", "--once", "--json").ok()
    assert again.data["acts"] == []
    (still,) = cli.containers()
    assert still.state == "exited"
    cli("restart", "app", "web").ok()
    assert cli("status", "app", "--json").data["halted"] == []


def test_limits_that_cannot_be_proven_are_not_adopted(cli: Cli) -> None:
    quiet_stack(cli)
    cli("up", "app").ok()
    store = FileStore(open_home(cli.home))
    (record,) = store.records()
    dead = replace(store.lease("stackctl up app"), started=1)
    web = replace(record.services["web"], pids=17)
    store.write(replace(record, phase="starting", lease=dead, began=0.0, services={"web": web}))
    done = cli("reap", "--json").ok()
    assert [one["result"] for one in done.data["done"]] == ["done"]
    assert cli.containers() == ()
    (record,) = store.records()
    assert record.phase == "failed"
    assert "the kernel does not enforce every limit" in (record.ending.reason if record.ending else "")
