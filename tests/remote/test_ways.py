"""The ways to an engine on another host: a context, ssh, and what a killed command leaves of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from far import FarEngine
from far_command import FarCli
from waiting import command_line, processes, until

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SSHD = "/usr/sbin/sshd"


@pytest.fixture(scope="module")
def ssh(far: FarEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a command's environment has where that host is reached by ssh, with keys of this test alone."""
    assert Path(SSHD).exists(), "there is no sshd here: scripts/test.sh slow installs openssh-server"
    folder = tmp_path_factory.mktemp("ssh")
    there = far.root / "ssh"
    there.mkdir(mode=0o700)
    for key in (there / "host", folder / "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=20
        )
    shutil.copy(folder / "user.pub", there / "authorized")
    path = os.environ["PATH"]
    settings = {
        "HostKey": there / "host",
        "AuthorizedKeysFile": there / "authorized",
        "ListenAddress": far.address,
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "SetEnv": f"PATH={path}",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    daemon = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *far.inside(SSHD, "-D", "-e", "-f", "/dev/null", *options)],
        stderr=subprocess.DEVNULL,
    )
    known = folder / "known"
    host_key = (there / "host.pub").read_text()
    known.write_text(f"{far.address} {host_key}")
    wrapper = folder / "bin" / "ssh"
    wrapper.parent.mkdir()
    real = shutil.which("ssh")
    mine = f"-F none -i {folder / 'user'} -o UserKnownHostsFile={known} -o BatchMode=yes"
    # as docker's own documentation advises: one connection for all that is asked within a while
    mine += f" -o ControlMaster=auto -o ControlPath={far.root}/ssh/%r -o ControlPersist=yes"
    wrapper.write_text(f'#!/bin/sh\nexec {real} {mine} "$@"\n')
    wrapper.chmod(0o755)
    found = {"DOCKER_HOST": f"ssh://root@{far.address}", "PATH": f"{wrapper.parent}:{path}"}
    version = ["docker", "version", "--format", "{{.Server.Version}}"]
    until(
        lambda: (
            subprocess.run(version, env={**os.environ, **found}, capture_output=True, timeout=30).returncode
            == 0
        ),
        30,
        "an answer by ssh",
    )
    yield found
    subprocess.run([str(wrapper), "-O", "exit", f"root@{far.address}"], capture_output=True, timeout=20)
    daemon.terminate()
    daemon.wait(10)


def dialled(host: str) -> list[int]:
    """Processes that carry a connection to an engine."""
    mine = (pid for pid in processes() if "system dial-stdio" in command_line(pid))
    return [pid for pid in mine if host in command_line(pid) or host in environ(pid)]


def environ(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""


def test_everything_by_ssh(remote: FarCli, ssh: dict[str, str]) -> None:
    up = remote("up", "hello", "--json", **ssh).ok().data
    assert up["engine_host"] == ssh["DOCKER_HOST"]
    port = up["services"]["web"]["addresses"][0]["host_port"]
    assert up["tunnel"] == f"ssh -N -L {port}:127.0.0.1:{port} root@{remote.far.address}"
    assert remote("exec", "-T", "hello", "web", "echo", "there", **ssh).ok().out == "there\n"
    assert remote("run", "busybox:1.35", "--", "sh", "-c", "exit 5", **ssh).code == 5
    found = {one["check"]: one for one in remote("doctor", "--json", **ssh).data["checks"]}
    assert found["remote engine"]["state"] == "passed"
    remote("down", "hello", **ssh).ok()
    remote("purge", "hello", "--yes", **ssh).ok()
    assert dialled(ssh["DOCKER_HOST"]) == []


def test_a_killed_command_leaves_no_connection(remote: FarCli, ssh: dict[str, str]) -> None:
    child = remote.start("run", "busybox:1.35", "--", "sh", "-c", "echo begun; sleep 1000", **ssh)
    assert child.stdout is not None
    assert child.stdout.readline() == "begun\n"
    assert dialled(ssh["DOCKER_HOST"])

    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=30)

    until(lambda: not dialled(ssh["DOCKER_HOST"]), 20, "the end of every connection")
    remote("cancel", "--all").ok()


def test_who_may_not_log_in_is_told_so(remote: FarCli, ssh: dict[str, str]) -> None:
    done = remote("up", "hello", **{**ssh, "DOCKER_HOST": f"ssh://nobody@{remote.far.address}"})

    assert done.code == 4
    assert "Permission denied" in done.err
    assert "must answer without a question" in done.err


def test_a_context_by_name(remote: FarCli, tmp_path: Path) -> None:
    docker = {"DOCKER_CONFIG": str(tmp_path / "docker")}
    create = ["docker", "context", "create", "farm", "--docker", f"host={remote.far.host}"]
    subprocess.run(create, env={**os.environ, **docker}, check=True, capture_output=True, timeout=30)

    # with --context, DOCKER_HOST does not count, as in docker itself
    lost = {"DOCKER_HOST": "tcp://192.0.2.1:2375", **docker}
    assert remote("--context", "farm", "run", "busybox:1.35", "--", "sh", "-c", "exit 4", **lost).code == 4
    found = {
        one["check"]: one for one in remote("doctor", "--context", "farm", "--json", **lost).data["checks"]
    }
    assert f"{remote.far.host} (context `farm`) answers" in found["daemon"]["message"]
    by_variable = {**docker, "DOCKER_HOST": "", "DOCKER_CONTEXT": "farm"}
    assert remote("run", "busybox:1.35", "--", "true", **by_variable).ok()
    missing = remote("--context", "nowhere", "run", "busybox:1.35", "--", "true", **docker)
    assert missing.code == 125
    assert "`docker context ls`" in missing.err
