"""How processes of a real container are ended, with and without the right to signal them from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from waiting import lives, until

from stackctl.core.facts import Container, Process
from stackctl.engine.cgroup import text_of
from stackctl.engine.docker import DockerEngine
from stackctl.engine.strays import end_strays, send

pytestmark = pytest.mark.engine
Start = Callable[..., str]
SOCKET = Path("/var/run/docker.sock")
NOBODY = 65534
STUBBORN = "trap '' TERM; while :; do sleep 0.1; done"
MEEK = "while :; do sleep 0.1; done"


def named(engine: DockerEngine, container: Container, count: int) -> list[Process]:
    """The loops in a container, once they are all there."""
    found: list[Process] = []

    def there() -> bool:
        found[:] = [one for one in engine.processes(container) if "while :" in one.command]
        found[:] = [one for one in found if one.inside != 1 and one.command.startswith("sh -c")]
        return len(found) == count

    until(there, 20, "the loops")
    return found


def looping(engine: DockerEngine, start: Start, *scripts: str, options: tuple[str, ...] = ()) -> Container:
    """A container in whose shell some loops run in the background."""
    ready = " ".join(f"sh -c {json.dumps(script)} &" for script in scripts)
    (one,) = engine.inspect([start("sh", "-c", f"{ready} exec sleep 600", options=["--init", *options])])
    return one


def test_the_meek_end_by_term_and_the_stubborn_by_kill(engine: DockerEngine, start: Start) -> None:
    one = looping(engine, start, MEEK, STUBBORN, MEEK)
    chosen = named(engine, one, 3)[:2]
    assert {"trap" in process.command for process in chosen} == {True, False}

    assert engine.end_processes(one, chosen, 1.0) == ()

    assert not any(lives(process.pid) for process in chosen)
    assert len(named(engine, one, 1)) == 1


def test_another_process_with_the_number_is_not_hit(engine: DockerEngine, start: Start) -> None:
    one = looping(engine, start, MEEK)
    (loop,) = named(engine, one, 1)
    older = replace(loop, started=loop.started - 1)
    mounts = text_of(Path("/proc/self/mountinfo")) or ""
    assert send(older, signal.SIGKILL, one.id, mounts) == "gone"
    assert engine.end_processes(one, [older], 0.2) == ()
    assert lives(loop.pid)


def test_a_process_of_another_container_is_not_hit(engine: DockerEngine, start: Start) -> None:
    one, other = looping(engine, start, MEEK), looping(engine, start, "sleep 600")
    (loop,) = named(engine, one, 1)
    mounts = text_of(Path("/proc/self/mountinfo")) or ""
    assert send(loop, signal.SIGKILL, other.id, mounts) == "gone"
    assert engine.end_processes(other, [loop], 0.2) == (loop,)
    assert lives(loop.pid)


def test_who_has_ended_is_no_failure(engine: DockerEngine, start: Start) -> None:
    one = looping(engine, start, MEEK)
    (loop,) = named(engine, one, 1)
    os.kill(loop.pid, signal.SIGKILL)
    until(lambda: not lives(loop.pid))
    assert engine.end_processes(one, [loop], 0.2) == ()


AS_NOBODY = """
import sys
from stackctl.engine.docker import DockerEngine
engine = DockerEngine()
(one,) = engine.inspect([sys.argv[1]])
chosen = [p for p in engine.processes(one) if p.pid in map(int, sys.argv[2:])]
assert len(chosen) == len(sys.argv) - 2
try:
    import os
    os.kill(chosen[0].pid, 0)
    print("allowed")
except PermissionError:
    pass
print(*(p.pid for p in engine.end_processes(one, chosen, 1.0)))
"""


def as_nobody(container: Container, chosen: list[Process], tmp_path: Path) -> list[str]:
    """What is left of some processes when a user ends them who may only ask docker."""
    group = SOCKET.stat().st_gid
    argv = ["setpriv", f"--reuid={NOBODY}", f"--regid={group}", "--clear-groups", sys.executable, "-c"]
    done = subprocess.run(
        [*argv, AS_NOBODY, container.id, *(str(one.pid) for one in chosen)],
        env={**os.environ, "HOME": str(tmp_path)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("user", ["0", "1234"])
def test_a_user_without_the_right_ends_them_from_inside(
    engine: DockerEngine, start: Start, tmp_path: Path, user: str
) -> None:
    one = looping(engine, start, MEEK, STUBBORN, MEEK, options=("--user", user, "--cap-drop", "ALL"))
    chosen = named(engine, one, 3)[:2]
    assert {process.user for process in chosen} == {int(user)}

    assert as_nobody(one, chosen, tmp_path) == []

    assert not any(lives(process.pid) for process in chosen)
    assert len(named(engine, one, 1)) == 1


def test_from_inside_it_is_their_own_user_who_ends_them(
    engine: DockerEngine, start: Start, tmp_path: Path
) -> None:
    one = looping(engine, start, MEEK, options=("--cap-drop", "ALL"))
    argv = ["docker", "exec", "-d", "--user", "1234", one.id, "sh", "-c", STUBBORN]
    subprocess.run(argv, check=True, timeout=30)
    chosen = [process for process in named(engine, one, 2) if process.user == 1234]
    assert len(chosen) == 1

    assert as_nobody(one, chosen, tmp_path) == []

    assert not lives(chosen[0].pid)


def test_what_can_be_signalled_neither_way_is_told(
    engine: DockerEngine, start: Start, tmp_path: Path
) -> None:
    one = looping(engine, start, MEEK)
    chosen = named(engine, one, 1)
    subprocess.run(["docker", "pause", one.id], check=True, capture_output=True, timeout=30)
    try:
        assert as_nobody(one, chosen, tmp_path) == [str(chosen[0].pid)]
    finally:
        subprocess.run(["docker", "unpause", one.id], check=True, capture_output=True, timeout=30)
    assert lives(chosen[0].pid)


def test_from_inside_another_process_with_the_number_is_not_hit(
    engine: DockerEngine, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = looping(engine, start, MEEK, MEEK)
    other, loop = named(engine, one, 2)
    monkeypatch.setattr("stackctl.engine.strays.send", lambda *_: "refused")
    older = replace(other, started=other.started - 1)
    assert end_strays(one, [older, loop], 1.0, engine.environment) == ()
    assert (lives(other.pid), lives(loop.pid)) == (True, False)
