"""`stackctl self`: the real release, updated, taken back, looked over and removed, while one watches."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installer import Machine, served, tree

import stackctl
from stackctl.core.errors import UsageError
from stackctl.ops.updating import choices, release_folder
from stackctl.state.installation import Installation

WAIT = 60.0


class Own:
    """The installed command of a machine, whose state is in a folder of its own."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def __call__(self, *words: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.machine.launcher.parent}:{os.environ['PATH']}"
        plain = {"PATH": path, "STACKCTL_SUPERVISOR": "manual", **env}
        done = subprocess.run(
            [str(self.machine.launcher), *words],
            env=self.machine.env(**plain),
            cwd=self.machine.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def data(self, *words: str, code: int = 0, **env: str) -> Any:
        return json.loads(self(*words, "--json", code=code, **env).stdout)["data"]


@pytest.fixture
def own(machine: Machine, real: Path) -> Own:
    done = machine.install(real, "--no-completions")
    assert done.returncode == 0, done.stderr
    return Own(machine)


@pytest.fixture
def host(tmp_path: Path, real: Path, newer: Path) -> Iterator[str]:
    """Two releases in folders of their own, the newest also above them, as the guide says."""
    folder = tmp_path / "host"
    folder.mkdir()
    (folder / stackctl.__version__).symlink_to(real)
    (folder / "99.1.0").symlink_to(newer)
    for name in ("install.sh", "SHA256SUMS"):
        shutil.copy(newer / name, folder / name)
    for path in newer.iterdir():
        if not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)
    with served(folder) as server:
        yield server.url


@pytest.mark.slow
def test_the_real_release_comes_and_goes(machine: Machine, real: Path) -> None:
    before = tree(machine.root)
    assert machine.install(real, "--modify-path").returncode == 0
    own = Own(machine)
    assert own("--version").stdout == f"stackctl {stackctl.__version__}\n"
    checks = own.data("self", "doctor")["checks"]
    assert {one["check"]: one["state"] for one in checks} == dict.fromkeys(
        ("version", "python", "files", "command", "PATH"), "passed"
    )
    package = next((machine.prefix / "current").glob("lib/python3*/site-packages/stackctl/cli/main.py"))
    text = package.read_text()
    package.write_text(text + "\n")
    assert "stackctl/cli/main.py" in own("self", "doctor", code=1).stdout
    package.write_text(text)
    assert "there is no version before" in own("self", "rollback", code=1).stderr
    assert "there is no version before" in own("self", "rollback", "--dry-run", code=1).stderr
    assert "it came from files" in own("self", "update", code=2).stderr
    own("self", "uninstall", "--dry-run")
    own("self", "uninstall")
    assert tree(machine.root) == before


@pytest.mark.slow
@pytest.mark.engine
def test_the_supervisor_is_handed_over_and_watches_on(own: Own, host: str) -> None:
    """Update, take back, and remove, while an environment runs; it is watched by the version in use."""
    own("up", "hello", STACKCTL_SUPERVISOR="auto")
    try:
        first = watched(own, stackctl.__version__)
        data = own.data("self", "update", "--base-url", host)
        assert (data["from"], data["to"]) == (stackctl.__version__, "99.1.0")
        second = watched(own, "99.1.0")
        assert own("--version").stdout == "stackctl 99.1.0\n"
        assert not list(own.machine.home.rglob("_stackctl")), "completions were not wanted"
        own("self", "rollback")
        third = watched(own, stackctl.__version__)
        assert len({first, second, third}) == 3
        assert not alive(first)
        assert not alive(second)
        assert own.data("status", "hello")["phase"] == "running"
        refused = own("self", "uninstall", code=7)
        assert "still running: hello-" in refused.stderr
    finally:
        own("purge", "hello", "--yes")
        own("supervise", "--stop")
    gone = own("self", "uninstall").stdout.splitlines()
    assert gone[-1] == f"kept: {own.machine.prefix}, the state directory with the data of stacks"
    assert not own.machine.launcher.exists()


def watched(own: Own, version: str) -> int:
    """Wait until a supervisor of that version watches the one environment; its process id."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        said = subprocess.run(
            [str(own.machine.launcher), "supervise", "--status", "--json"],
            env=own.machine.env(),
            capture_output=True,
            text=True,
        )
        found = json.loads(said.stdout)["data"]
        beat = found["heartbeat"] or {}
        if said.returncode == 0 and (beat.get("version"), beat.get("environments")) == (version, 1):
            return int(found["pid"])
        time.sleep(0.2)
    pytest.fail(f"no supervisor of {version} watches: {said.stdout}")


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists() and b"supervise" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_an_update_from_a_place_whose_password_was_not_kept_says_so() -> None:
    with pytest.raises(UsageError, match="the password for") as caught:
        release_folder("https://***@example.test/x", "1.0", "")
    assert caught.value.hint == "give --base-url URL"


def test_an_update_keeps_what_was_chosen(tmp_path: Path) -> None:
    own = Installation(tmp_path / "prefix")
    (own.folder_of("1") / "bin").mkdir(parents=True)
    (own.prefix / "current").symlink_to("versions/1")
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    own.seal("1", {"method": "venv", "python": str(python)})
    own.record("file", "/home/me/.bashrc")
    kept = ("--no-modify-path", "--no-completions", "--method", "venv", "--python", str(python))
    assert choices(own, {"PATH": "/usr/bin"}) == kept
    assert choices(own, {"PATH": str(tmp_path)}) == kept[:-2]
    own.record("file", "/home/me/.local/share/zsh/site-functions/_stackctl")
    own.seal("1", {"method": "uv", "python": f"{python}.gone"})
    assert choices(own, {"PATH": "/usr/bin"}) == ("--no-modify-path",)


@pytest.mark.slow
def test_an_update_that_cannot_be_trusted_changes_nothing(own: Own, newer: Path, tmp_path: Path) -> None:
    before = tree(own.machine.prefix)
    broken = tmp_path / "broken"
    shutil.copytree(newer, broken)
    script = (broken / "install.sh").read_text()
    (broken / "install.sh").write_text(script + "# changed\n")
    assert "is not what SHA256SUMS" in own("self", "update", "--base-url", f"file://{broken}", code=1).stderr
    shutil.copy(newer / "install.sh", broken / "install.sh")
    next(broken.glob("*.tar.gz")).write_bytes(b"short")
    assert (
        "the installer ended with 5" in own("self", "update", "--base-url", f"file://{broken}", code=1).stderr
    )
    assert "cannot fetch" in own("self", "update", "--base-url", f"file://{tmp_path}/no", code=1).stderr
    absent = own("self", "update", "--base-url", f"file://{newer}", "--version", "7.7", code=1).stderr
    assert f"hint: is there a 7.7? `file://{newer}/install.sh` is the newest" in absent
    assert "is not https" in own("self", "update", "--base-url", "http://example.test", code=2).stderr
    assert tree(own.machine.prefix) == before
    assert own.data("self", "update", "--base-url", f"file://{newer}", "--dry-run")["to"] == "99.1.0"
    assert tree(own.machine.prefix) == before


@pytest.mark.slow
def test_uv_makes_the_environment_where_it_is(machine: Machine, real: Path, tmp_path: Path) -> None:
    """The uv of requirements/resolver.txt, as `make requirements` uses it."""
    from installer import ROOT

    argv = [str(ROOT / "scripts" / "venv.sh"), "--without-stackctl", ".venv-resolver", "resolver"]
    subprocess.run(argv, check=True, capture_output=True, timeout=200)
    (machine.tools / "uv").symlink_to(ROOT / ".venv-resolver" / "bin" / "uv")
    before = tree(machine.home)
    done = machine.install(real)
    assert done.returncode == 0, done.stderr
    assert f"with uv and {machine.tools}/python3" in done.stderr
    own = Own(machine)
    assert "by uv" in own("self", "doctor").stdout
    own("self", "uninstall")
    assert tree(machine.home, but=(".cache",)) == before
