"""Commands, deaths, failing daemons, jumping clocks, full disks, in any order: data stays, and ends meet.

Hypothesis draws the order; every command is a real one against a real daemon of our own.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest
from commandline import Done
from daemon import PrivateDaemon
from ground import KEEPER, KEEPER_HEAD, QUICK, SMALL, Ground, new_ground, sweep
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from invariants import Canaries, Prints, broken, damaged_state, leftovers, lost_data, plant_data, strays
from waiting import until

from stackctl.core.deployment import Instant
from stackctl.core.labels import PREFIX
from stackctl.core.supervision import DEFAULT_SUPERVISION
from stackctl.engine.docker import DockerEngine
from stackctl.ops.context import Context
from stackctl.ops.supervise import Supervisor
from stackctl.state.clock import SystemClock
from stackctl.state.home import open_home
from stackctl.state.record_files import decode
from stackctl.state.store import FileStore

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1200)]

EXAMPLES, STEPS = 6, 10
NAMES = ("s", "t")
SERVICES = {"app", "db"}
APP = f"""
services:
  app:
    image: busybox:1.35
    command: [sh, -c, "{QUICK}"]
"""
HOUR = 3600.0
TOLD = {0, 1, 4, 5, 6, 7}
"""How a command may end while the daemon or the disk fails: never as a bug, never by a signal."""
DISK = "8m"
COMMANDS = st.sampled_from(["up", "down", "reap", "supervise"])
FATES = st.sampled_from(
    [
        "none",
        "kill9",
        "killgroup",
        "dead daemon",
        "stopped daemon",
        "frozen daemon",
        "full disk",
        "clock",
        "dead container",
    ]
)
JUMPS, SLEEPS = (-24 * HOUR, 0.0, 24 * HOUR), (0.0, HOUR, 13 * HOUR)
CUT_SHORT = "record:stopping#1:after"
"""Where a `down` that dies leaves everything to `reap`."""


@dataclass(frozen=True)
class Jumping:
    """Clocks that were set, or that slept."""

    wall: float
    slept: float
    real: SystemClock = field(default_factory=SystemClock)

    def now(self) -> Instant:
        now = self.real.now()
        return Instant(now.wall + self.wall + self.slept, now.boottime + self.slept, now.boot)

    def sleep(self, seconds: float) -> None:
        self.real.sleep(seconds)


@dataclass
class Lines:
    """What a supervisor said."""

    said: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def write(self, event: str, /, **fields: Any) -> None:
        self.said.append((event, fields))


@dataclass(frozen=True)
class Stage:
    """What all examples share: a daemon, a small disk, and the points that commands pass.

    Args:
        points: Command -> the fail-points that it passes on a quiet day.
        deeds: How often each thing happened, and how often a command died.
    """

    daemon: PrivateDaemon
    disk: Path
    points: dict[str, Sequence[str]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)
    deeds: Counter[str] = field(default_factory=Counter)

    def ground(self) -> Ground:
        """A new ground on the small disk, with a stack for each name."""
        ground = new_ground(self.disk / str(next(self.numbers)), self.daemon.host)
        ground.template("one", APP)
        ground.template("sidecars/keeper", KEEPER, KEEPER_HEAD)
        for name in NAMES:
            ground.stack(name, f"template: one\nsidecars: {{db: {{template: keeper}}}}\n{SMALL}")
        return ground

    @contextmanager
    def full(self) -> Iterator[None]:
        """Nothing can be written to the disk."""
        ballast = self.disk / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
        yield
        ballast.unlink()


class Machine(RuleBasedStateMachine):
    """Two environments with data, strangers around them, and whatever happens to them."""

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        self.ground = self.stage.ground()
        self.daemon = self.stage.daemon
        self.data: Prints = {}
        self.canaries: list[Canaries] = []
        self.projects: dict[str, str] = {}

    @initialize()
    def begin(self) -> None:
        """Both were up once, and have data."""
        for name in NAMES:
            self.projects[name] = self.ground("up", name, "--json").ok().data["project"]
            self.data = plant_data(self.ground, self.projects[name])
        self.canaries.append(Canaries(self.ground).plant(self.projects["s"]))

    # Commands, and what befalls them

    @rule(verb=COMMANDS, name=st.sampled_from(NAMES), fate=FATES, at=st.integers(0, 10_000))
    def happens(self, verb: str, name: str, fate: str, at: int) -> None:
        """A command has its way, or dies, or the daemon or the disk fails it; or something else happens.

        It is one rule, so that each fate is drawn as often as the others: of several rules, Hypothesis leaves
        some out for a whole run.
        """
        if fate.startswith("kill"):
            self.dies(verb, name, at, fate)
        elif fate.endswith("daemon"):
            self.daemon_fails(verb, name, fate)
        elif fate == "full disk":
            with self.stage.full():
                self.told(fate, self.ground(*words(verb, name)))
        elif fate == "clock":
            self.tick(JUMPS[at % len(JUMPS)], SLEEPS[at // len(JUMPS) % len(SLEEPS)])
        elif fate == "dead container":
            self.service_dies(name, sorted(SERVICES)[at % len(SERVICES)])
        else:
            self.has_its_way(verb, name)

    def has_its_way(self, verb: str, name: str) -> None:
        self.ground(*words(verb, name)).ok()
        if verb == "up":
            assert self.states(name) == dict.fromkeys(SERVICES, "running")
        if verb == "down":
            assert self.states(name) == {}

    def dies(self, verb: str, name: str, at: int, deed: str) -> None:
        """It has everything to do, and is killed at a point that it passes."""
        getattr(self, f"before_{verb}")(name)
        points = self.stage.points[verb]
        done = self.ground.at(points[at % len(points)], deed, *words(verb, name))
        assert done.code in {0, -signal.SIGKILL}, done
        until(lambda: not strays(self.ground), 15, "the end of what the command had started")
        self.stage.deeds[f"{verb}: {'died' if done.code else 'lived on'}"] += 1

    def before_up(self, name: str) -> None:
        if self.phase(name) == "running":
            self.ground("down", name).ok()

    def before_down(self, name: str) -> None:
        if self.phase(name) != "running":
            self.ground("up", name).ok()

    def before_reap(self, name: str) -> None:
        self.before_down(name)
        self.ground.at(CUT_SHORT, "kill9", "down", name)

    before_supervise = before_reap

    def daemon_fails(self, verb: str, name: str, how: str) -> None:
        """The daemon is killed, stopped or frozen while a command works with it; later it answers again."""
        child = self.ground.start(*words(verb, name))
        {"dead daemon": self.daemon.kill, "stopped daemon": self.daemon.stop}.get(how, self.daemon.freeze)()
        if how == "frozen daemon":
            with suppress(subprocess.TimeoutExpired):
                child.wait(3)
            self.daemon.thaw()
        self.told(how, self.ground.ended(child))
        if not self.daemon.pid:
            self.daemon.start()
            for canaries in self.canaries:
                canaries.rebooted()
        until(self.daemon.answers, 60, "an answer of the daemon")

    def service_dies(self, name: str, service: str) -> None:
        """The first process of a container is killed from outside."""
        for one in self.ours(name):
            if one.service == service and one.state == "running":
                self.daemon.docker("kill", one.id)

    # The clock, strangers

    def tick(self, wall: float, slept: float) -> None:
        """A supervisor looks once, with its clock set to another time or after a long sleep."""
        running = [name for name in NAMES if self.phase(name) == "running"]
        lines = Lines()
        supervisor = Supervisor(
            contexts=lambda host: self.context(Jumping(wall, slept)), limits=DEFAULT_SUPERVISION, log=lines
        )
        supervisor.tick()
        supervisor.finish(60)
        for watch in supervisor.watches.values():
            watch.context.engine.close()
        expired = [fields["project"] for event, fields in lines.said if fields.get("phase") == "expired"]
        due = slept >= 12 * HOUR
        assert sorted(expired) == sorted(self.projects[name] for name in running if due), lines.said
        self.stage.deeds["lifetimes that ended"] += len(expired)
        self.stage.deeds["looks with other clocks"] += 1

    @precondition(lambda self: len(self.canaries) < 2)
    @rule(name=st.sampled_from(NAMES))
    def forge(self, name: str) -> None:
        """Somebody puts containers there that look like ours."""
        self.canaries.append(Canaries(self.ground).plant(self.projects[name], name))

    # What always holds

    @invariant()
    def nothing_is_lost(self) -> None:
        found = lost_data(self.data, self.ground.home) + damaged_state(self.ground.home)
        assert not found, found

    def teardown(self) -> None:
        """Whatever happened: one `reap`, and what is there is vouched for, and a second one does nothing."""
        try:
            if self.projects:
                self.ground("reap").ok()
                found = self.unvouched()
                found += broken(self.ground, data=self.data, second=("reap",), gone=False)
                self.ground("down", "--all").ok()
                found += leftovers(self.ground, self.strangers)
                found += [wrong for one in self.canaries for wrong in one.harmed()]
                assert not found, found
        finally:
            for canaries in self.canaries:
                canaries.remove()
            sweep(self.ground)

    # How it is asked

    @property
    def strangers(self) -> set[str]:
        return {one for canaries in self.canaries for one in canaries.ids}

    def ours(self, name: str) -> list[Any]:
        found = self.ground.containers(self.projects[name])
        return [one for one in found if one.id not in self.strangers]

    def states(self, name: str) -> dict[str, str]:
        return {one.service: one.state for one in self.ours(name)}

    def phase(self, name: str) -> str:
        return str(self.ground.record(self.projects[name])["phase"])

    def told(self, fault: str, done: Done) -> None:
        """A command that a fault befell says so in its own words."""
        assert done.code in TOLD, done
        assert "Traceback" not in done.err, done
        self.stage.deeds[f"{fault}: exit code {done.code}"] += 1

    def context(self, clock: Jumping) -> Context:
        engine = DockerEngine({**os.environ, "DOCKER_HOST": self.daemon.host}, patience=5)
        store = FileStore(open_home(self.ground.home))
        return Context(engine=engine, store=store, clock=clock, user=os.getuid(), group=os.getgid())

    def unvouched(self) -> list[str]:
        """Containers of ours without a record of their generation."""
        found = []
        for one in (one for name in NAMES for one in self.ours(name)):
            path = self.ground.home / "environments" / one.labels[f"{PREFIX}project"] / "record.json"
            if decode(path.read_bytes()).generation != one.labels[f"{PREFIX}generation"]:
                found.append(f"nothing vouches for {one.name}")
        return found


def words(verb: str, name: str) -> tuple[str, ...]:
    """A command as it is typed; `reap` and `supervise` are for all."""
    return {"reap": ("reap",), "supervise": ("supervise", "--once")}.get(verb, (verb, name))


@pytest.fixture
def stage(images: Path, tmp_path: Path) -> Iterator[Stage]:
    """A daemon, and a small disk that was there before it, so that it sees it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "tmpfs", str(disk)], check=True)
    try:
        daemon = PrivateDaemon(images=images)
        try:
            found = Stage(daemon.start(), disk)
            found.points.update(points_of(found.ground()))
            yield found
        finally:
            daemon.close()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def points_of(ground: Ground) -> dict[str, list[str]]:
    """The fail-points that each command passes when it has everything to do."""
    found = {}
    for verb in ("up", "down", "reap", "supervise"):
        if verb in ("reap", "supervise"):
            ground("up", "s").ok()
            ground.at(CUT_SHORT, "kill9", "down", "s")
        found[verb], _ = ground.traced(*words(verb, "s"))
    return found


def test_whatever_happens_data_stays_and_ends_meet(stage: Stage) -> None:
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    Machine.stage = stage
    run_state_machine_as_test(Machine, settings=chosen)
    print(f"\n{dict(sorted(stage.deeds.items()))}")
    assert sum(stage.deeds[f"{verb}: died"] for verb in stage.points) >= EXAMPLES // 2
