"""A socket that is absent, deaf, mute, slow or talks nonsense: four errors, each within its bound in time."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stackctl.core.errors import DaemonDown, DaemonFrozen, EngineRefused, StackctlError
from stackctl.engine.docker import DockerEngine
from stackctl.engine.endpoint import Endpoint
from stackctl.engine.wire import TooLong, Wire

Talk = Callable[[socket.socket], None]


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[[Talk | None], str]]:
    """A unix socket; what connects is handed to `talk`, or never accepted when there is none."""
    listeners: list[socket.socket] = []
    accepted: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(listener: socket.socket, talk: Talk) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            accepted.append(connection)
            threads.append(threading.Thread(target=_quietly, args=(talk, connection), daemon=True))
            threads[-1].start()

    def make(talk: Talk | None) -> str:
        path = str(tmp_path / f"{len(listeners)}.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(0 if talk is None else 16)
        listeners.append(listener)
        if talk:
            threads.append(threading.Thread(target=serve, args=(listener, talk), daemon=True))
            threads[-1].start()
        return path

    yield make
    for one in (*listeners, *accepted):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
    for thread in threads:
        thread.join(5)


def _quietly(talk: Talk, connection: socket.socket) -> None:
    try:
        talk(connection)
    except OSError:
        return


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(1 << 16)
        if not more:
            raise OSError
        data += more
    return data


def _answering(*answers: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        for answer in answers:
            _request(connection)
            connection.sendall(answer)

    return talk


def _mute(connection: socket.socket) -> None:
    while connection.recv(1 << 16):
        pass


def _engine(path: str, patience: float = 0.4) -> DockerEngine:
    return DockerEngine(endpoint=Endpoint(f"unix://{path}"), patience=patience)


def test_a_daemon_that_accepts_and_never_answers_is_frozen_in_bounded_time(
    listen: Callable[[Talk | None], str],
) -> None:
    engine = _engine(listen(_mute))
    for ask in (engine.facts, engine.containers, engine.networks, lambda: engine.inspect(["a"])):
        began = time.monotonic()
        with pytest.raises(DaemonFrozen, match="did not answer within"):
            ask()
        assert 0.35 < time.monotonic() - began < 2


def test_a_daemon_that_does_not_even_accept_is_frozen(listen: Callable[[Talk | None], str]) -> None:
    path = listen(None)
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    try:
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(path)
        began = time.monotonic()
        with pytest.raises(DaemonFrozen):
            _engine(path).containers()
        assert time.monotonic() - began < 2
    finally:
        for one in waiting:
            one.close()


def test_an_answer_that_drips_is_frozen_too(listen: Callable[[Talk | None], str]) -> None:
    def drip(connection: socket.socket) -> None:
        _request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.05)

    began = time.monotonic()
    with pytest.raises(DaemonFrozen):
        _engine(listen(drip)).facts()
    assert time.monotonic() - began < 2


def test_no_socket_and_a_stale_one_are_a_daemon_that_is_down(
    tmp_path: Path, listen: Callable[[Talk | None], str]
) -> None:
    with pytest.raises(DaemonDown, match="there is no docker socket at") as error:
        _engine(str(tmp_path / "none.sock")).facts()
    assert "start the daemon" in error.value.hint
    stale = tmp_path / "stale.sock"
    one = socket.socket(socket.AF_UNIX)
    one.bind(str(stale))
    one.close()
    with pytest.raises(DaemonDown, match="no docker daemon listens on"):
        _engine(str(stale)).facts()
    with pytest.raises(DaemonDown, match="hung up"):
        _engine(listen(lambda connection: connection.close())).facts()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    ],
)
def test_what_is_no_docker_is_refused(answer: bytes, listen: Callable[[Talk | None], str]) -> None:
    with pytest.raises(EngineRefused):
        Wire(listen(_answering(answer)), 1.0).call("GET", "/info")


def test_bodies_of_every_kind_are_read(listen: Callable[[Talk | None], str]) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[1,2\r\n3;x=y\r\n,3]\r\n0\r\n\r\n"
    sized = b"HTTP/1.1 404 Not Found\r\nContent-Length: 15\r\n\r\n" + b'{"message":"x"}'
    empty = b"HTTP/1.1 304 Not Modified\r\n\r\n"
    until_closed = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[4]"

    def talk(connection: socket.socket) -> None:
        _answering(chunked, sized, empty, until_closed)(connection)
        connection.close()

    wire = Wire(listen(talk), 2.0)
    assert wire.call("GET", "/a").json() == [1, 2, 3]
    missing = wire.call("GET", "/b")
    assert (missing.status, missing.message) == (404, "x")
    assert wire.call("POST", "/c", {}).status == 304
    assert wire.call("GET", "/d").json() == [4]
    wire.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n2\r\n",
    ],
)
def test_an_answer_that_is_too_long_is_not_read(answer: bytes, listen: Callable[[Talk | None], str]) -> None:
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345"
    talks = iter((_answering(answer), _answering(short)))

    def talk(connection: socket.socket) -> None:
        next(talks)(connection)

    wire = Wire(listen(talk), 2.0)
    with pytest.raises(TooLong):
        wire.call("GET", "/a", most=5)
    assert wire.call("GET", "/a", most=5).json() == 12345
    wire.close()


def test_a_connection_that_was_dropped_while_idle_is_made_again_for_questions_only(
    listen: Callable[[Talk | None], str],
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"

    def once(connection: socket.socket) -> None:
        _answering(answer)(connection)
        connection.close()

    wire = Wire(listen(once), 2.0)
    assert wire.call("GET", "/a").status == 200
    time.sleep(0.05)
    assert wire.call("GET", "/b").status == 200
    time.sleep(0.05)
    with pytest.raises(DaemonDown, match="hung up"):
        wire.call("POST", "/c")
    wire.close()


def test_after_a_fault_the_next_call_starts_afresh(listen: Callable[[Talk | None], str]) -> None:
    """A late answer to the first question must never be taken for the second one's."""

    def late(connection: socket.socket) -> None:
        target = _request(connection).split()[1]
        if target == b"/late":
            time.sleep(0.6)
        body = json.dumps(target.decode()).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    wire = Wire(listen(late), 0.3)
    with pytest.raises(DaemonFrozen):
        wire.call("GET", "/late")
    time.sleep(0.5)
    assert wire.call("GET", "/now").json() == "/now"
    wire.close()


@pytest.mark.parametrize(("status", "text"), [(500, "it broke"), (400, "bad parameter"), (503, "")])
def test_a_refusal_carries_the_engines_own_words(
    status: int, text: str, listen: Callable[[Talk | None], str]
) -> None:
    body = json.dumps({"message": text}).encode() if text else b"Service Unavailable"
    answer = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
    with pytest.raises(StackctlError, match=text or "Service Unavailable") as error:
        _engine(listen(_answering(answer)), 2.0).containers()
    assert error.value.exit_code == 5


def test_odd_answers_are_no_crash(listen: Callable[[Talk | None], str]) -> None:
    for body in (b"null", b"[]", b'"x"', b"{}", b"<html>"):
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        facts = _engine(listen(_answering(answer)), 2.0).facts()
        assert (facts.id, facts.local) == ("", False)


@pytest.mark.engine
def test_a_remote_engine_that_is_down_or_mute_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        engine = DockerEngine(endpoint=Endpoint(f"tcp://127.0.0.1:{mute.getsockname()[1]}"), patience=1.0)
        with pytest.raises(DaemonFrozen, match="did not answer within 1s"):
            engine.containers()
        with pytest.raises((DaemonFrozen, DaemonDown)):
            engine.facts()
    with pytest.raises(DaemonDown):
        engine.containers()
    with pytest.raises(DaemonDown):
        engine.facts()
