"""`stackctl up -f FILE` against `docker compose up` on the same file, cold: nothing of it is there."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from pairs import Row, compare, report, timed
from up import after

WEB = """
x-service: &service
  image: busybox:1.35
  restart: unless-stopped
  command: [sleep, "600"]
  environment: {LEVEL: "${LEVEL:-info}"}

services:
  proxy:
    <<: *service
    ports: ["80"]
    depends_on: [app]
  app:
    <<: *service
    volumes: ["./code:/code:ro", "data:/data"]
    depends_on:
      db: {condition: service_started}
  db:
    <<: *service
    volumes: ["db:/var/lib/db"]
"""
MORE = """
  worker{number}:
    <<: *service
    depends_on: [db]
"""
END = "\nvolumes: {data: {}, db: {}}\n"
HEALTHY = "    healthcheck: {test: [CMD, 'true'], interval: 1s, timeout: 3s, retries: 30}\n"


class Bench:
    """A folder with a compose file, and both ways to bring it up and take all of it down again."""

    def __init__(self, folder: Path, *, services: int, healthy: bool) -> None:
        self.folder = folder / f"bench{services}{'h' if healthy else ''}"
        (self.folder / "code").mkdir(parents=True)
        text = WEB + "".join(MORE.format(number=number) for number in range(services - 3)) + END
        if healthy:
            text = text.replace("    <<: *service\n", "    <<: *service\n" + HEALTHY)
        (self.folder / "compose.yaml").write_text(text)
        (self.folder / ".env").write_text("LEVEL=debug\n")
        self.env = {**os.environ, "STACKCTL_HOME": str(folder / "home"), "STACKCTL_SUPERVISOR": "manual"}
        self.command = str(Path(sys.executable).with_name("stackctl"))
        self.small = ("--limit", "memory=64m", "--limit", "pids=32", "--limit", "cpus=0.5")

    def run(self, *argv: str) -> float:
        return timed(argv, env=self.env, cwd=self.folder)

    def ours(self) -> float:
        up = self.run(self.command, "up", "-f", "compose.yaml", *self.small)
        return after(up, self.run(self.command, "down"), self.forget())

    def theirs(self) -> float:
        up = self.run("docker", "compose", "-f", "compose.yaml", "up", "-d", "--wait")
        return after(up, self.run("docker", "compose", "-f", "compose.yaml", "down", "-v", "-t", "1"))

    def forget(self) -> None:
        """Remove the volumes that `down` keeps, so that the next one is cold too."""
        names = os.popen(f"docker volume ls -q --filter name={self.folder.name}-").read().split()
        self.run("docker", "volume", "rm", *names)


def measure(folder: Path, services: int, healthy: bool, pairs: int) -> Row:
    bench = Bench(folder, services=services, healthy=healthy)
    label = f"{services} services, {'with' if healthy else 'without'} health checks"
    return compare(f"cold `up -f`, {label}", bench.ours, bench.theirs, bound=1.25, pairs=pairs)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        sizes = [(3, False, 9), (3, True, 7), (8, False, 7), (8, True, 5)]
        rows = [measure(Path(name), *size) for size in sizes]
    return report("A compose file as it is: `stackctl up -f` against `docker compose up -d --wait`", rows)


if __name__ == "__main__":
    sys.exit(main())
