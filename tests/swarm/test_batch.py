"""`batch --engine swarm` on three nodes: each task once, within its limits, through kills and a lost node."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from batches import phases, results, shell, write
from commandline import Cli, Done

from stackctl.state.home import open_home
from swarm.cluster import NODES, Cluster, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow]

BRIDGE = f"10.219.{77 + int(os.environ.get('CLUSTER') or 0)}.1"
"""This machine, as the nodes see it."""
PIDS = "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null; true"
HOG = "head -c 200m /dev/zero | tail"
POINTS = (
    "record:starting#1:after",
    "create-service#1:after",
    "record:running#1:after",
    "record:stopping#1:before",
    "record:stopping#1:after",
    "remove-service#1:before",
    "remove-service#1:after",
    "record:succeeded#1:after",
)


class Calls:
    """Who called us: tasks tell on the network that they run, since they share no folder with a test."""

    def __init__(self) -> None:
        self.heard: Counter[str] = Counter()
        heard = self.heard

        class Listener(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                heard[self.path.strip("/")] += 1
                self.send_response(204)
                self.end_headers()

            def log_message(self, *words: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((BRIDGE, 0), Listener)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def task(self, key: str, then: str = "true", **more: Any) -> dict[str, Any]:
        """A small task that calls, then does something else."""
        port = self._server.server_address[1]
        return shell(f"wget -q -O - http://{BRIDGE}:{port}/{key}; {then}", key=key, **more)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Swarmed:
    """The command line of one test on the cluster, and what the Swarm has of it."""

    def __init__(self, cli: Cli, cluster: Cluster) -> None:
        self.cli, self.cluster = cli, cluster
        self.mine = f"label=stackctl.home={open_home(cli.home).identity}"

    def __call__(self, *words: str, **env: str) -> Done:
        return self.cli(*words, **self.cluster.environment(), **env)

    def start(self, file: Path, *words: str, **env: str) -> Any:
        """Start a batch and return while it runs."""
        return self.cli.start(
            "batch", str(file), "--engine", "swarm", "-j", "8", *words, **self.cluster.environment(), **env
        )

    def file(self, name: str, *tasks: dict[str, Any]) -> Path:
        return write(self.cli.checkout / f"{name}.jsonl", tasks)

    def tasks(self) -> list[dict[str, Any]]:
        """Those that live."""
        found: list[dict[str, Any]] = self("tasks", "--json").ok().data
        return found

    def services(self) -> list[str]:
        return self.cluster.docker("n1", "service", "ls", "-q", "--filter", self.mine).split()

    def containers(self) -> list[str]:
        return [
            one
            for node in NODES
            for one in self.cluster.docker(node, "ps", "-aq", "--filter", self.mine).split()
        ]

    def check_nothing_is_left(self) -> None:
        assert self.services() == []
        wait_for(lambda: self.containers() == [], self.containers)


@pytest.fixture
def calls() -> Iterator[Calls]:
    found = Calls()
    yield found
    found.close()


@pytest.fixture
def swarm(cluster: Cluster, tmp_path: Path) -> Iterator[Swarmed]:
    """A command line whose tasks are ended after the test."""
    (tmp_path / "checkout" / ".git").mkdir(parents=True)
    found = Swarmed(Cli(home=tmp_path / "home", checkout=tmp_path / "checkout"), cluster)
    yield found
    found("cancel", "--all")
    if left := found.services():
        cluster.docker("n1", "service", "rm", *left)
        pytest.fail(f"`cancel --all` left {left}")


def out_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.results.jsonl")


def test_tasks_run_on_every_node_once_within_their_limits(swarm: Swarmed, calls: Calls) -> None:
    plain = [calls.task(f"k{number}", PIDS) for number in range(6)]
    special = [
        calls.task("wrong", "exit 3"),
        calls.task("hog", HOG),
        calls.task("late", "sleep 60", lifetime="3s"),
        shell("true", key="absent") | {"image": "busybox:absent"},
    ]
    file = swarm.file("many", *plain, *special)
    done = swarm("batch", str(file), "--engine", "swarm", "-j", "8", "--json")
    assert done.code == 1, done.out
    found = {one["key"]: one for one in results(out_of(file))}
    assert {key: one["phase"] for key, one in found.items()} == {
        **{f"k{number}": "succeeded" for number in range(6)},
        "wrong": "failed",
        "hog": "killed",
        "late": "expired",
        "absent": "failed",
    }
    assert {one["node"] for one in found.values()} == set(NODES)
    assert [found[f"k{number}"]["output"] for number in range(6)] == [["32"]] * 6
    assert found["wrong"]["exit_code"] == 3
    assert found["hog"]["exit_code"] == 137
    assert "the kernel ended it" in found["hog"]["reason"]
    assert "lifetime of 3s" in found["late"]["reason"]
    assert "busybox:absent" in found["absent"]["reason"]
    why = swarm("why", found["hog"]["id"]).ok()
    assert "memory" in why.out
    assert calls.heard == {key: 1 for key in found if key != "absent"}
    swarm.check_nothing_is_left()


def test_killed_at_each_step_and_run_again_no_result_is_lost_or_doubled(swarm: Swarmed, calls: Calls) -> None:
    files = {point: swarm.file(f"p{number}", calls.task(f"p{number}")) for number, point in enumerate(POINTS)}
    hit = {
        point: swarm.start(file, STACKCTL_TEST="1", STACKCTL_FAILPOINT=f"{point}:kill9")
        for point, file in files.items()
    }
    for point, child in hit.items():
        _, err = child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL, (point, err)
    again = {point: swarm.start(file, "--resume") for point, file in files.items()}
    for number, (point, child) in enumerate(again.items()):
        _, err = child.communicate(timeout=60)
        assert child.returncode == 0, (point, err)
        assert phases(out_of(files[point])) == {f"p{number}": "succeeded"}, point
        assert calls.heard[f"p{number}"] == 1, point
    assert swarm.tasks() == []
    swarm.check_nothing_is_left()


def test_a_task_whose_batch_was_killed_is_ended_by_reap_when_its_lifetime_is_over(
    swarm: Swarmed, calls: Calls
) -> None:
    file = swarm.file("left", calls.task("left", "sleep 60", lifetime="4s"))
    child = swarm.start(file)
    wait_for(lambda: calls.heard["left"] == 1, lambda: "it runs")
    child.kill()
    child.communicate(timeout=20)
    wait_for(lambda: "expired" in swarm("reap").out, swarm.tasks)
    assert swarm("reap").ok().out == ""
    assert swarm("batch", str(file), "--resume").code == 1
    assert phases(out_of(file)) == {"left": "expired"}
    assert calls.heard["left"] == 1
    swarm.check_nothing_is_left()


def test_what_a_lost_node_ran_is_lost_and_ctrl_c_ends_the_rest(swarm: Swarmed, calls: Calls) -> None:
    file = swarm.file("long", *(calls.task(f"k{number}", "sleep 300") for number in range(3)))
    child = swarm.start(file)
    wait_for(lambda: all(one["node"] for one in swarm.tasks()) and len(calls.heard) == 3, swarm.tasks)
    gone = next(one for one in swarm.tasks() if one["node"] != "n1")
    node = gone["node"]
    swarm.cluster.script("stop", node)
    try:
        wait_for(lambda: results(out_of(file)) != [], swarm.tasks)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
        assert child.returncode == 130, err
        (line,) = results(out_of(file))
        assert (line["key"], line["phase"], line["exit_code"]) == (gone["key"], "lost", None)
        assert f"node {node}, which had it, is down" in line["reason"]
        assert line["node"] == node
        assert swarm.services() == []
    finally:
        swarm.cluster.script("start", node)
    swarm.check_nothing_is_left()
    assert set(calls.heard.values()) == {1}


def test_what_swarm_cannot_do_is_said_at_once_and_nothing_is_made(swarm: Swarmed) -> None:
    file = swarm.file(
        "wrong",
        shell("true", key="bound", mounts=[".:/work"], network="none"),
        shell("true", key="beside", sidecars=["redis"]),
        shell("true", key="huge") | {"limits": {"memory": "900g"}},
    )
    done = swarm("batch", str(file), "--engine", "swarm", "--budget", "memory=1000g,cpus=9")
    assert done.code == 3, done.err
    for said in (":1: [0]: mounts: ", ":1: [0]: network: ", ":2: [1]: sidecars: ", "free on no single node"):
        assert said in done.err
    assert not out_of(file).exists()
    assert swarm("tasks", "--all", "--json").ok().data == []


def test_an_engine_that_manages_no_swarm_is_told(swarm: Swarmed) -> None:
    file = swarm.file("one", shell("true"))
    done = swarm.cli("batch", str(file), "--engine", "swarm")
    assert done.code == 5
    assert "is in no Swarm" in done.err
