"""A file is the old one or the new one, also on a full disk, and killed writers' leavings are swept."""

import os
import stat
from pathlib import Path

import pytest

from stackctl.core.errors import StateError
from stackctl.state.atomic import TEMPORARY, read_regular, sweep, write_atomic, write_changed

FULL = """
import json, os
from pathlib import Path
from stackctl.core.errors import StateError
from stackctl.state.atomic import write_atomic
disk = Path(sys.argv[1])
path = disk / "record.json"
write_atomic(path, b"old")
{fill}
try:
    write_atomic(path, b"n" * {size})
    outcome = ["written", ""]
except StateError as error:
    outcome = [error.message, error.hint]
names = sorted(name for name in os.listdir(disk) if not name.startswith("fill"))
print(json.dumps([*outcome, path.read_text(), names]))
"""


@pytest.mark.parametrize(
    ("options", "fill", "size"),
    [
        ("size=64k", "", 100_000),
        ("size=64k", "(disk / 'fill').write_bytes(b'x' * 60 * 1024)", 10),
        ("nr_inodes=3", "(disk / 'fill').touch()", 10),
    ],
    ids=["too large", "no block left", "no inode left"],
)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(on_small_disk, options, fill, size) -> None:
    message, hint, content, names = on_small_disk(options, FULL.format(fill=fill, size=size))
    assert "no space left on device" in message
    assert "record.json" in message
    assert "free some space or inodes" in hint
    assert (content, names) == ("old", ["record.json"])


def test_a_disk_that_turns_read_only_leaves_the_old_file(on_small_disk) -> None:
    fill = "import subprocess; subprocess.run(['mount', '-o', 'remount,ro', str(disk)], check=True)"
    message, _, content, names = on_small_disk("size=64k", FULL.format(fill=fill, size=10))
    assert "read-only file system" in message
    assert (content, names) == ("old", ["record.json"])


@pytest.mark.parametrize("bits", [0o600, 0o444, 0o644])
def test_the_permissions_are_those_asked_for_whatever_the_umask(tmp_path: Path, bits: int) -> None:
    before = os.umask(0o077)
    try:
        write_atomic(tmp_path / "file", b"data", bits)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == bits
    assert (tmp_path / "file").read_bytes() == b"data"


def test_a_link_in_the_files_place_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "file").symlink_to("victim")
    write_atomic(tmp_path / "file", b"data")
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "file").is_symlink()


def test_a_folder_in_the_files_place_is_an_error_without_leavings(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(StateError, match="cannot write"):
        write_atomic(tmp_path / "file", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_interrupted_writer_leaves_nothing(tmp_path: Path) -> None:
    from stackctl.state.atomic import staged

    with pytest.raises(KeyboardInterrupt), staged(tmp_path, b"data", 0o600):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_unchanged_file_keeps_its_inode_and_times_and_gets_its_permissions_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write_changed(path, b"data", 0o444)
    before = path.stat()
    path.chmod(0o640)
    assert not write_changed(path, b"data", 0o444)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert stat.S_IMODE(after.st_mode) == 0o444
    assert write_changed(path, b"data and more", 0o444)
    assert write_changed(path, b"data", 0o444)
    assert path.read_bytes() == b"data"


def test_only_regular_files_are_read_and_a_pipe_does_not_block(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("data")
    (tmp_path / "link").symlink_to("real")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert read_regular(tmp_path / "missing", 10) is None
    assert read_regular(tmp_path / "real", 1) == b"da"
    for name in ("link", "pipe", "folder"):
        with pytest.raises(StateError):
            read_regular(tmp_path / name, 10)


def test_a_killed_writers_file_is_swept_once_it_is_old(tmp_path: Path, start) -> None:
    child = start(
        """
import time
from pathlib import Path
from stackctl.state.atomic import staged
with staged(Path(sys.argv[1]), b"half", 0o600):
    print("staged", flush=True)
    time.sleep(60)
""",
        str(tmp_path),
    )
    assert child.stdout.readline() == "staged\n"
    child.kill()
    child.wait()
    (left,) = tmp_path.iterdir()
    assert sweep(tmp_path) == 0
    os.utime(left, (0, 0))
    assert sweep(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_sweeping_takes_only_temporary_files_and_follows_nothing(tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "precious").touch()
    (tmp_path / f"{TEMPORARY}link").symlink_to(keep)
    (tmp_path / f"{TEMPORARY}deep").mkdir()
    (tmp_path / f"{TEMPORARY}deep" / "below").mkdir()
    (tmp_path / "record.json").touch()
    assert sweep(tmp_path, age=-60) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{TEMPORARY}deep", "keep", "record.json"]
    assert (keep / "precious").exists()
    assert sweep(tmp_path / "missing") == 0
