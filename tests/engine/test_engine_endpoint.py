"""Which engine is meant: the order that docker itself follows."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from stackctl.core.errors import EngineUnavailable
from stackctl.engine.docker import DockerEngine
from stackctl.engine.endpoint import Endpoint, find_endpoint, find_program


def _context(folder: Path, name: str, host: str) -> None:
    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))


def test_a_host_wins_over_every_context(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "farm"}')
    given = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": "tcp://h:2376", "DOCKER_CONTEXT": "other"}
    assert find_endpoint(given) == Endpoint("tcp://h:2376")


def test_a_named_context_wins_over_the_current_one(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "farm"}')
    _context(tmp_path, "farm", "ssh://build@farm")
    _context(tmp_path, "desk", "unix:///home/u/desktop.sock")
    at = {"DOCKER_CONFIG": str(tmp_path)}
    farm, desk = find_endpoint(at), find_endpoint({**at, "DOCKER_CONTEXT": "desk"})
    assert (farm.host, farm.context, farm.socket) == ("ssh://build@farm", "farm", "")
    assert (desk.host, desk.socket) == ("unix:///home/u/desktop.sock", "/home/u/desktop.sock")
    assert find_endpoint({**at, "DOCKER_CONTEXT": "default"}).context == ""


def test_docker_agrees_on_the_context(tmp_path: Path) -> None:
    """The real command writes it; we read the same address."""
    environ = {"PATH": os.environ["PATH"], "DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path)}
    create = ["docker", "context", "create", "ci-farm", "--docker", "host=tcp://10.1.2.3:2375"]
    subprocess.run(create, env=environ, check=True, capture_output=True)
    subprocess.run(["docker", "context", "use", "ci-farm"], env=environ, check=True, capture_output=True)
    assert find_endpoint(environ) == Endpoint("tcp://10.1.2.3:2375", "ci-farm")


def test_a_context_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="context `gone` does not exist"):
        find_endpoint({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "gone"})
    with pytest.raises(EngineUnavailable):
        DockerEngine({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "gone"}).containers()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"currentContext": 3}', "\xff"])
def test_a_broken_configuration_means_the_default(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    found = find_endpoint({"DOCKER_CONFIG": str(tmp_path)})
    assert (found.context, found.socket) == ("", "/var/run/docker.sock")


def test_a_child_never_chooses_another_engine() -> None:
    given = {"DOCKER_HOST": "x", "DOCKER_CONTEXT": "y", "PATH": "/bin"}
    local = Endpoint("unix:///run/user/1000/docker.sock", "rootless").environment(given)
    assert local == {"DOCKER_HOST": "unix:///run/user/1000/docker.sock", "PATH": "/bin"}
    remote = Endpoint("ssh://farm", "farm").environment(given)
    assert remote == {"DOCKER_CONTEXT": "farm", "PATH": "/bin"}


def test_programs_are_found_on_the_path_given(tmp_path: Path) -> None:
    program = tmp_path / "docker"
    program.write_text("")
    assert find_program("docker", {"PATH": str(tmp_path)}) == ""
    program.chmod(0o755)
    assert find_program("docker", {"PATH": f"/nonexistent:{tmp_path}"}) == str(program)
    (tmp_path / "folder").mkdir()
    assert find_program("folder", {"PATH": str(tmp_path)}) == ""
