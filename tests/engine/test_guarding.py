"""Commands of this host that leave nothing behind, and orphans swept: real processes, all of them bounded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stackctl.engine.host_processes import alive, read_processes, send

SECONDS = 60
"""How long what the tests start lives at most."""


@pytest.fixture
def mark() -> str:
    """A word that only the command lines of one test have."""
    return f"guard-{uuid.uuid4().hex[:12]}"


def sleeper(mark: str) -> str:
    """Shell text of a process with the mark in its command line."""
    return f"sh -c 'sleep {SECONDS}; : {mark}'"


def marked(mark: str) -> list[int]:
    mine = {os.getpid(), os.getppid()}
    return [
        p.pid for p in read_processes().values() if mark in p.command and not p.zombie and p.pid not in mine
    ]


def wait_for(mark: str, count: int, seconds: float = 20.0) -> list[int]:
    until = time.monotonic() + seconds
    while len(found := marked(mark)) < count and time.monotonic() < until:
        time.sleep(0.05)
    return found


def guard(*words: str, timeout: float = 60, **environ: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "stackctl", "guard", *words]
    env = {**os.environ, **environ}
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, env=env
    )


def data(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)["data"]
    return found


def test_the_exit_code_is_the_commands_own() -> None:
    assert guard("run", "--", "sh", "-c", "exit 3").returncode == 3
    assert guard("run", "--", "sh", "-c", "kill -9 $$").returncode == 137
    missing = guard("run", "--", "no-such-command-of-ours")
    assert missing.returncode == 2
    assert "there is no command `no-such-command-of-ours`" in missing.stderr


def test_double_forks_and_sessions_of_their_own_are_ended(mark: str) -> None:
    one = sleeper(mark)
    script = f'{one} & setsid {one} & (setsid sh -c "{one} &" &) ; sleep 0.5; exit 0'
    done = guard("run", "--json", "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    assert marked(mark) == []
    assert sum(mark in one["command"] for one in data(done)["left"]) >= 3


def test_what_ignores_term_is_killed(mark: str) -> None:
    script = f"sh -c 'trap \"\" TERM; while :; do sleep 1; done; : {mark}' & sleep 0.5"
    done = guard("run", "--grace", "500ms", "--", "sh", "-c", script)
    assert "left" in done.stderr
    assert marked(mark) == []


def test_a_lifetime_ends_all_of_it(mark: str) -> None:
    done = guard(
        "run", "--json", "--lifetime", "1s", "--", "sh", "-c", f"setsid {sleeper(mark)} & sleep {SECONDS}"
    )
    assert done.returncode == 124
    assert data(done)["cause"] == "lifetime"
    assert marked(mark) == []


def test_a_limit_on_processes_ends_all_of_it(mark: str) -> None:
    loop = f"i=0; while [ $i -lt 60 ]; do {sleeper(mark)} & i=$((i+1)); done; sleep {SECONDS}"
    done = guard("run", "--json", "--pids", "20", "--", "sh", "-c", loop)
    assert done.returncode == 137, done.stderr
    assert data(done)["cause"] == "limit"
    assert "20" in data(done)["reason"]
    assert marked(mark) == []


def test_a_limit_on_memory_ends_it() -> None:
    eat = "x = bytearray(300 << 20)\nfor at in range(0, len(x), 4096): x[at] = 1\nimport time; time.sleep(20)"
    done = guard("run", "--json", "--memory", "100m", "--", sys.executable, "-c", eat)
    assert done.returncode == 137, done.stderr
    assert "100 MiB" in data(done)["reason"]


def test_without_a_cgroup_limits_are_looked_at(mark: str) -> None:
    """In a private mount namespace without cgroups, as a user without rights would have it."""
    loop = f"i=0; while [ $i -lt 60 ]; do {sleeper(mark)} & i=$((i+1)); done; sleep {SECONDS}"
    inner = [
        sys.executable,
        "-m",
        "stackctl",
        "guard",
        "run",
        "--json",
        "--pids",
        "20",
        "--",
        "sh",
        "-c",
        loop,
    ]
    flags = ["-m"] if os.geteuid() == 0 else ["-m", "--map-root-user"]
    hidden = ["unshare", *flags, "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', "sh", *inner]
    done = subprocess.run(hidden, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 137, done.stderr
    assert data(done)["cgroup"] is False
    assert "limit 20" in data(done)["reason"]
    assert marked(mark) == []


def test_no_cgroup_is_left_behind() -> None:
    guard("run", "--pids", "50", "--", "true")
    assert not [path for path in Path("/sys/fs/cgroup").rglob("stackctl-guard-*") if path.is_dir()]


def test_term_goes_on_to_the_command(mark: str) -> None:
    argv = [sys.executable, "-m", "stackctl", "guard", "run", "--", "sh", "-c"]
    script = f"trap 'exit 7' TERM; {sleeper(mark)} & wait"
    with subprocess.Popen([*argv, script], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
        assert wait_for(mark, 2)
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=30) == 7
    assert marked(mark) == []


# Sweeping


@pytest.fixture
def orphan(mark: str) -> Iterator[list[int]]:
    """Two marked processes whose parent has ended, in the session of a leader that has ended too."""
    one = sleeper(mark)
    subprocess.run(
        ["setsid", "sh", "-c", f"{one} & {one} &"], timeout=20, stdin=subprocess.DEVNULL, check=True
    )
    found = wait_for(mark, 2)
    yield found
    for process in read_processes().values():
        if mark in process.command:
            send(process, signal.SIGKILL)


def test_orphans_that_match_are_ended_and_nothing_else(mark: str, orphan: list[int]) -> None:
    owned = subprocess.Popen(["sh", "-c", f"sleep {SECONDS}; : {mark}"], stdin=subprocess.DEVNULL)
    try:
        dry = guard("sweep", "--pattern", mark, "--older-than", "100ms", "--dry-run", "--json")
        assert {one["pid"] for one in data(dry)["found"]} >= set(orphan)
        assert set(orphan) <= set(marked(mark))
        few = guard("sweep", "--pattern", mark, "--older-than", "100ms", "--min-count", "50", "--json")
        assert data(few)["ended"] == 0
        young = guard("sweep", "--pattern", mark, "--older-than", "1h", "--json")
        assert data(young)["found"] == []
        said = guard("sweep", "--pattern", mark, "--older-than", "1h").stderr
        assert "younger than 1h" in said
        done = guard("sweep", "--pattern", mark, "--older-than", "100ms", "--json")
        assert done.returncode == 0, done.stderr
        assert data(done)["ended"] >= 2
        assert set(orphan).isdisjoint(marked(mark))
        assert owned.poll() is None, "a process with a living owner was ended"
    finally:
        owned.kill()
        owned.wait()


def test_a_pid_that_passed_to_another_process_is_never_signalled(mark: str) -> None:
    child = subprocess.Popen(["sleep", str(SECONDS)], stdin=subprocess.DEVNULL)
    try:
        seen = read_processes()[child.pid]
        assert send(replace(seen, started=seen.started - 1), signal.SIGKILL) is False
        assert alive([seen]) == [seen]
        assert send(seen, signal.SIGKILL) is True
    finally:
        child.kill()
        child.wait()
    assert send(seen, signal.SIGKILL) is False


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sweep", "--pattern", "("), "--pattern (:"),
        (("sweep",), "missing option '--pattern'"),
        (("run",), "CMD"),
        (("run", "--pids", "many", "--", "true"), "--pids:"),
        (("run", "--memory", "0", "--", "true"), "--memory:"),
        (("run", "--lifetime", "never", "--", "true"), "--lifetime:"),
        (("nope",), "no such command"),
    ],
)
def test_bad_input_is_told_with_what_to_do(words: tuple[str, ...], told: str) -> None:
    done = guard(*words)
    assert done.returncode == 2
    assert told in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
