"""Rendering and bounding a stack of 200 services: time and memory, as whole processes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SERVICES = 200
RUNS = 5
SERVICE = """
  s{number}:
    image: busybox:1.35
    command: [sh, -c, "echo {{{{ greeting }}}}; exec sleep 600"]
    user: "1000:1000"
    environment: {{NUMBER: "{number}", GREETING: "{{{{ greeting }}}}"}}
    ports: [{{target: 80}}]
    healthcheck: {{test: [CMD, "true"], interval: 1s}}
"""


def write(folder: Path) -> None:
    template = folder / "templates" / "large"
    template.mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "stacks").mkdir()
    (folder / "stacks" / "large.yaml").write_text("template: large\n")
    (template / "template.yaml").write_text("description: large\nvariables: {greeting: {default: hello}}\n")
    services = "".join(SERVICE.format(number=number) for number in range(SERVICES))
    (template / "compose.yaml.j2").write_text("services:" + services)


def once(command: str, folder: Path) -> float:
    env = {**os.environ, "STACKCTL_HOME": str(folder / "home")}
    begin = time.perf_counter()
    done = subprocess.run([command, "render", "large"], env=env, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode or done.stdout.count("image:") != SERVICES:
        sys.exit(f"error: render ended with {done.returncode}\n{done.stderr}")
    return seconds


def main() -> int:
    command = str(Path(sys.executable).with_name("stackctl"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        seconds = [once(command, folder) for _ in range(RUNS)]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\n### Rendering and bounding {SERVICES} services (`stackctl render`, whole process)\n")
    print("| runs | seconds, median (min to max) | peak memory |\n| --- | --- | --- |")
    print(f"| {RUNS} | {median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f}) | {peak:.0f} MiB |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
