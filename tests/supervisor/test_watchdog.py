"""The watchdog on real containers: who dies, who lives, why, and how long it took."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commandline import Cli
from house import GATE, STAY, House, configuration, docker, journal, looks, peer, rogue, said_at
from waiting import command_line, processes, until

pytestmark = pytest.mark.engine

MIB = 1 << 20
SMALL = "limits: {memory: 128m, pids: 64, cpus: 0.5}\nwatchdog: {sustain: 2s}\n"

BOMB = """
over()
while time.time() < END:
    try:
        os.fork()
    except OSError:
        time.sleep(0.02)
"""
PIDS_LEAK = f"""
for number in range(1, 54):
    if not os.fork():
        time.sleep(60)
        os._exit(0)
    if number == 48:
        over()
    time.sleep(0.03)
{STAY}"""
HOG = f"""
block = b"x" * (98 << 20)
over()
more = b"x" * (8 << 20)
{STAY}"""
URGENT_HOG = f"""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
blocks = [b"x" * (90 << 20)]
while anonymous() < 123:
    blocks.append(b"x" * (1 << 20))
over()
{STAY}"""
SLOW_LEAK = f"""
blocks, told = [], False
while anonymous() < 112:
    blocks.append(b"x" * (4 << 20))
    if anonymous() >= 102 and not told:
        told = True
        over()
    time.sleep(0.12)
{STAY}"""
SHARED_MEMORY = f"""
with open("/dev/shm/block", "wb") as block:
    for _ in range(98):
        block.write(b"x" * (1 << 20))
    over()
    for _ in range(10):
        block.write(b"x" * (1 << 20))
{STAY}"""


@dataclass(frozen=True)
class Case:
    """A rogue, and what must become of it.

    Args:
        levels: The levels of which one is told.
        mark, limit: In processes or bytes.
        due: Seconds that it is let be over the mark.
        grace: Seconds that it has to end by itself.
    """

    name: str
    code: str
    rule: str
    levels: tuple[str, ...]
    mark: int
    limit: int
    due: float = 0.0
    grace: float = 10.0

    def service(self) -> dict[str, Any]:
        return rogue(self.code, stop_grace_period=f"{self.grace:g}s", shm_size="120m")


CASES = (
    Case("bomb", BOMB, "over_pids", ("urgent", "kernel"), 61, 64),
    Case("pids-leak", PIDS_LEAK, "over_pids", ("threshold",), 50, 64, due=2.0),
    Case("hog", HOG, "over_memory", ("threshold",), 128 * MIB * 8 // 10, 128 * MIB, due=2.0),
    Case("urgent-hog", URGENT_HOG, "over_memory", ("urgent",), int(128 * MIB * 0.95), 128 * MIB, grace=1.0),
    Case("slow-leak", SLOW_LEAK, "over_memory", ("threshold",), 128 * MIB * 8 // 10, 128 * MIB, due=2.0),
    Case("shm", SHARED_MEMORY, "over_memory", ("threshold",), 128 * MIB * 8 // 10, 128 * MIB, due=2.0),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_rogue_is_ended_with_its_environment_and_the_incident_tells_why(house: House, case: Case) -> None:
    project = house.up(case.name, {"rogue": case.service()}, SMALL)

    house.go(project)
    outcome = house.outcome(project)

    assert outcome["event"] == "done"
    assert house.ids(project) == []
    assert not [name for name in house.cli.networks() if project in name]
    (incident,) = house.incidents(case.name)
    record = house.cli.record(project)
    assert (record["phase"], record["ending"]["incident"]) == ("killed", incident["id"])
    check_violation(case, incident)
    check_evidence(case, incident)
    check_words(house, case, incident)
    timing = house.timed(case.name, project, incident, case.due, case.grace)
    assert -0.1 <= timing.acted - case.due < 20
    assert timing.gone < 30


def check_violation(case: Case, incident: dict[str, Any]) -> None:
    violation = incident["violation"]
    assert (incident["rule"], incident["service"], incident["action"]) == (case.rule, "rogue", "end")
    assert violation["level"] in case.levels
    assert (violation["mark"], violation["limit"]) == (case.mark, case.limit)
    assert case.mark <= violation["reading"] <= case.limit
    assert violation["held"] >= case.due


def check_evidence(case: Case, incident: dict[str, Any]) -> None:
    measure = incident["violation"]["measure"]
    ages = [one["at"] for one in incident["readings"]]
    assert ages == sorted(ages)
    assert (ages[-1], ages[0] >= -60.0) == (0.0, True)
    amounts = [one[measure] for one in incident["readings"]]
    assert amounts[-1] >= incident["violation"]["mark"]
    assert len(set(amounts)) > 1
    most = max(incident["groups"], key=lambda one: one["threads" if measure == "pids" else "memory"])
    assert most["command"].startswith("python -u -c")
    assert incident["processes"] >= sum(one["count"] for one in incident["groups"])
    assert incident["processes"] >= (45 if measure == "pids" else 2)
    assert incident["log_from"] == "rogue"
    assert incident["log"][-1].startswith("over ")


def check_words(house: House, case: Case, incident: dict[str, Any]) -> None:
    assert incident["result"] == "done"
    assert incident["done"] == ["2 containers and 1 network ended and removed, data kept"]
    why = house.cli("why", case.name).ok().out
    first = why.splitlines()[0]
    assert first.startswith("`rogue` was stopped at ")
    assert f"and with it `{case.name}`: " in first
    assert ("64" if case.rule == "over_pids" else "128 MiB") in first
    assert incident["id"] in why
    status = house.cli("status", case.name, "--json")
    assert (status.code, status.data["phase"]) == (1, "killed")
    assert status.data["ended"]["incident"] == incident["id"]


def test_what_was_only_read_from_disk_ends_nobody(house: House) -> None:
    read_twice = """
at = "/tmp/file"
with open(at, "wb") as file:
    for _ in range(27):
        file.write(b"x" * (4 << 20))
        file.flush()
        os.fsync(file.fileno())
for _ in range(2):
    with open(at, "rb") as file:
        while file.read(1 << 20):
            pass
first, second = "/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory.current"
print("usage", open(first if os.path.exists(first) else second).read(), flush=True)
"""
    project = house.up("reader", {"rogue": rogue(read_twice + STAY)}, SMALL)
    before = house.ids(project)

    house.go(project)
    until(lambda: "usage" in house.log(project), 60, "the file being read twice")
    looks(house.home, 4.0)

    usage = int(house.log(project).split("usage")[1].split()[0])
    assert usage > 128 * MIB * 8 // 10, "the page cache must be there for this test to say something"
    status = house.cli("status", "reader", "--json").ok().data
    assert status["services"]["rogue"]["usage"]["memory_bytes"] < 40 * MIB
    assert house.ids(project) == before
    assert house.incidents("reader") == []
    house.cli("down", "reader").ok()


@pytest.mark.slow
def test_a_flood_of_log_lines_stays_within_its_files_and_hurts_nobody(house: House) -> None:
    flood = """
line = "x" * 400 + "\\n"
while time.time() < END + 120:  # a busy engine takes its time to write it all
    sys.stdout.write(line * 50)
    if os.path.exists("/tmp/bomb"):
        over()
        for _ in range(56):  # below the limit, with room for the command that lets it go
            if not os.fork():
                time.sleep(60)
                os._exit(0)
        time.sleep(60)
"""
    logging = {"driver": "json-file", "options": {"max-size": "1m", "max-file": "2"}}
    project = house.up("flood", {"rogue": rogue(flood, logging=logging)}, SMALL)
    (one,) = house.ids(project, "rogue")

    house.go(project)
    until(lambda: len(log_sizes(one)) == 2, 60, "logs being rotated")
    looks(house.home, 2.0)

    assert sum(log_sizes(one)) < 2.2 * 1e6
    assert one in house.ids(project)
    assert house.incidents("flood") == []
    assert house.cli("supervise", "--status", "--json").ok().data["sound"]

    docker("exec", one, "touch", "/tmp/bomb")
    assert house.outcome(project)["event"] == "done"
    (incident,) = house.incidents("flood")
    assert len(incident["log"]) == 200
    assert "over " in incident["log"][-1]


def log_sizes(container: str) -> list[int]:
    """Sizes of the files that docker keeps of what a container wrote."""
    path = Path(docker("inspect", "--format", "{{.LogPath}}", container))
    mount = f"type=bind,source={path.parent},target=/logs,readonly"
    script = f"cd /logs && stat -c %s {path.name}*"
    listed = docker("run", "--rm", "--network=none", f"--mount={mount}", "busybox:1.35", "sh", "-c", script)
    return [int(size) for size in listed.split()]


@pytest.mark.slow
def test_a_crash_loop_is_restarted_three_times_and_what_was_stopped_by_hand_never(house: House) -> None:
    crash = "while [ ! -e /tmp/go ]; do sleep 0.1; done; echo broken; exit 7"
    services = {
        "loop": {"image": "busybox:1.35", "command": ["sh", "-c", crash], "restart": "always"},
        "idle": {**peer(), "restart": "always"},
    }
    project = house.up("looper", services, SMALL)

    docker("stop", *house.ids(project, "idle"))
    looks(house.home, 3.0)
    (idle,) = [one for one in house.cli.containers(project) if one.service == "idle"]
    assert idle.state == "exited"
    record = house.cli.record(project)
    assert (record["phase"], record["restarts"], record["halted"]) == ("running", {}, ["idle"])
    assert [one["action"] for one in journal(house.home, project, "acts")] == ["spare"]

    house.go(project, "loop")
    until(lambda: house.cli.record(project)["phase"] == "failed", 90, "the supervisor giving up")

    acts = [(one["rule"], one["action"]) for one in journal(house.home, project, "acts")]
    assert acts[1:] == [("crash_looping", "restart")] * 3 + [("crash_looping", "end")]
    assert house.ids(project) == []
    (incident,) = house.incidents("looper")
    assert "ended again (exit code 7) after 3 restarts" in incident["reason"]
    assert incident["log"] == ["broken"] * 4
    assert "loop" in house.cli("why", "looper").ok().out


def test_a_child_that_the_kernel_ends_for_memory_is_told_of_and_its_container_lives(house: House) -> None:
    child = """
if not os.fork():
    block = b"x" * (400 << 20)
    os._exit(0)
print("child", os.wait()[1], flush=True)
"""
    project = house.up("oom", {"rogue": rogue(child + STAY)}, SMALL)
    before = house.ids(project)
    looks(house.home, 2.0)
    with _asleep(house.supervisor):  # the kernel is first, however slow it is
        house.go(project)
        until(lambda: f"child {int(signal.SIGKILL)}" in house.log(project), 30, "the end of its child")
    until(lambda: house.incidents("oom"), 30, "an incident")

    (incident,) = house.incidents("oom")
    assert (incident["rule"], incident["action"], incident["service"]) == ("oom", "report", "rogue")
    assert (incident["violation"]["level"], incident["violation"]["limit"]) == ("kernel", 128 * MIB)
    assert "`rogue` was reported at" in house.cli("why", "oom").ok().out
    looks(house.home, 2.0)
    assert house.ids(project) == before
    assert house.cli.record(project)["phase"] == "running"
    assert len(house.incidents("oom")) == 1
    house.cli("down", "oom").ok()


@contextmanager
def _asleep(child: subprocess.Popen[str]) -> Iterator[None]:
    """It does not run meanwhile."""
    child.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        child.send_signal(signal.SIGCONT)


MANY = f"""
for _ in range(61):
    if not os.fork():
        time.sleep(60)
        os._exit(0)
over()
{STAY}"""


@pytest.mark.slow
def test_a_violation_may_end_its_service_alone_which_stays_ended(house: House) -> None:
    settings = SMALL.replace("sustain: 2s", "on_violation: service")
    services = {"rogue": rogue(MANY, restart="always"), "peer": peer()}
    project = house.up("alone", services, settings)
    others = house.ids(project, "peer", "db")

    house.go(project, "rogue")
    assert house.outcome(project)["event"] == "done"
    looks(house.home, 3.0)

    assert house.ids(project) == others
    record = house.cli.record(project)
    assert (record["phase"], record["halted"]) == ("running", ["rogue"])
    (incident,) = house.incidents("alone")
    assert incident["action"] == "halt"
    assert incident["done"] == ["`rogue` was ended and removed, the other services live on"]
    status = house.cli("status", "alone", "--json").data
    assert status["halted"] == ["rogue"]
    assert any("it was ended, the others live on" in one for one in status["warnings"])
    house.timed("alone", project, incident, due=0.0, grace=10.0)
    house.cli("down", "alone").ok()


@pytest.mark.slow
def test_a_violation_may_be_reported_only(house: House) -> None:
    project = house.up("told", {"rogue": rogue(MANY)}, SMALL.replace("sustain: 2s", "on_violation: report"))
    before = house.ids(project)

    house.go(project, "rogue")
    until(lambda: house.incidents("told"), 30, "an incident")
    looks(house.home, 2.0)

    (incident,) = house.incidents("told")
    assert (incident["rule"], incident["action"], incident["done"]) == ("over_pids", "report", [])
    assert incident["processes"] >= 60
    assert house.ids(project) == before
    assert house.cli.record(project)["phase"] == "running"
    house.cli("down", "told").ok()


@pytest.mark.slow
def test_a_stack_may_have_a_budget_for_all_its_services_together(house: House) -> None:
    code = MANY.replace("range(61)", "range(15)")
    services = {"one": rogue(code), "two": rogue(code)}
    project = house.up("budget", services, SMALL.replace("sustain: 2s", "budget: {pids: 30}"))

    house.go(project, "one")
    looks(house.home, 2.0)
    assert house.incidents("budget") == []
    house.go(project, "two")
    assert house.outcome(project)["event"] == "done"

    (incident,) = house.incidents("budget")
    assert (incident["service"], incident["violation"]["mark"]) == ("", 30)
    assert incident["violation"]["reading"] >= 30
    assert "all services together had" in incident["reason"]
    assert "the stack's budget is 30" in house.cli("why", "budget").ok().out
    assert house.cli.record(project)["phase"] == "killed"
    assert house.ids(project) == []


@pytest.mark.slow
def test_a_lifetime_ends_an_environment_and_extend_keeps_it(house: House) -> None:
    kept = house.up("kept", {"rogue": peer()}, SMALL, "--lifetime", "8s")
    old_end = house.cli.record(kept)["deadline"]["wall"]
    house.cli("extend", "kept", "1h").ok()
    project = house.up("brief", {"rogue": peer()}, SMALL, "--lifetime", "3s")

    assert house.outcome(project)["event"] == "done"

    record = house.cli.record(project)
    (incident,) = house.incidents("brief")
    assert (record["phase"], record["ending"]["incident"]) == ("expired", incident["id"])
    assert incident["reason"] == "its lifetime of 3s is over"
    assert house.ids(project) == []
    assert said_at(journal(house.home, project, "acts")[0]) >= record["deadline"]["wall"] - 0.01
    assert "its lifetime of 3s is over" in house.cli("why", "brief").ok().out
    until(lambda: time.time() > old_end, 20, "the old end")
    looks(house.home, 2.0)
    assert house.cli.record(kept)["phase"] == "running"
    assert house.incidents("kept") == []
    house.cli("down", "kept").ok()


def hooks() -> list[int]:
    """Process ids of the hooks that hang."""
    return [pid for pid in processes() if "98761" in command_line(pid)]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["act", "report"])
def test_a_hook_that_hangs_is_ended_and_holds_up_nothing(house: House, what: str) -> None:
    already = len(journal(house.home, event="hook"))
    if what == "act":
        project = house.up("hanging", {"rogue": peer()}, SMALL, "--lifetime", "1s")
    else:
        settings = SMALL.replace("sustain: 2s", "on_violation: report")
        project = house.up("hanging-too", {"rogue": rogue(MANY)}, settings)
        house.go(project, "rogue")
    until(hooks, 30, "the hook")
    looks(house.home, 3.0)
    assert hooks(), "it looked again and again while the hook hung"

    until(lambda: len(journal(house.home, event="hook")) > already, 40, "the end of the hook")

    assert journal(house.home, event="hook")[-1]["result"] == "failed"
    assert not hooks()
    if what == "act":
        assert house.outcome(project)["event"] == "done"
        assert house.ids(project) == []
    else:
        assert len(house.ids(project)) == 2
        house.cli("down", "hanging-too").ok()


def test_every_incident_was_handed_to_the_hook(house: House) -> None:
    house.outcome(house.up("last", {"rogue": peer()}, SMALL, "--lifetime", "1s"))
    told = house.cli("incidents", "--json").ok().data

    found = [json.loads(path.read_text()) for path in house.delivered.glob("*.json")]

    assert "last" in {one["stack"] for one in told}
    expected = {one["id"]: one for one in told if not one["stack"].startswith("hanging")}
    assert {one["id"]: one for one in found} == expected


@pytest.mark.slow
def test_a_dry_run_says_what_it_would_do_and_does_nothing(cli: Cli) -> None:
    configuration(cli, f"on_incident: [touch, {cli.home.parent}/told]\n")
    cli.template(
        "many",
        json.dumps(
            {"services": {"rogue": {"image": "python:3.11", "command": ["python", "-u", "-c", GATE + MANY]}}}
        ),
    )
    cli.template("calm", json.dumps({"services": {"web": peer()}}))
    cli.stack("many", f"template: many\n{SMALL}")
    cli.stack("calm", f"template: calm\n{SMALL}")
    many = cli("up", "many", "--json").ok().data["project"]
    brief = cli("up", "calm", "--lifetime", "1s", "--json").ok().data["project"]
    (container,) = cli.containers(many)
    docker("exec", container.id, "touch", "/tmp/go")
    until(lambda: "over" in docker("logs", container.id), 60, "many processes")
    until(lambda: time.time() > cli.record(brief)["deadline"]["wall"], 10, "the end of a lifetime")
    before = [one.id for one in cli.containers()], cli.record(many), cli.record(brief)

    said = cli("supervise", "--once", "--dry-run", "--json").ok().data
    shown = cli("supervise", "--once", "--dry-run").ok().err

    acts = {one["project"]: (one["rule"], one["action"], one["phase"]) for one in said["acts"]}
    assert acts == {many: ("over_pids", "end", "killed"), brief: ("expired", "end", "expired")}
    assert shown.count(" would ") == 2
    assert ([one.id for one in cli.containers()], cli.record(many), cli.record(brief)) == before
    assert cli("incidents", "--json").ok().data == []
    assert not (cli.home.parent / "told").exists()
    assert cli("supervise", "--once").ok().code == 0
    assert {cli.record(one)["phase"] for one in (many, brief)} == {"killed", "expired"}
