"""What agents cost on a Swarm of three nodes: they, the daemons and the leader, by the number of services.

`scripts/cluster.sh` makes the nodes, all of them on this machine. Services have three replicas each, `sleep`
in busybox, with the labels that `up` gives them; the agents are processes of their nodes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from herd import until

from stackctl.core.labels import Stamp
from stackctl.core.records import ServiceRecord
from stackctl.core.swarm_stages import deadline_labels
from stackctl.core.swarm_watch import watch_label
from stackctl.engine.docker import DockerEngine
from stackctl.ops.leading import OURS

ROOT = Path(__file__).resolve().parents[1]
CLUSTER = ROOT / "scripts" / "cluster.sh"
BASE = Path("/var/lib/stackctl-cluster")
NODES = ("n1", "n2", "n3")
SIZES = (10, 50, 100)
"""Services, of three replicas each: as many containers on each node."""
WIDE = (1_000, 3_000, 10_000)
"""Services without containers, for the leader's look alone."""
SECONDS, SETTLE = 30.0, 10.0
LOOKS = 10
MARKS = {"pids": 50, "urgent_pids": 60, "sustain_pids": 2.0, "memory": 50 << 20, "urgent_memory": 60 << 20}
ASKED = ServiceRecord(pids=64, memory=64 << 20, swap=64 << 20, cpus=0.1, watchdog=MARKS)
STAMP = Stamp(project="bench", stack="bench", generation="bench", home="bench", user=0, engine="bench")
HEADINGS = (
    "services, and containers a node",
    "agent, % of a core",
    "daemon without agents, %",
    "daemon with them, %",
    "agent, MiB",
    "a look of the leader, ms",
    "kB told of services",
)
_TICKS = os.sysconf("SC_CLK_TCK")


def docker(*words: str) -> str:
    argv = ["docker", "--host", f"unix://{BASE}/n1/docker.sock", *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=600).stdout


def grow(before: int, services: int) -> None:
    """Add services until there are so many, and wait for their containers."""
    service = {**STAMP.labels(), **deadline_labels(time.time() + 86400, 86400.0)}
    container = {**STAMP.labels(), **watch_label(ASKED)}
    words = ["--detach", "--quiet", "--replicas", "3", "--limit-memory", "64m", "--limit-pids", "64"]
    words += ["--limit-cpu", "0.1", "--no-resolve-image", "--replicas-max-per-node", "1"]
    words += [word for key, value in service.items() for word in ("--label", f"{key}={value}")]
    words += [word for key, value in container.items() for word in ("--container-label", f"{key}={value}")]
    for number in range(before, services):
        name = f"bench_s{number}"
        docker("service", "create", "--name", name, *words, "busybox:1.35", "sleep", "86400")
    until(lambda: running() == 3 * services, 900.0, f"{services} services")


def running() -> int:
    found = docker("service", "ls", "--filter", "label=stackctl.project=bench", "--format", "{{.Replicas}}")
    return sum(int(line.partition("/")[0]) for line in found.splitlines())


def remove() -> None:
    names = docker("service", "ls", "-q", "--filter", "label=stackctl.project=bench").split()
    for start in range(0, len(names), 500):
        docker("service", "rm", *names[start : start + 500])


@contextmanager
def agents() -> Iterator[list[int]]:
    """An agent on each node; their process ids."""
    begun, pids = [], []
    for node in NODES:
        program = Path(sys.executable).with_name("stackctl")
        inside = ["env", f"DOCKER_HOST=unix://{BASE}/{node}/docker.sock", str(program), "supervise", "--node"]
        argv = [str(CLUSTER), "run", node, *inside]
        begun.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    try:
        for one in begun:
            until(lambda: bool(_children(one.pid)), 60.0, "an agent")
            pids += _children(one.pid)
        yield pids
    finally:
        for pid in pids:
            os.kill(pid, 15)
        for one in begun:
            one.wait(timeout=60)


def _children(pid: int) -> list[int]:
    """The agent that a script runs, once it has become it."""
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = {int(word): Path(f"/proc/{word}/cmdline").read_text() for word in words}
    return [pid for pid, line in lines.items() if "supervise" in line and "cluster.sh" not in line]


def daemons() -> list[int]:
    """Process ids of the nodes' dockerds."""
    found = []
    for node in NODES:
        done = subprocess.run(
            ["pgrep", "-f", f"dockerd --data-root {BASE}/{node}/"], capture_output=True, text=True
        )
        found += [int(word) for word in done.stdout.split() if "dockerd" in _command(int(word))]
    return found


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().partition("\0")[0]


def used(pid: int) -> float:
    """Seconds of processor time."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / _TICKS


def resident(pid: int) -> float:
    """MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@dataclass(frozen=True)
class Cost:
    """Percent of one processor for an agent and a daemon, MiB for an agent, and the leader's look."""

    services: int
    agent: float
    memory: float
    daemon_before: float
    daemon_with: float
    look: float
    answer: int


def share(pids: list[int]) -> float:
    """Percent of one processor that a process uses, the mean of several."""
    began = {pid: used(pid) for pid in pids}
    time.sleep(SECONDS)
    return mean((used(pid) - began[pid]) / SECONDS * 100 for pid in pids)


def measure(services: int) -> Cost:
    time.sleep(SETTLE)
    before = share(daemons())
    with agents() as pids:
        time.sleep(SETTLE)
        everyone = [*pids, *daemons()]
        began = {pid: used(pid) for pid in everyone}
        time.sleep(SECONDS)
        spent = {pid: (used(pid) - began[pid]) / SECONDS * 100 for pid in everyone}
        memory = mean(map(resident, pids))
        agent = mean(spent[pid] for pid in pids)
    look, answer = leaders_look()
    return Cost(services, agent, memory, before, mean(spent[pid] for pid in daemons()), look, answer)


def leaders_look() -> tuple[float, int]:
    """Seconds of one look at every service, network, config and secret, and the bytes of the services."""
    engine = DockerEngine({**os.environ, "DOCKER_HOST": f"unix://{BASE}/n1/docker.sock"})
    lead = engine.lead()
    times = []
    for _ in range(LOOKS):
        began = time.monotonic()
        lead.standing()
        lead.services(OURS)
        lead.things(OURS)
        times.append(time.monotonic() - began)
    lead.close()
    engine.close()
    return median(times), told()


def told() -> int:
    """Bytes that the manager sends of all services."""
    argv = ["curl", "--silent", "--unix-socket", f"{BASE}/n1/docker.sock", "http://docker/services"]
    return len(subprocess.run(argv, check=True, capture_output=True, timeout=600).stdout)


def wide(before: int, services: int) -> tuple[float, int]:
    """As `leaders_look`, with so many more services that have no containers."""
    engine = DockerEngine({**os.environ, "DOCKER_HOST": f"unix://{BASE}/n1/docker.sock"})
    swarm = engine.swarm()
    for number in range(before, services):
        labels = {**STAMP.labels(), **deadline_labels(time.time() + 86400, 86400.0)}
        container = {"Image": "busybox:1.35", "Command": ["sleep", "86400"], "Labels": watch_label(ASKED)}
        template = {
            "ContainerSpec": container,
            "Resources": {"Limits": {"MemoryBytes": 64 << 20, "Pids": 64}},
        }
        mode = {"Replicated": {"Replicas": 0}}
        swarm.create_service(
            {"Name": f"bench_w{number}", "Labels": labels, "TaskTemplate": template, "Mode": mode}
        )
    swarm.close()
    engine.close()
    return leaders_look()


def looked_at() -> Iterator[str]:
    """A table of the leader's look by the number of services, as far as it is of more than a few."""
    yield row("services", "a look, s", "MB told")
    yield row(*(["---"] * 3))
    before = 0
    for services in WIDE:
        look, answer = wide(before, services)
        yield row(str(services), f"{look:.2f}", f"{answer / 1e6:.1f}")
        before = services


def spent() -> Iterator[str]:
    """A table of what agents, daemons and the leader's look cost by the number of containers."""
    before, costs = 0, []
    for services in SIZES:
        grow(before, services)
        costs.append(measure(services))
        before = services
    yield row(*HEADINGS)
    yield row(*(["---"] * len(HEADINGS)))
    for one in costs:
        shares = (f"{share:.2f}" for share in (one.agent, one.daemon_before, one.daemon_with))
        kilobytes = f"{one.answer / 1000:.0f}"
        yield row(str(one.services), *shares, f"{one.memory:.1f}", f"{one.look * 1000:.1f}", kilobytes)


def main() -> None:
    subprocess.run([CLUSTER, "up"], check=True)
    for table in (spent, looked_at):
        try:
            for line in table():
                print(line, flush=True)
        finally:
            remove()
        print()


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
