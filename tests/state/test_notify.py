"""What a service manager hears from us, over a real datagram socket, and that it can never hold us up."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stackctl.state.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as the service manager has it, and its name in the environment."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@stackctl-test{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0", 1))
        receiver.settimeout(10)
        yield receiver, name


def test_each_message_is_one_datagram(manager) -> None:
    receiver, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.ready()
    notifier.beat()
    notifier.status("3 environments, 7 containers")
    notifier.stopping()
    heard = [receiver.recv(4096) for _ in range(4)]
    assert heard == [b"READY=1", b"WATCHDOG=1", b"STATUS=3 environments, 7 containers", b"STOPPING=1"]


def test_a_status_cannot_smuggle_in_another_message(manager) -> None:
    receiver, name = manager
    Notifier({"NOTIFY_SOCKET": name}).status("web\nMAINPID=1\r\nREADY=1 \udcff" + "x" * 100_000)
    heard = receiver.recv(1 << 20)
    assert heard.startswith(b"STATUS=web MAINPID=1 READY=1 ?xxx")
    assert b"\n" not in heard
    assert len(heard) < 1024


@pytest.mark.parametrize(
    "name",
    ["", "vsock:2:1234", "relative/path", "/nowhere/at/all", "/with\0nul", "@" + "n" * 500, "/" + "n" * 500],
)
def test_without_a_listener_nothing_happens(name: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": name})
    for say in (notifier.ready, notifier.beat, notifier.stopping):
        say()
    notifier.status("well")


def test_outside_a_service_nothing_happens() -> None:
    Notifier({}).ready()


def test_a_manager_that_does_not_read_cannot_hold_us_up(manager) -> None:
    _, name = manager
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as flood:
        flood.setblocking(False)
        with pytest.raises(BlockingIOError):
            fill(flood, name.replace("@", "\0", 1))
    before = time.monotonic()
    Notifier({"NOTIFY_SOCKET": name}).beat()
    assert time.monotonic() - before < 30


def fill(flood: socket.socket, address: str) -> None:
    for _ in range(100_000):
        flood.sendto(b"x", address)


def test_a_manager_that_comes_back_is_heard_again(tmp_path: Path) -> None:
    """It is executed anew on an upgrade: the socket is another, its name the same."""
    name = str(tmp_path / "notify")
    notifier = Notifier({"NOTIFY_SOCKET": name})
    for _ in range(2):
        notifier.beat()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(name)
            receiver.settimeout(10)
            notifier.beat()
            assert receiver.recv(64) == b"WATCHDOG=1"
        Path(name).unlink()
