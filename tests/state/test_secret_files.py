"""Secrets are made once, follow their files, and nobody else can read them."""

import stat
import traceback
from pathlib import Path

import pytest

from stackctl.core.errors import StateError, UsageError
from stackctl.core.stack import SecretSpec
from stackctl.state.store import FileStore

PROJECT = "myenv-0a1b2c"


def test_a_secret_is_generated_once_and_stays(store: FileStore) -> None:
    specs = [SecretSpec(name="db-password"), SecretSpec(name="token")]
    first = store.ensure_secrets(PROJECT, specs)
    path = store.folder(PROJECT) / "secrets" / "db-password"
    before = path.stat()
    assert store.ensure_secrets(PROJECT, specs) == first
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert store.secret(PROJECT, "db-password") == first["db-password"] == path.read_text()
    assert first["db-password"] != first["token"]
    for text in first.values():
        assert len(text) == 32
        assert text.isascii()
        assert text.isalnum()
    other = store.ensure_secrets("other-0a1b2c", specs)
    assert set(other.values()).isdisjoint(first.values())


def test_it_can_be_read_where_it_is_mounted_but_not_from_the_host(store: FileStore, as_nobody) -> None:
    store.ensure_secrets(PROJECT, [SecretSpec(name="token")])
    store.write_secret_text(PROJECT, "web.env", "A=b\n")
    folder = store.folder(PROJECT) / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o444
    assert stat.S_IMODE((folder / "web.env").stat().st_mode) == 0o600
    done = as_nobody("print(open(sys.argv[1]).read())", str(folder / "token"))
    assert "PermissionError" in done.stderr


def test_it_follows_the_users_file(store: FileStore, tmp_path: Path) -> None:
    source = tmp_path / "secret.txt"
    spec = SecretSpec(name="token", from_file=str(source))
    source.write_bytes(b"first\n")
    assert store.ensure_secrets(PROJECT, [spec]) == {"token": "first"}
    stamp = store.secret_stamp(PROJECT, "token")
    assert store.ensure_secrets(PROJECT, [spec]) == {"token": "first"}
    assert store.secret_stamp(PROJECT, "token") == stamp
    source.write_bytes(b"second\r\n")
    assert store.ensure_secrets(PROJECT, [spec]) == {"token": "second"}
    assert store.secret_stamp(PROJECT, "token") != stamp
    assert store.ensure_secrets(PROJECT, [SecretSpec(name="token")]) == {"token": "second"}
    source.write_bytes(b"-----BEGIN\nKEY\n\n")
    assert store.ensure_secrets(PROJECT, [spec]) == {"token": "-----BEGIN\nKEY\n"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"a\0b", "it has a NUL in it"),
        (b"\xff\xfe", "it is not UTF-8 text"),
        (b"x" * (64 * 1024 + 1), "it is larger than 64 KiB"),
    ],
)
def test_a_file_that_cannot_be_a_secret_names_its_variable(store, tmp_path, content, words) -> None:
    source = tmp_path / "secret.txt"
    if content is not None:
        source.write_bytes(content)
    specs = [SecretSpec(name="made"), SecretSpec(name="db-password", from_file=str(source))]
    with pytest.raises(UsageError, match=words) as caught:
        store.ensure_secrets(PROJECT, specs)
    assert "db-password" in caught.value.message
    assert str(source) in caught.value.message
    assert caught.value.exit_code == 2
    assert not (store.folder(PROJECT) / "secrets").exists()


def test_all_wrong_files_are_named_at_once_and_a_folder_is_one(store: FileStore, tmp_path: Path) -> None:
    specs = [
        SecretSpec(name="one", from_file=str(tmp_path / "gone")),
        SecretSpec(name="two", from_file=str(tmp_path)),
    ]
    with pytest.raises(UsageError, match="2 secrets cannot be read") as caught:
        store.ensure_secrets(PROJECT, specs)
    assert [problem.path for problem in caught.value.problems] == ["variables.one", "variables.two"]


def test_the_largest_secret_fits_and_a_reader_may_find_files_elsewhere(store: FileStore) -> None:
    spec = SecretSpec(name="big", from_file="../relative")
    seen = []

    def reader(path: str) -> bytes:
        seen.append(path)
        return b"x" * 64 * 1024

    assert store.ensure_secrets(PROJECT, [spec], reader) == {"big": "x" * 64 * 1024}
    assert seen == ["../relative"]


def test_a_lost_or_damaged_secret_is_said_to_be(store: FileStore) -> None:
    with pytest.raises(StateError, match="is gone"):
        store.secret(PROJECT, "token")
    assert store.secret_stamp(PROJECT, "token") == ""
    path = store.write_secret_text(PROJECT, "token", "x")
    path.chmod(0o600)
    path.write_bytes(b"\xff")
    with pytest.raises(StateError, match="is damaged"):
        store.secret(PROJECT, "token")
    with pytest.raises(StateError, match="is damaged"):
        store.ensure_secrets(PROJECT, [SecretSpec(name="token")])
    assert path.read_bytes() == b"\xff"


def test_a_link_is_neither_read_nor_written_through(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    path = store.write_secret_text(PROJECT, "token", "x")
    path.unlink()
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(StateError):
        store.secret(PROJECT, "token")
    with pytest.raises(StateError):
        store.write_secret_text(PROJECT, "token", "y")
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "x\0", "x" * 128])
def test_a_name_that_leads_elsewhere_is_refused(store: FileStore, name: str) -> None:
    with pytest.raises(StateError, match="cannot be the name of a secret"):
        store.write_secret_text(PROJECT, name, "x")
    with pytest.raises(StateError, match="cannot be the name of a file"):
        store.write_log(PROJECT, f"{name}/", "x")


def test_a_text_that_is_not_unicode_is_refused_without_being_shown(store: FileStore) -> None:
    text = "can" + "ary\udcff"
    with pytest.raises(StateError, match=r"text of 'web\.env' is not Unicode") as caught:
        store.write_secret_text(PROJECT, "web.env", text)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_logs_are_kept_privately(store: FileStore) -> None:
    path = store.write_log(PROJECT, "web", "last words \udcff\n")
    assert path == store.folder(PROJECT) / "logs" / "web.log"
    assert path.read_text() == "last words \\udcff\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_error_shows_a_secret(on_small_disk) -> None:
    script = """
import json, traceback
from pathlib import Path
from stackctl.core.errors import StateError
from stackctl.state.home import open_home
from stackctl.state.store import FileStore
store = FileStore(open_home(Path(sys.argv[1]) / "home"))
try:
    store.write_secret_text("p-0a1b2c", "token", "canary" * 20000)
except StateError as error:
    print(json.dumps([error.message, "".join(traceback.format_exception(error))]))
"""
    message, trace = on_small_disk("size=64k", script)
    assert "secrets/token" in message
    assert "canarycanary" not in trace
