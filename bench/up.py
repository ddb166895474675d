"""`up` and `down` against plain Docker Compose, on the same document, placement and images."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from pairs import Row, compare, report, timed

SERVICE = """
  s{number}:
    image: busybox:1.35
    command: [{command}]
    cap_drop: [ALL]
    user: "1000:1000"
"""
HEALTH = '    healthcheck: {test: [CMD, "true"], interval: 1s, timeout: 3s, retries: 30}\n'
LIMITS = "limits: {memory: 64m, pids: 32, cpus: 0.5}\n"
SLEEP = 'sleep, "600"'
NO_HANDLER = 'sh, -c, "while true; do sleep 600; done"'


class Bench:
    """A checkout and a state directory of its own, and the compose command for what lies in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "STACKCTL_HOME": str(folder / "home")}
        (folder / ".git").mkdir()
        (folder / "stacks").mkdir()
        self.command = str(Path(sys.executable).with_name("stackctl"))

    def stack(self, name: str, *, count: int, health: bool, command: str = SLEEP, extra: str = "") -> None:
        """Write a template of so many services and the stack that uses it."""
        template = self.folder / "templates" / name
        template.mkdir(parents=True)
        services = [
            SERVICE.format(number=number, command=command) + (HEALTH if health else "")
            for number in range(count)
        ]
        (template / "template.yaml").write_text("description: for a benchmark\n")
        (template / "compose.yaml.j2").write_text("services:" + "".join(services))
        (self.folder / "stacks" / f"{name}.yaml").write_text(f"template: {name}\n{LIMITS}{extra}")

    def ours(self, *words: str) -> float:
        return timed([self.command, *words], env=self.env, cwd=self.folder)

    def compose(self, name: str, *words: str) -> float:
        """The same document under the same placement, without us."""
        (place,) = (self.folder / "home" / "environments").glob(f"{name}-*")
        argv = ["docker", "compose", "-p", place.name, "--env-file", "placement.env", "-f", "compose.yaml"]
        return timed([*argv, *words], env=self.env, cwd=place)

    def first(self, name: str) -> None:
        """Make the document and the placement, and leave nothing running."""
        self.ours("up", name)
        self.ours("down", name)


def after(act: float, *clean: object) -> float:
    """The seconds of what was just done; the arguments were evaluated after it."""
    return act


def cold(bench: Bench, name: str, label: str, pairs: int) -> Row:
    def ours() -> float:
        return after(bench.ours("up", name), bench.ours("down", name))

    def theirs() -> float:
        return after(bench.compose(name, "up", "-d", "--wait"), bench.compose(name, "down", "-t", "1"))

    return compare(f"cold `up`, {label}", ours, theirs, bound=1.15, pairs=pairs)


def unchanged(bench: Bench, name: str, label: str, pairs: int) -> Row:
    bench.ours("up", name)
    row = compare(
        f"`up` with nothing to do, {label}",
        lambda: bench.ours("up", name),
        lambda: bench.compose(name, "up", "-d", "--wait"),
        bound=0.5,
        pairs=pairs,
    )
    bench.ours("down", name)
    return row


def without_init(bench: Bench) -> Row:
    """PID 1 without a handler for TERM: with our init it ends at once, without it waits for KILL."""
    bench.stack("quick", count=1, health=False, command=NO_HANDLER)
    bench.stack("slow", count=1, health=False, command=NO_HANDLER, extra="allow: {s0: [own-init]}\n")

    def down(name: str) -> float:
        bench.ours("up", name)
        return bench.ours("down", name)

    return compare(
        "`down` of a PID 1 without a handler for TERM, against the same without our init",
        lambda: down("quick"),
        lambda: down("slow"),
        bound=0.2,
        pairs=2,
        warm=0,
    )


def measure(bench: Bench) -> list[Row]:
    rows = []
    for count, pairs in ((2, 7), (10, 4)):
        for health in (False, True):
            name = f"s{count}{'h' if health else ''}"
            label = f"{count} services, {'with' if health else 'without'} health checks"
            bench.stack(name, count=count, health=health)
            bench.first(name)
            rows += [cold(bench, name, label, pairs), unchanged(bench, name, label, pairs)]
    return [*rows, without_init(bench)]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            rows = measure(bench)
        finally:
            bench.ours("down", "--all")
    versions = json.loads(os.popen("docker version --format '{{json .Server.Version}}'").read())
    return report(f"Up and down, against Docker Compose on Engine {versions}", rows)


if __name__ == "__main__":
    sys.exit(main())
