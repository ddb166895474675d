"""Whose an environment is: `with` and `up` over each other's, and what a failed or late command may end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from commandline import Cli
from test_up_failures import until

from stackctl.cli.choosing import prepared_stack
from stackctl.cli.output import Output
from stackctl.cli.session import Session
from stackctl.core.deployment import Instant
from stackctl.core.records import Ending, EnvironmentRecord
from stackctl.ops.context import Context
from stackctl.ops.tied import outlive
from stackctl.ops.up import UpOptions, up
from stackctl.state.clock import SystemClock
from stackctl.state.home import open_home
from stackctl.state.store import FileStore

pytestmark = pytest.mark.engine

HEAD = "description: for a test\nvariables: {word: {type: string, default: one}}\n"
APP = """
services:
  app:
    image: busybox:1.35
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 1 & wait; done"]
    environment: {WORD: "{{ word }}"}
"""
BAD = "  bad: {image: 'busybox:1.35', command: [sh, -c, 'exit 3']}\n"
STAYS = ("sh", "-c", "echo up; read line")


@pytest.fixture
def app(cli: Cli) -> Cli:
    """A stack `s` of one service, which is another one with another `word`."""
    cli.template("t", APP, HEAD)
    cli.stack("s", "template: t\n")
    return cli


@contextmanager
def belonging(cli: Cli) -> Iterator[subprocess.Popen[str]]:
    """A `with` that runs until its stdin ends, or the block does."""
    child = subprocess.Popen(
        cli.argv("with", "s", "--", *STAYS),
        cwd=cli.checkout,
        env=cli.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert child.stdout is not None
        said = child.stdout.readline().strip()
        assert said == "up", child.communicate(timeout=30)
        yield child
    finally:
        if child.poll() is None:
            child.communicate("\n", timeout=60)


def finish(child: subprocess.Popen[str]) -> str:
    """Let a `with` end by itself; what it wrote to stderr."""
    _, err = child.communicate("\n", timeout=60)
    return err


def tethers(cli: Cli) -> list[int]:
    """Process ids of what watches over tied environments of this home."""
    listing = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in listing.splitlines() if "stackctl.cli.tether" in line]
    return [int(words[0]) for words in lines if str(cli.home) in words]


def kill_all(child: subprocess.Popen[str]) -> None:
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate(timeout=20)


def abandon(cli: Cli) -> str:
    """Leave a tied environment that runs, whose owner is dead, and which nobody watches; its project."""
    with belonging(cli) as child:
        for pid in tethers(cli):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not tethers(cli))
        kill_all(child)
    (project,) = {one.labels["stackctl.project"] for one in cli.containers()}
    assert cli.record(project)["tied"]
    return project


def states(cli: Cli) -> list[str]:
    return [one.state for one in cli.containers()]


def edit(cli: Cli, project: str, **changed: Any) -> EnvironmentRecord:
    """Change an environment's record on disk."""
    store = FileStore(open_home(cli.home))
    record = store.read(project)
    assert record is not None
    store.write(replace(record, **changed))
    return record


@pytest.mark.slow
def test_with_of_other_values_leaves_what_was_up_its_users(app: Cli) -> None:
    project = app("up", "s", "--json").ok().data["project"]

    done = app("with", "--set", "word=two", "s", "--", "true").ok()

    record = app.record(project)
    assert (record["phase"], record["tied"], record["lease"]) == ("running", False, None)
    assert "was up before and stays up" in done.err
    app("reap").ok()
    assert states(app) == ["running"]


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("--set", "word=two")])
def test_up_during_a_with_takes_it_over_and_outlives_it(app: Cli, words: tuple[str, ...]) -> None:
    with belonging(app) as child:
        told = app("up", "s", *words).ok()
        err = finish(child)

    assert f"pid {child.pid}" in told.err
    assert "stackctl with s" in told.err
    assert child.returncode == 0, err
    assert "stays up" in err
    assert states(app) == ["running"]
    until(lambda: not tethers(app))


@pytest.mark.slow
def test_an_up_that_fails_during_a_with_leaves_it_the_withs(app: Cli) -> None:
    with belonging(app) as child:
        (before,) = app.containers()
        app.template("t", APP + BAD, HEAD)
        assert app("up", "s").code == 1
        assert [(one.id, one.state) for one in app.containers()] == [(before.id, "running")]
        err = finish(child)

    assert child.returncode == 0, err
    assert app.containers() == ()


@pytest.mark.slow
def test_a_second_with_is_refused_and_names_the_first(app: Cli) -> None:
    with belonging(app) as child:
        (before,) = app.containers()

        done = app("with", "--set", "word=two", "s", "--", "true")

        assert done.code == 7, done.err
        assert f"pid {child.pid}" in done.err
        assert "stackctl with s" in done.err
        assert "--instance" in done.err
        assert [one.id for one in app.containers()] == [before.id]
        assert states(app) == ["running"]
        finish(child)
    assert app.containers() == ()


@pytest.mark.slow
def test_with_takes_over_what_a_dead_one_left(app: Cli) -> None:
    project = abandon(app)

    with belonging(app) as child:
        assert app.record(project)["lease"]["pid"] == child.pid
        app("reap").ok()
        assert states(app) == ["running"]
        kill_all(child)

    until(lambda: not app.containers() and not app.networks(), 60)


@dataclass(frozen=True)
class Overtaken:
    """A store whose locks are each waited for while somebody else does something."""

    store: FileStore
    meanwhile: Callable[[], object]

    def lock(self, name: str, **how: Any) -> Any:
        self.meanwhile()
        return self.store.lock(name, **how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def context_of(cli: Cli) -> Context:
    return Session(Output(home=str(cli.home), verbosity=-1)).context


@pytest.mark.slow
def test_the_tether_asks_again_once_it_holds_the_lock(app: Cli) -> None:
    project = abandon(app)
    context = context_of(app)
    overtaken = Overtaken(FileStore(open_home(app.home)), lambda: app("up", "s").ok())

    outlive(replace(context, store=overtaken), project, app.record(project)["generation"])

    assert states(app) == ["running"]
    assert app.record(project)["phase"] == "running"


def test_the_tether_ends_what_a_dead_owner_left(app: Cli) -> None:
    project = abandon(app)

    outlive(context_of(app), project, app.record(project)["generation"])

    assert app.containers() == ()
    assert app.record(project)["phase"] == "stopped"


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["lost", "running"])
def test_a_failed_up_after_a_reboot_keeps_what_was_there(cli: Cli, phase: str) -> None:
    project = cli("up", "hello", "--json").ok().data["project"]
    port = int(cli("url", "hello").ok().out.strip().rsplit(":", 1)[1])
    (before,) = cli.containers(project)
    subprocess.run(["docker", "kill", before.id], capture_output=True, check=True)
    ending = Ending(reason="the host was restarted", at=1.0) if phase == "lost" else None
    edit(cli, project, phase=phase, ending=ending)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))  # without listening, so that nobody sees it before docker does

        done = cli("up", "hello")

    assert done.code == 5, done.err
    assert "137" not in done.err
    assert [one.id for one in cli.containers(project)] == [before.id]
    record = cli.record(project)
    assert record["phase"] == phase
    assert (record["ending"] or {}).get("reason") == (ending.reason if ending else None)
    cli("reap").ok()
    assert [one.id for one in cli.containers(project)] == [before.id]
    cli("up", "hello").ok()
    assert [(one.id, one.state) for one in cli.containers(project)] == [(before.id, "running")]


class Ahead(SystemClock):
    """A host's clock that is an hour ahead of the engine's."""

    def now(self) -> Instant:
        now = super().now()
        return replace(now, wall=now.wall + 3600)


def test_what_is_older_than_an_up_is_told_by_the_engines_clock(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cli.checkout)  # in ours, `hello` may be the demo's
    session = Session(Output(home=str(cli.home), verbosity=-1))
    prepared = prepared_stack(session, "hello", "", ())

    result = up(replace(session.context, clock=Ahead()), prepared, UpOptions())

    (made,) = result.containers
    assert 0 <= made.created - result.record.began < 60


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["lost", "killed", "expired"])
def test_what_ended_on_another_engine_starts_anew_on_this_one(app: Cli, phase: str) -> None:
    project = app("up", "s", "--json").ok().data["project"]
    app("down", "s").ok()
    old = edit(app, project, phase=phase, engine="ANOTHER", engine_host="unix:///another.sock")

    app("up", "s").ok()

    record = app.record(project)
    assert record["generation"] != old.generation
    assert record["engine"] == old.engine
    assert record["placement"]["STACKCTL_SUBNET"] == old.placement["STACKCTL_SUBNET"]


def test_what_is_up_on_another_engine_is_not_touched(app: Cli) -> None:
    project = app("up", "s", "--json").ok().data["project"]
    old = edit(app, project, engine="ANOTHER")

    done = app("up", "s")

    assert done.code == 5
    assert "was made on the engine" in done.err
    assert states(app) == ["running"]
    edit(app, project, engine=old.engine)
