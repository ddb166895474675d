"""Rendered files change only where they must, and all or nothing when the disk is full."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stackctl.core.errors import StateError
from stackctl.state.store import FileStore

PROJECT = "myenv-0a1b2c"


def tree(store: FileStore) -> dict[str, str]:
    root = store.folder(PROJECT) / "files"
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def inodes(store: FileStore) -> dict[str, tuple[int, int]]:
    root = store.folder(PROJECT) / "files"
    return {
        str(path.relative_to(root)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in root.rglob("*")
    }


def test_the_document_and_its_placement_are_private_and_left_alone_when_unchanged(store: FileStore) -> None:
    assert store.deployment(PROJECT) is None
    first = store.write_document(PROJECT, "services: {}\n", "STACKCTL_SUBNET=10.208.0.0/26\n")
    assert store.deployment(PROJECT) == first
    assert (first.project, first.folder) == (PROJECT, store.folder(PROJECT))
    assert first.document.read_text() == "services: {}\n"
    assert first.placement.read_text() == "STACKCTL_SUBNET=10.208.0.0/26\n"
    before = [path.stat() for path in (first.document, first.placement)]
    store.write_document(PROJECT, "services: {}\n", "STACKCTL_SUBNET=10.208.0.0/26\n")
    after = [path.stat() for path in (first.document, first.placement)]
    assert [(s.st_ino, s.st_mtime_ns) for s in before] == [(s.st_ino, s.st_mtime_ns) for s in after]
    assert {stat.S_IMODE(s.st_mode) for s in after} == {0o600}


def test_files_are_readable_for_every_user_below_a_private_folder(store: FileStore) -> None:
    before = os.umask(0o077)
    try:
        changed = store.write_files(PROJECT, {"nginx/conf.d/app.conf": "listen 80;", "run.sh": "#!/bin/sh"})
    finally:
        os.umask(before)
    root = store.folder(PROJECT) / "files"
    assert changed == ("nginx/conf.d/app.conf", "run.sh")
    modes = {str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}
    assert modes == {
        "nginx": 0o755,
        "nginx/conf.d": 0o755,
        "nginx/conf.d/app.conf": 0o444,
        "run.sh": 0o444,
    }
    assert stat.S_IMODE(root.stat().st_mode) == 0o755
    assert stat.S_IMODE(root.parent.stat().st_mode) == 0o700


def test_only_what_changed_gets_a_new_inode(store: FileStore) -> None:
    store.write_files(PROJECT, {"a/one": "1", "a/two": "2", "b/three": "3", "old": "o"})
    before = inodes(store)
    changed = store.write_files(PROJECT, {"a/one": "1", "a/two": "two", "b/three": "3", "c/new": "n"})
    after = inodes(store)
    assert changed == ("a/two", "c/new", "old")
    assert tree(store) == {"a/one": "1", "a/two": "two", "b/three": "3", "c/new": "n"}
    for kept in ("a/one", "b/three", "b"):
        assert before[kept] == after[kept]
    assert before["a"][0] == after["a"][0]
    assert before["a/two"][0] != after["a/two"][0]
    assert store.write_files(PROJECT, {"a/one": "1", "a/two": "two", "b/three": "3", "c/new": "n"}) == ()
    assert inodes(store) == after
    assert sorted(path.name for path in store.folder(PROJECT).iterdir()) == ["files"]


def test_wrong_permissions_links_and_strangers_are_put_right(store: FileStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("p")
    wanted = {"a/one": "1", "two": "2", "three": "3"}
    store.write_files(PROJECT, wanted)
    root = store.folder(PROJECT) / "files"
    (root / "a/one").unlink()
    (root / "a").rmdir()
    (root / "a").symlink_to(outside)
    (root / "two").unlink()
    (root / "two").symlink_to(outside / "precious")
    (root / "stray").symlink_to(outside)
    (root / "three").chmod(0o600)
    store.write_files(PROJECT, wanted)
    assert stat.S_IMODE((root / "three").stat().st_mode) == 0o444
    assert tree(store) == wanted
    assert not any(path.is_symlink() for path in root.rglob("*"))
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_text() == "p"


def test_a_file_may_become_a_folder_and_a_folder_a_file(store: FileStore) -> None:
    store.write_files(PROJECT, {"a": "file", "b/c/d": "deep"})
    store.write_files(PROJECT, {"a/b": "below", "b": "file"})
    assert tree(store) == {"a/b": "below", "b": "file"}
    store.write_files(PROJECT, {})
    assert tree(store) == {}
    assert list((store.folder(PROJECT) / "files").iterdir()) == []


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "./a",
        "a/",
        "a\0b",
        "a\nb",
        ".stackctl-tmp-1",
        "x\ud800",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused_before_anything_is_written(store, path: str) -> None:
    with pytest.raises(StateError, match="cannot be the path of a rendered file"):
        store.write_files(PROJECT, {"good": "1", path: "2"})
    assert not (store.folder(PROJECT) / "files").exists()


@pytest.mark.parametrize("files", [{"a": "1", "a/b": "2"}, {"a": "\ud800"}, {"x" * 300: "1"}])
def test_files_that_cannot_be_are_refused_and_the_old_ones_stay(
    store: FileStore, files: dict[str, str]
) -> None:
    store.write_files(PROJECT, {"old": "o"})
    with pytest.raises(StateError):
        store.write_files(PROJECT, files)
    assert tree(store) == {"old": "o"}
    assert [path.name for path in (store.folder(PROJECT) / "files").iterdir()] == ["old"]


def test_a_link_in_place_of_the_tree_is_refused(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").touch()
    store.write_files(PROJECT, {})
    root = store.folder(PROJECT) / "files"
    root.rmdir()
    root.symlink_to(tmp_path / "outside")
    with pytest.raises(StateError, match="symbolic link"):
        store.write_files(PROJECT, {"a": "1"})
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["precious"]


@pytest.mark.parametrize("options", ["size=64k", "nr_inodes=14"])
def test_a_full_disk_changes_no_file(on_small_disk, options: str) -> None:
    script = """
import json, os
from pathlib import Path
from stackctl.core.errors import StateError
from stackctl.state.home import open_home
from stackctl.state.store import FileStore
store = FileStore(open_home(Path(sys.argv[1]) / "home"))
old = {"a/one": "1", "b": "2"}
store.write_files("p-0a1b2c", old)
try:
    store.write_files("p-0a1b2c", {"a/one": "new", "b": "new", **{f"{n}": "x" * 9000 for n in range(9)}})
    message = ""
except StateError as error:
    message = error.message
root = store.folder("p-0a1b2c") / "files"
found = {str(p.relative_to(root)): p.read_text() for p in root.rglob("*") if p.is_file()}
print(json.dumps([message, found == old, sorted(os.listdir(root.parent))]))
"""
    message, unchanged, names = on_small_disk(options, script)
    assert "no space left" in message
    assert unchanged
    assert names == ["files"]


def test_a_killed_writers_staging_folder_is_swept_under_the_lock(store: FileStore) -> None:
    store.write_files(PROJECT, {"a": "1"})
    staging = store.folder(PROJECT) / ".stackctl-tmp-1-2"
    staging.mkdir()
    (staging / "0").write_text("half")
    os.utime(staging, (0, 0))
    with store.lock(PROJECT, command="stackctl up"):
        assert not staging.exists()
    assert tree(store) == {"a": "1"}


NAMES = st.sampled_from(["a", "b", "c", "a/x", "b/x/y", "c/z", "d/e", "d/f"])
TREES = st.dictionaries(NAMES, st.sampled_from(["", "1", "2", "longer text"]), max_size=6).filter(
    lambda files: (
        not any(f"{parent}/" in path for parent in files for path in files if path.startswith(parent))
    )
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TREES, min_size=1, max_size=4))
def test_whatever_came_before_the_tree_is_what_was_rendered_last(store: FileStore, trees) -> None:
    for files in trees:
        store.write_files(PROJECT, files)
        assert tree(store) == files
        root = store.folder(PROJECT) / "files"
        assert all(any(path.iterdir()) for path in root.rglob("*") if path.is_dir())
