"""The founding incident again, on a small host in a cgroup: a suite that forks without end, without and with.

Usage: incident.py [--runs N] [--write-docs]. Each run takes 80 s. `--write-docs` makes three runs and writes
the table into docs/incident.md and the plot of the second one beside it.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from incident_plot import plot
from scenes import BEFORE, BYSTANDERS, IMAGE, JOB, SHELL, Scene, Stage, within, without
from small_host import lacking, small_host

DOCS = Path(__file__).resolve().parent.parent / "docs"
START, END = "<!-- measured: incident -->", "<!-- end -->"
MEMORY, PIDS = 3 << 30, 900
"""Bytes and processes that the small host has."""
SHORT = 0.05
"""Share of its memory below which the host counts as out of memory."""
RUNS = 3
Number = Callable[[Scene], float]


def latency(scene: Scene, name: str, share: float, *, before: bool = False) -> float:
    """The latency (ms) that such a share of a bystander's requests did not pass, since the suite began."""
    times = sorted(
        one.milliseconds
        for one in scene.fates[name].requests
        if (-BEFORE <= one.at < 0 if before else one.at >= 0)
    )
    return times[min(int(share * len(times)), len(times) - 1)]


def answered(scene: Scene, name: str) -> float:
    """Requests of a bystander that were answered since the suite began."""
    return sum(1 for one in scene.fates[name].requests if one.at >= 0 and one.milliseconds < float("inf"))


def short(scene: Scene) -> float:
    """Seconds for which the host was out of memory."""
    looks = scene.looks
    ends = [*(one.at for one in looks[1:]), looks[-1].at]
    return sum(end - one.at for one, end in zip(looks, ends, strict=True) if one.free < SHORT * MEMORY)


NUMBERS: Sequence[tuple[str, str, Number]] = (
    ("least free memory, of 3072 MiB", "{:.0f} MiB", lambda one: min(x.free for x in one.looks) / (1 << 20)),
    ("time with less than 5 % free", "{:.1f} s", short),
    ("most processes", "{:.0f}", lambda one: max(x.processes for x in one.looks)),
    ("processes that the kernel ended in the suite's container", "{:.0f}", lambda one: one.suite),
    ("from the suite's begin until nothing was left of it", "{:.1f} s", lambda one: one.gone),
    ("the job's requests that were answered, of about 300", "{:.0f}", lambda one: answered(one, JOB)),
    ("the shell's requests that were answered, of about 300", "{:.0f}", lambda one: answered(one, SHELL)),
    ("the shell's latency before, p50", "{:.1f} ms", lambda one: latency(one, SHELL, 0.5, before=True)),
    ("since the suite began, p50", "{:.1f} ms", lambda one: latency(one, SHELL, 0.5)),
    ("since the suite began, p99", "{:.1f} ms", lambda one: latency(one, SHELL, 0.99)),
    ("since the suite began, max", "{:.1f} ms", lambda one: latency(one, SHELL, 1.0)),
)


def spread(shown: str, values: Sequence[float]) -> str:
    """The median, and the least and greatest where they differ."""
    if min(values) == max(values):
        return shown.format(values[0])
    number = shown.split(maxsplit=1)[0]
    return f"{shown.format(median(values))} ({number.format(min(values))} to {number.format(max(values))})"


def fate(scenes: Sequence[Scene], name: str) -> str:
    """What became of a bystander."""
    ends = [one.fates[name].ended for one in scenes]
    fell = [one for one in ends if one is not None]
    if not fell:
        return f"lived, {len(ends)} of {len(ends)} times"
    return f"**killed by the kernel**, {len(fell)} of {len(ends)} times, after {spread('{:.1f} s', fell)}"


@dataclass(frozen=True)
class Runs:
    """All runs: the scenes without and with, in order."""

    without: list[Scene]
    within: list[Scene]

    def rows(self) -> Iterator[tuple[str, str, str]]:
        yield "", "without limits", "with stackctl"
        yield "---", "---", "---"
        yield (
            "the suite was ended",
            *(", or ".join(sorted({one.ended_by for one in way})) for way in self.both),
        )
        for name in BYSTANDERS:
            yield name, *(fate(way, name) for way in self.both)
        for name, shown, number in NUMBERS:
            yield name, *(spread(shown, [number(one) for one in way]) for way in self.both)

    @property
    def both(self) -> tuple[list[Scene], list[Scene]]:
        return self.without, self.within

    @property
    def middle(self) -> int:
        """Which run is shown."""
        return len(self.within) // 2

    def text(self) -> str:
        """The table, and what `stackctl why` said, as Markdown."""
        table = "\n".join(f"| {' | '.join(row)} |" for row in self.rows())
        told = "\n".join(self.within[self.middle].told)
        return f"{table}\n\n`stackctl why` said:\n\n```text\n{told}\n```"

    def write(self) -> None:
        """Put both into docs/."""
        page = DOCS / "incident.md"
        before, _, rest = page.read_text().partition(START)
        after = rest.partition(END)[2]
        page.write_text(f"{before}{START}\n{self.text()}\n{END}{after}")
        (DOCS / "pictures" / "incident.svg").write_text(
            plot(self.without[self.middle], self.within[self.middle])
        )


def play(runs: int) -> Runs:
    """All runs, one after the other, on one small host."""
    found = Runs([], [])
    with tempfile.TemporaryDirectory(prefix="incident-") as made:
        folder = Path(made)
        with small_host(MEMORY, PIDS, IMAGE, folder / "image.tar") as host:
            for number in range(runs):
                for way, act in zip(found.both, (without, within), strict=True):
                    way.append(act(Stage(host, folder / f"home-{number}")))
                    print(f"  run {number + 1}, {act.__name__}: {way[-1].ended_by}", file=sys.stderr)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--write-docs", action="store_true")
    asked = parser.parse_args()
    if missing := lacking():
        print(f"bench/incident.py was not run: it needs {missing}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    runs = play(asked.runs or (RUNS if asked.write_docs else 1))
    print(f"\n### The founding incident, {len(runs.within)} runs\n\n{runs.text()}")
    if asked.write_docs:
        runs.write()
    return 0 if all(one.ended is None for scene in runs.within for one in scene.fates.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
