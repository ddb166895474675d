"""`run` and its kin on the real engine: exit codes, streams, limits, sidecars, and what is left behind."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commandline import Cli, Done
from waiting import until

from stackctl.state.home import open_home
from stackctl.state.store import FileStore

pytestmark = pytest.mark.engine

SMALL = ("--limit", "memory=64m", "--limit", "pids=64", "--limit", "cpus=0.5")
TYPED = "tty; read word; echo got=$word; exit 5"
STILL = "trap 'exit 0' TERM; echo ready; while :; do sleep 1 & wait; done"


def run(cli: Cli, *words: str, **env: str) -> Done:
    return cli("run", *SMALL, *words, **env)


def last(cli: Cli) -> dict[str, object]:
    return dict(cli("tasks", "--all", "--json").ok().data[-1])


def detached(cli: Cli, *words: str) -> str:
    return run(cli, "--detach", *words).ok().out.strip()


def test_the_exit_code_and_both_streams_are_the_tasks_own(cli: Cli) -> None:
    done = run(cli, "busybox:1.35", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.code, done.out, done.err) == (7, "out\n", "err\n")
    assert cli.containers() == ()
    told = last(cli)
    assert (told["phase"], told["exit_code"]) == ("failed", 7)
    assert sorted(cli("logs", str(told["id"])).ok().out.splitlines()) == ["err", "out"]


def test_its_limits_stand_in_the_engine_and_were_proven(cli: Cli) -> None:
    task = detached(cli, "--env", "A=$b 'c'", "busybox:1.35", "--", "sh", "-c", STILL)
    (container,) = cli.containers()
    assert container.name == f"inst-{task}"
    limits = container.limits
    assert (limits.pids, limits.memory, limits.swap, limits.cpus) == (64, 64 << 20, 64 << 20, 0.5)
    assert cli.task(task)["verified"] == "kernel"
    assert cli("exec", task, "--", "sh", "-c", 'echo "$A"').ok().out == "$b 'c'\n"
    assert "A=" not in (cli.home / "tasks" / task / "record.json").read_text()


def test_standard_input_is_passed_through(cli: Cli) -> None:
    data = os.urandom(300_000).hex() + "\n"
    done = subprocess.run(
        cli.argv("run", *SMALL, "busybox:1.35", "--", "cat"),
        input=data,
        cwd=cli.checkout,
        env=cli.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == data


@contextmanager
def in_a_terminal(cli: Cli, script: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A task with a terminal of its own: our end of that, and the command."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        ["setsid", "-c", *cli.argv("run", *SMALL, "busybox:1.35", "--", "sh", "-c", script)],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=cli.checkout,
        env=cli.environment(),
    )
    os.close(follower)
    try:
        yield leader, child
    finally:
        os.close(leader)
        if child.poll() is None:
            child.kill()
            child.wait(timeout=10)


def test_a_terminal_is_passed_through(cli: Cli) -> None:
    with in_a_terminal(cli, TYPED) as (leader, child):
        seen = _read_until(leader, b"/dev/", b"")
        os.write(leader, b"hello\r")
        _read_until(leader, b"got=hello", seen)
        assert child.wait(timeout=30) == 5


def test_ctrl_c_in_a_terminal_is_the_tasks_and_cancels_what_dies_of_it(cli: Cli) -> None:
    with in_a_terminal(cli, "echo ready; while :; do sleep 1; done") as (leader, child):
        _read_until(leader, b"ready", b"")
        os.write(leader, b"\x03")
        assert child.wait(timeout=30) == 130
    assert last(cli)["phase"] == "cancelled"

    with in_a_terminal(cli, "trap 'echo caught' INT; echo ready; read word; read word; exit 4") as (
        leader,
        child,
    ):
        seen = _read_until(leader, b"ready", b"")
        os.write(leader, b"\x03")
        _read_until(leader, b"caught", seen)
        os.write(leader, b"on\ron\r")  # whoever goes on after it decides its own end
        assert child.wait(timeout=30) == 4
    assert last(cli)["phase"] == "failed"


def test_ctrl_c_twice_in_a_terminal_ends_what_does_not_heed_it(cli: Cli) -> None:
    with in_a_terminal(cli, "trap '' INT TERM; echo ready; while :; do sleep 1; done") as (leader, child):
        _read_until(leader, b"ready", b"")
        os.write(leader, b"\x03")
        os.write(leader, b"\x03")
        assert child.wait(timeout=8) == 130  # docker would give it 10 s
    assert last(cli)["phase"] == "cancelled"
    assert cli.containers() == ()


def test_a_reader_that_goes_away_ends_it(cli: Cli) -> None:
    child = cli.start("run", *SMALL, "busybox:1.35", "--", "sh", "-c", "while :; do echo x; sleep .1; done")
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline() == "x\n"
    child.stdout.close()
    assert child.wait(timeout=30) == 141
    with child.stderr as stderr:
        assert stderr.read() == ""
    assert cli.containers() == ()
    told = last(cli)
    assert (told["phase"], told["reason"]) == ("cancelled", "nobody reads what it writes any more")


def _read_until(descriptor: int, wanted: bytes, seen: bytes) -> bytes:
    def more() -> bool:
        nonlocal seen
        seen += os.read(descriptor, 4096)
        return wanted in seen

    until(more, 30, f"{wanted!r} on the terminal")
    return seen


def test_a_lifetime_ends_it_with_124_and_says_so(cli: Cli) -> None:
    done = run(cli, "--lifetime", "2s", "busybox:1.35", "--", "sleep", "60")
    assert done.code == 124
    assert "its lifetime of 2s is over" in done.err
    told = last(cli)
    assert told["phase"] == "expired"
    assert "its lifetime of 2s is over" in cli("why", str(told["id"])).ok().out


def test_the_memory_limit_ends_it_with_137_and_one_line_of_why(cli: Cli) -> None:
    hog = "head -c 200m /dev/zero | tail"
    done = cli("run", "--limit", "memory=16m", "busybox:1.35", "--", "sh", "-c", hog)
    assert done.code == 137
    (line,) = [one for one in done.err.splitlines() if one.startswith("task ")]
    assert "hit its memory limit" in line
    told = last(cli)
    assert told["phase"] == "killed"
    assert told["incident"]
    (incident,) = cli("incidents", str(told["id"]), "--json").ok().data
    assert incident["violation"]["limit"] == 16 << 20


@pytest.mark.slow
def test_an_error_of_ours_is_125_with_its_own_code_in_json(cli: Cli) -> None:
    for words, code in (
        (("no such image",), 2),
        (("--mount", "/no/such:/x", "busybox:1.35"), 2),
        (("--sidecar", "nothing", "busybox:1.35"), 2),
        (("--network", "nothing", "busybox:1.35"), 2),
        (("--limit", "memory=0", "busybox:1.35"), 2),
        (("--mount", "/var/run/docker.sock:/s", "busybox:1.35"), 3),
        (("--in", "nothing", "test"), 2),
        (("--data-from", "/tmp", "busybox:1.35"), 2),
        (("--network", "bridge", "--sidecar", "redis", "busybox:1.35"), 2),
        (("--no-such-option", "busybox:1.35"), 2),
    ):
        done = cli("run", "--json", *words)
        assert done.code == 125, (words, done)
        envelope = json.loads(done.out)
        assert envelope["error"]["exit_code"] == code, (words, envelope)
        assert envelope["error"]["hint"], (words, envelope)
        assert "Traceback" not in done.err
    assert cli.containers() == ()
    assert cli("tasks", "--all", "--json").ok().data == []
    assert [one.name for one in (cli.home / "tasks").iterdir() if one.is_dir()] == []


def test_more_memory_than_the_host_has_is_said(cli: Cli) -> None:
    done = run(cli, "--limit", "memory=900g", "busybox:1.35", "--", "true").ok()
    assert "`task` may use 900 GiB and the host has" in done.err
    assert "--limit memory=" in done.err


def test_a_command_that_is_not_in_the_image_leaves_nothing(cli: Cli) -> None:
    done = run(cli, "busybox:1.35", "--", "no-such-command")
    assert done.code == 127
    assert "no-such-command" in done.err
    assert cli.containers() == ()
    assert last(cli)["phase"] == "failed"


def test_ctrl_c_stops_it_politely_and_twice_at_once(cli: Cli) -> None:
    polite = cli.start(
        "run",
        *SMALL,
        "busybox:1.35",
        "--",
        "sh",
        "-c",
        "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 1 & wait; done",
    )
    assert polite.stdout is not None
    assert polite.stdout.readline() == "ready\n"
    os.kill(polite.pid, signal.SIGINT)
    out, err = polite.communicate(timeout=30)
    assert (polite.returncode, out) == (130, "bye\n"), err
    assert last(cli)["phase"] == "cancelled"

    deaf = cli.start(
        "run", *SMALL, "busybox:1.35", "--", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"
    )
    assert deaf.stdout is not None
    assert deaf.stdout.readline() == "ready\n"
    os.kill(deaf.pid, signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        deaf.wait(timeout=2)
    os.kill(deaf.pid, signal.SIGINT)
    deaf.communicate(timeout=8)  # docker would give it 10 s
    assert deaf.returncode == 130
    assert cli.containers() == ()


def test_killed_with_9_the_next_pass_ends_it_and_its_sidecar(cli: Cli) -> None:
    child = cli.start("run", *SMALL, "--sidecar", "redis", "busybox:1.35", "--", "sh", "-c", STILL)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    assert len(cli.containers()) == 2
    child.kill()
    child.communicate(timeout=10)
    cli("reap").ok()
    assert cli.containers() == ()
    assert cli.networks() == []
    assert last(cli)["phase"] == "lost"


@pytest.mark.slow
def test_a_detached_task_is_finished_by_whoever_looks(cli: Cli) -> None:
    task = detached(cli, "--name", "build", "busybox:1.35", "--", "sh", "-c", "echo done; exit 4")
    done = cli("wait", task, "--timeout", "30s")
    assert (done.code, done.out) == (4, f"{task}  failed  4\n")
    assert cli("logs", task[:5]).ok().out == "done\n"
    assert cli("tasks", "--json").ok().data == []
    (line,) = cli("tasks", "--all", "--json").ok().data
    assert (line["name"], line["exit_code"], line["phase"]) == ("build", 4, "failed")
    told = cli("inspect", task, "--json").ok().data
    assert told["limits"]["pids"] == 64
    cli("rm", task).ok()
    assert cli("inspect", task).code == 2
    assert not (cli.home / "tasks" / task).exists()


@pytest.mark.slow
def test_a_reader_that_is_slow_loses_nothing(cli: Cli) -> None:
    child = cli.start("run", *SMALL, "busybox:1.35", "--", "seq", "1", "60000")
    assert child.stdout is not None
    first = child.stdout.read(1000)
    resumed = time.monotonic() + 7  # longer than the silence after which streams count as over
    until(lambda: time.monotonic() > resumed, 30, "a slow reader's pause")
    rest = child.stdout.read()
    assert child.wait(timeout=60) == 0
    child.communicate()
    assert len(first + rest) == sum(len(f"{number}\n") for number in range(1, 60001))


def test_a_task_whose_container_was_removed_by_hand_is_lost(cli: Cli) -> None:
    task = detached(cli, "busybox:1.35", "--", "sh", "-c", STILL)
    subprocess.run(["docker", "rm", "-f", f"inst-{task}"], check=True, capture_output=True, timeout=60)
    assert cli("wait", task, "--timeout", "30s").code == 125
    assert last(cli)["phase"] == "lost"


def test_cancel_ends_it_and_says_143(cli: Cli) -> None:
    task = detached(cli, "busybox:1.35", "--", "sh", "-c", STILL)
    assert cli("rm", task).code == 2
    cli("cancel", task).ok()
    assert cli("wait", task).code == 143
    assert cli.containers() == ()
    assert cli("logs", task).ok().out == "ready\n"
    cli("cancel", task).ok()
    assert last(cli)["phase"] == "cancelled"


def test_cancel_ends_one_that_is_still_being_started(cli: Cli) -> None:
    shipped = Path(__file__).parents[2] / "templates" / "sidecars" / "redis"
    slow = cli.checkout / "templates" / "sidecars" / "slow"
    shutil.copytree(shipped, slow)
    compose = slow / "compose.yaml.j2"
    compose.write_text(re.sub(r"- test .* = PONG", "- 'false'", compose.read_text()))
    child = cli.start("run", *SMALL, "--sidecar", "slow", "busybox:1.35", "--", "sh", "-c", STILL)
    until(cli.containers, 60, "its sidecar runs")
    begun = str(cli("tasks", "--json").ok().data[-1]["id"])
    assert cli("cancel", begun, timeout=30).ok().err == f"task {begun} is cancelled\n"
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (143, ""), err
    assert "cancelled while it was started" in err
    told = last(cli)
    assert (told["phase"], told["reason"]) == ("cancelled", "by hand")
    assert cli.containers() == ()


def test_sidecars_come_first_are_reached_by_url_and_keep_their_data(cli: Cli) -> None:
    ask = 'echo "$REDIS_URL"; nc cache 6379 </dev/null && echo reached'
    done = run(cli, "--sidecar", "cache=redis", "busybox:1.35", "--", "sh", "-c", ask).ok()
    url, reached = done.out.splitlines()
    assert re.fullmatch(r"redis://.*@cache:6379(/.*)?", url)
    assert reached == "reached"
    assert cli.containers() == ()
    assert cli.networks() == []


@pytest.mark.slow
def test_two_sidecars_of_one_template_each_have_their_variable(cli: Cli) -> None:
    words = ("--sidecar", "redis", "--sidecar", "spare=redis", "busybox:1.35")
    done = run(cli, *words, "--", "sh", "-c", 'echo "$REDIS_URL"; echo "$SPARE_URL"').ok()
    first, second = done.out.splitlines()
    assert "@redis:6379" in first
    assert "@spare:6379" in second


@pytest.mark.slow
def test_a_task_begins_with_a_copy_of_anothers_data(cli: Cli) -> None:
    words: tuple[str, ...] = (
        "--env",
        "TOKEN=hush-hush",
        "--sidecar",
        "db=postgres",
        "busybox:1.35",
        "--",
        "sh",
        "-c",
        STILL,
    )
    first = detached(cli, *words)
    folder = cli.home / "tasks" / first
    assert not [one for one in folder.glob("*.*") if "hush-hush" in one.read_text()]
    assert {one.name for one in cli.containers()} == {f"inst-{first}", f"inst-{first}-db-1"}
    assert cli.networks() == [f"inst-{first}_default"]
    psql = ("psql", "-h", "127.0.0.1", "-U", "app", "-tAc")
    cli("exec", first, "db", *psql, "create table t as select 41 + 1 as answer").ok()
    told = cli("inspect", first, "--json").data
    assert told["deadline"] >= told["started"] + told["lifetime"]  # its sidecar took none of it
    (db,) = told["sidecars"].values()
    assert (db["container_port"], db["host"], db["data"]) == (5432, "127.0.0.1", str(folder / "data" / "db"))
    assert db["port"] > 1024
    assert db["container_host"] is None
    for source in (first, str(folder), str(folder / "data")):
        assert run(cli, "--data-from", source, "--sidecar", "db=postgres", "busybox:1.35").code == 125
    shown = cli("inspect", first).ok().out
    assert "memory 64 MiB" in shown
    assert re.search(r"sidecar +db: DATABASE_URL, port 5432, from this host 127.0.0.1:\d+, data in /", shown)
    assert "--reach db=isolated" in cli("url", first, "db", "--from", "isolated").err
    cli("cancel", first).ok()
    for words in (("exec", first, "ls"), ("url", first, "db"), ("logs", first, "db"), ("status", first)):
        told = cli(*words)
        assert f"`stackctl inspect {first}`" in told.out + told.err
        assert "stackctl up" not in told.out + told.err
    kept = cli.home / "tasks" / first / "data" / "db"
    assert any(kept.iterdir())

    cli("rm", first).ok()
    (line,) = cli("tasks", "--all", "--json").ok().data
    assert (line["id"], line["forgotten"]) == (first, True)
    assert "data is kept" in cli("tasks", "--all").out
    assert sorted(one.name for one in folder.iterdir()) == ["compose.yaml", "data", "record.json", "secrets"]
    prune = ("tasks", "prune", "--older-than", "0.001s", "--dry-run", "--json")
    assert cli(*prune).ok().data["forgotten"] == []
    assert cli(*prune, "--data").ok().data["forgotten"] == [first]
    other = run(cli, "--json", "--data-from", first, "--sidecar", "other=postgres", "busybox:1.35")
    assert "has no data of `other`; its folders: `db`" in json.loads(other.out)["error"]["message"]

    words = ("--data-from", first, "--sidecar", "db=postgres", "busybox:1.35", "--", "sh", "-c", STILL)
    with FileStore(open_home(cli.home)).lock(f"inst-{first}", command="a test", wait=10.0):
        child = cli.start("run", "--detach", *SMALL, *words)
        assert child.stderr is not None
        err = child.stderr
        until(lambda: "copying the data" in err.readline(), 60, "it comes to the copy")
        end = time.monotonic() + 1.5
        while time.monotonic() < end:  # who holds the source may be about to start or purge it
            assert child.poll() is None
            assert not [one for one in (cli.home / "tasks").glob("*/data/*") if one != kept]
    second = child.communicate(timeout=120)[0].strip()
    assert child.returncode == 0
    assert cli("exec", second, "db", *psql, "select answer from t").ok().out == "42\n"
    cli("exec", second, "db", *psql, "drop table t").ok()
    cli("cancel", second).ok()

    assert any(kept.iterdir())
    cli("rm", first, second, "--data").ok()
    assert not folder.exists()
    assert not (cli.home / "tasks" / second).exists()


@pytest.mark.slow
def test_a_stacks_task_runs_on_its_network_and_ends_with_it(cli: Cli) -> None:
    cli.template("app")
    cli.stack(
        "app",
        "template: app\nsidecars: {cache: {template: redis}}\nlimits: {memory: 128m}\n"
        "tasks:\n  ask: {image: 'busybox:1.35',"
        " command: [sh, -c, 'nc cache 6379 </dev/null && echo $REDIS_URL']}\n"
        "  stay: {image: 'busybox:1.35', command: [sleep, '600']}\n",
    )
    assert cli("run", "--in", "app", "ask").code == 125
    cli("up", "app").ok()
    done = cli("run", "--in", "app", "ask").ok()
    assert done.out.startswith("redis://")
    assert cli("run", "--in", "app", "nothing").code == 125
    assert cli("run", "--in", "app", "--network", "none", "ask").code == 125
    task = cli("run", "--detach", "--in", "app", "stay").ok().out.strip()
    cli("down", "app").ok()
    assert cli.containers() == ()
    told = last(cli)
    assert (told["id"], told["phase"]) == (task, "cancelled")


@pytest.mark.slow
def test_a_kept_container_stays_until_it_is_asked_to_go(cli: Cli) -> None:
    done = run(cli, "--keep", "busybox:1.35", "--", "sh", "-c", "echo x > /made; exit 2")
    assert done.code == 2
    (container,) = cli.containers()
    assert container.state == "exited"
    cli("reap").ok()
    assert len(cli.containers()) == 1
    cli("rm", str(last(cli)["id"])).ok()
    assert cli.containers() == ()


@pytest.mark.slow
def test_mounts_users_and_folders(cli: Cli, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    shown.mkdir()
    shown.chmod(0o777)
    (shown / "in").write_text("from the host\n")
    words = ["--mount", f"{shown}:/m", "--mount", f"{shown}:/ro:ro", "-w", "/m", "-u", "1234"]
    script = "cat in; id -u > out; touch /ro/x && echo written"
    done = run(cli, *words, "busybox:1.35", "--", "sh", "-c", script)
    assert done.code == 1
    assert done.out == "from the host\n"
    assert (shown / "out").read_text() == "1234\n"
    assert (shown / "out").stat().st_uid == 1234
    assert not (shown / "x").exists()
    assert run(cli, "--network", "none", "busybox:1.35", "--", "sh", "-c", "ls /sys/class/net").out == "lo\n"


@pytest.mark.slow
def test_prune_forgets_what_is_old_and_keeps_data(cli: Cli) -> None:
    for _ in range(3):
        run(cli, "busybox:1.35", "--", "true").ok()
    assert cli("tasks", "prune").code == 2
    assert cli("tasks", "prune", "--older-than", "1h", "--json").ok().data["forgotten"] == []
    old = ("tasks", "prune", "--older-than", "1s", "--json")
    until(lambda: len(cli(*old, "--dry-run").ok().data["forgotten"]) == 3, 20, "three old tasks")
    assert len(cli("tasks", "--all", "--json").ok().data) == 3
    assert len(cli(*old).ok().data["forgotten"]) == 3
    assert cli("tasks", "--all", "--json").ok().data == []
    home = open_home(cli.home)
    assert [path.name for path in home.tasks.iterdir()] == ["finished.jsonl"]
    assert list(home.live_tasks.iterdir()) == []
