"""Only purge deletes, only what it was asked for, and it says what it could not."""

import ast
import os
import subprocess
from pathlib import Path

import pytest

import stackctl.state
from stackctl.core.errors import StateError, UsageError
from stackctl.core.records import EnvironmentRecord
from stackctl.state.store import FileStore

PROJECT = "myenv-0a1b2c"


def filled(store: FileStore, record: EnvironmentRecord) -> Path:
    store.write(record)
    deep = store.folder(PROJECT) / "data" / "db" / "base" / "1"
    deep.mkdir(parents=True)
    (deep / "table").write_text("row")
    return store.folder(PROJECT) / "data" / "db"


def test_everything_of_it_is_gone_and_nothing_else(store: FileStore, record: EnvironmentRecord) -> None:
    filled(store, record)
    near = store.folder("myenv-0a1b2c-x")
    near.mkdir()
    (near / "precious").touch()
    thrown_away = store.home / "trash" / f"{near.name}.0"
    thrown_away.mkdir(parents=True)
    with store.lock(PROJECT, command="stackctl purge myenv"):
        store.purge(PROJECT)
    assert not store.folder(PROJECT).exists()
    assert store.trash_left(PROJECT) is None
    assert list(store.records()) == []
    assert (near / "precious").exists()
    assert thrown_away.exists()
    assert (store.home / "locks" / PROJECT).exists()
    store.purge(PROJECT)


def test_links_are_removed_never_followed(
    store: FileStore, record: EnvironmentRecord, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("p")
    db = filled(store, record)
    (db / "to-folder").symlink_to(outside)
    (db / "to-file").symlink_to(outside / "precious")
    (db / "loop").symlink_to(db)
    os.link(outside / "precious", db / "hard")
    store.purge(PROJECT)
    assert not store.folder(PROJECT).exists()
    assert (outside / "precious").read_text() == "p"


def test_a_link_in_place_of_the_environment_is_refused(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").touch()
    store.folder(PROJECT).symlink_to(tmp_path / "outside")
    with pytest.raises(StateError, match="symbolic link"):
        store.purge(PROJECT)
    assert (tmp_path / "outside" / "precious").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/", "a/../.."])
def test_a_name_that_leads_elsewhere_is_refused(
    store: FileStore, record: EnvironmentRecord, name: str
) -> None:
    filled(store, record)
    with pytest.raises(UsageError):
        store.purge(name)
    with pytest.raises(UsageError):
        store.trash_left(name)
    assert store.folder(PROJECT).exists()


def test_what_cannot_be_deleted_is_counted_and_a_repeat_finishes(store: FileStore, record) -> None:
    db = filled(store, record)
    subprocess.run(["chattr", "+i", str(db / "base/1/table")], check=True)
    try:
        with pytest.raises(StateError, match=r"6 files and folders .* could not be deleted") as caught:
            store.purge(PROJECT)
        assert "helper container" in caught.value.hint
        left = store.trash_left(PROJECT)
        assert left is not None
        assert str(left) in caught.value.message
        assert not store.folder(PROJECT).exists()
        assert list(store.records()) == []
    finally:
        subprocess.run(["chattr", "-R", "-i", str(store.home)], check=True)
    assert (left / "data/db/base/1/table").read_text() == "row"
    store.purge(PROJECT)
    assert store.trash_left(PROJECT) is None


AS_NOBODY = """
import os, shutil, sys
from pathlib import Path
from stackctl.core.errors import StateError
from stackctl.state.home import open_home
from stackctl.state.store import FileStore
store = FileStore(open_home(Path(sys.argv[1])))
try:
    store.purge("p-0a1b2c")
    print("gone")
except StateError as error:
    print(error.message)
"""


def test_files_of_other_users_need_a_helper_container(tmp_path: Path, as_nobody) -> None:
    for parent in (tmp_path, *(one for one in tmp_path.parents if "pytest-of-" in str(one))):
        parent.chmod(0o755)
    home = tmp_path / "nobody"
    data = home / "environments/p-0a1b2c/data/db"
    data.mkdir(parents=True, mode=0o700)
    for path in (home, *home.rglob("*")):
        os.chown(path, 65534, 65534)
        path.chmod(0o700)
    (data / "roots").mkdir(0o700)
    (data / "roots" / "table").touch()
    done = as_nobody(AS_NOBODY, str(home))
    assert "files and folders of `p-0a1b2c` could not be deleted" in done.stdout, done.stderr
    (left,) = (home / "trash").iterdir()
    assert (left / "data/db/roots/table").exists()


def test_a_read_only_cache_of_ones_own_is_deleted(tmp_path: Path, as_nobody) -> None:
    for parent in (tmp_path, *(one for one in tmp_path.parents if "pytest-of-" in str(one))):
        parent.chmod(0o755)
    home = tmp_path / "nobody"
    cache = home / "environments/p-0a1b2c/data/go/pkg/mod"
    cache.mkdir(parents=True)
    (cache / "module.go").touch()
    for path in (home, *home.rglob("*")):
        os.chown(path, 65534, 65534)
        path.chmod(0o444 if path.is_file() else 0o700)
    cache.chmod(0o555)
    cache.parent.chmod(0)
    done = as_nobody(AS_NOBODY, str(home))
    assert done.stdout == "gone\n", done.stderr


def test_nothing_else_in_state_deletes_trees() -> None:
    folder = Path(stackctl.state.__file__).parent
    users = {
        path.name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in ("rmtree", "removedirs"))
        or (isinstance(node, ast.Import) and any(alias.name == "shutil" for alias in node.names))
    }
    assert users == {"trash.py", "data_copies.py", "installation.py"}
    removing = (folder / "installation.py").read_text()  # versions of the tool itself, and nothing else
    assert removing.count("shutil.") == removing.count("shutil.rmtree(self.folder_of(name))") == 1
    copies = ast.walk(ast.parse((folder / "data_copies.py").read_text()))
    used = {
        node.attr
        for node in copies
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "shutil"
    }
    assert used == {"copytree", "copy2", "Error"}
