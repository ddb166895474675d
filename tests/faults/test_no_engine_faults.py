"""No engine, a mute one, a slow one, a lying one, a black hole for a registry: bounded, told, undone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from blackhole import Proxy, black_hole, edited
from daemon import PrivateDaemon
from ground import Ground, new_ground
from invariants import Canaries, broken, damaged_state, held_locks, plant_data, strays, untold
from waiting import until

SLOW = pytest.mark.slow
WORDS = (("up", "s"), ("down", "--all"), ("reap",), ("supervise", "--once"))


def at_rest(ground: Ground) -> list[str]:
    return damaged_state(ground.home) + strays(ground) + held_locks(ground.home)


@pytest.mark.parametrize("words", [("up", "s"), ("reap",), ("status", "s"), ("list",)])
def test_a_daemon_that_is_not_there_is_told_at_once(
    calm: Ground, tmp_path: Path, words: tuple[str, ...]
) -> None:
    calm.pair()
    begun = time.monotonic()

    done = calm(*words, DOCKER_HOST=f"unix://{tmp_path}/nothing.sock")

    if words == ("list",):
        assert done.code == 0
    else:
        code = 2 if words == ("status", "s") else 4
        assert untold(done, code) == []
        assert "hint:" in done.err
    assert time.monotonic() - begun < 20
    assert at_rest(calm) == []


@pytest.mark.parametrize("words", WORDS)
def test_a_daemon_that_accepts_and_never_answers_holds_nobody_up(
    calm: Ground, tmp_path: Path, words: tuple[str, ...]
) -> None:
    calm.pair()
    with black_hole(tmp_path / "hole.sock") as address:
        begun = time.monotonic()
        done = calm(*words, DOCKER_HOST=address, timeout=60)
        took = time.monotonic() - begun

    assert untold(done, 6, "did not answer") == []
    assert took < 45
    assert list((calm.home / "environments").glob("*")) == []
    assert at_rest(calm) == []


@pytest.mark.slow
@pytest.mark.engine
def test_a_slow_engine_is_waited_for(tmp_path: Path, shared: Ground) -> None:
    """Half a second for each call: every command ends well."""
    with Proxy(tmp_path / "slow.sock", delay=0.5) as proxy:
        slow = Ground(home=shared.home, checkout=shared.checkout, host=proxy.host, run=shared.run)
        slow.pair()
        for words in (("up", "s"), ("supervise", "--once"), ("reap",), ("down", "s")):
            slow(*words, timeout=200).ok()
    assert broken(shared, second=("reap",)) == []


@pytest.mark.engine
@pytest.mark.parametrize(
    ("missing", "word"), [("MemoryLimit", "memory"), ("PidsLimit", "pids"), ("CpuCfsQuota", "cpu")]
)
def test_an_engine_that_cannot_limit_is_refused(
    tmp_path: Path, shared: Ground, missing: str, word: str
) -> None:
    def without(info: dict[str, Any]) -> dict[str, Any]:
        return {**info, missing: False}

    with Proxy(tmp_path / "lax.sock", rewrite=edited("/info", without)) as proxy:
        lax = Ground(home=shared.home, checkout=shared.checkout, host=proxy.host, run=shared.run)
        lax.pair()
        done = lax("up", "s")

    assert untold(done, 5, f"cannot limit {word}") == []
    assert "doctor" in done.err
    assert broken(shared, second=("reap",)) == []


@pytest.mark.engine
def test_a_limit_that_is_not_in_force_fails_closed(tmp_path: Path, shared: Ground) -> None:
    """The engine says yes and sets less: what it made is undone."""

    def unlimited(container: dict[str, Any]) -> dict[str, Any]:
        return {**container, "HostConfig": {**container["HostConfig"], "PidsLimit": 0}}

    with Proxy(tmp_path / "liar.sock", rewrite=edited("/json", lambda raw: lied(raw, unlimited))) as proxy:
        liar = Ground(home=shared.home, checkout=shared.checkout, host=proxy.host, run=shared.run)
        liar.pair()
        done = liar("up", "s")

    assert untold(done, 5, "does not enforce") == []
    assert broken(shared, second=("reap",)) == []


def lied(raw: Any, change: Any) -> Any:
    return change(raw) if isinstance(raw, dict) and "HostConfig" in raw and "State" in raw else raw


@pytest.mark.slow
@pytest.mark.engine
def test_a_port_that_is_taken_between_choosing_and_starting_is_told_and_undone(
    tmp_path: Path, shared: Ground
) -> None:
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken: list[int] = []

    def take(call: str) -> None:
        if taken or not call.startswith("POST ") or not call.partition("?")[0].endswith("/start"):
            return
        (placement,) = shared.home.glob("environments/*/placement.env")
        lines = placement.read_text().splitlines()
        ports = [line.partition("=")[2].strip("'\"") for line in lines if line.startswith("STACKCTL_PORT_")]
        taken.append(int(ports[0]))
        holder.bind(("127.0.0.1", taken[0]))
        holder.listen()

    with holder, Proxy(tmp_path / "race.sock", before=take) as proxy:
        racing = Ground(home=shared.home, checkout=shared.checkout, host=proxy.host, run=shared.run)
        done = racing("up", "hello")
        assert taken
        assert untold(done, 5, str(taken[0])) == []
        assert broken(shared, second=("reap",)) == []
    shared("up", "hello").ok()
    shared("down", "hello").ok()
    assert broken(shared, second=("reap",)) == []


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_registry_that_never_answers_can_be_left(
    daemon: PrivateDaemon, ground: Ground, number: signal.Signals
) -> None:
    with black_hole(space=daemon.space) as registry:
        ground.template("t", f"services:\n  app: {{image: '{registry}/some/image:1'}}\n")
        ground.stack("s", "template: t\n")
        child = ground.start("up", "s")
        until(lambda: child.poll() is not None or children(ground), 60, "docker pull")
        assert child.poll() is None, ground.ended(child)
        os.kill(child.pid, number)
        done = ground.ended(child, 60)

        assert done.code == {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}[number]
        assert "Traceback" not in done.err
        until(lambda: not strays(ground), 15, "the end of docker pull")
        assert broken(ground, second=("reap",)) == []
    ground.pair()
    ground("up", "s").ok()
    ground("down", "s").ok()
    assert broken(ground, second=("reap",)) == []


def children(ground: Ground) -> list[str]:
    return [line for line in strays(ground) if " pull " in line]


@pytest.mark.slow
@pytest.mark.engine
def test_a_registry_that_is_not_there_is_told_and_makes_nothing(
    daemon: PrivateDaemon, ground: Ground
) -> None:
    ground.template("t", "services:\n  app: {image: '127.0.0.1:9/some/image:1'}\n")
    ground.stack("s", "template: t\n")

    done = ground("up", "s")

    assert untold(done, 5, "127.0.0.1:9/some/image:1") == []
    assert broken(ground, second=("reap",)) == []


@pytest.mark.slow
@pytest.mark.engine
def test_an_engine_whose_events_are_cut_is_watched_on(tmp_path: Path, shared: Ground) -> None:
    """Its stream of events ends at once, again and again: looking is enough."""
    from watching import good_look, said, supervisor

    def cut(call: str) -> None:
        if call.startswith("GET ") and "/events" in call:
            raise OSError("cut")

    with Proxy(tmp_path / "cut.sock", before=cut) as proxy:
        cutting = Ground(home=shared.home, checkout=shared.checkout, host=proxy.host, run=shared.run)
        cutting.pair()
        cutting("up", "s", "--lifetime", "20s").ok()
        with supervisor(cutting):
            good_look(cutting)
            said(cutting, "done", 60)
    assert any("/events" in call for call in proxy.calls)
    assert broken(shared, second=("reap",)) == []


def test_a_docker_that_is_not_on_the_path_is_told(calm: Ground, tmp_path: Path) -> None:
    calm.pair()

    done = calm("up", "s", PATH=str(tmp_path))

    assert untold(done, 4, "docker") == []
    assert at_rest(calm) == []


@pytest.mark.engine
def test_an_engine_too_old_for_us_is_told(tmp_path: Path, calm: Ground) -> None:
    """What an engine answers to a client that is newer than it knows."""
    said = b'{"message":"client version 1.41 is too new. Maximum supported API version is 1.12"}'
    path = tmp_path / "old.sock"
    answer = (
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(said)
    )
    with canned(path, answer + said):
        calm.pair()
        done = calm("up", "s", DOCKER_HOST=f"unix://{path}")

    assert untold(done, 5, "too new") == []
    assert at_rest(calm) == []


def canned(path: Path, answer: bytes) -> Any:
    """A socket that answers everything with the same bytes."""
    import threading
    from contextlib import contextmanager, suppress

    @contextmanager
    def listening() -> Any:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(16)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with client:
                        client.recv(1 << 16)
                        client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(5)

    return listening()


@pytest.mark.engine
def test_a_disk_without_inodes_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    place = tmp_path / "few"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=12,mode=700", "tmpfs", str(place)], check=True)
    try:
        ground = new_ground(tmp_path / "ground")
        few = Ground(home=place / "home", checkout=ground.checkout, run=ground.run)
        few.pair()
        few("list").ok()
        number = 0
        while room(place):
            (place / f"filler-{number}").touch()
            number += 1

        done = few("up", "s")

        assert untold(done, 1, "no space left") == []
        assert "inodes" in done.err
        assert broken(few, second=()) == []
    finally:
        subprocess.run(["umount", str(place)], check=True)


def room(place: Path) -> bool:
    return os.statvfs(place).f_ffree > 0


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.parametrize(
    "point",
    [
        "document#1:before",
        *(pytest.param(one, marks=SLOW) for one in ("record:starting#1:before", "record:running#1:before")),
    ],
)
def test_a_disk_that_is_full_at_any_write_leaves_no_torn_file_and_nothing_running(
    shared: Ground, point: str
) -> None:
    shared.pair()
    project = shared("up", "s", "--json").ok().data["project"]
    data = plant_data(shared, project)
    canaries = Canaries(shared).plant(project)
    try:
        shared("down", "s").ok()

        done = shared.at(point, "enospc", "up", "s")

        assert untold(done, 1, "no space left") == []
        shared("reap").ok()
        running = [one for one in shared.containers(project) if one.id not in canaries.ids]
        assert bool(running) == (shared.record(project)["phase"] == "running")
        shared("down", "s").ok()
        assert broken(shared, data=data, canaries=canaries, second=("reap",)) == []
    finally:
        canaries.remove()
