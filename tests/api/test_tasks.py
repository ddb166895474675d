"""Tasks from a program, on the real engine."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import Cli

from stackctl import (
    Client,
    Limits,
    Outcome,
    OwnTask,
    PolicyError,
    ServiceFailed,
    StackctlError,
    StackFileError,
    StateError,
    TimedOut,
    UnknownName,
    UsageError,
)

pytestmark = pytest.mark.engine

IMAGE = "busybox:1.35"
SMALL = Limits(memory="64m", pids=32)
SLEEPS = ["sh", "-c", "trap 'exit 7' TERM; echo begun; while :; do sleep 1 & wait $!; done"]


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def test_a_task_is_run_to_its_end_in_one_line(client: Client, cli: Cli) -> None:
    outcome = client.run(IMAGE, "sh -c 'echo out; echo err >&2; exit 3'", name="short", limits=SMALL)

    assert (outcome.phase, outcome.exit_code, outcome.ok, outcome.name) == ("failed", 3, False, "short")
    assert sorted(outcome.logs().splitlines()) == ["err", "out"]
    assert outcome.seconds < 60
    assert abs(outcome.finished - time.time()) < 60
    assert cli.containers() == ()


def test_what_is_asked_for_reaches_the_container(client: Client, cli: Cli) -> None:
    (cli.checkout / "note").write_text("from the host")
    outcome = client.run(
        IMAGE,
        ["sh", "-c", 'echo "$WORD; $(pwd); $(id -u); $(cat /note); $(cat /sys/fs/cgroup/pids/pids.max)"'],
        env={"WORD": "a $b"},
        workdir="/tmp",
        user=65534,
        mounts=["note:/note:ro"],
        limits=SMALL,
        network="none",
    )
    assert outcome.logs().startswith("a $b; /tmp; 65534; from the host; ")


def test_a_task_that_runs_can_be_asked_and_ends_with_its_block(client: Client, cli: Cli) -> None:
    with client.task(IMAGE, SLEEPS, limits=SMALL) as task:
        assert task.phase == "running"
        assert task.outcome is None
        until(lambda: task.logs() == "begun\n")
        done = task.exec(["sh", "-c", "echo $A; echo b >&2; exit 4"], env={"A": "a"})
        assert (done.exit_code, done.stdout, done.stderr, done.ok) == (4, "a\n", "b\n", False)
        assert task.exec("true").ok
        assert task.exec("no-such-program").exit_code in (126, 127)
        assert [one.id for one in client.tasks()] == [task.id]
        assert client.task_by_id(task.id[:8]).phase == "running"

    assert task.phase == "cancelled"
    assert task.outcome is not None
    assert task.outcome.reason == "its block was left before it had ended"
    assert task.logs() == "begun\n"
    assert client.tasks() == ()
    assert cli.containers() == ()


def test_an_error_in_the_block_ends_the_task_and_stays_the_error(client: Client) -> None:
    with pytest.raises(ZeroDivisionError), client.task(IMAGE, SLEEPS, limits=SMALL) as task:
        raise ZeroDivisionError
    assert task.outcome is not None
    assert task.outcome.phase == "cancelled"
    assert "ZeroDivisionError" in task.outcome.reason


def test_one_that_ended_by_itself_within_its_block_keeps_its_outcome(client: Client) -> None:
    with client.task(IMAGE, ["sh", "-c", "exit 5"], limits=SMALL) as task:
        until(lambda: task.phase == "failed")
    assert task.wait().exit_code == 5
    assert task.cancel().phase == "failed"


def test_waiting_has_a_bound_and_the_task_goes_on(client: Client) -> None:
    with client.task(IMAGE, ["sleep", "2"], limits=SMALL) as task:
        with pytest.raises(TimedOut, match="still running"):
            task.wait(0.2)
        with pytest.raises(TimedOut, match="still running"):
            client.task_by_id(task.id).wait(0.2)
        outcome = task.wait(60)
    assert outcome.phase == "succeeded"
    assert outcome.peaks.pids >= 1
    assert outcome.peaks.memory > 0


def test_a_run_beyond_its_time_is_ended(client: Client, cli: Cli) -> None:
    with pytest.raises(TimedOut):
        client.run(IMAGE, SLEEPS, timeout=0.3, limits=SMALL)
    assert [one.phase for one in client.tasks(all=True)] == ["cancelled"]
    assert cli.containers() == ()


def test_a_command_that_takes_too_long_is_left_and_said_so(client: Client) -> None:
    with client.task(IMAGE, SLEEPS, limits=SMALL) as task:
        with pytest.raises(TimedOut, match=r"`sleep` did not end within 0\.3 s"):
            task.exec(["sleep", "60"], timeout=0.3)
        assert task.phase == "running"


def test_it_is_cancelled_from_another_thread_while_one_waits(client: Client) -> None:
    with client.task(IMAGE, SLEEPS, limits=SMALL) as task:
        waited: list[Outcome] = []
        threads = [threading.Thread(target=lambda: waited.append(task.wait(60))) for _ in range(2)]
        for one in threads:
            one.start()
        outcome = task.cancel("enough")
        for one in threads:
            one.join(60)
    assert (outcome.phase, outcome.reason, outcome.exit_code) == ("cancelled", "enough", 143)
    assert waited == [outcome, outcome]


def test_threads_share_a_client(client: Client, cli: Cli) -> None:
    found: dict[int, Outcome] = {}

    def work(number: int) -> None:
        found[number] = client.run(IMAGE, ["echo", str(number)], limits=SMALL)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(120)
    assert {number: one.logs().strip() for number, one in found.items()} == {n: str(n) for n in range(4)}
    assert cli.containers() == ()


def test_two_clients_with_two_homes_know_nothing_of_each_other(client: Client, tmp_path: Path) -> None:
    with Client(tmp_path / "other") as other, other.task(IMAGE, SLEEPS, limits=SMALL) as theirs:
        with client.task(IMAGE, SLEEPS, limits=SMALL) as ours:
            assert [one.id for one in client.tasks()] == [ours.id]
            assert [one.id for one in other.tasks()] == [theirs.id]
            with pytest.raises(UnknownName):
                client.task_by_id(theirs.id)
            client.task_by_id(ours.id).cancel()
        assert theirs.phase == "running"


def test_sidecars_are_reached_from_three_places_and_keep_their_data(client: Client, cli: Cli) -> None:
    sidecars = {"cache": {"template": "redis", "reach": ["isolated"]}}
    command = ["sh", "-c", 'echo "$REDIS_URL"; sleep 60']
    with client.task(IMAGE, command, sidecars=sidecars, limits=SMALL) as task:
        cache = task.sidecars["cache"]
        assert cache.sidecar
        assert cache.env == "REDIS_URL"
        assert cache.url("container").startswith("redis://")
        until(lambda: task.logs().strip() == cache.url("container"))
        with socket.create_connection((cache.host, cache.port), timeout=10) as connection:
            connection.sendall(b"PING\r\n")
            assert connection.recv(100)
        assert cache.url("host").endswith(f"@127.0.0.1:{cache.port}/0") or str(cache.port) in cache.url()
        assert f"{cache.container_host}:{cache.port}" in cache.url("isolated")
        assert task.exec(["sh", "-c", "nc -w 2 cache 6379 </dev/null"]).ok
        assert "redis" in task.exec(["redis-cli", "--version"], service="cache").stdout
        assert cache.data.is_dir()
    assert task.sidecars["cache"].data == cache.data
    assert cache.data.is_dir()
    with pytest.raises(ServiceFailed, match="publishes no port"):
        task.sidecars["cache"].url()
    assert cli.networks() == []


def test_a_limit_and_a_lifetime_say_what_ended_it(client: Client) -> None:
    eats = ["sh", "-c", "x=a; while :; do x=$x$x; done"]
    killed = client.run(IMAGE, eats, limits=Limits(memory="16m"))
    assert (killed.phase, killed.exit_code) == ("killed", 137)
    assert killed.incident
    assert "memory" in killed.reason

    expired = client.run(IMAGE, SLEEPS, limits=Limits(memory="64m", lifetime="1s"))
    assert (expired.phase, expired.exit_code) == ("expired", 124)


def test_every_mistake_is_told_at_once_and_nothing_is_started(client: Client) -> None:
    with pytest.raises(StackFileError) as caught:
        client.task("not an image", workdir="relative", env={"1": "x"}, guard=["(a+)+"])
    paths = {problem.path for problem in caught.value.problems}
    assert {"image", "workdir", "guard.patterns"} <= paths
    with pytest.raises(TypeError, match="mount"):
        client.task(IMAGE, mount=["a:/b"])  # type: ignore[call-arg] # as a user's mistake
    with pytest.raises(UsageError, match="no file or folder"):
        client.task(IMAGE, mounts=["nowhere:/b"])
    with pytest.raises(UsageError):
        client.task(IMAGE, sidecars=["no-such-template"])
    with pytest.raises(UnknownName):
        client.task(IMAGE, inside="nothing")
    with pytest.raises(UnknownName):
        client.task(IMAGE, data_from="nothing")
    with pytest.raises(PolicyError):
        client.task(IMAGE, mounts=["/var/run/docker.sock:/sock"])
    assert client.tasks(all=True) == ()


def test_one_that_cannot_be_started_is_an_error_and_leaves_nothing(client: Client, cli: Cli) -> None:
    task = client.task(IMAGE, "true", user="no-such-user", limits=SMALL)
    with pytest.raises(StateError, match="nothing is remembered"):
        _ = task.phase
    with pytest.raises(StackctlError), task:
        raise AssertionError("it was started")
    assert cli.containers() == ()


def test_what_was_started_is_not_started_twice_and_can_be_forgotten(client: Client) -> None:
    with client.task(IMAGE, SLEEPS, limits=SMALL) as task:
        with pytest.raises(UsageError, match="already"):
            task.start()
        with pytest.raises(UsageError):
            task.forget()
    task.forget()
    with pytest.raises(StateError):
        _ = task.line


def test_a_closed_client_says_so(cli: Cli) -> None:
    client = Client(cli.home)
    client.close()
    with pytest.raises(UsageError, match="closed"):
        client.tasks()


QUIET = """
import os, signal, sys, threading
from stackctl import Client, Limits
def state():
    every = [signal.getsignal(one) for one in signal.valid_signals() if one not in (9, 19)]
    return every, dict(os.environ), threading.active_count()
before = state()
with Client(sys.argv[1]) as client:
    with client.task("busybox:1.35", "sleep 30", limits=Limits(memory="64m")) as task:
        task.exec("echo said")
        client.tasks()
    assert client.run("busybox:1.35", "echo said").ok
assert state() == before
"""


def test_nothing_is_printed_no_signal_is_caught_and_no_thread_is_left(cli: Cli) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", QUIET, str(cli.home)],
        env=cli.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


KILLED = """
import os, sys, time
from stackctl import Client, Limits
client = Client(sys.argv[1], supervisor="auto")
client.task("busybox:1.35", "sleep 600", limits=Limits(memory="64m")).start()
print("started", flush=True)
time.sleep(600)
"""


def test_a_task_ends_with_the_process_that_it_belongs_to(client: Client, cli: Cli) -> None:
    argv = [sys.executable, "-c", KILLED, str(cli.home)]
    with subprocess.Popen(argv, env=cli.environment(), stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        try:
            assert program.stdout.readline() == "started\n"
            (line,) = client.tasks()
            assert line.phase == "running"
        finally:
            program.send_signal(signal.SIGKILL)
    try:
        until(lambda: client.task_by_id(line.id).phase not in ("running", "stopping"), 90)
        assert cli.containers() == ()
    finally:
        cli("supervise", "--stop").ok()


def test_templates_of_the_users_own_are_rendered_beside_threads_too(client: Client, cli: Cli) -> None:
    folder = cli.checkout / "templates" / "sidecars" / "mine"
    folder.mkdir(parents=True)
    source = Path(__file__).parents[2] / "templates" / "sidecars" / "redis"
    for name in ("template.yaml", "compose.yaml.j2"):
        (folder / name).write_text((source / name).read_text().replace("redis", "mine", 0))
    found: list[OwnTask] = []
    thread = threading.Thread(target=lambda: found.append(client.task(IMAGE, sidecars=["mine"])))
    thread.start()
    thread.join(60)
    assert len(found) == 1
