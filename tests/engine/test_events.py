"""Events as they come over the wire, cut anywhere, and as the real engine sends them."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stackctl.core.errors import DaemonDown, DaemonFrozen, EngineRefused
from stackctl.core.facts import Event
from stackctl.engine.docker import DockerEngine
from stackctl.engine.events import EventStream
from stackctl.engine.parse import parse_event

ID = "cd" * 32
KIND = {"Type": "container"}
LABEL = "stackctl-test.which"
Start = Callable[..., str]


def _line(action: str, **attributes: str) -> bytes:
    actor = {"ID": ID, "Attributes": attributes}
    raw = {"Type": "container", "Action": action, "Actor": actor, "time": 5, "timeNano": 5_500_000_000}
    return json.dumps(raw).encode() + b"\n"


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@pytest.fixture
def pair() -> Iterator[tuple[EventStream, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    stream = EventStream(ours, b"")
    yield stream, theirs
    stream.close()
    theirs.close()


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        (
            {**KIND, "Action": "kill", "Actor": {"ID": "x", "Attributes": {"signal": "15"}}, "time": 7},
            Event(at=7.0, kind="container", action="kill", id="x", signal="15"),
        ),
        (
            {**KIND, "Action": "exec_create: sh -c x", "Actor": {"ID": "x"}, "timeNano": 1_500_000_000},
            Event(at=1.5, kind="container", action="exec_create", id="x"),
        ),
        (
            {**KIND, "Action": "die", "Actor": {"ID": "x", "Attributes": {"signal": "9"}}},
            Event(at=0.0, kind="container", action="die", id="x"),
        ),
        ({"Type": "container", "Action": "die"}, None),
        ({"Type": "container", "Actor": {"ID": "x"}}, None),
        ({"Action": "die", "Actor": {"ID": "x"}}, None),
        ({"Type": 1, "Action": ["die"], "Actor": "x"}, None),
    ],
)  # fmt: skip
def test_one_event(raw: dict[str, object], event: Event | None) -> None:
    assert parse_event(raw) == event


def test_events_cut_anywhere_arrive_whole(pair: tuple[EventStream, socket.socket]) -> None:
    stream, theirs = pair
    lines = _line("kill", signal="15") + _line("die") + _line("health_status: healthy")
    # chunks that do not end where lines do, sent byte by byte
    sent = _chunk(lines[:50]) + _chunk(lines[50:300]) + _chunk(lines[300:])
    found: list[Event] = []
    for position in range(len(sent)):
        theirs.sendall(sent[position : position + 1])
        found.extend(stream.read())
    assert [(one.action, one.signal, one.at) for one in found] == [
        ("kill", "15", 5.5),
        ("die", "", 5.5),
        ("health_status", "", 5.5),
    ]
    assert not stream.closed
    assert stream.fileno() >= 0


def test_many_at_once_and_what_came_with_the_head(pair: tuple[EventStream, socket.socket]) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    stream = EventStream(ours, _chunk(_line("start")))
    theirs.sendall(b"".join(_chunk(_line("die")) for _ in range(300)))
    assert [one.action for one in stream.read()] == ["start", *["die"] * 300]
    stream.close()
    theirs.close()


def test_an_event_larger_than_one_gulp_arrives(pair: tuple[EventStream, socket.socket]) -> None:
    stream, theirs = pair
    sent = _chunk(_line("start", label="x" * 200_000)) + _chunk(_line("die"))
    found: list[str] = []
    for position in range(0, len(sent), 50_000):
        theirs.sendall(sent[position : position + 50_000])
        found.extend(one.action for one in stream.read())
    assert found == ["start", "die"]


def test_nothing_yet_is_nothing_and_does_not_wait(pair: tuple[EventStream, socket.socket]) -> None:
    stream, _ = pair
    assert stream.read() == ()
    assert not stream.closed


@pytest.mark.parametrize("last", [b"", b"0\r\n\r\n", b"no chunk\r\n", b"-5\r\n"])
def test_an_end_is_told_after_what_came_before_it(
    pair: tuple[EventStream, socket.socket], last: bytes
) -> None:
    stream, theirs = pair
    theirs.sendall(_chunk(_line("die")) + last)
    if not last:
        theirs.close()
    assert [one.action for one in stream.read()] == ["die"]
    assert stream.closed
    assert stream.read() == ()


def test_lines_that_are_no_events_are_passed_over(pair: tuple[EventStream, socket.socket]) -> None:
    stream, theirs = pair
    theirs.sendall(_chunk(b'junk\n[]\n"x"\n{}\n\xff\n' + _line("die")))
    assert [one.action for one in stream.read()] == ["die"]


def test_a_line_without_end_ends_the_stream(pair: tuple[EventStream, socket.socket]) -> None:
    stream, theirs = pair
    piece = _chunk(b"x" * 60000)
    for _ in range(30):
        if not stream.closed:
            theirs.sendall(piece)
            assert stream.read() == ()
    assert stream.closed


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(tmp_path / "x.sock"))
    made.listen(1)
    yield made
    made.close()


def test_a_daemon_that_does_not_answer_is_waited_for_so_long_only(
    listener: socket.socket, tmp_path: Path
) -> None:
    with pytest.raises(DaemonFrozen):
        EventStream.open(str(tmp_path / "x.sock"), {}, 0.2)
    with pytest.raises(DaemonDown):
        EventStream.open(str(tmp_path / "y.sock"), {}, 0.2)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_an_answer_that_is_no_stream_is_refused(listener: socket.socket, tmp_path: Path, head: bytes) -> None:
    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(head)

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(EngineRefused):
        EventStream.open(str(tmp_path / "x.sock"), {}, 5)
    thread.join(10)


def _until(stream: EventStream, container: str, action: str) -> list[Event]:
    found: list[Event] = []
    deadline = time.monotonic() + 30
    while not any(one.action == action and one.id == container for one in found):
        left = deadline - time.monotonic()
        assert left > 0, found
        select.select([stream], [], [], left)
        found.extend(stream.read())
        assert not stream.closed
    return [one for one in found if one.id == container]


@pytest.mark.engine
def test_only_what_carries_the_label_is_told(engine: DockerEngine, start: Start, run_label: str) -> None:
    which = f"events-{run_label}"
    stream = engine.events({LABEL: which})
    assert stream is not None
    start("true")
    mine = start("sleep", "300", options=["--init", "--label", f"{LABEL}={which}"])
    seen = _until(stream, mine, "start")
    assert [one.action for one in seen] == ["create", "start"]
    assert abs(seen[-1].at - time.time()) < 60
    subprocess.run(["docker", "exec", mine, "true"], check=True, timeout=60)
    subprocess.run(["docker", "rename", mine, f"renamed-{run_label}"], check=True, timeout=60)
    assert [one.action for one in _until(stream, mine, "rename")] == ["rename"]
    stream.close()
    assert stream.closed


def _past(engine: DockerEngine, container: str, began: float) -> list[tuple[str, str]]:
    deadline = time.monotonic() + 30
    while not any(one.action == "die" for one in engine.past_events(container, began, time.time())):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found = engine.past_events(container, began, time.time())
    assert {one.id for one in found} == {container}
    return [(one.action, one.signal) for one in found if one.action in ("kill", "die")]


@pytest.mark.engine
def test_a_stop_by_hand_differs_from_a_crash(engine: DockerEngine, start: Start) -> None:
    began = time.time() - 1
    stopped, killed = (start("sleep", "300", options=["--init"]) for _ in range(2))
    crashed, shot = start("sh", "-c", "exit 3"), start("sleep", "300")
    engine.stop([stopped])
    subprocess.run(["docker", "kill", "--signal", "INT", killed], check=True, timeout=60)
    os.kill(engine.inspect([shot])[0].pid, signal.SIGKILL)
    assert _past(engine, stopped, began) == [("kill", "15"), ("die", "")]
    assert _past(engine, killed, began) == [("kill", "2"), ("die", "")]
    assert _past(engine, crashed, began) == [("die", "")]
    assert _past(engine, shot, began) == [("die", "")]
    assert engine.past_events(stopped, began - 100, began - 50) == ()


@pytest.mark.engine
def test_a_time_to_come_is_not_waited_for(engine: DockerEngine, start: Start) -> None:
    container = start("true")
    assert engine.past_events(container, time.time() - 60, time.time() + 3600)
