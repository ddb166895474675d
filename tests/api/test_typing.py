"""A user's own program is checked against the package's types, strictly, and a mistake in it is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

GOOD = """
from pathlib import Path
from stackctl import Client, Completed, Environment, Limits, Outcome, Status, StackctlError, TimedOut

def main() -> int:
    with Client(home=Path("state"), supervisor="manual", warn=print) as client:
        with client.task(
            "python:3.11",
            ["pytest", "-q"],
            name="tests",
            env={"CI": "1"},
            mounts=["src:/src:ro"],
            sidecars={"db": {"template": "postgres", "reach": ["isolated"]}, "cache": "redis"},
            limits=Limits(memory="1g", pids=64, cpus=0.5, lifetime="1h"),
            guard=["pytest"],
            keep=False,
        ) as task:
            url: str = task.sidecars["db"].url("isolated")
            data: Path = task.sidecars["db"].data
            done: Completed = task.exec(["ls", url, str(data)])
            try:
                outcome: Outcome = task.wait(timeout=5.0)
            except TimedOut as error:
                print(error.message, error.hint, done.exit_code)
                outcome = task.cancel()
        environment: Environment = client.up("myenv", set={"version": "15"}, limits=Limits(memory="1g"))
        status: Status = environment.status()
        print(status.services["db"].memory, environment.urls, [one.id for one in client.tasks(all=True)])
        return client.run("busybox:1.35", "true").exit_code if outcome.ok else 1

def careful() -> str:
    try:
        return client_name(Client())
    except StackctlError as error:
        return error.hint

def client_name(client: Client) -> str:
    return str(client.home)
"""
MISTAKES = """
from stackctl import Client, Limits
client = Client(supervisor="perhaps")
client.task("busybox:1.35", mount=["a:/b"])
client.run("busybox:1.35").nothing
Limits(memory=[])
from stackctl import Clients
"""


def checked(text: str, folder: Path) -> tuple[int, str]:
    (folder / "program.py").write_text(text)
    argv = [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.10", "program.py"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=200)
    return done.returncode, done.stdout + done.stderr


def test_a_program_that_uses_all_of_it_passes_the_strict_check(tmp_path: Path) -> None:
    code, said = checked(GOOD, tmp_path)
    assert code == 0, said


def test_each_mistake_in_a_program_is_found(tmp_path: Path) -> None:
    code, said = checked(MISTAKES, tmp_path)
    assert code == 1
    assert [int(line.split(":")[1]) for line in said.splitlines() if ": error:" in line] == [3, 4, 5, 6, 7]


def test_the_package_says_that_it_is_typed() -> None:
    import stackctl

    assert (Path(stackctl.__file__).parent / "py.typed").is_file()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPY_CACHE_DIR", str(tmp_path / "cache"))
