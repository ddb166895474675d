"""What watching costs: one pass against `docker stats`, the supervisor's own process, and how soon it acts.

The containers are real (`sleep` in busybox), made by `stackctl up` in environments of ten with
their records.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import linear_regression, mean, median
from typing import TYPE_CHECKING

from herd import GRACE, Herd, Supervising, until

from stackctl.core.supervision import DEFAULT_SUPERVISION
from stackctl.core.verdicts import decide
from stackctl.ops.watch import Watch

if TYPE_CHECKING:
    from stackctl.core.facts import Container
    from stackctl.ops.context import Context

SIZES = (10, 50, 100, 200)
SUPERVISED = 100
"""Containers that the supervisor's process is measured with."""
PASSES, WARM, PAUSE = 80, 60, 0.1
"""Passes for each size, those before trails are full and that do not count, seconds between two of them."""
ALONE = 5
"""Containers that are asked for one by one; the time for all is theirs times as many."""
SECONDS = 60
"""For which the supervisor's processor time is counted."""
REPEAT = 3
WAYS = (
    "containers",
    "sampling alone",
    "one pass",
    "its processor time",
    "a pass that lists",
    "`docker stats`, all at once",
    f"one by one, from {ALONE}",
    "at once / pass",
)
FASTER, SHARE, RESIDENT, GROWTH, SOON, GONE = 50, 2.0, 80.0, 1.0, 1.5, 3.0


@dataclass(frozen=True)
class Cost:
    """Seconds that it takes to learn how so many containers are, in several ways."""

    containers: int
    sampling: float
    look: float
    processor: float
    listing: float
    batched: float
    alone: float

    def cells(self) -> list[str]:
        ours = [f"{one * 1000:.1f} ms" for one in (self.sampling, self.look, self.processor, self.listing)]
        theirs = [f"{self.batched:.2f} s", f"{self.alone:.0f} s"]
        return [str(self.containers), *ours, *theirs, f"{self.batched / self.look:.0f}"]


@dataclass(frozen=True)
class Bound:
    """A figure against what it may be at most; where it was measured several times, the worst counts."""

    name: str
    values: tuple[float, ...]
    most: float
    unit: str

    @property
    def met(self) -> bool:
        return max(self.values) <= self.most

    def cells(self) -> list[str]:
        span = f" ({min(self.values):.2f} to {max(self.values):.2f})" if len(self.values) > 1 else ""
        shown = f"{median(self.values):.2f} {self.unit}{span}"
        return [self.name, shown, f"<= {self.most:.4g} {self.unit}", "met" if self.met else "**not met**"]


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print it as Markdown."""
    print(f"\n### {title}\n\n| {' | '.join(headings)} |\n|{' --- |' * len(headings)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def took(act: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def cost(herd: Herd, containers: int) -> Cost:
    """Measure all ways in turn, with so many containers there."""
    herd.grow(containers)
    context = herd.context()
    limits = replace(DEFAULT_SUPERVISION, trail=WARM * PAUSE)
    watch = Watch(context, limits)

    def once() -> None:
        decide(watch.look(context.store.recall()), limits)

    def listed() -> None:
        watch.relist_soon()
        once()

    looks, processor = paced(once)
    every = herd.containers(context)
    assert len(every) == containers, f"{len(every)} containers, not {containers}"
    found = Cost(
        containers=containers,
        sampling=median(took(lambda: context.engine.sample(every)) for _ in range(PASSES)),
        look=median(looks),
        processor=median(processor),
        listing=median(took(listed) for _ in range(10)),
        batched=median(took(lambda: stats(every)) for _ in range(REPEAT)),
        alone=mean(took(lambda one=one: stats([one])) for one in every[:ALONE]) * containers,
    )
    context.engine.close()
    said(f"{containers} containers: {', '.join(found.cells()[1:])}")
    return found


def paced(act: Callable[[], None]) -> tuple[list[float], list[float]]:
    """Seconds, and seconds of processor time, of passes with pauses between them, when trails are full."""
    looks, processor = [], []
    for _ in range(PASSES):
        begin = time.process_time()
        looks.append(took(act))
        processor.append(time.process_time() - begin)
        time.sleep(PAUSE)
    return looks[WARM:], processor[WARM:]


def stats(containers: Iterable[Container]) -> None:
    """Ask docker, once for all of them."""
    argv = ["docker", "stats", "--no-stream", *(one.id for one in containers)]
    subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def said(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def idle(supervisor: Supervising) -> list[Bound]:
    """What a supervisor's process costs while nothing happens; it its trails must be full before."""
    began, before = time.monotonic(), supervisor.processor()
    resident = []
    while time.monotonic() - began < SECONDS:
        time.sleep(1)
        resident.append(supervisor.resident())
    share = (supervisor.processor() - before) / (time.monotonic() - began) * 100
    growth = median(resident[-10:]) - median(resident[:10])
    return [
        Bound(f"processor time, {SUPERVISED} containers, one look a second", (share,), SHARE, "% of a core"),
        Bound("resident memory", (max(resident),), RESIDENT, "MiB"),
        Bound(f"its growth over {SECONDS} s", (max(growth, 0.0),), GROWTH, "MiB"),
    ]


@dataclass(frozen=True)
class Deed:
    """A way to go beyond a mark: what is run in the container, and from which reading on it is beyond."""

    name: str
    measure: str
    command: str
    mark: int
    sustain: float = 0.0


FORK = "for i in $(seq {}); do sleep 99 & done; wait"
FILL = "dd if=/dev/zero of=/dev/shm/x bs=1M count={}; sleep 99"
DEEDS = (
    Deed("urgent, processes", "pids", FORK.format(58), 61),
    Deed("urgent, memory", "memory", FILL.format(61), 63753420),
    Deed("threshold, processes", "pids", FORK.format(48), 50, 2.0),
    Deed("threshold, memory", "memory", FILL.format(55), 53687091, 10.0),
)
"""Against 64 processes and 64 MiB: the default marks are 95 % and 80 %, processes 245 and 200 of 256."""


def enforced(herd: Herd, context: Context, deed: Deed) -> tuple[float, float]:
    """Do it; seconds to TERM beyond what it must hold, and from there to its end beyond its grace."""
    herd("up", "stubborn")
    (victim,) = herd.containers(context, "stubborn")
    subprocess.run(["docker", "exec", "-d", victim.id, "sh", "-c", deed.command], check=True, timeout=60)
    until(lambda: reading(context, victim, deed.measure) >= deed.mark, 30, deed.name)
    passed = time.time()
    until(lambda: not context.engine.inspect([victim.id]), 60, "its end")
    events = context.engine.past_events(victim.id, passed, time.time())
    told = min(one.at for one in events if one.action == "kill")
    gone = max(one.at for one in events if one.action == "destroy")
    said(f"{deed.name}: told after {told - passed:.2f} s, gone {gone - told:.2f} s later")
    return told - passed - deed.sustain, gone - told - GRACE


def reading(context: Context, container: Container, measure: str) -> int:
    """What it uses now."""
    found = context.engine.sample([container]).get(container.id)
    return getattr(found, measure) if found else 0


def acting(herd: Herd) -> list[Bound]:
    """How soon real violations are acted upon, and how soon what violated is gone."""
    bounds, gone, context = [], [], herd.context()
    for deed in DEEDS:
        times = [enforced(herd, context, deed) for _ in range(REPEAT)]
        beyond = f", beyond the {deed.sustain:g} s that it must hold" if deed.sustain else ""
        told = tuple(one for one, _ in times)
        bounds.append(Bound(f"{deed.name}: from the mark to TERM{beyond}", told, SOON, "s"))
        gone += [one for _, one in times]
    bounds.append(Bound("from TERM until it is gone, beyond its stop grace", tuple(gone), GONE, "s"))
    context.engine.close()
    return bounds


def supervised(herd: Herd) -> list[Bound]:
    """Run a real supervisor and measure it; first it acts, longer than its trails are."""
    began, supervisor = time.monotonic(), herd.supervise()
    try:
        acts = acting(herd)
        time.sleep(max(0.0, began + DEFAULT_SUPERVISION.trail - time.monotonic()))
        return idle(supervisor) + acts
    finally:
        supervisor.leave()


def linear(costs: Sequence[Cost]) -> Bound:
    """The fit, printed; and how far the greatest cost lies above it."""
    sizes = [float(one.containers) for one in costs]
    times = [one.processor * 1000 for one in costs]
    slope, start = linear_regression(sizes, times)
    off = max(abs(start + slope * n - t) / t for n, t in zip(sizes[1:], times[1:], strict=True))
    print(f"\nProcessor time of a pass = {start:.2f} ms + {slope:.3f} ms for each container.")
    return Bound("farthest of 50 to 200 containers from that line", (off * 100,), 15, "%")


def main() -> int:
    costs, bounds = [], []
    with tempfile.TemporaryDirectory() as folder:
        herd = Herd(Path(folder))
        try:
            for containers in SIZES:
                costs.append(cost(herd, containers))
                if containers == SUPERVISED:
                    bounds = supervised(herd)
        finally:
            herd("down", "--all")
    table("A pass of the watchdog, against `docker stats --no-stream`", WAYS, [one.cells() for one in costs])
    bounds.append(linear(costs))
    (hundred,) = (one for one in costs if one.containers == SUPERVISED)
    name = f"one pass over {SUPERVISED}, against 1/{FASTER} of `docker stats`"
    bounds.insert(0, Bound(name, (hundred.look * 1000,), hundred.batched / FASTER * 1000, "ms"))
    table("The supervisor", ["what", "measured", "bound", ""], [one.cells() for one in bounds])
    return 0 if all(one.met for one in bounds) else 1


if __name__ == "__main__":
    sys.exit(main())
