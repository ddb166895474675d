"""`up` that fails, is interrupted or killed: what it made is undone, what was before goes on, data stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable

import pytest
from commandline import Cli

pytestmark = pytest.mark.engine

SLEEPER = "services:\n  app: {image: 'busybox:1.35', command: [sleep, '600']}\n"
CRASH = """
services:
  app: {image: "busybox:1.35", command: [sleep, "600"]}
  bad: {image: "busybox:1.35", command: [sh, -c, "echo the reason is here; exit 3"]}
  after:
    image: busybox:1.35
    command: [sleep, "600"]
    depends_on: {bad: {condition: service_completed_successfully}}
"""
SICK = """
services:
  app:
    image: busybox:1.35
    command: [sh, -c, "echo feeling ill; exec sleep 600"]
    healthcheck: {test: [CMD, "false"], interval: 200ms, retries: 2}
"""
SLOW = """
services:
  db:
    image: busybox:1.35
    command: [sleep, "600"]
    healthcheck: {test: [CMD, test, -e, /never], interval: 500ms, retries: 200}
  app:
    image: busybox:1.35
    command: [sleep, "600"]
    depends_on: {db: {condition: service_healthy}}
"""


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for a condition, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.05)


def nothing_left(cli: Cli) -> bool:
    return not cli.containers() and not cli.networks()


def test_a_service_that_ends_is_told_with_its_last_lines_and_undone(cli: Cli) -> None:
    cli.template("t", CRASH)
    cli.stack("s", "template: t\n")

    done = cli("up", "s")

    assert done.code == 1
    assert "`bad` ended with exit code 3" in done.err
    assert "the reason is here" in done.err
    assert nothing_left(cli)
    assert "the reason is here" in cli("logs", "s").ok().out
    assert cli("status", "s", "--json").data["phase"] == "failed"


def test_an_unhealthy_service_fails_before_the_deadline(cli: Cli) -> None:
    cli.template("t", SICK)
    cli.stack("s", "template: t\n")

    done = cli("up", "s")

    assert done.code == 1
    assert "`app` is unhealthy" in done.err
    assert "feeling ill" in done.err
    assert "hint: `stackctl logs s` shows" in done.err
    assert nothing_left(cli)


@pytest.mark.slow
def test_what_is_not_ready_in_time_is_named(cli: Cli) -> None:
    cli.template("t", SLOW.split("  app:", maxsplit=1)[0])
    cli.stack("s", "template: t\n")

    done = cli("up", "s", "--wait-timeout", "2s")

    assert done.code == 6
    assert "`db` is starting" in done.err
    assert nothing_left(cli)


@pytest.mark.slow
def test_no_wait_returns_before_a_service_is_healthy(cli: Cli) -> None:
    cli.template("t", SLOW.split("  app:", maxsplit=1)[0])
    cli.stack("s", "template: t\n")

    cli("up", "s", "--no-wait").ok()

    assert [c.health for c in cli.containers()] == ["starting"]


@pytest.mark.slow
def test_a_failed_edit_leaves_what_ran_before(cli: Cli) -> None:
    cli.template("t", SLEEPER)
    cli.stack("s", "template: t\n")
    project = cli("up", "s", "--json").ok().data["project"]
    before = {c.service: c.id for c in cli.containers(project)}
    cli.template("t", CRASH)

    assert cli("up", "s").code == 1

    assert {c.service: c.id for c in cli.containers(project)} == before
    assert "the last `up` failed" in cli("status", "s").err
    cli.template("t", SLEEPER)
    cli("up", "s").ok()
    assert {c.service: c.id for c in cli.containers(project)} == before


def test_a_port_asked_for_by_number_that_is_taken_names_its_holder(cli: Cli) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]

        done = cli("up", "hello", "--set", f"port={port}")

    assert done.code == 5
    assert f"port {port} is taken by" in done.err
    assert str(os.getpid()) in done.err
    assert nothing_left(cli)


@pytest.mark.slow
def test_a_chosen_port_that_is_taken_is_chosen_anew(cli: Cli) -> None:
    cli("up", "hello").ok()
    first = cli("url", "hello").ok().out.strip()
    cli("down", "hello").ok()
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", int(first.rsplit(":", 1)[1])))
        holder.listen()

        cli("up", "hello").ok()

    assert cli("url", "hello").ok().out.strip() != first


def test_a_missing_image_makes_nothing(cli: Cli) -> None:
    cli.template("t", "services:\n  app: {image: 'localhost:9/no/such:1'}\n")
    cli.stack("s", "template: t\n")

    done = cli("up", "s")

    assert done.code == 5
    assert "localhost:9/no/such:1" in done.err
    assert nothing_left(cli)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
def test_an_interrupted_up_undoes_what_it_made(cli: Cli, number: int, code: int) -> None:
    cli.template("t", SLOW)
    cli.stack("s", "template: t\n")
    child = cli.start("up", "s")
    until(cli.containers)

    os.killpg(child.pid, number)
    _, err = child.communicate(timeout=60)

    assert child.returncode == code, err
    assert "Traceback" not in err
    assert nothing_left(cli)
    assert cli("status", "s", "--json").data["phase"] == "stopped"


@pytest.mark.slow
@pytest.mark.parametrize("group", [True, False])
def test_after_kill_9_of_up_the_next_one_starts_from_a_known_state(cli: Cli, group: bool) -> None:
    cli.template("t", SLOW)
    cli.stack("s", "template: t\n")
    child = cli.start("up", "s")
    until(cli.containers)
    (os.killpg if group else os.kill)(child.pid, signal.SIGKILL)
    child.communicate(timeout=10)
    until(lambda: not compose_children(cli))
    cli.template("t", SLEEPER)

    cli("up", "s").ok()

    assert [(c.service, c.state) for c in cli.containers()] == [("app", "running")]


def test_after_kill_9_of_up_down_leaves_nothing(cli: Cli) -> None:
    cli.template("t", SLOW)
    cli.stack("s", "template: t\n")
    child = cli.start("up", "s")
    until(cli.containers)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=10)

    cli("down", "s").ok()

    assert nothing_left(cli)


def compose_children(cli: Cli) -> list[str]:
    """Command lines of what still drives compose for this home."""
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if str(cli.home) in line and "compose" in line]


@pytest.mark.slow
def test_two_ups_at_once_are_one_after_the_other(cli: Cli) -> None:
    cli.template("t", SLEEPER)
    cli.stack("s", "template: t\n")

    children = [cli.start("up", "s") for _ in range(3)]
    ends = [(*child.communicate(timeout=120), child.returncode) for child in children]

    assert {code for *_, code in ends} == {0}, ends
    assert len(cli.containers()) == 1


@pytest.mark.slow
def test_a_command_that_finds_the_lock_held_says_by_whom(cli: Cli) -> None:
    cli.template("t", SLOW)
    cli.stack("s", "template: t\n")
    child = cli.start("up", "s")
    until(cli.containers)

    second = cli("up", "s")

    assert second.code == 7
    assert f"pid {child.pid}" in second.err
    assert "stackctl up s" in second.err
    os.kill(child.pid, signal.SIGTERM)
    child.communicate(timeout=60)


def test_an_uncovered_volume_of_an_image_is_refused(cli: Cli) -> None:
    cli.template("t", "services:\n  db: {image: 'redis:7.0', user: '1000'}\n")
    cli.stack("s", "template: t\n")

    done = cli("up", "s")

    assert done.code == 3
    assert "/data" in done.err
    assert nothing_left(cli)
