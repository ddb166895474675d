"""A record is read back as it was written, or not at all; a damaged or newer one is kept."""

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from stackctl.core.errors import StateError, UsageError
from stackctl.core.records import SCHEMA, EnvironmentRecord
from stackctl.state.record_files import encode
from stackctl.state.store import FileStore

PROJECT = "myenv-0a1b2c"


def path_of(store: FileStore) -> Path:
    return store.folder(PROJECT) / "record.json"


def newer(record: EnvironmentRecord) -> bytes:
    return json.dumps({**json.loads(encode(record)), "schema": SCHEMA + 1, "mood": "good"}).encode()


def test_a_record_is_the_same_after_a_write(store: FileStore, record: EnvironmentRecord) -> None:
    assert store.read(PROJECT) is None
    store.write(record)
    assert store.read(PROJECT) == record
    store.write(replace(record, phase="stopped"))
    assert store.read(PROJECT) == replace(record, phase="stopped")
    assert [path.name for path in store.folder(PROJECT).iterdir()] == ["record.json"]
    assert path_of(store).stat().st_mode & 0o777 == 0o600
    assert store.folder(PROJECT).stat().st_mode & 0o777 == 0o700


def test_a_path_that_is_not_unicode_survives(store: FileStore, record: EnvironmentRecord) -> None:
    strange = replace(record, root="/src/\udcff-日本")
    store.write(strange)
    assert store.read(PROJECT) == strange


def damage(data: bytes) -> list[tuple[str, bytes]]:
    torn = [(f"torn at {at}", data[:at]) for at in range(len(data))]
    flipped = [
        (f"bit {at % 8} of byte {at}", data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
        for at in range(len(data))
    ]
    zeroed = [(f"zeroes from {at}", data[:at].ljust(len(data), b"\0")) for at in range(0, len(data), 16)]
    return torn + flipped + zeroed


def test_no_damage_at_any_byte_is_taken_for_a_record(store: FileStore, record: EnvironmentRecord) -> None:
    store.write(record)
    path = path_of(store)
    data = path.read_bytes()
    for what, broken in damage(data):
        path.write_bytes(broken)
        with suppress(StateError):
            assert store.read(PROJECT) == record, what
        assert path.read_bytes() == broken, what


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"\0" * 4096, "it is no JSON"),
        (b"[" * 200_000, "it is no JSON"),
        (b"9" * 10_000, "it is no JSON"),
        (b'"text"', "not a record"),
        (b"{}", "not a record"),
        (b'{"schema": 1}', "is missing"),
        (b"\xff\xfe\x00", "it is no JSON"),
        (b" " * ((4 << 20) + 10), "larger than 4 MiB"),
    ],
)
def test_the_reason_is_said_and_the_file_kept(store, record, content: bytes, words: str) -> None:
    store.write(record)
    path_of(store).write_bytes(content)
    with pytest.raises(StateError, match=words):
        store.read(PROJECT)
    assert [name for name, _ in store.unreadable()] == [PROJECT]
    assert list(store.records()) == []
    assert path_of(store).read_bytes() == content


def test_a_changed_value_with_a_stale_checksum_is_refused(store, record) -> None:
    store.write(record)
    text = path_of(store).read_text()
    path_of(store).write_text(text.replace('"user": 1000', '"user": 1001'))
    with pytest.raises(StateError, match="checksum"):
        store.read(PROJECT)


def test_a_record_in_another_environments_folder_is_refused(store, record) -> None:
    store.write(record)
    other = store.folder("other-0a1b2c")
    other.mkdir()
    (other / "record.json").write_bytes(path_of(store).read_bytes())
    with pytest.raises(StateError, match="record of 'myenv-0a1b2c'"):
        store.read("other-0a1b2c")
    assert [one.project for one in store.records()] == [PROJECT]


def test_a_newer_record_is_refused_and_never_touched(store, record) -> None:
    store.write(record)
    path_of(store).write_bytes(newer(record))
    with pytest.raises(StateError, match="a newer stackctl wrote") as caught:
        store.read(PROJECT)
    assert f"schema {SCHEMA + 1} is newer than {SCHEMA}" in caught.value.message
    with pytest.raises(StateError, match="a newer stackctl wrote"):
        store.write(record)
    assert path_of(store).read_bytes() == newer(record)
    assert store.unreadable() == ((PROJECT, f"schema {SCHEMA + 1} is newer than {SCHEMA}"),)


def test_writing_over_a_damaged_record_sets_it_aside(store, record) -> None:
    store.write(record)
    for number in (1, 2):
        path_of(store).write_bytes(b"damaged %d" % number)
        store.write(record)
        aside = store.folder(PROJECT) / f"record.json.corrupt-{number}"
        assert aside.read_bytes() == b"damaged %d" % number
    assert store.read(PROJECT) == record


def test_a_record_can_be_set_aside_and_removed_without_its_data(store, record) -> None:
    assert store.quarantine(PROJECT) is None
    store.write(record)
    aside = store.quarantine(PROJECT)
    assert aside is not None
    assert aside.name == "record.json.corrupt-1"
    assert store.read(PROJECT) is None
    store.write(record)
    (store.folder(PROJECT) / "data").mkdir()
    store.remove_record(PROJECT)
    store.remove_record(PROJECT)
    assert store.read(PROJECT) is None
    assert (store.folder(PROJECT) / "data").is_dir()


def test_a_link_in_place_of_a_record_or_folder_is_not_followed(store, record, tmp_path: Path) -> None:
    store.write(record)
    (tmp_path / "elsewhere.json").write_bytes(path_of(store).read_bytes())
    path_of(store).unlink()
    path_of(store).symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(StateError, match=r"symbolic link|too many levels"):
        store.read(PROJECT)
    outside = tmp_path / "outside"
    outside.mkdir()
    store.folder("linked-0a1b2c").symlink_to(outside)
    with pytest.raises(StateError, match="symbolic link"):
        store.write(replace(record, project="linked-0a1b2c"))
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-x", "A", "x\0y", "ü", "x" * 64, "a\n"])
def test_a_project_name_that_leads_elsewhere_is_refused(store: FileStore, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of an environment"):
        store.folder(name)


def test_owned_ports_and_subnets_are_those_of_all_other_records(store, record) -> None:
    store.write(replace(record, phase="stopped", ports=(5432,)))
    placement = {
        "STACKCTL_PORT_DB_5432": "20002",
        "STACKCTL_SUBNET_BACK": "10.208.1.0/26",
        "STACKCTL_DATA_DB": "/x",
    }
    store.write(replace(record, project="other-0a1b2c", placement=placement))
    assert store.owned_ports() == {20001: PROJECT, 5432: PROJECT, 20002: "other-0a1b2c"}
    assert store.owned_ports(PROJECT) == {20002: "other-0a1b2c"}
    assert store.owned_subnets() == {"10.208.0.0/26": PROJECT, "10.208.1.0/26": "other-0a1b2c"}
    assert store.owned_subnets("other-0a1b2c") == {"10.208.0.0/26": PROJECT}


def recalled(store: FileStore) -> tuple[list[str], list[str]]:
    found = store.recall()
    return [one.project for one in found.records], [project for project, _ in found.unreadable]


@contextmanager
def kept_from_readers(path: Path) -> Iterator[None]:
    """A file that is the same as before and cannot be opened now: a lease is upon it."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, before)


def test_what_the_system_refused_once_is_read_when_it_no_longer_does(store, record) -> None:
    store.write(record)
    with kept_from_readers(path_of(store)):
        assert recalled(store) == ([], [PROJECT])
    assert recalled(store) == ([PROJECT], [])
    path_of(store).write_bytes(b"damaged")
    assert [recalled(store), recalled(store)] == [([], [PROJECT])] * 2


def test_what_is_no_environment_is_passed_over(store, record) -> None:
    store.write(record)
    environments = store.folder(PROJECT).parent
    (environments / ".stackctl-tmp-1").mkdir()
    (environments / "Some File").touch()
    (environments / "empty-0a1b2c").mkdir()
    (environments / "file-0a1b2c").touch()
    assert [one.project for one in store.records()] == [PROJECT]
    assert [project for project, _ in store.unreadable()] == ["file-0a1b2c"]


def test_a_removed_state_directory_has_no_records(store: FileStore) -> None:
    (store.home / "environments").rmdir()
    assert list(store.records()) == []


def test_fifty_environments_are_listed_in_milliseconds(store, record) -> None:
    services = {f"service-{number}": record.services["web"] for number in range(4)}
    for number in range(50):
        store.write(replace(record, project=f"env{number}-0a1b2c", services=services))
    times = []
    for _ in range(5):
        started = time.process_time()
        assert len(list(store.records())) == 50
        times.append(time.process_time() - started)
    assert min(times) < 0.05


def test_a_writer_killed_at_any_moment_leaves_a_whole_record(store, record, start) -> None:
    store.write(record)
    writing = """
from dataclasses import replace
from pathlib import Path
from stackctl.state.home import open_home
from stackctl.state.store import FileStore
store = FileStore(open_home(Path(sys.argv[1])))
record = store.read("myenv-0a1b2c")
print("ready", flush=True)
number = 0
while True:
    number += 1
    store.write(replace(record, updated=float(number), warnings=("w" * 5000,) * (number % 7)))
"""
    for delay in (0.0, 0.005, 0.011, 0.017, 0.023, 0.05):
        child = start(writing, str(store.home))
        assert child.stdout.readline() == "ready\n"
        time.sleep(delay)
        child.kill()
        child.wait()
        assert store.read(PROJECT).project == PROJECT
