"""`batch` on the real engine: so many at a time, one result each, in every way that it can go."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from batches import IMAGE, ROOM, counted, live, phases, ran, results, shell, write
from commandline import Cli
from house import until

pytestmark = pytest.mark.engine


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    """A folder that tasks write into, whoever they run as."""
    folder = tmp_path / "seen"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def on_a_terminal(cli: Cli, *words: str) -> tuple[int, str]:
    """A command whose messages go to a terminal: its exit code, and all that was shown there."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        cli.argv(*words),
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
        cwd=cli.checkout,
        env=cli.environment(TERM="xterm", COLUMNS="120"),
    )
    os.close(follower)
    seen = b""
    with suppress(OSError):  # that is how a terminal ends whose other side is closed
        while data := os.read(leader, 4096):
            seen += data
    os.close(leader)
    return child.wait(timeout=60), seen.decode()


@pytest.mark.slow
def test_a_terminal_shows_a_bar_with_what_runs_and_how_it_went(cli: Cli) -> None:
    tasks = [shell(f"sleep 0.{number}") for number in range(5)] + [shell("sleep 1; exit 3")]
    file = write(cli.checkout / "seen.jsonl", tasks)

    code, seen = on_a_terminal(cli, "batch", str(file), "-j", "2", *ROOM)

    assert code == 1
    assert "0/6" in seen
    assert "6/6" in seen
    assert " running, 5 ok" in seen
    assert "5 ok, 1 failed" in seen
    assert "0:00:0" in seen  # the time that is left


def out_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.results.jsonl")


def test_many_tasks_each_once_and_one_that_fails(cli: Cli, seen: Path) -> None:
    tasks = [counted(seen, f"k{number}", f"echo out {number}") for number in range(19)]
    tasks.append(counted(seen, "bad", "echo why >&2; exit 3"))
    file = write(cli.checkout / "many.jsonl", tasks)

    done = cli("batch", str(file), "-j", "4", "--json", *ROOM)

    assert done.code == 1, done.err
    assert done.data["counts"] == {
        "succeeded": 19,
        "failed": 1,
        "killed": 0,
        "expired": 0,
        "lost": 0,
        "cancelled": 0,
    }
    assert (done.data["tasks"], done.data["interrupted"], done.data["not_started"]) == (20, 0, 0)
    found = {one["key"]: one for one in results(out_of(file))}
    assert len(found) == len(results(out_of(file))) == 20
    assert set(ran(seen).values()) == {1}
    assert found["k7"]["output"] == ["out 7"]
    assert found["k7"]["finished"] >= found["k7"]["started"] > 0
    assert (found["bad"]["phase"], found["bad"]["exit_code"], found["bad"]["output"]) == (
        "failed",
        3,
        ["why"],
    )
    record = cli.task(found["bad"]["id"])
    assert record["task"]["holder"].startswith("batch-")
    assert record["task"]["key"] == "bad"
    assert cli.containers() == ()
    assert live(cli) == []

    again = cli("batch", str(file), "--resume", "--json", *ROOM)
    assert (again.code, again.data) == (1, done.data)
    assert set(ran(seen).values()) == {1}

    refused = cli("batch", str(file), *ROOM)
    assert refused.code == 2
    assert "are there already" in refused.err
    assert "--resume" in refused.err
    assert "--out" in refused.err


def test_everything_that_is_wrong_with_a_file_is_said_at_once(cli: Cli) -> None:
    tasks = [
        shell("true", key="good"),
        shell("true", imge="x"),
        shell("true", mounts=["/no/such:/x"], sidecars=["nope"]),
        shell("true", sidecars=["other"]),
        shell("true", limits={"memory": "900g"}),
        shell("true", mounts=["/etc:/x"]),
    ]
    file = write(cli.checkout / "wrong.jsonl", tasks)
    file.write_text(file.read_text() + "this is not JSON\n")
    done = cli("batch", str(file))
    assert done.code == 3  # the gravest of them
    told = [line.strip() for line in done.err.splitlines() if line.startswith("  ")]
    for line, words in (
        (2, "there is no key `imge`"),
        (3, "no file or folder `/no/such`"),
        (3, "no sidecar template `nope`"),
        (4, "no sidecar template `other`"),
        (5, "it never fits"),
        (6, "belongs to the host's system"),
        (7, "this is not JSON"),
    ):
        assert [one for one in told if one.startswith(f"{file}:{line}: ") and words in one], (words, done.err)
    assert len(told) == 7
    assert not out_of(file).exists()

    without = cli("batch", str(file), DOCKER_HOST="unix:///no/such.sock")
    assert (without.code, "it never fits" in without.err) == (3, False)
    assert f"{file}:7: " in without.err


def test_no_more_than_so_many_at_once_and_none_over_the_budget(cli: Cli, seen: Path) -> None:
    script = "echo + >> /seen/now; sleep 0.4; echo - >> /seen/now"
    tasks = [shell(script, mounts=[f"{seen}:/seen"]) for _ in range(6)]
    file = write(cli.checkout / "room.jsonl", tasks)
    cli("batch", str(file), "-j", "6", "--budget", "memory=64m,cpus=4").ok()
    now = most = 0
    for word in (seen / "now").read_text().split():
        now += 1 if word == "+" else -1
        most = max(most, now)
    assert most == 2  # of 32m each
    assert [one["key"] for one in results(out_of(file))] != []


def test_plain_lines_on_a_pipe_and_a_summary(cli: Cli) -> None:
    file = write(cli.checkout / "told.jsonl", [shell("true", key="a"), shell("exit 7", key="b")])
    done = cli("batch", str(file), "-v", *ROOM)
    assert done.code == 1
    assert "a succeeded in " in done.err
    assert "b failed in " in done.err
    assert "exit code 7" in done.err
    assert f"2 tasks: 1 succeeded, 1 failed; results in {out_of(file)}" in done.err
    assert done.out == ""


def test_tasks_from_yaml_and_from_standard_input(cli: Cli) -> None:
    yaml = cli.checkout / "tasks.yaml"
    yaml.write_text(
        f"defaults: {{image: '{IMAGE}', limits: {{memory: 32m, cpus: 0.25, pids: 32}}, env: {{A: one}}}}\n"
        "tasks:\n  - {key: env, command: 'sh -c \"echo $A $B\"', env: {B: two}}\n"
    )
    cli("batch", str(yaml), *ROOM).ok()
    assert results(out_of(yaml))[0]["output"] == ["one two"]

    def piped(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            cli.argv("batch", "-", *words, *ROOM),
            input=json.dumps(shell("echo piped")),
            env=cli.environment(),
            cwd=cli.checkout,
            capture_output=True,
            text=True,
            timeout=60,
        )

    lacking = piped()
    assert lacking.returncode == 2
    assert "--out FILE" in lacking.stderr
    assert piped("--out", "piped.jsonl").returncode == 0
    assert results(cli.checkout / "piped.jsonl")[0]["output"] == ["piped"]


def test_limits_of_the_command_line_are_defaults_and_a_lifetime_expires(cli: Cli) -> None:
    tasks = [
        {"image": IMAGE, "key": "long", "command": ["sleep", "60"]},
        {"image": IMAGE, "key": "own", "command": ["true"], "limits": {"pids": 41}, "lifetime": "1m"},
        {"image": IMAGE, "key": "big", "command": "tail /dev/zero", "lifetime": "1m"},
    ]
    file = write(cli.checkout / "limits.jsonl", tasks)
    words = ("--limit", "memory=24m", "--limit", "cpus=0.5", "--limit", "pids=40", "--lifetime", "2s")
    done = cli("batch", str(file), "-j", "3", *words, *ROOM)
    assert done.code == 1
    found = {one["key"]: one for one in results(out_of(file))}
    assert {key: one["phase"] for key, one in found.items()} == {
        "long": "expired",
        "own": "succeeded",
        "big": "killed",
    }
    assert found["big"]["incident"]
    services = {key: cli.task(one["id"])["services"]["task"] for key, one in found.items()}
    assert (services["long"]["pids"], services["own"]["pids"]) == (40, 41)
    assert services["own"]["memory"] == 24 << 20


@pytest.mark.slow
def test_a_sidecar_is_up_before_its_task_and_several_at_once_get_a_place_each(cli: Cli) -> None:
    script = "echo $REDIS_URL | grep -q redis:// && nc redis 6379 </dev/null"
    tasks = [shell(script, key=f"s{number}", sidecars=["redis"]) for number in range(2)]
    file = write(cli.checkout / "beside.jsonl", tasks)
    done = cli("batch", str(file), "-j", "2", "--budget", "memory=32g,cpus=32")
    assert done.code == 0, (done.err, results(out_of(file)))
    assert cli.containers() == ()
    assert cli.networks() == []


@pytest.mark.slow
def test_after_the_first_failure_nothing_starts_and_what_runs_is_ended(cli: Cli, seen: Path) -> None:
    tasks = [
        counted(seen, "slow", "sleep 300"),
        counted(seen, "bad", "exit 4"),
        *(counted(seen, f"late{number}") for number in range(4)),
    ]
    file = write(cli.checkout / "fast.jsonl", tasks)
    done = cli("batch", str(file), "-j", "2", "--fail-fast", "--json", *ROOM, timeout=60)
    assert done.code == 1
    assert phases(out_of(file)) == {"bad": "failed"}
    assert (done.data["interrupted"], done.data["not_started"]) == (1, 4)
    (record,) = [one for one in cli("tasks", "--all", "--json").data if one["key"] == "slow"]
    assert (record["phase"], record["reason"]) == ("cancelled", "another task of the batch failed")
    assert cli.containers() == ()


def interrupted(cli: Cli, file: Path, seen: Path, *wanted: str) -> subprocess.Popen[str]:
    """A batch whose first tasks run; it was asked once to end."""
    child = cli.start("batch", str(file), "-j", "2", *ROOM)
    until(lambda: set(wanted) <= set(ran(seen)), 30, "the first tasks run")
    os.kill(child.pid, signal.SIGINT)
    return child


@pytest.mark.slow
def test_ctrl_c_ends_what_runs_and_resume_does_it_again_but_not_what_was_cancelled(
    cli: Cli, seen: Path
) -> None:
    gate = "[ -e /seen/open ] || exec sleep 300"
    file = write(cli.checkout / "stop.jsonl", [counted(seen, key, gate) for key in ("a", "b", "c", "d")])
    child = cli.start("batch", str(file), "-j", "2", *ROOM)
    until(lambda: {"a", "b"} <= set(ran(seen)), 30, "the first tasks run")
    (first,) = [one["id"] for one in cli("tasks", "--json").data if one["key"] == "a"]
    cli("cancel", first).ok()
    until(lambda: "c" in ran(seen), 30, "the next one runs")
    os.kill(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "2 interrupted, 1 not started" in err
    assert phases(out_of(file)) == {"a": "cancelled"}
    assert cli.containers() == ()

    (seen / "open").touch()
    done = cli("batch", str(file), "--resume", *ROOM)
    assert done.code == 0, done.err
    assert phases(out_of(file)) == {"a": "cancelled", "b": "succeeded", "c": "succeeded", "d": "succeeded"}
    assert ran(seen) == {"a": 1, "b": 2, "c": 2, "d": 1}


@pytest.mark.slow
def test_ctrl_c_twice_waits_for_nobodys_grace(cli: Cli, seen: Path) -> None:
    deaf = "trap '' TERM; while :; do sleep 1; done"
    file = write(cli.checkout / "deaf.jsonl", [counted(seen, "deaf", deaf)])
    child = interrupted(cli, file, seen, "deaf")
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(timeout=2)
    os.kill(child.pid, signal.SIGINT)
    child.communicate(timeout=8)  # docker would give it 10 s
    assert child.returncode == 130
    assert cli.containers() == ()


@pytest.mark.slow
def test_killed_it_goes_on_with_what_runs_and_what_ended_meanwhile(cli: Cli, seen: Path) -> None:
    gate = "while ! [ -e /seen/{} ]; do sleep 0.1; done; exit {}"
    tasks = [
        counted(seen, "ends", gate.format("one", 5)),
        counted(seen, "stays", gate.format("two", 0)),
        counted(seen, "next"),
    ]
    file = write(cli.checkout / "kill.jsonl", tasks)
    child = cli.start("batch", str(file), "-j", "2", *ROOM)
    until(lambda: {"ends", "stays"} <= set(ran(seen)) and len(_running(cli)) == 2, 30, "both run")
    child.kill()
    child.communicate()
    (seen / "one").touch()
    until(lambda: len(live(cli)) == 1, 30, "one has ended while nobody attended it")

    again = cli.start("batch", str(file), "-j", "2", "--resume", *ROOM)
    until(lambda: {"ends", "next"} <= set(phases(out_of(file))), 30, "what ended is written down")
    busy = cli("batch", str(file), "--resume", *ROOM)
    assert busy.code == 7
    assert f"held by pid {again.pid}" in busy.err
    (seen / "two").touch()
    _, err = again.communicate(timeout=60)
    assert again.returncode == 1, err
    assert phases(out_of(file)) == {"ends": "failed", "next": "succeeded", "stays": "succeeded"}
    assert ran(seen) == {"ends": 1, "stays": 1, "next": 1}
    assert cli.containers() == ()


def _running(cli: Cli) -> list[Any]:
    return [one for one in cli("tasks", "--json").data if one["phase"] == "running"]


@pytest.mark.slow
def test_results_that_were_torn_lost_or_spoilt(cli: Cli, seen: Path) -> None:
    file = write(cli.checkout / "torn.jsonl", [counted(seen, "a"), counted(seen, "b")])
    out = out_of(file)
    cli("batch", str(file), *ROOM).ok()
    whole = out.read_text()

    out.write_text(whole[:-9])  # what a power cut leaves of the last line
    cli("batch", str(file), "--resume", *ROOM).ok()
    assert sorted(out.read_text().splitlines()) == sorted(whole.splitlines())
    assert set(ran(seen).values()) == {1}

    out.write_text("nonsense\n" + whole)
    spoilt = cli("batch", str(file), "--resume", *ROOM)
    assert spoilt.code == 1
    assert f"line 1 of the results `{out}` is no result" in spoilt.err

    out.unlink()  # a new beginning: nothing of the earlier run counts
    cli("batch", str(file), *ROOM).ok()
    assert set(ran(seen).values()) == {2}
    cli("batch", str(file), "--resume", *ROOM).ok()
    assert set(ran(seen).values()) == {2}


def test_nothing_is_started_when_one_task_is_wrong(cli: Cli, seen: Path) -> None:
    tasks = [
        counted(seen, "fine"),
        counted(seen, "mount") | {"mounts": ["not-there:/x"]},
        counted(seen, "fits-not") | {"limits": {"memory": "5g", "cpus": 1}},
        counted(seen, "sidecar") | {"sidecars": ["no-such"]},
        counted(seen, "refused") | {"mounts": ["/:/host"]},
    ]
    file = write(cli.checkout / "wrong.jsonl", tasks)
    early = cli("batch", str(file), *ROOM)
    assert early.code == 3
    assert f"{file}:2: [1]: " in early.err
    assert "no file or folder" in early.err

    file = write(file, [task for task in tasks if task["key"] != "mount"])
    done = cli("batch", str(file), *ROOM)
    assert done.code == 3
    assert f"{file}:2: [1]: task `fits-not` may use 5 GiB of memory and 1 cpus, and the budget is" in done.err
    assert "--budget memory=5g,cpus=1" in done.err
    assert f"{file}:3: [2]: " in done.err
    assert "no-such" in done.err
    assert f"{file}:4: [3]: " in done.err
    assert ran(seen) == {}
    assert not out_of(file).exists()
    assert cli("tasks", "--all", "--json").data == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no-such.jsonl",), "no-such.jsonl"),
        (("wrong.jsonl", "--budget", "disk=1g"), "--budget cannot take `disk=1g`"),
        (("wrong.jsonl", "-j", "0"), "0 is not in the range"),
        (("wrong.jsonl", "--limit", "memory=lots"), "--limit memory"),
        (("wrong.jsonl", "--lifetime", "never"), "--lifetime"),
        (("wrong.jsonl", "--out", "no/such/folder.jsonl"), "there is no folder"),
        (("wrong.jsonl",), "the task needs an `image`"),
    ],
)
def test_a_wrong_command_line(cli: Cli, words: tuple[str, ...], said: str) -> None:
    (cli.checkout / "wrong.jsonl").write_text("{}\n")
    done = cli("batch", *words)
    assert done.code == 2, done.err
    assert said in done.err


def test_an_image_that_is_not_there_fails_its_task_alone(cli: Cli) -> None:
    tasks = [shell("true", key="fine"), shell("true", key="lacking") | {"image": "127.0.0.1:9/no:1"}]
    file = write(cli.checkout / "image.jsonl", tasks)
    done = cli("batch", str(file), *ROOM)
    assert done.code == 1
    assert phases(out_of(file)) == {"fine": "succeeded", "lacking": "failed"}
    (lacking,) = [one for one in results(out_of(file)) if one["key"] == "lacking"]
    assert "127.0.0.1:9/no:1" in lacking["reason"]
