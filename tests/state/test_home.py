"""The state directory is found where it should be, made private, and refused when it cannot be trusted."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from stackctl.core.errors import StateError
from stackctl.state.home import file_system, open_home
from stackctl.state.layout import config_file, home_path, policy_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_option_wins_over_the_variable_over_the_users_data_directory() -> None:
    assert home_path("/a", {"STACKCTL_HOME": "/b"}) == Path("/a")
    assert home_path(None, {"STACKCTL_HOME": "/b/../c"}) == Path("/c")
    assert home_path(None, {"STACKCTL_HOME": ""}).name == "stackctl"
    assert home_path("relative", {}) == Path.cwd() / "relative"
    assert config_file().parts[-2:] == ("stackctl", "config.yaml")


def test_a_policy_file_that_was_named_counts_even_when_it_is_missing(tmp_path: Path) -> None:
    assert policy_file({"STACKCTL_POLICY": "/gone.yaml"}) == Path("/gone.yaml")
    assert policy_file({}, tmp_path / "policy.yaml") is None
    (tmp_path / "policy.yaml").touch()
    assert policy_file({}, tmp_path / "policy.yaml") == tmp_path / "policy.yaml"


def test_it_is_made_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        home = open_home(tmp_path / "new" / "home")
        os.umask(0o777)
        strict = open_home(tmp_path / "strict" / "home")
    finally:
        os.umask(before)
    for folder in (home, strict):
        assert [mode(path) for path in (folder.path, folder.path.parent)] == [0o700, 0o700]
        assert [mode(path) for path in (folder.environments, folder.locks)] == [0o700, 0o700]


@pytest.mark.parametrize(
    "name", ["with space", "mit-ümlaut-日本", "'quote\"", "-dash", "a$b", os.fsdecode(b"\xff")]
)
def test_any_name_that_a_folder_can_have_works_and_has_an_identity(tmp_path: Path, name: str) -> None:
    home = open_home(tmp_path / name)
    assert len(home.identity) == 12
    assert home.identity == open_home(tmp_path / name).identity


def test_the_identity_is_of_the_real_path(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert open_home(tmp_path / "link" / "home").identity == open_home(tmp_path / "real" / "home").identity
    assert open_home(tmp_path / "other").identity != open_home(tmp_path / "real" / "home").identity


@pytest.mark.parametrize("bits", [0o777, 0o770, 0o722, 0o1777])
def test_one_that_others_may_write_is_refused(tmp_path: Path, bits: int) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(bits)
    with pytest.raises(StateError, match=f"others may write .*{bits:04o}") as caught:
        open_home(tmp_path / "home")
    assert "chmod 700" in caught.value.hint
    assert list((tmp_path / "home").iterdir()) == []


def test_a_symbolic_link_is_refused_and_the_hint_says_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(StateError, match="symbolic link") as caught:
        open_home(tmp_path / "link")
    assert str(tmp_path / "real") in caught.value.hint
    assert list((tmp_path / "real").iterdir()) == []


def test_a_dangling_link_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StateError, match="symbolic link"):
        open_home(tmp_path / "link")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("below", ["file", "file/below"])
def test_a_file_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(StateError, match=r"not a (folder|directory)"):
        open_home(tmp_path / below)
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize("below", ["environments", "locks"])
def test_a_link_in_place_of_a_folder_below_it_is_refused(tmp_path: Path, below: str) -> None:
    open_home(tmp_path / "home")
    (tmp_path / "elsewhere").mkdir()
    if below == "locks":
        (tmp_path / "home/locks/.probe").unlink()
    (tmp_path / "home" / below).rmdir()
    (tmp_path / "home" / below).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError, match="symbolic link"):
        open_home(tmp_path / "home")


@pytest.mark.parametrize("path", ["x" * 300, "a\0b"])
def test_an_impossible_path_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(StateError):
        open_home(tmp_path / path)


def test_another_users_is_refused(tmp_path: Path, as_nobody: object) -> None:
    os.chown(open_home(tmp_path / "home").path, 65534, 65534)
    with pytest.raises(StateError, match="belongs to user 65534, not to 0"):
        open_home(tmp_path / "home")


def test_one_that_cannot_be_made_or_written_is_refused(as_nobody) -> None:
    script = """
from pathlib import Path
from stackctl.core.errors import StateError
from stackctl.state.home import open_home
try:
    open_home(Path(sys.argv[1]))
except StateError as error:
    print(error.message, "|", error.hint)
"""
    done = as_nobody(script, "/root/stackctl-test/home")
    assert "permission denied" in done.stdout, done.stderr
    assert "STACKCTL_HOME" in done.stdout
    assert not Path("/root/stackctl-test").exists()


def test_a_read_only_file_system_is_refused(on_small_disk) -> None:
    script = """
import json, subprocess
from pathlib import Path
from stackctl.core.errors import StateError
from stackctl.state.home import open_home
disk = Path(sys.argv[1])
open_home(disk / "home")
subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
found = []
for path in (disk / "home", disk / "new"):
    try:
        open_home(path)
    except StateError as error:
        found.append([error.message, error.hint])
print(json.dumps(found))
"""
    found = on_small_disk("size=64k", script)
    assert len(found) == 2
    assert all("read-only file system" in message and "writable" in hint for message, hint in found)


def test_a_disk_without_room_for_its_folders_is_refused(on_small_disk) -> None:
    script = """
import json
from pathlib import Path
from stackctl.core.errors import StateError
from stackctl.state.home import open_home
try:
    open_home(Path(sys.argv[1]) / "home")
except StateError as error:
    print(json.dumps([error.message, error.hint]))
"""
    message, hint = on_small_disk("nr_inodes=3", script)
    assert "no space left" in message
    assert "free some space or inodes" in hint


@pytest.mark.parametrize(("kind", "usable"), [("nfs4", False), ("cifs", False), ("9p", True), ("ext4", True)])
def test_a_disk_that_several_hosts_write_is_refused(tmp_path: Path, kind: str, usable: bool) -> None:
    device = tmp_path.stat().st_dev
    table = tmp_path / "mountinfo"
    table.write_text(f"2 1 {os.major(device)}:{os.minor(device)} / /n rw,relatime shared:7 - {kind} s:/ rw\n")
    if usable:
        assert open_home(tmp_path / "home", table).path == tmp_path / "home"
    else:
        with pytest.raises(StateError, match=f"is on {kind}"):
            open_home(tmp_path / "home", table)


def test_the_file_system_is_read_from_the_table_of_mounts(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    table = tmp_path / "mountinfo"
    table.write_text(
        f"1 0 9999:9 / / rw - ext4 /dev/a rw\n2 1 {number} / /n rw,relatime shared:7 - nfs4 s:/ rw\n"
    )
    assert file_system(tmp_path, table) == "nfs4"
    table.write_text("1 0 9999:9 / / rw - ext4 /dev/a rw\n")
    assert file_system(tmp_path, table) == ""
    assert file_system(tmp_path, tmp_path / "missing") == ""
    command = ["stat", "--file-system", "--format=%T", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert file_system(tmp_path).startswith(said.partition("/")[0][:3])
