"""Real processes exclude one another, and a loser learns who holds the lock."""

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stackctl.core.errors import Busy, StateError
from stackctl.state.locks import lock, read_holder

HOLD = """
from pathlib import Path
from stackctl.state.locks import lock
with lock(Path(sys.argv[1]), "myenv-0a1b2c", command="stackctl up myenv", wait=0):
    print("held", flush=True)
    sys.stdin.readline()
print("released", flush=True)
"""
NAME = "myenv-0a1b2c"


def held(start, folder: Path):
    child = start(HOLD, str(folder))
    assert child.stdout.readline() == "held\n"
    return child


def take(folder: Path, wait: float = 0.0) -> None:
    with lock(folder, NAME, command="stackctl down myenv", wait=wait):
        pass


def test_the_loser_learns_who_holds_it_and_since_when(start, tmp_path: Path) -> None:
    child = held(start, tmp_path)
    started = time.monotonic()
    with pytest.raises(Busy) as caught:
        take(tmp_path, wait=0.3)
    assert 0.3 <= time.monotonic() - started < 3
    assert f"held by pid {child.pid} (`stackctl up myenv`) for " in caught.value.message
    assert caught.value.exit_code == 7


def test_it_is_free_once_the_holder_lets_go_and_the_file_stays(start, tmp_path: Path) -> None:
    child = held(start, tmp_path)
    inode = (tmp_path / NAME).stat().st_ino
    child.stdin.write("\n")
    child.stdin.flush()
    take(tmp_path, wait=10)
    assert (tmp_path / NAME).stat().st_ino == inode
    assert read_holder(tmp_path / NAME) is None


def test_kill_9_frees_it_and_the_dead_holder_is_not_named(start, tmp_path: Path) -> None:
    child = held(start, tmp_path)
    child.kill()
    child.wait()
    take(tmp_path)
    child = held(start, tmp_path)
    child.kill()
    child.wait()
    other = os.open(tmp_path / NAME, os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    try:
        with pytest.raises(Busy, match="another command is working on it"):
            take(tmp_path)
    finally:
        os.close(other)


def test_many_processes_never_hold_it_together(start, tmp_path: Path) -> None:
    counting = """
import time
from pathlib import Path
from stackctl.state.locks import lock
folder = Path(sys.argv[1])
for _ in range(20):
    with lock(folder, "counter", command="count", wait=60):
        value = int((folder / "value").read_text())
        time.sleep(0.001)
        (folder / "value").write_text(str(value + 1))
"""
    (tmp_path / "value").write_text("0")
    children = [start(counting, str(tmp_path)) for _ in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    assert (tmp_path / "value").read_text() == "80"


def test_children_do_not_inherit_it(tmp_path: Path) -> None:
    with lock(tmp_path, NAME, command="x", wait=0):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        take(tmp_path)
    finally:
        child.communicate(b"\n")


def test_taking_it_twice_in_one_thread_is_a_bug(tmp_path: Path) -> None:
    with lock(tmp_path, NAME, command="x", wait=0):
        with pytest.raises(RuntimeError, match="already"):
            take(tmp_path, wait=5)
        with lock(tmp_path, "another", command="x", wait=0):
            pass
    take(tmp_path)


def test_threads_of_one_process_wait_for_each_other_and_never_hold_it_together(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(20):
            with lock(tmp_path, NAME, command="x", wait=60):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert len(most) == 80
    assert max(most) == 1


def test_a_thread_that_waits_in_vain_is_told_so(tmp_path: Path) -> None:
    told: list[BaseException] = []

    def work() -> None:
        try:
            take(tmp_path, wait=0.05)
        except BaseException as error:
            told.append(error)

    with lock(tmp_path, NAME, command="x", wait=0):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(60)
    (error,) = told
    assert isinstance(error, Busy)
    assert "another thread" in error.message


def test_an_error_within_frees_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), lock(tmp_path, NAME, command="x", wait=0):
        raise KeyboardInterrupt
    take(tmp_path)


def test_a_forked_child_that_has_not_yet_become_another_program_does_not_keep_it(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with lock(tmp_path, NAME, command="x", wait=0):
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
    try:
        take(tmp_path)
    finally:
        os.close(writing)
        os.close(reading)
        os.waitpid(child, 0)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", "A", "x\0", "ü", "x" * 81, ".probe"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(StateError, match="cannot be the name of a lock"),
        lock(tmp_path, name, command="", wait=0),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_refused_and_what_it_leads_to_untouched(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / NAME).symlink_to("victim")
    with pytest.raises(StateError, match="symbolic link"):
        take(tmp_path)
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_folder_or_pipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(StateError):
        take(tmp_path)
    (tmp_path / NAME).rmdir()
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(StateError, match="not a regular file"):
        take(tmp_path)


def test_the_note_has_no_control_characters_and_a_bounded_command(tmp_path: Path) -> None:
    with lock(tmp_path, NAME, command="a\n\x1b[31m" + "b" * 10_000, wait=0):
        lease, since = read_holder(tmp_path / NAME)
        assert lease.command.startswith("a  [31mb")
        assert len(lease.command) == 200
        assert lease.pid == os.getpid()
        assert abs(time.time() - since) < 60
        assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "note", [b"", b"{", b"[]", b"null", b"\xff\xfe", json.dumps({"since": "x"}).encode(), b"0" * 5000]
)
def test_a_damaged_note_is_no_holder(tmp_path: Path, note: bytes) -> None:
    (tmp_path / "note").write_bytes(note)
    assert read_holder(tmp_path / "note") is None


def test_a_full_disk_takes_the_name_away_not_the_lock(on_small_disk) -> None:
    script = """
import json
from pathlib import Path
from stackctl.state.locks import lock, read_holder
disk = Path(sys.argv[1])
(disk / "x").touch()
(disk / "fill").write_bytes(b"x" * 64 * 1024)
with lock(disk, "x", command="stackctl up", wait=0):
    print(json.dumps(read_holder(disk / "x")))
"""
    assert on_small_disk("size=64k", script) is None
