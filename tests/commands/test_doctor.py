"""`doctor` on the real host, and on hosts where something is missing: always an answer, never a traceback."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

import pytest
from commandline import Cli, Done

from stackctl.core.facts import Container, EngineFacts, Network, Volume
from stackctl.core.labels import Stamp
from stackctl.core.records import Deadline, EnvironmentRecord, Lease
from stackctl.engine.docker import DockerEngine
from stackctl.engine.endpoint import Endpoint
from stackctl.ops.doctor_engine import look_at_engine
from stackctl.ops.doctor_host import disk_of, network_interfaces, programs, routes
from stackctl.state.clock import SystemClock
from stackctl.state.home import open_home
from stackctl.state.store import FileStore

MOST = 15.0
"""Seconds that `doctor` may take whatever the engine does."""
IMAGE = "busybox:1.35"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    return Cli(home=tmp_path / "home", checkout=checkout)


def checks(done: Done) -> dict[str, dict[str, Any]]:
    assert "Traceback" not in done.err
    return {one["check"]: one for one in done.data["checks"]}


@contextlib.contextmanager
def listener(path: Path) -> Iterator[None]:
    """A daemon that accepts and never answers."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(8)
        yield


def record(store: FileStore, project: str, **changes: Any) -> EnvironmentRecord:
    made: dict[str, Any] = {
        "project": project,
        "stack": project.partition("-")[0],
        "generation": "g",
        "phase": "running",
        "root": "/gone",
        "engine": "e",
        "home": store.identity,
        "user": os.getuid(),
        "created": 1.0,
        "lifetime": 60.0,
        "deadline": Deadline(wall=1.0, boottime=1.0, boot="b"),
        **changes,
    }
    one = EnvironmentRecord(**made)
    store.write(one)
    return one


@pytest.mark.engine
def test_this_machine_passes_quickly_and_nothing_is_made(cli: Cli) -> None:
    began = time.monotonic()
    done = cli("doctor", "--json").ok()
    assert time.monotonic() - began < MOST
    found = checks(done)
    for name in ("docker command", "daemon", "compose", "cgroup", "clock", "disk of docker"):
        assert found[name]["state"] == "passed", found[name]
    assert found["supervisor"]["state"] == "passed"
    assert done.data["healthy"] is True
    assert not cli.home.exists()


@pytest.mark.engine
def test_the_table_has_a_symbol_a_word_and_the_remedy(cli: Cli) -> None:
    done = cli("doctor").ok()
    assert any(line.startswith("✓ passed   daemon ") for line in done.out.splitlines())
    assert any(line.startswith("✓ passed   supervisor ") for line in done.out.splitlines())
    assert "\033[" not in done.out
    assert " passed, " in done.err


@pytest.mark.engine
def test_a_terminal_that_knows_no_signs_gets_plain_ones(cli: Cli) -> None:
    done = cli("doctor", PYTHONIOENCODING="ascii").ok()
    assert any(line.startswith("+ passed   daemon ") for line in done.out.splitlines())


def test_without_docker_it_says_so_and_ends_with_1(cli: Cli) -> None:
    done = cli("doctor", "--json", PATH=str(cli.checkout))
    found = checks(done)
    assert done.code == 1
    assert found["docker command"]["state"] == "failed"
    assert "install" in found["docker command"]["remedy"]
    assert "docker" in found["docker command"]["remedy"]
    for name in ("daemon", "compose", "cgroup", "address pool"):
        assert (found[name]["state"], found[name]["message"][:11]) == ("warning", "not checked")


@pytest.mark.engine
def test_a_daemon_that_is_not_there_fails(cli: Cli) -> None:
    done = cli("doctor", "--json", DOCKER_HOST=f"unix://{cli.checkout}/none.sock")
    daemon = checks(done)["daemon"]
    assert (done.code, daemon["state"]) == (1, "failed")
    assert "there is no docker socket at" in daemon["message"]
    assert "start the daemon" in daemon["remedy"]


@pytest.mark.engine
def test_a_frozen_daemon_fails_in_time(cli: Cli, tmp_path: Path) -> None:
    with listener(tmp_path / "frozen.sock"):
        began = time.monotonic()
        done = cli("doctor", "--json", DOCKER_HOST=f"unix://{tmp_path}/frozen.sock")
    assert time.monotonic() - began < MOST
    found = checks(done)
    assert (done.code, found["daemon"]["state"]) == (1, "failed")
    assert "did not answer within" in found["daemon"]["message"]
    assert found["compose"]["state"] == "passed"


class Stuck:
    """An engine that says what it is, and then nothing until the test is over."""

    endpoint = Endpoint("unix:///nowhere")
    environment: ClassVar[dict[str, str]] = {}

    def __init__(self, over: Event) -> None:
        self.over = over

    def facts(self) -> EngineFacts:
        return EngineFacts(id="e", host="unix:///nowhere", local=False, version="1")

    def compose_version(self) -> str:
        return "2.30.0"

    def containers(self, labels: Mapping[str, str] | None = None) -> tuple[Container, ...]:
        return ()

    def networks(self, labels: Mapping[str, str] | None = None) -> tuple[Network, ...]:
        self.over.wait(60)
        return ()

    def volumes(self, labels: Mapping[str, str] | None = None) -> tuple[Volume, ...]:
        return ()


def test_an_engine_that_is_slow_with_every_answer_is_not_waited_for() -> None:
    over = Event()
    try:
        sight = look_at_engine(Stuck(over), SystemClock(), {"PATH": ""}, together=0.2)
    finally:
        over.set()
    assert sight.facts is not None
    assert sight.networks is None
    assert sight.compose == "2.30.0"
    assert sight.trouble is not None
    assert sight.trouble.kind == "DaemonFrozen"


@pytest.mark.engine
def test_a_context_that_does_not_exist_fails(cli: Cli) -> None:
    daemon = checks(cli("doctor", "--json", DOCKER_CONTEXT="nowhere"))["daemon"]
    assert (daemon["state"], "`nowhere` does not exist" in daemon["message"]) == ("failed", True)


def test_an_old_compose_fails_with_the_version_that_was_found(cli: Cli, tmp_path: Path) -> None:
    program = tmp_path / "docker"
    program.write_text(
        '#!/bin/sh\nif [ "$1" = compose ]; then echo 2.19.0; else echo "Docker version 27.0, build x"; fi\n'
    )
    program.chmod(0o755)
    found = checks(cli("doctor", "--json", PATH=f"{tmp_path}:{os.environ['PATH']}"))
    assert found["docker command"]["message"] == f"{program}, version 27.0"
    assert found["compose"]["state"] == "failed"
    assert "2.19.0" in found["compose"]["message"]


@pytest.mark.parametrize("kind", ["file", "open to all", "link", "unmakeable"])
def test_an_unusable_state_directory_is_reported(cli: Cli, kind: str) -> None:
    home = cli.home
    if kind == "file":
        home.write_text("no folder")
    elif kind == "open to all":
        home.mkdir()
        home.chmod(0o777)
    elif kind == "link":
        home.symlink_to(cli.checkout)
    else:
        (cli.checkout / "file").write_text("")
        home = cli.checkout / "file" / "home"
    found = checks(cli("doctor", "--json", STACKCTL_HOME=str(home)))["state directory"]
    assert found["state"] == "failed"
    assert found["remedy"]


def test_records_that_cannot_be_read_and_dead_commands_are_named(cli: Cli) -> None:
    store = FileStore(open_home(cli.home))
    dead = Lease(boot="another-boot", pid=1, started=1, command="stackctl up left")
    record(store, "left-1", phase="starting", lease=dead)
    record(store, "half-2", phase="stopping")
    record(store, "tied-3", tied=True, lease=dead)
    record(store, "live-4", phase="starting", lease=store.lease("stackctl up live"))
    # of a process in another pid namespace nothing is proven, so it is left alone
    unknown = replace(store.lease("stackctl up far"), pid=1 << 22, namespace="pid:[1]")
    record(store, "far-6", phase="starting", lease=unknown)
    record(store, "good-5")
    (cli.home / "environments" / "good-5" / "record.json").write_text("{")
    done = cli("doctor", "--json")
    told = [(one["check"], one["state"], one["message"]) for one in done.data["checks"]]
    records = [words for check, state, words in told if (check, state) == ("records", "failed")]
    left = "".join(words for check, state, words in told if (check, state) == ("leftover", "warning"))
    assert done.code == 1
    assert ["`good-5`" in words for words in records] == [True]
    assert all(name in left for name in ("`left-1`", "`half-2`", "`tied-3`", "`stackctl up left`"))
    # this test lives while doctor looks
    assert "live-4" not in left
    assert "far-6" not in left


@pytest.mark.engine
def test_objects_without_a_record_are_named_and_strangers_counted(cli: Cli) -> None:
    store, engine = FileStore(open_home(cli.home)), DockerEngine()
    record(store, "kept-1")
    ids = [
        created(stamp(store.identity, "kept-1", "g")),
        created(stamp(store.identity, "lost-2", "g")),
        created(stamp("f" * 12, "other-3", "g")),
    ]
    try:
        found = checks(cli("doctor", "--json").ok())["unmanaged objects"]
    finally:
        engine.remove_containers(ids)
    assert found["state"] == "warning"
    assert "`stackctl reap --force lost-2`" in found["remedy"]
    assert "kept-1" not in found["remedy"]
    assert "other-3" not in found["remedy"]
    assert "of other state directories" in found["message"]


def stamp(home: str, project: str, generation: str) -> Stamp:
    return Stamp(project=project, stack="s", generation=generation, home=home, user=os.getuid(), engine="e")


def created(stamp: Stamp) -> str:
    """A container that carries a stamp and never runs."""
    labels = [word for name, value in stamp.labels().items() for word in ("--label", f"{name}={value}")]
    argv = ["docker", "create", *labels, IMAGE, "true"]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def test_a_wrong_configuration_is_reported_with_its_line(cli: Cli) -> None:
    path = cli.home.parent / "config" / "stackctl" / "config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("limits: {memory: 2g}\nsubnets: nonsense\n")
    found = checks(cli("doctor", "--json"))["configuration"]
    assert found["state"] == "failed"
    assert "config.yaml:2" in found["message"]


def test_a_shadowed_command_is_named(cli: Cli, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "stackctl").write_text("#!/bin/sh\n")
        (tmp_path / folder / "stackctl").chmod(0o755)
    path = f"{tmp_path}/a:{tmp_path}/b"
    found = programs(str(tmp_path / "b" / "stackctl"), {"PATH": path})
    assert [shown for shown, _ in found.on_path] == [f"{tmp_path}/a/stackctl", f"{tmp_path}/b/stackctl"]
    assert found.running == os.path.realpath(tmp_path / "b" / "stackctl")
    shadowed = checks(cli("doctor", "--json", PATH=f"{path}:{os.environ['PATH']}"))["command"]
    assert f"a shell finds {tmp_path}/a/stackctl" in shadowed["message"]


def test_the_folder_for_path_is_the_one_of_the_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the version's own, which an update leaves."""
    version = tmp_path / "prefix" / "versions" / "1.0.0"
    version.mkdir(parents=True)
    (version / "release").write_text("version 1.0.0\n")
    (tmp_path / "prefix" / "receipt").write_text(f"bin_dir {tmp_path}/bin\n")
    monkeypatch.setattr(sys, "prefix", str(version))
    assert programs("", {"PATH": ""}).folder == f"{tmp_path}/bin"
    monkeypatch.undo()
    assert programs("", {"PATH": ""}).folder == str(Path(sys.executable).parent)


def test_a_link_to_the_same_command_is_no_other_one(tmp_path: Path) -> None:
    real = tmp_path / "stackctl"
    real.write_text("#!/bin/sh\n")
    real.chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "stackctl").symlink_to(real)
    found = programs(str(tmp_path / "bin" / "stackctl"), {"PATH": f"{tmp_path}/bin:{tmp_path}"})
    assert found.on_path == ((f"{tmp_path}/bin/stackctl", str(real)),)


def test_routes_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        "broken\n"
    )
    read = [(route.interface, route.subnet) for route in routes(table)]
    assert read == [("eth0", "0.0.0.0/0"), ("docker0", "172.17.0.0/16")]
    assert routes(tmp_path / "none") == ()


def test_the_disk_of_a_folder_that_is_not_there_is_that_of_the_next_one_above(tmp_path: Path) -> None:
    found = disk_of("state", tmp_path / "a" / "b")
    assert found is not None
    assert found.path == str(tmp_path)
    assert 0 < found.free <= found.total


def test_interfaces_are_listed() -> None:
    assert "lo" in (network_interfaces() or ())
