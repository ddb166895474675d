"""A limit that the kernel lost behind the engine's back stands again, and nothing is ended for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commandline import Cli
from house import QUIET, clear, docker, new_cli

pytestmark = pytest.mark.engine

MIB = 1 << 20
FIRST, SECOND = "memory.memsw.limit_in_bytes", "memory.swap.max"


def swap_file(container: str) -> Path:
    """The file with a container's swap limit, as its own process has it; of either version of cgroups."""
    pid = docker("inspect", "-f", "{{.State.Pid}}", container)
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return Path("/sys/fs/cgroup/memory" + path) / FIRST
        if number == "0" and (Path("/sys/fs/cgroup" + path) / SECOND).exists():
            return Path("/sys/fs/cgroup" + path) / SECOND
    raise AssertionError(f"no cgroup of {container} limits its swap")


def test_a_swap_limit_that_was_taken_back_is_written_again(tmp_path: Path) -> None:
    cli = new_cli(tmp_path)
    try:
        loosen_and_watch(cli)
    finally:
        clear(cli)


def loosen_and_watch(cli: Cli) -> None:
    one = {"image": "busybox:1.35", "init": True, "command": ["sh", "-c", QUIET]}
    cli.template("app", json.dumps({"services": {"web": one}}))
    cli.stack("app", "template: app\nlimits: {memory: 64m, swap: 96m}\n")
    cli("up", "app").ok()
    (before,) = cli.containers()
    file = swap_file(before.id)
    asked = file.read_text()

    # the second version of cgroups counts swap alone
    file.write_text(f"{(1 << 30) - (64 * MIB if file.name == SECOND else 0)}\n")
    done = cli("supervise", "--once", "--json").ok()

    assert file.read_text() == asked
    (said,) = done.data["acts"]
    assert (said["rule"], said["action"], said["service"]) == ("loosened", "renew", "web")
    assert "the kernel enforces 1g" in said["reason"]
    (after,) = cli.containers()
    assert (after.id, after.started) == (before.id, before.started)
    assert cli("supervise", "--once", "--json").ok().data["acts"] == []
