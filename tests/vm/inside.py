"""Runs tests of the engine inside the guest machine: `python -m inside TEST...`, as `make vm-engine` does.

They run there as everywhere: this checkout's tests and stackctl as people get it, on the guest's own engine.
Their deadlines are of the guest's clock, which a busy host does not hurry.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from guest import ROOT, Guest, disk_folder, say

DEADLINE_S = 4 * 3600
CHECKOUT, PACKAGES, RESULTS = "/srv/checkout", "/srv/packages", "/srv/results.xml"
PYTHON = "/opt/stackctl/bin/python"
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_28_x86_64")


def main(words: Sequence[str]) -> int:
    """The exit code of pytest in the guest; 255 where the connection was lost."""
    parser = argparse.ArgumentParser(prog="inside", description=__doc__)
    parser.add_argument("tests", nargs="+", help="files and tests, as pytest takes them")
    parser.add_argument("--images", default="", help="further images of the engine here, with commas")
    parser.add_argument("--junit", type=Path, help="where to write the results")
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="stackctl-inside-") as name, Guest(disk_folder()) as guest:
        folder = Path(name)
        fetch_packages(folder / "packages")
        wheel = build_wheel(folder)
        guest.boot()
        guest.install(wheel)
        furnish(guest, folder / "packages", [one for one in asked.images.split(",") if one])
        code = perform(guest, asked.tests)
        if asked.junit:
            asked.junit.write_text(guest.run(f"cat {RESULTS}").ok().out)
    return code


def pip(*words: str | Path) -> None:
    quiet = [sys.executable, "-m", "pip", "-qq", "--no-input", "--disable-pip-version-check"]
    subprocess.run([*quiet, *words], check=True, timeout=600)


def fetch_packages(folder: Path) -> None:
    """The packages that tests import, as the guest's Python has them; stackctl's own are on its disk."""
    platforms = [f"--platform={one}" for one in PLATFORMS]
    exact = ["--require-hashes", "--only-binary=:all:", "--python-version=3.13", "--implementation=cp"]
    pinned = ROOT / "requirements/test.txt"
    pip("install", "--no-compile", *exact, *platforms, "--requirement", pinned, "--target", folder)


def build_wheel(folder: Path) -> Path:
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, ROOT)
    return next(folder.glob("*.whl"))


def furnish(guest: Guest, packages: Path, images: Sequence[str]) -> None:
    """Bring the packages, this checkout's files and the images."""
    say("bringing packages, tests and images")
    guest.put(f"{PACKAGES}.tar", archive("--directory", str(packages), "."))
    listed = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    names = [one for one in subprocess.check_output(listed, text=True).splitlines() if (ROOT / one).is_file()]
    guest.put(f"{CHECKOUT}.tar", archive("--directory", str(ROOT), *names))
    for place in (PACKAGES, CHECKOUT):
        guest.run(f"mkdir {place} && tar -C {place} -xf {place}.tar && rm {place}.tar").ok()
    site = '"$(echo /opt/stackctl/lib/python3*/site-packages)"'
    guest.run(f"echo {PACKAGES} > {site}/tests.pth && git init -q {CHECKOUT} 2>/dev/null; :").ok()
    for image in images:
        saved = subprocess.run(["docker", "save", image], check=True, capture_output=True, timeout=600).stdout
        guest.run("docker load --quiet", timeout=1800, stdin=saved).ok()


def archive(*words: str) -> bytes:
    tar = ["tar", "--owner=0", "--group=0", "--create", "--file=-", *words]
    return subprocess.run(tar, check=True, capture_output=True, timeout=120).stdout


def perform(guest: Guest, tests: Sequence[str]) -> int:
    """Run them, one after another, and show on the way how they fare."""
    told = f"{PYTHON} -u -m pytest -v --durations 0 --junitxml {RESULTS} -m engine"
    chosen = " ".join(f"'{one}'" for one in tests)
    with guest.running(f"cd {CHECKOUT} && {told} {chosen} 2>&1", told=sys.stdout.fileno()) as client:
        return client.wait(DEADLINE_S)


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(main(sys.argv[1:]))
