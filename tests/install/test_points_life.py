"""Points 24 to 29 of docs/installers.md: what is installed already, killed, or removed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from installer import TOOLS, Machine, served, small_release, tree

pytestmark = pytest.mark.slow

AT_ONCE = 2
STEPS = (
    "make ",
    "install the packages",
    "try ",
    "link ",
    "use ",
    "remove what",
    "write completions",
    "look at",
)


def test_point_24_again_is_nothing(machine: Machine, small: Path) -> None:
    assert machine.install(small).returncode == 0
    before = {path: path.lstat().st_mtime_ns for path in machine.home.rglob("*")}
    with served(small) as server:
        script = (small / "install.sh").read_bytes()
        done = machine.pipe(script, "--base-url", server.url, "--insecure-test")
        assert server.asked == []
    assert (done.returncode, done.stdout) == (0, f"{machine.launcher}\n")
    assert "already installed" in done.stderr
    assert {path: path.lstat().st_mtime_ns for path in machine.home.rglob("*")} == before
    assert machine.install(small, "--force").returncode == 0
    assert (machine.prefix / "current").readlink() == Path("versions/1.0.0.2")


def test_point_24_another_folder_for_the_command_is_no_repetition(machine: Machine, small: Path) -> None:
    assert machine.install(small).returncode == 0
    other = machine.home / "other" / "stackctl"
    done = machine.install(small, "--bin-dir", str(other.parent))
    assert (done.returncode, done.stdout) == (0, f"{other}\n"), done.stderr
    said = subprocess.run([str(other), "--version"], env=machine.env(), capture_output=True, text=True)
    assert said.stdout == "stackctl 1.0.0\n"
    again = machine.install(small)
    assert again.stdout == f"{other}\n"
    assert f"already installed: {other}" in again.stderr
    assert machine.install(small, "--uninstall").returncode == 0
    assert tree(machine.home) == {}


def without_python(machine: Machine, link: str = "current") -> None:
    """As after an update of the system that took the Python away on which a version stands."""
    for path in (machine.prefix / link / "bin").glob("python*"):
        path.unlink()


def test_point_24_what_does_not_run_any_more_is_installed_again(machine: Machine, small: Path) -> None:
    assert machine.install(small).returncode == 0
    without_python(machine)
    assert machine.version() == ""
    for action in ("--uninstall", "--rollback"):
        done = machine.install(small, action)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: what is installed in {machine.prefix} does not run\nhint: ")
    done = machine.install(small)
    assert "already installed" not in done.stderr
    assert machine.version() == "1.0.0"


class TestPoint25:
    def test_point_25_the_version_before_takes_the_place_of_one_that_does_not_run(
        self, machine: Machine, small: Path, small_newer: Path
    ) -> None:
        for release in (small, small_newer):
            assert machine.install(release).returncode == 0
        without_python(machine)
        done = machine.install(small, "--rollback")
        assert done.returncode == 0, done.stderr
        assert machine.version() == "1.0.0"

    def test_point_25_up_down_and_back(self, machine: Machine, small: Path, small_newer: Path) -> None:
        for release, version in ((small, "1.0.0"), (small_newer, "1.1.0"), (small, "1.0.0")):
            assert machine.install(release).returncode == 0
            assert machine.version() == version
        assert machine.install(small, "--rollback").returncode == 0
        assert machine.version() == "1.1.0"
        assert len(list((machine.prefix / "versions").iterdir())) == 2

    def test_point_25_a_kill_at_any_command_leaves_the_old_version(
        self, tmp_path: Path, small: Path, small_newer: Path
    ) -> None:
        """Each command that the script calls kills the whole installer, one after the other."""
        total = len(killed(installed(tmp_path / "count", small), small_newer, at=10_000))
        machine = installed(tmp_path / "one", small)
        before = tree(machine.home)
        assert total > 10
        for at in range(1, total):
            assert len(killed(machine, small_newer, at=at)) >= at
            assert tree(machine.home) == before, at
        assert machine.version() == "1.0.0"

    def test_point_25_a_kill_at_any_step_leaves_a_version_that_works(
        self, tmp_path: Path, small: Path, small_newer: Path
    ) -> None:
        """Each step that is announced is the last one; then the next installer puts it right."""

        def kill(step: str) -> None:
            machine = installed(tmp_path / step.strip().replace(" ", "-"), small)
            child = machine.start(small_newer / "install.sh", "-v", "--from", str(small_newer))
            assert child.stderr is not None
            for line in child.stderr:
                if line.startswith(f"+ {step}"):
                    os.killpg(child.pid, signal.SIGKILL)
                    break
            else:
                pytest.fail(f"no step {step!r}")
            child.communicate()
            assert machine.version() in ("1.0.0", "1.1.0")
            assert machine.install(small_newer).returncode == 0
            assert machine.version() == "1.1.0"
            assert len(list((machine.prefix / "versions").iterdir())) == 2
            assert machine.install(small, "--uninstall").returncode == 0
            assert tree(machine.home) == {}

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(kill, STEPS))

    def test_point_25_a_download_that_fails_leaves_the_old_version(
        self, machine: Machine, small: Path, small_newer: Path, tmp_path: Path
    ) -> None:
        assert machine.install(small).returncode == 0
        before = tree(machine.home)
        broken = tmp_path / "broken"
        shutil.copytree(small_newer, broken)
        next(broken.glob("*.tar.gz")).write_bytes(b"short")
        assert machine.install(broken).returncode == 5
        next(broken.glob("*.tar.gz")).unlink()
        assert machine.install(broken).returncode == 4
        assert tree(machine.home) == before
        assert machine.version() == "1.0.0"


def installed(root: Path, release: Path) -> Machine:
    machine = Machine(root)
    assert machine.install(release).returncode == 0
    return machine


def killed(machine: Machine, release: Path, at: int) -> list[str]:
    """Install while the command with that number kills its process group; the commands that were called."""
    count, front = machine.root / "count", machine.root / "front"
    count.write_text("")
    front.mkdir(exist_ok=True)
    for name in TOOLS:
        if name in ("sh", "env", "setpriv", "printf"):
            continue
        path = front / name
        path.write_text(
            f'#!/bin/dash\necho {name} >>"{count}"\n'
            f'[ "$(/usr/bin/wc -l <"{count}")" -lt {at} ] || kill -9 0\nexec "{machine.tools / name}" "$@"\n'
        )
        path.chmod(0o755)
    options = ["--python", str(machine.tools / "python3"), "--from", str(release)]
    child = machine.start(release / "install.sh", *options, PATH=f"{front}:{machine.tools}")
    child.communicate(timeout=120)
    return count.read_text().splitlines()


def test_point_26_two_at_once_are_one_after_the_other(machine: Machine, small: Path) -> None:
    both = [machine.start(small / "install.sh", "--from", str(small)) for _ in range(2)]
    answers = [child.communicate(timeout=120) for child in both]
    assert [child.returncode for child in both] == [0, 0], answers
    assert sum("already installed" in stderr for _, stderr in answers) == 1
    assert machine.version() == "1.0.0"
    assert len(list((machine.prefix / "versions").iterdir())) == 1


@pytest.mark.parametrize("first", [True, False])
def test_point_27_what_does_not_run_is_never_used(
    machine: Machine, small: Path, tmp_path: Path, first: bool
) -> None:
    wrong = small_release(tmp_path / "wrong", "2.0.0", says="3.0.0")
    if not first:
        assert machine.install(small).returncode == 0
    before = tree(machine.home)
    done = machine.install(wrong)
    assert done.returncode == 1
    assert "does not run as stackctl 2.0.0" in done.stderr
    assert first or machine.version() == "1.0.0"
    receipt = str((machine.prefix / "receipt").relative_to(machine.home))
    assert {**tree(machine.home), receipt: ""} == {**before, receipt: ""}


def test_point_28_gone_is_as_it_was(machine: Machine, small: Path, small_newer: Path) -> None:
    (machine.home / ".bashrc").write_text("a=1\n\n# end without a line break")
    (machine.home / ".config").mkdir()
    (machine.home / ".local" / "share").mkdir(parents=True)
    before = tree(machine.root)
    assert machine.install(small, "--modify-path").returncode == 0
    assert machine.install(small_newer, "--modify-path").returncode == 0
    assert machine.install(small, "--uninstall", "--dry-run").returncode == 0
    middle = tree(machine.root)  # with what Python has compiled by now
    assert machine.install(small, "--uninstall", "--dry-run").returncode == 0
    assert tree(machine.root) == middle
    assert machine.install(small, "--uninstall").returncode == 0
    assert tree(machine.root) == before
    assert machine.install(small, "--uninstall").returncode == 1


def test_point_28_state_and_changed_files_stay(machine: Machine, small: Path) -> None:
    assert machine.install(small, "--modify-path").returncode == 0
    (machine.prefix / "environments").mkdir()
    (machine.prefix / "environments" / "data").write_text("mine")
    with (machine.home / ".bashrc").open("a") as file:
        file.write("b=2\n")
    assert machine.install(small, "--uninstall").returncode == 0
    assert (machine.home / ".bashrc").read_text() == "b=2\n"
    assert sorted(path.name for path in machine.prefix.iterdir()) == ["environments"]
    assert machine.install(small, "--uninstall").returncode == 1


@pytest.mark.parametrize(("number", "code"), [("INT", 130), ("TERM", 143), ("HUP", 129)])
@pytest.mark.parametrize("shell", ["dash", "bash", "yash"])
def test_point_29_a_signal_ends_it_clean(
    machine: Machine, small: Path, number: str, code: int, shell: str
) -> None:
    with served(small) as server:

        def hang(answer: object) -> bool:
            server.released.wait(60)
            return True

        server.misbehave = hang
        options = ["--base-url", server.url, "--insecure-test"]
        child = machine.start(small / "install.sh", *options, shell=shell)
        until = time.monotonic() + 60
        while not server.asked and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(child.pid, getattr(signal, f"SIG{number}"))
        child.communicate(timeout=60)
    assert child.returncode == code
    assert tree(machine.temporary) == {}
    assert tree(machine.home) == {}
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert not re.search(rf"curl .*{re.escape(server.url)}", left)


def test_point_29_a_signal_during_the_installation_leaves_nothing(machine: Machine, small: Path) -> None:
    child = machine.start(small / "install.sh", "-v", "--from", str(small))
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("+ install the packages"):
            break
    os.kill(child.pid, signal.SIGTERM)
    child.communicate(timeout=60)
    assert child.returncode == 143
    assert tree(machine.temporary) == {}
    assert tree(machine.home) == {}
