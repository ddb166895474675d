"""Many short tasks through `batch` against a loop of plain `docker run --rm` with the same parallelism."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from stackctl.core.labels import PREFIX
from stackctl.state.home import open_home

TASKS = 200
AT_ONCE = 8
ROUNDS = 4
"""Both are run in turn, a quarter of the tasks each time, so that noise meets both alike."""
OVERHEAD = 0.35
RATIO = 1.5
LIMITS = {"memory": "64m", "cpus": 0.25, "pids": 64}
PLAIN = (
    "docker run --rm --memory 64m --memory-swap 64m --cpus 0.25 --pids-limit 64 --init "
    "--label stackctl-bench=batch busybox:1.35 true"
)


class Bench:
    """A state directory of its own, and the two ways to run so many tasks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "STACKCTL_HOME": str(folder / "home")}
        (folder / ".git").mkdir()
        self.command = str(Path(sys.executable).with_name("stackctl"))

    def ours(self, number: int, count: int) -> float:
        """Seconds for `batch`, as a whole process."""
        file = self.folder / f"part{number}.jsonl"
        task = {"image": "busybox:1.35", "command": ["true"], "limits": LIMITS}
        file.write_text(f"{json.dumps(task)}\n" * count)
        words = ["batch", str(file), "-j", str(AT_ONCE), "--budget", "memory=8g,cpus=64", "--json"]
        begin = time.perf_counter()
        done = subprocess.run(
            [self.command, *words], env=self.env, cwd=self.folder, capture_output=True, text=True
        )
        seconds = time.perf_counter() - begin
        if done.returncode or json.loads(done.stdout)["data"]["counts"]["succeeded"] != count:
            sys.exit(f"error: batch ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return seconds

    def theirs(self, count: int) -> float:
        """Seconds for as many `docker run --rm`, so many at a time."""
        numbers = "".join(f"{one}\n" for one in range(count))
        argv = ["xargs", "-P", str(AT_ONCE), "-I", "{}", "sh", "-c", PLAIN]
        begin = time.perf_counter()
        subprocess.run(argv, input=numbers, text=True, check=True, capture_output=True)
        return time.perf_counter() - begin

    def left(self) -> int:
        """Containers of this home that are still there."""
        mine = f"label={PREFIX}home={open_home(self.folder / 'home').identity}"
        found = subprocess.run(
            ["docker", "ps", "-aq", "--filter", mine],
            capture_output=True,
            text=True,
            check=True,
        )
        return len(found.stdout.split())


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.ours(0, AT_ONCE)
        bench.theirs(AT_ONCE)
        part = TASKS // ROUNDS
        times = [(bench.ours(number, part), bench.theirs(part)) for number in range(1, ROUNDS + 1)]
        left = bench.left()
        subprocess.run([bench.command, "supervise", "--stop"], env=bench.env, capture_output=True, check=True)
    ours, theirs = sum(a for a, _ in times), sum(b for _, b in times)
    ratios = [a / b for a, b in times]
    overhead = (ours - theirs) / TASKS
    print(f"\n### {TASKS} tasks (`true` in busybox), {AT_ONCE} at a time\n")
    print("| what | tasks a second | seconds a task |\n| --- | --- | --- |")
    for name, seconds in (("`stackctl batch`", ours), ("`docker run --rm` by xargs", theirs)):
        print(f"| {name} | {TASKS / seconds:.2f} | {seconds / TASKS:.3f} |")
    print("\n| measure | value | bound |  |\n| --- | --- | --- | --- |")
    met = median(ratios) <= RATIO, overhead <= OVERHEAD
    words = ["met" if one else "**not met**" for one in met]
    spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    print(f"| ratio of the times, four pairs | {spread} | <= {RATIO:g} | {words[0]} |")
    print(f"| overhead of a task | {overhead:.3f} s | <= {OVERHEAD:g} s | {words[1]} |")
    print(f"| containers left behind | {left} | 0 | {'met' if not left else '**not met**'} |")
    return 0 if all(met) and not left else 1


if __name__ == "__main__":
    sys.exit(main())
