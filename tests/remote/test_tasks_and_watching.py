"""Tasks, batches and the supervisor on a remote engine."""

from __future__ import annotations

import json
import re
import time

import pytest
from far_command import FarCli
from waiting import until

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CROWD = """
compose: ../crowd.yaml
limits: {memory: 64m, pids: 64}
watchdog: {pids: 20, urgent: {pids: 25}}
"""
CROWD_FILE = """
services:
  web:
    image: busybox:1.35
    command: sh -c 'for i in $$(seq 30); do sleep 1000 & done; wait'
"""
RESTLESS_FILE = """
services:
  web: {image: busybox:1.35, restart: always, command: sh -c 'sleep 12; exit 3'}
"""
SHORT = "template: short\nlimits: {lifetime: 2s}\n"


def test_a_task_with_a_sidecar_runs_there_and_its_data_is_deleted_there(remote: FarCli) -> None:
    script = "cat; echo $REDIS_URL >&2; nc -w 5 redis 6379 </dev/null; exit 7"
    done = remote("run", "--sidecar", "redis", "busybox:1.35", "--", "sh", "-c", script)

    assert done.code == 7
    assert re.search(r"redis://:\w+@redis:6379/0", done.err)
    (task,) = remote("tasks", "--all", "--json").ok().data
    assert any(path.endswith("/data/redis") for path in remote.far.files())
    assert remote("inspect", task["id"]).ok().out
    copied = remote("run", "--sidecar", "redis", "--data-from", task["id"], "busybox:1.35", "--", "true")
    assert copied.code == 125
    assert "which is another machine" in copied.err
    remote("rm", "--data", task["id"]).ok()
    assert not any(f"inst-{task['id']}" in path for path in remote.far.files())


def test_a_batch_is_done_there(remote: FarCli) -> None:
    task = {"image": "busybox:1.35", "limits": {"memory": "32m", "pids": 16}}
    lines = [json.dumps({"key": f"t{n}", **task, "command": ["sh", "-c", f"exit {n}"]}) for n in range(3)]
    file = remote.write("tasks.jsonl", "\n".join(lines))

    done = remote("batch", str(file), "--json")

    assert done.code == 1, done.err
    results = [
        json.loads(line) for line in (file.parent / "tasks.jsonl.results.jsonl").read_text().splitlines()
    ]
    assert sorted((one["key"], one["exit_code"]) for one in results) == [("t0", 0), ("t1", 1), ("t2", 2)]


def test_the_supervisor_acts_on_what_docker_says_of_another_machine(remote: FarCli) -> None:
    """Its usual engine is this machine's: the record leads it to the other one."""
    remote.write("crowd.yaml", CROWD_FILE)
    remote.stack("crowd", CROWD)
    remote.template("short", "services: {web: {image: busybox:1.35, command: [sleep, '1000']}}")
    remote.stack("short", SHORT)
    remote.write("restless.yaml", RESTLESS_FILE)
    remote.stack("restless", "compose: ../restless.yaml")
    for name in ("restless", "crowd", "short"):
        remote("up", name).ok()
    local = {"DOCKER_HOST": "unix:///var/run/docker.sock"}
    child = remote.start("supervise", "--interval", "1s", **local)
    try:
        until(lambda: len(remote("incidents", "--json").ok().data) >= 2, 60, "both incidents")
        until(lambda: remote("status", "restless", "--json").data["restarts"], 60, "a restart")
    finally:
        child.terminate()
        child.communicate(timeout=30)

    why = remote("why", "crowd").ok().out
    assert "processes" in why
    assert "30 of them were `sleep 1000`" in why
    assert remote("status", "crowd", "--json").data["phase"] == "killed"
    assert remote("status", "short", "--json").data["phase"] == "expired"


def test_doctor_says_what_the_way_there_is(remote: FarCli) -> None:
    found = {one["check"]: one for one in remote("doctor", "--json").data["checks"]}

    assert found["daemon"]["state"] == "passed"
    assert found["remote engine"]["state"] == "warning"
    assert f"is root on {remote.far.address}" in found["remote engine"]["message"]
    began = time.monotonic()
    nowhere = remote("status", "--all", DOCKER_HOST=f"tcp://{remote.far.address}:1")
    assert nowhere.code in (2, 4)
    assert time.monotonic() - began < 60
