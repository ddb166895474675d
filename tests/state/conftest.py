"""A state directory of one's own, small disks that fill up, and processes of other users."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stackctl.core.records import Deadline, EnvironmentRecord, ServiceRecord
from stackctl.state.home import open_home
from stackctl.state.store import FileStore

SOURCE = Path(__file__).parents[2] / "src"
PROJECT = "myenv-0a1b2c"
RECORD = EnvironmentRecord(
    project=PROJECT,
    stack="myenv",
    generation="2f1f8a34-0000-4000-8000-000000000000",
    phase="running",
    root="/src/app",
    engine="ABCD:EFGH",
    home="0123456789ab",
    user=1000,
    created=1_700_000_000.5,
    lifetime=43200.0,
    deadline=Deadline(wall=1_700_043_200.5, boottime=50_000.25, boot="b"),
    placement={"STACKCTL_PORT_WEB_80": "20001", "STACKCTL_SUBNET": "10.208.0.0/26"},
    services={"web": ServiceRecord(pids=256, memory=8 << 30, swap=8 << 30, cpus=2.0)},
)


@pytest.fixture
def record() -> EnvironmentRecord:
    return RECORD


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(open_home(tmp_path / "home"))


def python(script: str, *arguments: str, before: tuple[str, ...] = ()) -> list[str]:
    """The argument vector of a Python child that can import stackctl."""
    prelude = f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n"
    return [*before, sys.executable, "-c", prelude + script, *arguments]


@pytest.fixture
def start() -> Any:
    """Start Python children; what is left of them at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(script: str, *arguments: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        child = subprocess.Popen(python(script, *arguments), stdin=pipe, stdout=pipe, text=True)
        started.append(child)
        return child

    yield begin
    for child in started:
        child.kill()
        child.communicate()


@pytest.fixture
def on_small_disk(tmp_path: Path) -> Callable[..., Any]:
    """Run a script on a tmpfs of its own, which vanishes with it; what it dumps as JSON comes back."""

    def run(options: str, script: str) -> Any:
        folder = tmp_path / "disk"
        folder.mkdir()
        mount = f'mount -t tmpfs -o {options},mode=0700 tmpfs "$0" && exec "$@"'
        names = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        before = ("unshare", *names, "--mount", "sh", "-c", mount, str(folder))
        done = subprocess.run(
            python(script, str(folder), before=before), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def as_nobody() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script as a user with no rights; the tests of foreign ownership need root for that."""
    assert os.geteuid() == 0, "this test gives files to other users, so it needs root"

    def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        become = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        # Everything is imported first: the checkout may lie where nobody may look.
        imports = "import json, shutil, tempfile, stackctl.state.home, stackctl.state.store\n"
        return subprocess.run(
            python(imports + become + script, *arguments), capture_output=True, text=True, timeout=60
        )

    return run
