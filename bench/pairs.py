"""Two commands in turn, A B A B …, compared pair by pair: a ratio holds while the machine's speed drifts."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

Run = Callable[[], float]


@dataclass(frozen=True)
class Row:
    """One comparison: median seconds of A and B, their ratios pair by pair, the bound on the median."""

    name: str
    a: float
    b: float
    ratios: tuple[float, ...]
    bound: float

    @property
    def met(self) -> bool:
        return median(self.ratios) <= self.bound

    def cells(self) -> list[str]:
        low, middle, high = min(self.ratios), median(self.ratios), max(self.ratios)
        verdict = "met" if self.met else "**not met**"
        times = [f"{self.a * 1000:.0f} ms", f"{self.b * 1000:.0f} ms"]
        return [self.name, *times, f"{middle:.2f} ({low:.2f} to {high:.2f})", f"<= {self.bound:g}", verdict]


def compare(name: str, a: Run, b: Run, *, bound: float, pairs: int = 7, warm: int = 1) -> Row:
    """Time A and B in turn; each run gives its own seconds, so that what it prepares does not count."""
    for _ in range(warm):
        a(), b()
    times = [(a(), b()) for _ in range(pairs)]
    ratios = tuple(one / other for one, other in times)
    print(f"  {name}: {median(ratios):.2f}", file=sys.stderr, flush=True)
    return Row(name, median(t for t, _ in times), median(t for _, t in times), ratios, bound)


def timed(argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> float:
    """Seconds that a command takes as a whole process; one that fails ends the benchmark."""
    begin = time.perf_counter()
    done = subprocess.run(argv, env=env, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    seconds = time.perf_counter() - begin
    if done.returncode:
        sys.exit(f"error: {' '.join(argv)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return seconds


def spent(argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> float:
    """Seconds of processor time that a command takes, its own children included; as `timed`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    timed(argv, env=env, cwd=cwd)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def report(title: str, rows: Iterable[Row]) -> int:
    """Print the table; 1 when a bound was missed."""
    found = list(rows)
    headings = ["what", "stackctl", "compared with", "ratio (min to max)", "bound", ""]
    print(f"\n### {title}\n\n| {' | '.join(headings)} |\n|{' --- |' * len(headings)}")
    for row in found:
        print(f"| {' | '.join(row.cells())} |")
    return 0 if all(row.met for row in found) else 1
