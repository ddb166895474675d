"""The door to docker on the real engine: asking, ending and removing by id."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stackctl.core.errors import DockerMissing, EngineRefused, ImageMissing
from stackctl.engine.docker import DockerEngine
from stackctl.engine.endpoint import Endpoint

pytestmark = pytest.mark.engine
IMAGE = "busybox:1.35"
LABEL = "stackctl-test.run"
SOURCE = str(Path(__file__).parents[2] / "src")


def test_facts_say_what_the_engine_is(engine: DockerEngine) -> None:
    facts = engine.facts()
    asked = subprocess.run(
        [
            "docker",
            "info",
            "--format",
            "{{.ID}} {{.ServerVersion}} {{.CgroupVersion}} {{.NCPU}} {{.MemTotal}}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    found = [facts.id, facts.version, facts.cgroup_version, str(facts.cpus), str(facts.memory)]
    assert found == asked
    assert facts.local
    assert abs(facts.system_time - time.time()) < 60
    assert facts.memory_limit
    assert facts.pids_limit
    assert facts.compose_version == ""
    assert facts.host.startswith("unix://")


def test_a_container_is_found_by_all_its_labels(
    engine: DockerEngine, start: Callable[..., str], run_label: str
) -> None:
    mine = start(
        "sleep", "300", options=["--init", "--label", "stackctl-test.which=one", "--name", f"x{run_label}"]
    )
    start("sleep", "300", options=["--init", "--label", "stackctl-test.which=two"])
    found = engine.containers({LABEL: run_label, "stackctl-test.which": "one"})
    assert [one.id for one in found] == [mine]
    (one,) = found
    assert one.name == f"x{run_label}"
    assert one.image == IMAGE
    assert one.state == "running"
    assert one.pid > 0
    assert abs(one.started - engine.facts().system_time) < 60
    assert one.finished == 0
    assert {c.id for c in engine.containers({"stackctl-test.which": ""})} > {mine}


def test_what_ended_is_still_found(engine: DockerEngine, start: Callable[..., str]) -> None:
    container = start("sh", "-c", "echo out; echo err >&2; exit 3")
    deadline = time.monotonic() + 20
    while engine.inspect([container])[0].state != "exited" and time.monotonic() < deadline:
        time.sleep(0.05)
    (one,) = engine.inspect([container])
    assert (one.state, one.exit_code, one.pid) == ("exited", 3, 0)
    assert abs(one.finished - one.started) < 20 < one.started
    assert sorted(engine.log_tail(container, 10).splitlines()) == ["err", "out"]


def test_what_is_gone_is_skipped_and_acting_on_it_is_done(
    engine: DockerEngine, start: Callable[..., str]
) -> None:
    here, gone = start("sleep", "300", options=["--init"]), "f" * 64
    assert [one.id for one in engine.inspect([gone, here])] == [here]
    for act in (engine.stop, engine.kill, engine.restart, engine.forbid_restart, engine.remove_containers):
        act([gone])
    engine.remove_networks([gone])
    assert engine.log_tail(gone, 5) == ""


def test_stop_ends_all_at_once_and_twice_is_done(engine: DockerEngine, start: Callable[..., str]) -> None:
    stubborn = [start("sh", "-c", "trap '' TERM; while :; do sleep 1; done") for _ in range(3)]
    began = time.monotonic()
    engine.stop(stubborn, grace=1)
    assert time.monotonic() - began < 5
    assert {one.state for one in engine.inspect(stubborn)} == {"exited"}
    assert {one.exit_code for one in engine.inspect(stubborn)} == {137}
    engine.stop(stubborn)
    engine.kill(stubborn)


def test_a_grace_beyond_the_patience_is_waited_for(start: Callable[..., str]) -> None:
    slow = start(
        "sh",
        "-c",
        "trap 'sleep 2; exit 7' TERM; while :; do sleep 0.1; done",
        options=["--stop-timeout", "8"],
    )
    hasty = DockerEngine(patience=0.5)
    hasty.stop([slow])
    assert hasty.inspect([slow])[0].exit_code == 7


def test_kill_restart_and_remove(engine: DockerEngine, start: Callable[..., str]) -> None:
    container = start("sleep", "300", options=["--restart", "always"])
    first = engine.inspect([container])[0]
    assert first.restart_policy == "always"
    engine.restart([container], grace=0)
    assert engine.inspect([container])[0].started > first.started
    engine.forbid_restart([container])
    engine.kill([container])
    (killed,) = engine.inspect([container])
    assert (killed.state, killed.restart_policy) == ("exited", "no")
    engine.remove_containers([container])
    assert engine.inspect([container]) == ()


def test_one_failure_of_many_is_told_and_shields_none(
    engine: DockerEngine, start: Callable[..., str], run_label: str
) -> None:
    made = subprocess.run(
        ["docker", "network", "create", "--label", f"{LABEL}={run_label}", f"n{run_label}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    free = subprocess.run(
        ["docker", "network", "create", "--label", f"{LABEL}={run_label}", f"f{run_label}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    member = start("sleep", "300", options=["--init", "--network", made])
    network = next(one for one in engine.networks({LABEL: run_label}) if one.id == made)
    assert network.members == (member,)
    assert len(network.subnets) == 1
    with pytest.raises(EngineRefused, match="active endpoints"):
        engine.remove_networks([made, free])
    assert [one.id for one in engine.networks({LABEL: run_label})] == [made]
    engine.remove_containers([member])
    assert engine.inspect([member]) != (), "what runs is not removed"
    engine.kill([member])
    engine.remove_containers([member])
    engine.remove_networks([made])


def test_volumes_and_images(engine: DockerEngine, start: Callable[..., str], run_label: str) -> None:
    name = f"v{run_label}"
    subprocess.run(["docker", "volume", "create", "--label", f"{LABEL}={run_label}", name], check=True)
    try:
        (volume,) = engine.volumes({LABEL: run_label})
        assert (volume.name, volume.driver, volume.anonymous) == (name, "local", False)
        container = start("sleep", "300", options=["--init", "-v", f"{name}:/x"])
        assert engine.inspect([container])[0].mounts == (("volume", name, "/x"),)
        engine.kill([container])
        engine.remove_containers([container])
    finally:
        subprocess.run(["docker", "volume", "rm", name], check=True)
    images = engine.images([IMAGE, "localhost:1/none:1"])
    assert images["localhost:1/none:1"] is None
    assert images[IMAGE] is not None
    assert images[IMAGE].id.startswith("sha256:")


def test_pulling_what_nobody_has_says_so_in_time(engine: DockerEngine) -> None:
    began = time.monotonic()
    with pytest.raises(ImageMissing, match="localhost:1/none:1"):
        engine.pull("localhost:1/none:1", lambda _: None, timeout=30)
    assert time.monotonic() - began < 30


def test_without_the_docker_command_it_is_docker_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DockerMissing, match="no `docker` command"):
        DockerEngine({"PATH": str(tmp_path)}).facts()


def test_without_the_right_to_the_socket_the_hint_names_the_group() -> None:
    code = """
        from stackctl.core.errors import EngineForbidden
        from stackctl.engine.docker import DockerEngine
        try:
            DockerEngine().facts()
        except EngineForbidden as error:
            print(error.message, error.hint, sep="|")
    """
    argv = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        sys.executable,
        "-c",
        textwrap.dedent(code),
    ]
    ended = subprocess.run(argv, env={**os.environ, "PYTHONPATH": SOURCE}, capture_output=True, text=True)
    assert ended.stderr == ""
    message, hint = ended.stdout.strip().split("|")
    assert "no right to use the docker socket" in message
    assert "usermod -aG docker" in hint
    assert "666" not in hint


@pytest.mark.parametrize("way", ["tcp", "command"])
def test_an_engine_that_is_reached_in_another_way_answers_the_same(
    way: str,
    engine: DockerEngine,
    start: Callable[..., str],
    run_label: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tcp relay to the socket stands in for a remote engine, reached by us or by the docker command."""
    if way == "command":
        monkeypatch.setattr("stackctl.engine.dialing.split_address", lambda address: (address, 0))
    relay = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("relay.py")), engine.endpoint.socket],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert relay.stdout is not None
        host = f"tcp://127.0.0.1:{relay.stdout.readline().strip()}"
        remote = DockerEngine(endpoint=Endpoint(host))
        container = start("sleep", "300", options=["--init", "-p", "127.0.0.1::80"])
        assert remote.containers({LABEL: run_label}) == engine.containers({LABEL: run_label})
        bridges = {one.name: one.id for one in remote.networks()}
        assert bridges["bridge"] == next(one.id for one in engine.networks() if one.name == "bridge")
        assert remote.images([IMAGE, "none:1"]) == engine.images([IMAGE, "none:1"])
        facts = remote.facts()
        assert (facts.id, facts.local, facts.cpu_quota) == (engine.facts().id, False, True)
        assert remote.readings(remote.inspect([container])) == {}
        for act in (
            remote.stop,
            remote.kill,
            remote.restart,
            remote.forbid_restart,
            remote.remove_containers,
        ):
            act(["f" * 64])
        remote.remove_networks(["f" * 64])
        remote.remove_containers([container])
        remote.stop([container], grace=1)
        remote.kill([container])
        assert remote.inspect(["f" * 64, container])[0].state == "exited"
        remote.remove_containers([container])
        assert engine.inspect([container]) == ()
        with pytest.raises(ImageMissing):
            remote.pull("localhost:1/none:1", lambda _: None, timeout=30)
        remote.close()
    finally:
        relay.kill()
        relay.wait()
        if relay.stdout:
            relay.stdout.close()
