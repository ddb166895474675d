"""What a Swarm has on a newer engine and another kernel: replicated jobs, and ports that are open by IPVS."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

import pytest
from guest import Guest
from guest_command import GuestCommand

pytestmark = [pytest.mark.slow, pytest.mark.vm, pytest.mark.timeout(1800)]
PATIENCE_S = 400
ASK = """import urllib.request as web
print(web.urlopen("http://127.0.0.1:18080/hostname", timeout=20).read().decode())"""
BOUNDS = {"memory": "32m", "pids": 16, "cpus": 0.5}


@pytest.fixture(scope="module", autouse=True)
def swarm(guest: Guest) -> Iterator[None]:
    """The guest is a Swarm of one node."""
    guest.run("docker swarm init --advertise-addr 127.0.0.1").ok()
    yield
    guest.run("docker swarm leave --force").ok()


def test_a_port_is_open_by_ingress_and_limits_stand_in_the_kernel(cli: GuestCommand) -> None:
    web = {
        "command": ["httpd", "-f", "-p", "8000", "-h", "/etc"],
        "ports": ["0.0.0.0:18080:8000"],
        "cap_drop": ["ALL"],
    }
    cli.stack("open", {"web": web})
    asked = {
        "template": "open",
        "engine": "swarm",
        "limits": BOUNDS,
        "allow": {"web": ["public-ports"]},
        "services": {"web": {"replicas": 2, "publish": "ingress"}},
    }
    cli.guest.put(f"{cli.checkout}/stacks/open.yaml", json.dumps(asked))
    cli.up("open")
    status = cli.status("open")
    assert "read back in the containers on" in status["limits_verified"]
    names = {one[:12] for one in status["services"]["web"]["containers"]}
    assert len(names) == 2
    told: set[str] = set()
    for _ in range(6):
        told.add(cli.guest.until(f"python3 -c {shlex.quote(ASK)}", PATIENCE_S).out.strip())
    assert told == names, "both replicas answer behind the one port"
    for name in names:
        group = cli.cgroup(name)
        assert cli.reads(group, "memory.max", "pids.max") == {"memory.max": str(32 << 20), "pids.max": "16"}
    cli("down open").ok()
    assert cli.guest.run(f"docker service ls -q {cli.label}").ok().out == ""


def test_tasks_are_jobs_which_leave_no_container(cli: GuestCommand) -> None:
    tasks = [
        {
            "key": f"t{n}",
            "image": "busybox:1.35",
            "limits": BOUNDS,
            "command": ["sh", "-c", f"sleep 20; exit {n}"],
        }
        for n in range(3)
    ]
    cli.guest.put(f"{cli.checkout}/tasks.jsonl", "".join(f"{json.dumps(one)}\n" for one in tasks))
    modes = f"docker service ls {cli.label} --format '{{{{.Mode}}}}'"
    results = f"cat {cli.checkout}/tasks.jsonl.results.jsonl"
    with cli.guest.running(cli.line("batch tasks.jsonl --engine swarm")):
        cli.guest.until(modes, PATIENCE_S, lambda done: "replicated job" in done.out)
        found = cli.guest.until(results, PATIENCE_S, lambda done: len(done.out.splitlines()) == 3)
    lines = [json.loads(line) for line in found.out.splitlines()]
    assert sorted((one["key"], one["exit_code"]) for one in lines) == [("t0", 0), ("t1", 1), ("t2", 2)]
    cli.guest.until(f"docker service ls -q {cli.label}", PATIENCE_S, lambda done: done.out == "")
    cli.guest.until(f"docker ps -aq {cli.label}", PATIENCE_S, lambda done: done.out == "")
