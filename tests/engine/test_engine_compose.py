"""Compose through the door: bounded, alone in its environment, gone when we are, honest about failures."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from waiting import command_line

from stackctl.core.deployment import Deployment
from stackctl.core.errors import (
    ComposeMissing,
    EngineRefused,
    ImageMissing,
    PortTaken,
    ServiceFailed,
    TimedOut,
)
from stackctl.engine import compose, driver
from stackctl.engine.docker import DockerEngine
from stackctl.engine.endpoint import find_program

pytestmark = pytest.mark.engine
SOURCE = str(Path(__file__).parents[2] / "src")
SLEEP = {"command": ["sleep", "600"], "init": True, "stop_grace_period": "1s"}
# `up` waits for the first to turn healthy, which it never does
BLOCKING = {
    "first": {**SLEEP, "healthcheck": {"test": ["CMD", "false"], "interval": "600s", "start_period": "600s"}},
    "second": {**SLEEP, "depends_on": {"first": {"condition": "service_healthy"}}},
}
Deploy = Callable[..., Deployment]


def _of(engine: DockerEngine, deployment: Deployment) -> dict[str, str]:
    found = engine.containers({"com.docker.compose.project": deployment.project})
    return {one.service: one.id for one in found if one.state == "running"}


def _driving(project: str) -> dict[str, str]:
    """Processes that drive compose for a project: pid -> command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (OSError, NotADirectoryError):
            continue
        if project in words and any("docker" in word for word in words):
            found[entry.name] = " ".join(words)
    return found


def _drivers(parent: int) -> list[int]:
    """Processes that a process started to import what drives compose."""
    children: list[int] = []
    for one in (Path("/proc") / str(parent) / "task").glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            children += map(int, one.read_text().split())
    return [pid for pid in children if driver.__file__ in command_line(pid)]


def _docker(driving: dict[str, str]) -> list[str]:
    return [pid for pid, line in driving.items() if "docker" in line.split()[0]]


def _until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def test_up_starts_detached_and_again_changes_nothing(engine: DockerEngine, deploy: Deploy) -> None:
    deployment = deploy({"a": SLEEP, "b": SLEEP})
    engine.warm()
    engine.up(deployment)
    first = _of(engine, deployment)
    assert set(first) == {"a", "b"}
    assert engine.facts().compose_version == engine.compose_version() != ""
    engine.up(deployment)
    assert _of(engine, deployment) == first
    assert _driving(deployment.project) == {}


def test_a_service_that_left_the_document_is_not_removed(engine: DockerEngine, deploy: Deploy) -> None:
    engine.up(deploy({"a": SLEEP, "b": SLEEP}))
    deployment = deploy({"a": SLEEP})
    engine.up(deployment)
    assert set(_of(engine, deployment)) == {"a", "b"}


def test_a_taken_port_is_named(engine: DockerEngine, deploy: Deploy) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert port in engine.ports_in_use()
        assert engine.port_holder(port) == f"process `{_own_name()}` (pid {os.getpid()})"
        with pytest.raises(PortTaken, match=f"port {port} is taken"):
            engine.up(deploy({"a": {**SLEEP, "ports": [f"127.0.0.1:{port}:80"]}}))


def test_a_port_of_another_container_is_named(engine: DockerEngine, deploy: Deploy) -> None:
    first = deploy({"a": {**SLEEP, "ports": ["127.0.0.1::80"]}})
    engine.up(first)
    (one,) = engine.inspect([_of(engine, first)["a"]])
    port = one.ports[0].host_port
    assert engine.port_holder(port) == f"container `{one.name}`"
    with pytest.raises(PortTaken, match=f"port {port} is taken"):
        engine.up(deploy({"b": {**SLEEP, "ports": [f"127.0.0.1:{port}:81"]}}))


def _own_name() -> str:
    return Path("/proc/self/comm").read_text().strip()


def test_a_missing_image_is_never_pulled(engine: DockerEngine, deploy: Deploy) -> None:
    began = time.monotonic()
    with pytest.raises(ImageMissing, match="localhost:1/none:1"):
        engine.up(deploy({"a": {**SLEEP, "image": "localhost:1/none:1"}}))
    assert time.monotonic() - began < 10


def test_a_dependency_that_ends_is_a_failed_service(engine: DockerEngine, deploy: Deploy) -> None:
    once = {"command": ["sh", "-c", "exit 4"]}
    late = {**SLEEP, "depends_on": {"once": {"condition": "service_completed_successfully"}}}
    with pytest.raises(ServiceFailed, match=r"`once`.*exit 4"):
        engine.up(deploy({"once": once, "late": late}))


def test_a_refusal_shows_no_secret(engine: DockerEngine, deploy: Deploy) -> None:
    deployment = deploy({"a": {**SLEEP, "image": "localhost:1/none:hunter2secret"}})
    (deployment.folder / "secrets").mkdir()
    (deployment.folder / "secrets" / "db-password").write_text("hunter2secret\n")
    with pytest.raises(ImageMissing) as error:
        engine.up(deployment)
    assert "hunter2" not in error.value.message
    assert "***" in error.value.message


def test_a_broken_document_is_refused_in_one_sentence(engine: DockerEngine, deploy: Deploy) -> None:
    with pytest.raises(EngineRefused) as error:
        engine.up(deploy({"a": {**SLEEP, "mem_limit": "lots"}}))
    assert "\n" not in error.value.message
    assert "--file" not in error.value.message
    with pytest.raises(EngineRefused, match="STACKCTL_MISSING"):
        engine.up(deploy({"a": {**SLEEP, "environment": {"X": "${STACKCTL_MISSING:?}"}}}))


def test_up_is_bounded_and_leaves_no_child(engine: DockerEngine, deploy: Deploy) -> None:
    deployment = deploy(BLOCKING)
    engine.compose_version()
    began = time.monotonic()
    with pytest.raises(TimedOut, match="`docker compose up` did not end within 3s"):
        engine.up(deployment, timeout=3)
    assert 2.5 < time.monotonic() - began < 9
    assert _until(lambda: _driving(deployment.project) == {}, 5)


def test_who_got_ready_for_nothing_is_gone_when_the_engine_is_closed() -> None:
    engine = DockerEngine()
    engine.warm()
    assert _until(lambda: len(_drivers(os.getpid())) == 1)
    engine.close()
    assert _drivers(os.getpid()) == []


def test_a_driver_that_dies_is_told_and_nothing_goes_on(engine: DockerEngine, deploy: Deploy) -> None:
    deployment = deploy(BLOCKING)
    engine.warm()
    assert _until(lambda: len(_drivers(os.getpid())) == 1)
    (pid,) = _drivers(os.getpid())

    def kill_when_it_drives() -> None:
        assert _until(lambda: "first" in _of(DockerEngine(), deployment))
        os.kill(pid, signal.SIGKILL)

    killer = Thread(target=kill_when_it_drives)
    killer.start()
    with pytest.raises(EngineRefused, match="`docker compose up` could not be driven: code 137"):
        engine.up(deployment)
    killer.join()
    assert _until(lambda: _driving(deployment.project) == {}, 5), _driving(deployment.project)
    assert _until(lambda: _free(deployment.folder / compose.MUTATION_LOCK), 5)


@pytest.mark.parametrize("ready", ["warmed", "at once"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_drives_compose_after_we_are_gone(
    engine: DockerEngine, deploy: Deploy, number: signal.Signals, ready: str
) -> None:
    """Killed in the middle of `up`: the docker child goes too, and so does the lock that it held."""
    deployment = deploy(BLOCKING)
    code = f"""
        from pathlib import Path
        from stackctl.core.deployment import Deployment
        from stackctl.engine.docker import DockerEngine
        folder = Path({str(deployment.folder)!r})
        engine = DockerEngine()
        if {ready == "warmed"}:
            engine.warm()
        engine.up(Deployment(project={deployment.project!r}, folder=folder,
            document=folder / "compose.yaml", placement=folder / "placement.env"))
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": SOURCE},
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert _until(lambda: "first" in _of(engine, deployment))
        driving = _driving(deployment.project)
        assert {str((Path("/proc") / pid / "fd" / "0").readlink()) for pid in _docker(driving)} == {
            os.devnull
        }
        assert not _free(deployment.folder / compose.MUTATION_LOCK)
        drivers = _drivers(parent.pid)
        assert len(drivers) == (ready == "warmed")
        parent.send_signal(number)
        parent.wait(10)
        assert _until(lambda: _driving(deployment.project) == {}, 5), _driving(deployment.project)
        assert _until(lambda: _free(deployment.folder / compose.MUTATION_LOCK), 5)
        assert _until(lambda: not any(map(command_line, drivers)), 5)
    finally:
        parent.kill()
        parent.communicate()
    assert set(_of(engine, deployment)) == {"first"}


def _free(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_neither_env_file_nor_environment_hijacks_compose(
    engine: DockerEngine, deploy: Deploy, tmp_path: Path
) -> None:
    deployment = deploy(
        {"a": {**SLEEP, "environment": {"X": "${STACKCTL_X:?}"}}}, placement="STACKCTL_X=ours\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".env").write_text("COMPOSE_PROJECT_NAME=hijacked\nCOMPOSE_FILE=/nonexistent.yaml\n")
    (deployment.folder / ".env").write_text("STACKCTL_X=env-file\nCOMPOSE_PROFILES=none\n")
    code = f"""
        from pathlib import Path
        from stackctl.core.deployment import Deployment
        from stackctl.engine.docker import DockerEngine
        folder = Path({str(deployment.folder)!r})
        DockerEngine().up(Deployment(project={deployment.project!r}, folder=folder,
            document=folder / "compose.yaml", placement=folder / "placement.env"))
    """
    hostile = {
        "COMPOSE_FILE": "/nonexistent.yaml",
        "COMPOSE_PROJECT_NAME": "hijacked",
        "STACKCTL_X": "shell",
        "PYTHON_ON_WHALES_DEBUG": "1",
    }
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": SOURCE, **hostile},
        cwd=elsewhere,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    container = _of(engine, deployment)["a"]
    shown = subprocess.run(
        ["docker", "exec", container, "env"], capture_output=True, text=True, check=True
    ).stdout
    assert "X=ours\n" in shown
    assert engine.containers({"com.docker.compose.project": "hijacked"}) == ()


def test_without_the_plugin_it_is_compose_that_is_missing(tmp_path: Path) -> None:
    """The real docker command, in a mount namespace where its plugin folders are empty."""
    folders = [
        "/usr/libexec/docker/cli-plugins",
        "/usr/lib/docker/cli-plugins",
        "/usr/local/lib/docker/cli-plugins",
        "/usr/local/libexec/docker/cli-plugins",
    ]
    hide = "; ".join(f"[ ! -d {one} ] || mount -t tmpfs none {one}" for one in folders)
    code = """
        from stackctl.core.errors import ComposeMissing
        from stackctl.engine.docker import DockerEngine
        try:
            DockerEngine().compose_version()
        except ComposeMissing as error:
            print(error.message, error.hint, sep="|")
    """
    script = f'{hide}; exec "$0" -c "$1"'
    argv = ["unshare", "--mount", "sh", "-c", script, sys.executable, textwrap.dedent(code)]
    environ = {**os.environ, "PYTHONPATH": SOURCE, "DOCKER_CONFIG": str(tmp_path)}
    ended = subprocess.run(argv, env=environ, capture_output=True, text=True)
    assert ended.stderr == ""
    assert ended.stdout.startswith("docker has no compose plugin|install Compose 2.20")


def test_a_compose_that_is_too_old_is_named(tmp_path: Path) -> None:
    old = tmp_path / "docker"
    old.write_text("#!/bin/sh\necho v2.17.3\n")
    old.chmod(0o755)
    with pytest.raises(ComposeMissing, match=r"version 2\.17\.3, older than 2\.20"):
        DockerEngine({"PATH": f"{tmp_path}:{os.environ['PATH']}"}).compose_version()


def test_what_a_compose_that_is_too_old_brought_up_counts_as_failed(tmp_path: Path, deploy: Deploy) -> None:
    real, old = find_program("docker", os.environ), tmp_path / "docker"
    old.write_text(
        f'#!/bin/sh\ncase "$*" in *"compose version"*) echo v2.17.3 ;; *) exec {real} "$@" ;; esac\n'
    )
    old.chmod(0o755)
    engine = DockerEngine({**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    with pytest.raises(ComposeMissing, match=r"version 2\.17\.3, older than 2\.20"):
        engine.up(deploy({"a": SLEEP}))
    with pytest.raises(ComposeMissing, match=r"version 2\.17\.3, older than 2\.20"):
        engine.up(deploy({"a": {**SLEEP, "image": "localhost:1/none:1"}}))


def test_config_merges_and_interpolates_only_what_it_is_given(engine: DockerEngine, tmp_path: Path) -> None:
    base, over = tmp_path / "a.yaml", tmp_path / "b.yaml"
    base.write_text(
        'services: {web: {image: "x:${TAG:?}", pids_limit: 20, mem_limit: 64m, '
        'environment: {U: "${USER_X:-none}"}}}'
    )
    over.write_text(
        'services: {web: {ports: ["127.0.0.1:8000-8001:80-81"]}, dev: {image: y, profiles: [debug]}}'
    )
    (tmp_path / ".env").write_text("TAG=hijacked\n")
    asked = {"project": "p", "directory": tmp_path}
    found = engine.config([base, over], variables={"TAG": "1"}, **asked)
    web = found["services"]["web"]
    assert (web["image"], web["pids_limit"], web["mem_limit"]) == ("x:1", 20, "67108864")
    assert web["environment"] == {"U": "none"}
    assert [one["published"] for one in web["ports"]] == ["8000", "8001"]
    assert set(found["services"]) == {"web"}
    debugged = engine.config([base, over], variables={"TAG": "1"}, profiles=["debug"], **asked)
    assert set(debugged["services"]) == {"web", "dev"}
    with pytest.raises(EngineRefused, match="TAG"):
        engine.config([base], **asked)


def test_an_alias_bomb_is_bounded(engine: DockerEngine, tmp_path: Path) -> None:
    rows = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    rows += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    file = tmp_path / "bomb.yaml"
    file.write_text("\n".join(f"x-{row}" for row in rows) + "\nservices: {a: {image: b}}\n")
    began = time.monotonic()
    with pytest.raises((TimedOut, EngineRefused)):
        engine.config([file], project="p", directory=tmp_path, timeout=2)
    assert time.monotonic() - began < 8


def test_exec_and_logs_pass_through(
    engine: DockerEngine, deploy: Deploy, capfd: pytest.CaptureFixture[str]
) -> None:
    deployment = deploy({"a": {**SLEEP, "command": ["sh", "-c", "echo hello; sleep 600"]}})
    engine.up(deployment)
    container = _of(engine, deployment)["a"]
    script = ["sh", "-c", 'echo "$SECRET in $PWD as $(id -u)"; exit 9']
    code = engine.execute(
        container, script, terminal=False, user="65534", workdir="/tmp", variables={"SECRET": "s p"}
    )
    assert code == 9
    assert capfd.readouterr().out == "s p in /tmp as 65534\n"
    assert engine.logs(deployment.project, ["a"], tail="5") == 0
    assert "hello" in capfd.readouterr().out


def test_build_shows_its_lines(engine: DockerEngine, deploy: Deploy, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox:1.35\nRUN false\n")
    deployment = deploy({"a": {"build": str(tmp_path), "image": "stackctl-test-never-built:1"}})
    lines: list[str] = []
    with pytest.raises(EngineRefused, match="docker compose build"):
        engine.build(deployment, lines.append)
    assert any("RUN false" in line for line in lines), lines


def test_a_context_of_the_callers_is_the_engine_that_compose_uses(
    engine: DockerEngine, deploy: Deploy, tmp_path: Path
) -> None:
    environ = {**os.environ, "DOCKER_CONFIG": str(tmp_path)}
    host = f"host={engine.endpoint.host}"
    create = ["docker", "context", "create", "desk", "--docker", host]
    subprocess.run(create, env=environ, check=True, capture_output=True)
    by_context = DockerEngine({**environ, "DOCKER_CONTEXT": "desk"})
    deployment = deploy({"a": SLEEP})
    by_context.up(deployment)
    assert by_context.endpoint.context == "desk"
    assert set(_of(by_context, deployment)) == {"a"}
