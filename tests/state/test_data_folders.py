"""Data folders are made for their owner and never changed, followed or lost."""

import os
import stat
from pathlib import Path

import pytest

from stackctl.core.errors import StateError
from stackctl.core.stack import DataFolder, SecretSpec
from stackctl.state.store import FileStore

PROJECT = "myenv-0a1b2c"
NEW = "myenv-ffffff"
DB = DataFolder(name="db", uid=999)
ME = (os.geteuid(), os.getegid())


def data(store: FileStore, project: str = PROJECT) -> Path:
    return store.folder(project) / "data"


def fill(store: FileStore, project: str, text: str = "row") -> Path:
    assert store.ensure_data(project, [DataFolder(name="db", uid=4242)], ME) == ()
    (data(store, project) / "db" / "table").write_text(text)
    return data(store, project) / "db" / "table"


def test_it_is_the_callers_and_private(store: FileStore, as_nobody) -> None:
    before = os.umask(0)
    try:
        assert store.ensure_data(PROJECT, [DB], (1234, 4321)) == ()
    finally:
        os.umask(before)
    found = (data(store) / "db").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 4321, 0o700)
    assert [path.name for path in data(store).iterdir()] == ["db"]


def test_where_the_caller_is_root_it_belongs_to_the_declared_user_never_to_root(store, as_nobody) -> None:
    assert store.ensure_data(PROJECT, [DB], (0, 0)) == ()
    found = (data(store) / "db").stat()
    assert (found.st_uid, found.st_gid) == (999, 999)
    with pytest.raises(StateError, match="cannot belong to user 0"):
        store.ensure_data(PROJECT, [DataFolder(name="other", uid=0)], (0, 0))
    assert not (data(store) / "other").exists()


def test_what_is_there_is_warned_of_and_never_changed(store: FileStore, as_nobody) -> None:
    store.ensure_data(PROJECT, [DB], (0, 0))
    path = data(store) / "db"
    (path / "table").write_text("row")
    path.chmod(0o750)
    (warning,) = store.ensure_data(PROJECT, [DB], (1234, 1234))
    assert "belongs to user 999, not to 1234" in warning
    found = path.stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (999, 0o750)
    assert (path / "table").stat().st_uid == 0
    assert store.ensure_data(PROJECT, [DB], (0, 0)) == ()


def test_a_user_without_rights_makes_its_own(tmp_path: Path, as_nobody) -> None:
    tmp_path.chmod(0o755)
    for parent in (one for one in tmp_path.parents if "pytest-of-" in str(one)):
        parent.chmod(0o755)
    home = tmp_path / "nobody"
    home.mkdir(0o700)
    os.chown(home, 65534, 65534)
    script = """
import os
from pathlib import Path
from stackctl.core.stack import DataFolder
from stackctl.state.home import open_home
from stackctl.state.store import FileStore
store = FileStore(open_home(Path(sys.argv[1])))
print(store.ensure_data("p-0a1b2c", [DataFolder(name="db", uid=999)], (os.geteuid(), os.getegid())))
"""
    assert as_nobody(script, str(home)).stdout == "()\n"
    found = (home / "environments/p-0a1b2c/data/db").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65534, 65534, 0o700)


def test_an_owner_that_cannot_be_given_leaves_no_folder(tmp_path: Path, as_nobody) -> None:
    script = """
import os, tempfile
from pathlib import Path
from stackctl.core.errors import StateError
from stackctl.core.stack import DataFolder
from stackctl.state.home import open_home
from stackctl.state.store import FileStore
with tempfile.TemporaryDirectory() as folder:
    store = FileStore(open_home(Path(folder)))
    try:
        store.ensure_data("p-0a1b2c", [DataFolder(name="db")], (1234, 1234))
    except StateError as error:
        print(error.message, os.listdir(store.folder("p-0a1b2c") / "data"))
"""
    done = as_nobody(script)
    assert "operation not permitted []" in done.stdout, done.stderr


@pytest.mark.parametrize("what", ["link", "file"])
def test_a_link_or_file_in_its_place_is_refused(store: FileStore, tmp_path: Path, what: str) -> None:
    data(store).parent.mkdir()
    data(store).mkdir()
    path = data(store) / "db"
    if what == "link":
        (tmp_path / "outside").mkdir(0o755)
        path.symlink_to(tmp_path / "outside")
    else:
        path.touch()
    with pytest.raises(StateError, match=r"symbolic link|not a folder"):
        store.ensure_data(PROJECT, [DB], (1234, 1234))
    if what == "link":
        assert (tmp_path / "outside").stat().st_uid == os.geteuid()


def test_a_link_in_place_of_all_data_is_refused(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    data(store).parent.mkdir()
    data(store).symlink_to(tmp_path / "outside")
    with pytest.raises(StateError, match="symbolic link"):
        store.ensure_data(PROJECT, [DB], (1234, 1234))
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "x\0"])
def test_a_name_that_leads_elsewhere_is_refused(store: FileStore, name: str) -> None:
    with pytest.raises(StateError, match="cannot be the name of a data folder"):
        store.ensure_data(PROJECT, [DataFolder(name=name)], (1234, 1234))


def test_size_and_presence_of_data(store: FileStore, tmp_path: Path) -> None:
    assert not store.has_data(PROJECT)
    assert store.data_size(PROJECT) == 0
    store.ensure_data(PROJECT, [DB, DataFolder(name="cache")], ME)
    assert not store.has_data(PROJECT)
    empty = store.data_size(PROJECT)
    (tmp_path / "outside").write_bytes(b"x" * (8 << 20))
    big = data(store) / "db" / "big"
    big.write_bytes(b"x" * (2 << 20))
    os.link(big, data(store) / "db" / "same")
    (data(store) / "db" / "link").symlink_to(tmp_path)
    with (data(store) / "db" / "sparse").open("wb") as sparse:
        sparse.truncate(64 << 20)
    assert store.has_data(PROJECT)
    assert 2 << 20 <= store.data_size(PROJECT) - empty < 3 << 20


def test_data_that_cannot_be_looked_into_counts_as_data(tmp_path: Path, as_nobody) -> None:
    script = """
import os, tempfile
from pathlib import Path
from stackctl.state.home import open_home
from stackctl.state.store import FileStore
with tempfile.TemporaryDirectory() as folder:
    store = FileStore(open_home(Path(folder)))
    hidden = store.folder("p-0a1b2c") / "data" / "db"
    hidden.mkdir(parents=True)
    hidden.chmod(0)
    print(store.has_data("p-0a1b2c"), store.data_size("p-0a1b2c") < 100000)
"""
    assert as_nobody(script).stdout == "True True\n"


def test_data_and_its_secrets_move_together(store: FileStore) -> None:
    table = fill(store, PROJECT)
    inode = table.stat().st_ino
    old = store.ensure_secrets(PROJECT, [SecretSpec(name="db-password")])
    store.ensure_data(NEW, [DB], (1234, 1234))
    fresh = store.ensure_secrets(NEW, [SecretSpec(name="db-password")])
    store.move_data(PROJECT, NEW)
    moved = data(store, NEW) / "db" / "table"
    assert (moved.read_text(), moved.stat().st_ino) == ("row", inode)
    assert store.secret(NEW, "db-password") == old["db-password"]
    aside = store.folder(NEW) / "secrets.before-1" / "db-password"
    assert aside.read_text() == fresh["db-password"]
    assert not store.has_data(PROJECT)
    store.move_data(PROJECT, NEW) if not store.has_data(NEW) else None
    assert moved.read_text() == "row"


def test_moving_onto_data_is_refused_and_both_stay(store: FileStore) -> None:
    table, other = fill(store, PROJECT, "old"), fill(store, NEW, "new")
    store.ensure_secrets(PROJECT, [SecretSpec(name="db-password")])
    with pytest.raises(StateError, match="has data already"):
        store.move_data(PROJECT, NEW)
    assert (table.read_text(), other.read_text()) == ("old", "new")
    assert (store.folder(PROJECT) / "secrets/db-password").exists()


def test_a_move_killed_in_between_is_finished_by_a_repeat(store: FileStore) -> None:
    fill(store, PROJECT)
    secret = store.ensure_secrets(PROJECT, [SecretSpec(name="db-password")])["db-password"]
    store.folder(NEW).mkdir()
    (store.folder(PROJECT) / "secrets").rename(store.folder(NEW) / "secrets")
    store.move_data(PROJECT, NEW)
    assert store.secret(NEW, "db-password") == secret
    assert (data(store, NEW) / "db/table").read_text() == "row"


def test_a_link_is_not_moved(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    store.folder(PROJECT).mkdir()
    data(store).symlink_to(tmp_path / "outside")
    with pytest.raises(StateError, match="symbolic link"):
        store.move_data(PROJECT, NEW)


def test_a_copy_takes_the_folders_that_are_named_and_says_what_there_is_instead(
    store: FileStore, tmp_path: Path
) -> None:
    fill(store, PROJECT)
    (data(store) / "other").mkdir()
    (data(store) / "other" / "file").write_text("not asked for")
    with pytest.raises(StateError, match="has no data of `cache`; its folders: `db`, `other`") as caught:
        store.copy_data(store.folder(PROJECT), NEW, ["cache", "db"])
    assert "--sidecar NAME=" in caught.value.hint
    assert not data(store, NEW).exists()
    store.copy_data(store.folder(PROJECT), NEW, ["db"])
    assert [path.name for path in data(store, NEW).iterdir()] == ["db"]
    assert (data(store, NEW) / "db" / "table").read_text() == "row"

    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(StateError, match="its folders: none"):
        store.copy_data(plain, "p-0a1b2c", ["db"])
