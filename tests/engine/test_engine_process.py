"""Child processes: bounded, reaped, dead when we are, and never more in a message than their name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from stackctl.core.errors import DockerMissing, EngineRefused, TimedOut, UsageError
from stackctl.engine import descendants, process
from stackctl.engine.endpoint import find_program

SOURCE = str(Path(__file__).parents[2] / "src")
PLAIN = {"PATH": os.environ["PATH"]}


@pytest.fixture(params=["setpriv", "watcher"])
def environ(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, str]:
    """A PATH with setpriv and timeout, and one without, where the watcher does their work."""
    if request.param == "setpriv":
        assert find_program("setpriv", PLAIN)
        return PLAIN
    for name in ("mv", "sh", "sleep", "cat", "echo", "kill", "head", "true", "setsid", "env"):
        (tmp_path / name).symlink_to(find_program(name, PLAIN))
    return {"PATH": str(tmp_path)}


def _alive(pid: int) -> bool:
    table = descendants.read_table()
    return pid in table and not table[pid].zombie


def _until(condition: Callable[[], bool], seconds: float = 8.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_output_and_code_come_back(environ: Mapping[str, str]) -> None:
    ended = process.run(["sh", "-c", "cat; echo err >&2; exit 7"], timeout=10, env=environ, input=b"in\xff")
    assert (ended.code, ended.stdout, ended.stderr) == (7, "in\N{REPLACEMENT CHARACTER}", "err\n")
    assert process.run(["sh", "-c", "kill -9 $$"], timeout=10, env=environ).code == 137


def test_much_input_that_nobody_reads_does_not_hang(environ: Mapping[str, str]) -> None:
    assert process.run(["true"], timeout=10, env=environ, input=b"x" * (4 << 20)).code == 0
    assert len(process.run(["cat"], timeout=20, env=environ, input=b"x" * (4 << 20)).stdout) == 4 << 20


def test_stderr_is_kept_to_its_end_and_stdout_is_bounded(
    environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = "head -c 300000 /dev/zero >&2; echo last >&2"
    ended = process.run(["sh", "-c", noisy], timeout=10, env=environ)
    assert len(ended.stderr) == process.STDERR_KEPT
    assert ended.stderr.endswith("last\n")
    monkeypatch.setattr(process, "OUTPUT_KEPT", 1 << 20)
    with pytest.raises(EngineRefused, match="more than 1 MiB"):
        process.run(["head", "-c", "3000000", "/dev/zero"], timeout=10, env=environ)


@pytest.mark.parametrize("trap", ["trap '' TERM", ":"])
def test_the_whole_tree_ends_with_the_bound(environ: Mapping[str, str], tmp_path: Path, trap: str) -> None:
    """A grandchild in another session that ignores TERM is found as well, also when its parent is gone."""
    pids = tmp_path / "pids"
    tree = f"""{trap}
        setsid sh -c "trap '' TERM; echo \\$\\$ >> {pids}; while :; do sleep 1; done" &
        echo $$ >> {pids}; while :; do sleep 1; done"""
    began = time.monotonic()
    with pytest.raises(TimedOut, match="`sh` did not end within 1s"):
        process.run(["sh", "-c", tree], timeout=1, env=environ)
    assert time.monotonic() - began < 6
    found = [int(pid) for pid in pids.read_text().split()]
    assert len(found) == 2
    assert _until(lambda: not any(_alive(pid) for pid in found))


def test_an_orphan_of_the_tree_ends_too(environ: Mapping[str, str], tmp_path: Path) -> None:
    """Its parent ended long before, so only the session still tells whose it is."""
    pid = tmp_path / "pid"
    orphan = f"(sh -c 'echo $$ > {pid}; while :; do sleep 1; done' &); while :; do sleep 1; done"
    with pytest.raises(TimedOut):
        process.run(["sh", "-c", orphan], timeout=1, env=environ)
    assert not _alive(int(pid.read_text()))


def test_what_a_child_leaves_behind_holds_nothing_up(environ: Mapping[str, str]) -> None:
    began = time.monotonic()
    ended = process.run(["sh", "-c", "sleep 5 & echo done"], timeout=20, env=environ)
    assert ended.stdout == "done\n"
    assert time.monotonic() - began < 3


def test_a_stream_that_is_abandoned_leaves_no_child(environ: Mapping[str, str], tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    endless = f"echo $$ > {pids}; while :; do echo tick; sleep 0.05; done"
    with process.stream(["sh", "-c", endless], env=environ) as lines:
        for line in lines:
            assert line == "tick"
            break
    assert not _alive(int(pids.read_text()))


def test_a_stream_says_how_it_ended(environ: Mapping[str, str]) -> None:
    with process.stream(["sh", "-c", "echo a; printf b; echo why >&2; exit 3"], env=environ) as lines:
        assert list(lines) == ["a", "b"]
        ended = lines.ended()
    assert (ended.code, ended.stderr) == (3, "why\n")
    with process.stream(["sleep", "30"], timeout=0.3, env=environ) as lines, pytest.raises(TimedOut):
        list(lines)


def test_a_child_dies_with_us(environ: Mapping[str, str], tmp_path: Path) -> None:
    """kill -9 of the process that waits, for each way to wait and for the chain of a foreign library."""
    marks = [tmp_path / name for name in ("run", "stream", "interactive", "bounded")]
    for mark in marks:
        loop = f"echo $$ > {mark}.tmp; mv {mark}.tmp {mark}; while :; do sleep 0.2; done"
        code = f"""
            import subprocess
            from stackctl.engine import process
            argv, env = ["sh", "-c", {loop!r}], {dict(environ)!r}
            if {mark.name!r} == "run":
                process.run(argv, timeout=60, env=env)
            elif {mark.name!r} == "stream":
                with process.stream(argv, env=env) as lines:
                    list(lines)
            elif {mark.name!r} == "interactive":
                process.interactive(argv, env=env)
            else:
                subprocess.run(process.bounded(argv, 60, env), env=env)
        """
        parent = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            env={**os.environ, "PYTHONPATH": SOURCE},
            start_new_session=True,
        )
        try:
            assert _until(mark.exists), mark.name
            child = int(mark.read_text())
            assert _alive(child)
            parent.kill()
            parent.wait()
            assert _until(lambda child=child: not _alive(child)), mark.name
        finally:
            descendants.end(parent.pid, parent.poll, 0.1)


@pytest.mark.parametrize("ignores", [False, True])
def test_the_chain_for_libraries_bounds_what_has_no_timeout(
    environ: Mapping[str, str], ignores: bool
) -> None:
    began = time.monotonic()
    trap = "trap '' TERM; " if ignores else ""
    argv = process.bounded(["sh", "-c", f"{trap}while :; do sleep 0.1; done"], 0.5, environ)
    code = subprocess.run(argv, env=dict(environ)).returncode
    assert code in (124, 137, -9)
    assert 0.4 < time.monotonic() - began < 5
    assert (
        subprocess.run(process.bounded(["sh", "-c", "exit 9"], 5, environ), env=dict(environ)).returncode == 9
    )


def test_interactive_passes_the_code_and_signals_on(environ: Mapping[str, str], tmp_path: Path) -> None:
    assert process.interactive(["sh", "-c", "exit 5"], env=environ) == 5
    assert process.interactive(["sh", "-c", "kill -15 $$"], env=environ) == 143
    ready = tmp_path / "ready"
    script = f"trap 'exit 42' TERM; echo > {ready}; while :; do sleep 0.1; done"
    code = f"""
        import sys
        from stackctl.engine import process
        sys.exit(process.interactive(["sh", "-c", {script!r}], env={dict(environ)!r}))
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": SOURCE},
        stdin=subprocess.DEVNULL,
    )
    assert _until(ready.exists)
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(10) == 42


def test_interactive_leaves_out_what_begins_a_line(environ: Mapping[str, str]) -> None:
    """Also where it comes in two pieces; within a line it stays, and a last line needs no end."""
    script = r"printf 'xyone\nx'; sleep 0.3; printf 'ytwo xy\nxyxythree\n\nxyend'; exit 4"
    code = f"""
        import sys
        from stackctl.engine import process
        sys.exit(process.interactive(["sh", "-c", {script!r}], env={dict(environ)!r}, without=b"xy"))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": SOURCE},
        stdout=subprocess.PIPE,
    )
    assert (done.returncode, done.stdout) == (4, b"one\ntwo xy\nxythree\n\nend")


def test_handlers_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    process.interactive(["true"])
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_missing_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(DockerMissing):
        process.run(["docker", "info"], timeout=1, env={"PATH": str(tmp_path)})
    with pytest.raises(UsageError, match="no command `nothing-such`"):
        process.interactive(["nothing-such"], env=PLAIN)


def test_the_environment_keeps_what_chooses_the_engine_and_nothing_that_hijacks_compose() -> None:
    given = {
        "PATH": "/bin",
        "DOCKER_HOST": "h",
        "DOCKER_CONTEXT": "c",
        "DOCKER_CONFIG": "d",
        "DOCKER_CERT_PATH": "p",
        "DOCKER_TLS_VERIFY": "1",
    }
    hostile = {
        "COMPOSE_FILE": "x",
        "COMPOSE_PROJECT_NAME": "y",
        "PYTHON_ON_WHALES_DEBUG": "1",
        "STACKCTL_SUBNET": "10.0.0.0/8",
    }
    assert process.scrubbed_environment({**given, **hostile}) == given


def test_a_message_never_has_the_arguments() -> None:
    assert process.title(["/usr/bin/docker", "compose", "up", "--env", "TOKEN=x"]) == "docker compose up"
    assert process.title(["docker", "--host", "tcp://user:pass@h", "ps"]) == "docker"
    assert process.title(["docker", "pull", "secret"]) == "docker pull"
