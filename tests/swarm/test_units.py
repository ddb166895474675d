"""Agents as systemd runs them, of which managers read by a service that repeats what they write."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from commandline import Cli

from swarm.cluster import BASE, NODES, SCRIPT, Cluster, wait_for
from swarm.harm import BOMB, harm, told
from swarm.swarmed import Swarmed, bare_stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]

READERS = "stackctl-readers"
ALL_OF_ONE_MACHINE = (
    "watchdog: {budget: {pids: 40}}\nservices: {web: {replicas: 3, guard: {patterns: [x]}}}\n"
)


def printed(cluster: Cluster, node: str, *words: str) -> str:
    """What a node's administrator is given by `supervise --node --print`."""
    argv = [sys.executable, "-m", "stackctl", "supervise", "--node", "--print", *words]
    environ = {**os.environ, **cluster.environment(node)}
    environ = {name: value for name, value in environ.items() if value and name != "STACKCTL_HOME"}
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=environ, timeout=60).stdout


def as_its_unit_says(cluster: Cluster, node: str) -> subprocess.Popen[str]:
    """The process that the unit of a node's agent begins, in that node."""
    found: dict[str, list[str]] = {}
    for line in printed(cluster, node, "unit").splitlines():
        name, _, value = line.partition("=")
        found.setdefault(name, []).extend(shlex.split(value) if name in ("Environment", "ExecStart") else [])
    program, *words = found["ExecStart"]
    argv = [str(SCRIPT), "run", node, "env", *found["Environment"], program.removeprefix(":"), *words]
    with (cluster.config / f"agent-{node}.log").open("a") as log:
        return subprocess.Popen(argv, stdout=log, stderr=log, text=True, start_new_session=True)


def ended(child: subprocess.Popen[str]) -> None:
    """End an agent, with the script that began it."""
    os.killpg(child.pid, signal.SIGKILL)
    child.wait(20)


@pytest.fixture(scope="module")
def units(cluster: Cluster) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """The agents, by node, and what managers read them by."""
    file = cluster.config / "readers.yaml"
    file.write_text(printed(cluster, "n1", "reader", "--image", "busybox:1.35"))
    found: dict[str, subprocess.Popen[str]] = {}
    try:
        for node in NODES:
            found[node] = as_its_unit_says(cluster, node)
        for node in NODES:
            wait_for(partial(began, cluster, node), partial(log_of, cluster, node))
        cluster.docker("n1", "stack", "deploy", "--compose-file", str(file), READERS)
        for node in NODES:
            wait_for(
                partial(reads, cluster, node),
                lambda: cluster.docker("n1", "stack", "ps", "--no-trunc", READERS),
            )
        yield found
    finally:
        for child in found.values():
            ended(child)
        cluster.docker("n1", "stack", "rm", READERS)


def log_of(cluster: Cluster, node: str) -> str:
    return (cluster.config / f"agent-{node}.log").read_text()


def began(cluster: Cluster, node: str) -> bool:
    return '"event": "began"' in log_of(cluster, node)


def reads(cluster: Cluster, node: str) -> bool:
    return bool(cluster.running(node, f"com.docker.swarm.service.name={READERS}_reader"))


def test_incidents_of_agents_that_systemd_runs_are_read_from_a_manager_once_each(
    cluster: Cluster, units: dict[str, subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "checkout" / ".git").mkdir(parents=True)
    cli = Cli(home=tmp_path / "home", checkout=tmp_path / "checkout")
    bare_stack(cli, "plain", ALL_OF_ONE_MACHINE)
    plain = Swarmed(cli, replace(cluster, config=tmp_path), "plain")
    try:
        up = plain("up", "plain", "--json").ok()
        plain.project = up.data["project"]
        warnings = json.loads(up.out)["warnings"]
        assert any("nobody sweeps by the guard of `web`" in one for one in warnings)
        assert any("nobody keeps the stack's budget" in one for one in warnings)
        assert "by the kernel's word to the agents on n2, n3" in plain.status()["limits_verified"]
        harmed = {harm(plain, node, BOMB): node for node in NODES}
        wait_for(lambda: harmed.keys() <= told(plain, "over_pids"), plain.incidents)

        ended(units["n2"])
        units["n2"] = as_its_unit_says(cluster, "n2")
        wait_for(lambda: log_of(cluster, "n2").count('"event": "began"') == 2, lambda: log_of(cluster, "n2"))
        again = harm(plain, "n2", BOMB)
        wait_for(lambda: again in told(plain, "over_pids"), plain.incidents)

        mine = Counter((one["container"], one["node"], one["result"]) for one in plain.incidents())
        assert mine == dict.fromkeys(
            [*((one, node, "done") for one, node in harmed.items()), (again, "n2", "done")], 1
        )
        assert stat_of_said(0o600)
    finally:
        plain("purge", "plain", "--yes")


def stat_of_said(mode: int) -> bool:
    """Whether what agents say can be read by their own user alone, on each node."""
    said = [BASE / node / "data" / "agent" / "said" / "agent.jsonl" for node in NODES]
    return [one.stat().st_mode & 0o777 for one in said] == [mode] * len(NODES)
