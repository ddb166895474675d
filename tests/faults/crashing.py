"""The crash matrix's own words: what a command starts from, dies in, and what may be there afterwards."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue

from commandline import Done
from ground import Ground
from invariants import Canaries, Prints, broken, fingerprints, leftovers, plant_data, strays, untold
from waiting import until

from points import each_state
from stackctl.core.records import UnreadableRecord
from stackctl.state.record_files import decode

ALONE, GROUP = "kill9", "killgroup"
EVERY_POINT = os.environ.get("STACKCTL_TEST_POINTS") != "states"
SERVICES = {"app", "web", "db"}


@dataclass(frozen=True)
class Scene:
    """One command on a prepared ground.

    Args:
        prepare: Brings the ground from whatever it is to where the command begins.
        command: What is run, and dies; `PROJECT` stands for the project's name.
        ends: What may be there after the reaper came: running, ended, unmanaged, forgotten, purged.
        code: How the command ends when nobody kills it.
        recover: What is run after the crash.
        may_lack: Services that need not run when the others do: Compose stops and removes what it replaces
            before the other one runs, and the next `up` makes it. The table tells how often that was so.
        forgotten: There is no record, so whatever carries every label of ours counts as ours.
    """

    name: str
    prepare: Callable[[Ground, str], None]
    command: tuple[str, ...]
    ends: tuple[str, ...]
    code: int = 0
    recover: tuple[str, ...] = ("reap",)
    may_lack: frozenset[str] = frozenset()
    forgotten: bool = False

    def words(self, project: str) -> tuple[str, ...]:
        """The command for one ground."""
        return named(self.command, project)


def named(words: tuple[str, ...], project: str) -> tuple[str, ...]:
    """A command line with the project's name where `PROJECT` stands."""
    return tuple(project if word == "PROJECT" else word for word in words)


@dataclass
class Row:
    """What came of one scene."""

    points: int = 0
    runs: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    leaks: int = 0
    lost: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def line(self, name: str) -> str:
        ends = ", ".join(f"{count} {end}" for end, count in sorted(self.ends.items()))
        return (
            f"{name:<26}{self.points:>7}{self.runs[ALONE]:>7}{self.runs[GROUP]:>7}{self.leaks:>7}"
            f"{self.lost:>12}   {ends}"
        )


HEAD = f"{'':<26}{'points':>7}{'alone':>7}{'group':>7}{'leaks':>7}{'bytes lost':>12}   after `reap`"

LEGEND = (
    "the command alone is killed at each point after a change, its process group at each point before one; "
    "between the two nothing is changed"
    + ("" if EVERY_POINT else ", and STACKCTL_TEST_POINTS=states leaves out one of them")
)


@dataclass(frozen=True)
class Place:
    """A ground with its canaries, used again and again by one thread."""

    ground: Ground
    project: str
    canaries: Canaries


def judged(place: Place, scene: Scene, data: Prints) -> tuple[str, list[str]]:
    """What is there after the reaper came, in a word, and what is wrong with it."""
    ground, project = place.ground, place.project
    folder = ground.home / "environments" / project
    there = [one for one in ground.containers(project) if one.id not in place.canaries.ids]
    trash = [path.name for path in (ground.home / "trash").glob(f"{project}.*")]
    if not folder.exists():
        wrong = [f"I2: {one.name} is left of what was purged" for one in there]
        return "purged", wrong + [f"{path} lies in the trash" for path in trash]
    record = folder / "record.json"
    if not record.exists():
        states = {one.service: one.state for one in there}
        if not there and not any(ground.engine.networks({**ground.mine, "stackctl.stack": "s"})):
            return "forgotten", []
        whole = set(states) == SERVICES and set(states.values()) == {"running"}
        return "unmanaged", [] if whole else [f"no record, and {states} on the engine"]
    found = decode(record.read_bytes())
    if found.phase in ("starting", "stopping"):
        return found.phase, [f"the record says {found.phase} after `reap`"]
    if found.phase != "running":
        return "lost" if found.phase == "lost" else "ended", leftovers(ground, place.canaries.ids)
    running = {one.id: one.service for one in there if one.state == "running"}
    known = {one.id: one.service for one in there}
    recorded = {one: service for service, ids in found.containers.items() for one in ids}
    services = set(running.values())
    wrong = [] if SERVICES - scene.may_lack <= services <= SERVICES else [f"running are {sorted(services)}"]
    wrong += [] if known == recorded else ["the record has other containers than the engine"]
    halted = [one for one in there if one.state != "running" and one.service not in scene.may_lack]
    wrong += [f"{one.name} is {one.state}" for one in halted]
    wrong += ["the record belongs to somebody"] if found.lease and not found.tied else []
    return "running" if services == SERVICES else "running in part", wrong


@dataclass
class Matrix:
    """Runs scenes on several grounds at once, and keeps what came of each."""

    places: Sequence[Place]
    rows: dict[str, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._free: SimpleQueue[Place] = SimpleQueue()
        for place in self.places:
            self._free.put(place)

    def cross(self, scene: Scene) -> Row:
        """Kill a scene's command at each point that it passes.

        Between the point after one change and the point before the next nothing is changed, so the command is
        killed alone at the one and with its group at the other: each state of the world is met by both, or
        with `STACKCTL_TEST_POINTS=states` by one of them.
        """
        row = self.rows.setdefault(scene.name, Row())
        place = self.places[0]
        if scene.forgotten:
            for one in self.places:
                one.canaries.remove("another generation")
        scene.prepare(place.ground, place.project)
        points, done = place.ground.traced(*scene.words(place.project))
        row.problems += untold(done, scene.code)
        row.points = len(points)
        chosen = points if EVERY_POINT else each_state(points)
        orders = [(point, GROUP if point.endswith(":before") else ALONE) for point in chosen]
        self._each(row, scene, orders, self._at_point)
        return row

    def at_random(self, scene: Scene, window: tuple[str, float], seeds: Iterable[int]) -> Row:
        """Kill a scene's command some time after it has passed a point.

        Args:
            window: The point, and the seconds after it within which it is killed.
            seeds: One run alone and one of the group for each.
        """
        row = self.rows.setdefault(f"{scene.name}, at random", Row(points=1))
        orders = [(seed, deed) for seed in seeds for deed in (ALONE, GROUP)]

        def kill(place: Place, scene: Scene, order: tuple[int, str]) -> Done:
            return killed_after(place.ground, scene.words(place.project), window, order)

        self._each(row, scene, orders, kill)
        return row

    def _each(self, row: Row, scene: Scene, orders: Sequence, run: Callable) -> None:  # type: ignore[type-arg]  # two kinds
        with ThreadPoolExecutor(len(self.places)) as pool:
            for (what, deed), found in zip(
                orders, pool.map(lambda order: self._trial(scene, order, run), orders), strict=True
            ):
                end, problems, lost, died = found
                row.runs[deed] += 1
                row.ends[end] += 1
                row.missed += not died
                row.leaks += bool(problems)
                row.lost += lost
                row.problems += [f"{scene.name}, {what}, {deed}: {problem}" for problem in problems]

    def _at_point(self, place: Place, scene: Scene, order: tuple[str, str]) -> Done:
        return place.ground.at(*order, *scene.words(place.project))

    def _trial(self, scene: Scene, order: tuple, run: Callable) -> tuple[str, list[str], int, bool]:  # type: ignore[type-arg]  # two kinds
        place = self._free.get()
        try:
            return trial(place, scene, order, run)
        finally:
            self._free.put(place)

    def table(self) -> str:
        """The matrix as text."""
        lines = [HEAD, *(row.line(name) for name, row in self.rows.items())]
        total = Row(points=sum(row.points for row in self.rows.values()))
        for row in self.rows.values():
            total.runs.update(row.runs)
            total.leaks += row.leaks
            total.lost += row.lost
        return "\n".join([*lines, total.line("total"), LEGEND])


def trial(place: Place, scene: Scene, order: tuple, run: Callable) -> tuple[str, list[str], int, bool]:  # type: ignore[type-arg]  # two kinds
    """Prepare, kill, reap, judge: how it ended, what is wrong, bytes lost, whether it died at all."""
    ground = place.ground
    scene.prepare(ground, place.project)
    data = plant_data(ground, place.project)
    sizes = {path: (ground.home / path).stat().st_size for path in data}
    done = run(place, scene, order)
    until(lambda: not strays(ground), 15, "the end of what the command had started")
    recover = named(scene.recover, place.project)
    reaped = ground(*recover)
    end, problems = judged(place, scene, data)
    kept = {} if end == "purged" else data
    now = fingerprints(ground.home)
    lost = sum(sizes[path] for path in kept if now.get(path) != kept[path])
    problems += untold(reaped, 0) if scene.recover == ("reap",) else []
    allowed = {*scene.ends, *(["running in part"] if scene.may_lack else [])}
    problems += [] if end in allowed else [f"it is {end}"]
    second = ("reap",) if order[1] == GROUP else ()
    problems += broken(ground, data=kept, canaries=place.canaries, second=second, gone=False)
    if problems:
        problems += [
            f"  the command: {done.code} {done.err[-300:]!r}; recovery: {reaped.out!r} {reaped.err!r}"
        ]
    return end, problems, lost, done.code == -signal.SIGKILL


def killed_after(
    ground: Ground, command: Sequence[str], window: tuple[str, float], order: tuple[int, str]
) -> Done:
    """Start a command, wait until it has passed a point, and kill it within so many seconds."""
    point, seconds = window
    seed, deed = order
    trace = ground.home.parent / f"trace-{seed}-{deed}-{time.monotonic_ns()}"
    child = ground.start(*command, STACKCTL_FAILPOINT_TRACE=str(trace))
    until(lambda: trace.exists() and point in trace.read_text().split(), 60, point)
    time.sleep(random.Random(f"{seed}{deed}").uniform(0, seconds))
    (os.killpg if deed == GROUP else os.kill)(child.pid, signal.SIGKILL)
    return ground.ended(child)


def fresh_place(ground: Ground) -> Place:
    """A ground that was up once and is down, with strangers around it."""
    ground.pair()
    project = ground("up", "s", "--json").ok().data["project"]
    ground("down", "s").ok()
    return Place(ground=ground, project=project, canaries=Canaries(ground).plant(project))


def complete(ground: Ground, project: str) -> bool:
    """Whether each service runs, once."""
    found = [one.service for one in ground.containers(project) if one.state == "running"]
    return sorted(one for one in found if one in SERVICES) == sorted(SERVICES)


def phase_of(ground: Ground, project: str) -> str:
    """The phase that the record has; empty when there is none that can be read."""
    path = ground.home / "environments" / project / "record.json"
    try:
        return str(decode(path.read_bytes()).phase)
    except (OSError, UnreadableRecord):
        return ""
