"""A machine that does not play along, and words that do not fit what runs: told, undone, nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from commandline import Cli

pytestmark = pytest.mark.engine

SLEEPER = "services:\n  app: {image: 'busybox:1.35', command: [sleep, '600']}\n"


@pytest.fixture
def tiny(cli: Cli, tmp_path: Path) -> Iterator[Cli]:
    """A command line whose state lies on a disk of 64 KiB of its own; mounting it needs root."""
    place = tmp_path / "tiny"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(place)], check=True)
    try:
        yield replace(cli, home=place / "home")
    finally:
        subprocess.run(["umount", str(place)], check=True)


def left(cli: Cli) -> list[str]:
    return [*(one.name for one in cli.containers()), *cli.networks()]


def test_a_full_disk_is_told_and_nothing_is_started(tiny: Cli) -> None:
    tiny.template("t", SLEEPER)
    tiny.stack("s", "template: t\n")
    tiny("list").ok()
    filler = tiny.home.parent / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"x" * 1024)
        except OSError:
            pass

    done = tiny("up", "s")

    assert done.code == 1
    assert "no space left" in done.err.lower()
    assert "hint:" in done.err
    assert "Traceback" not in done.err
    assert left(tiny) == []
    filler.unlink()
    tiny("up", "s").ok()
    tiny("down", "s").ok()


def test_a_read_only_state_directory_is_told(tiny: Cli) -> None:
    tiny("list").ok()
    place = str(tiny.home.parent)
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    try:
        done = tiny("up", "hello")
    finally:
        subprocess.run(["mount", "-o", "remount,rw", place], check=True)

    assert done.code == 1
    assert "read-only" in done.err.lower()
    assert "Traceback" not in done.err
    assert left(tiny) == []


def test_a_user_without_rights_on_the_socket_is_told_what_to_do(tmp_path: Path) -> None:
    for parent in (one for one in tmp_path.parents if "pytest-of-" in str(one)):
        parent.chmod(0o755)
    tmp_path.chmod(0o777)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    os.chown(home, 65534, 65534)
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    env = {**os.environ, "STACKCTL_HOME": str(home), "HOME": str(home)}

    done = subprocess.run(
        [*user, sys.executable, "-m", "stackctl", "up", "hello"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 4, done.stderr
    assert "docker" in done.stderr
    assert "group" in done.stderr.split("hint:")[1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("exec", "s", "nope", "ls"), 2, "no service `nope`"),
        (("logs", "s", "nope"), 2, "no service `nope`"),
        (("shell", "s", "nope"), 2, "no service `nope`"),
        (("restart", "s", "nope"), 2, "no service `nope`"),
        (("url", "s", "nope"), 2, "no service `nope`"),
        (("url", "s"), 2, "not reached by any port"),
        (("purge", "s"), 2, "--yes"),
        (("extend", "s", "soon"), 2, "duration"),
        (("status", "s", "--instance", "two"), 2, "instance `two`"),
        (("exec", "s", "app"), 2, "CMD"),
    ],
)
def test_words_that_do_not_fit_what_runs(running: Cli, words: tuple[str, ...], code: int, says: str) -> None:
    done = running(*words)

    assert done.code == code, done.err
    assert says in done.err
    assert "hint:" in done.err
    assert "Traceback" not in done.err
    assert [c.state for c in running.containers()] == ["running"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """One environment for all the words."""
    folder = tmp_path_factory.mktemp("running")
    (folder / "checkout" / ".git").mkdir(parents=True)
    command = Cli(home=folder / "home", checkout=folder / "checkout")
    command.template("t", SLEEPER)
    command.stack("s", "template: t\n")
    command("up", "s").ok()
    yield command
    command("down", "--all").ok()


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("exec", "s", "app", "ls"), ("shell", "s"), ("url", "s"), ("env", "s"), ("restart", "s")]
)
def test_what_needs_a_running_environment_says_how_to_start_it(cli: Cli, words: tuple[str, ...]) -> None:
    cli.template("t", SLEEPER)
    cli.stack("s", "template: t\n")
    cli("up", "s", "--no-wait").ok()
    cli("down", "s").ok()

    done = cli(*words)

    assert done.code == 1, done.err
    assert "stackctl up s" in done.err
    assert "Traceback" not in done.err
