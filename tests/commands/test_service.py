"""`service`: what it writes and asks of systemd, which files it leaves alone, and machines without systemd.

systemd itself is asked in the guest machine; here a small command stands in for it, in a mount name space of
its own, so that nothing of this host changes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from commandline import Cli, Done

from stackctl import __version__
from stackctl.core.errors import StackctlError
from stackctl.core.unit_file import UNIT_NAME
from stackctl.engine.systemd import Systemd, UnitState
from stackctl.ops.service import install

SYSTEMCTL = """\
#!/bin/sh
# Keeps one unit's state in files beside it, as systemd would: FAIL holds the verb that fails.
cd "$(dirname "$0")" || exit 9
echo "$*" >>calls
shift 3
if [ "$1" = "$(cat FAIL 2>/dev/null)" ]; then
  cat SAYS >&2
  exit 1
fi
case $1 in
  daemon-reload) if [ -f "$(cat UNIT)" ]; then cat UNIT >read; else rm -f read; fi ;;
  enable) touch enabled ;;
  start | restart) touch active ;;
  disable) rm -f enabled active ;;
  show)
    echo "LoadState=$(if [ -f read ]; then echo loaded; else echo not-found; fi)"
    echo "FragmentPath=$(cat read 2>/dev/null)"
    if [ -f enabled ]; then echo UnitFileState=enabled; else echo UnitFileState=disabled; fi
    if [ -f active ]; then
      printf '%s\\n' ActiveState=active SubState=running MainPID=4711 NRestarts=2 Result=success
      echo 'StatusText=watches 3 environments'
      date -d @1795516748 '+ActiveEnterTimestamp=%a %Y-%m-%d %H:%M:%S %Z'
    else
      printf '%s\\n' ActiveState=failed SubState=failed MainPID=0 NRestarts=0 Result=watchdog
    fi
    ;;
esac
"""
LOGINCTL = '#!/bin/sh\ncat "$(dirname "$0")/LINGER"\n'


@dataclass(frozen=True)
class Machine:
    """A machine that was booted with systemd, as far as a command can see."""

    cli: Cli
    bin: Path
    config: Path

    @property
    def unit(self) -> Path:
        return self.config / "systemd" / "user" / UNIT_NAME

    def __call__(self, *arguments: str, before: str = "", **env: str) -> Done:
        return self.command("service", *arguments, before=before, **env)

    def command(self, *arguments: str, before: str = "", **env: str) -> Done:
        mounts = (
            f'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && {before or "true"} && exec "$@"'
        )
        names = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        argv = ["unshare", *names, "--mount", "sh", "-c", mounts, "sh", *self.cli.argv(*arguments)]
        path = f"{self.bin}:{os.environ['PATH']}"
        done = subprocess.run(
            argv,
            env=self.cli.environment(**{"PATH": path, "XDG_CONFIG_HOME": str(self.config), **env}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def calls(self) -> list[str]:
        """What was asked of systemctl since the last time, questions left out."""
        log = self.bin / "calls"
        asked = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        log.unlink(missing_ok=True)
        return [
            " ".join((words[0], *words[3:])) for words in asked if words[3] not in ("show", "reset-failed")
        ]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A command line that has nothing to do with docker."""
    (tmp_path / "checkout").mkdir()
    return Cli(home=tmp_path / "home", checkout=tmp_path / "checkout")


@pytest.fixture
def machine(cli: Cli, tmp_path: Path) -> Machine:
    found = Machine(cli, tmp_path / "bin", tmp_path / "config")
    found.bin.mkdir()
    for name, text in (("systemctl", SYSTEMCTL), ("loginctl", LOGINCTL)):
        (found.bin / name).write_text(text)
        (found.bin / name).chmod(0o755)
    (found.bin / "UNIT").write_text(str(found.unit))
    (found.bin / "LINGER").write_text("yes\n")
    return found


def test_installed_looked_at_and_removed(machine: Machine) -> None:
    done = machine("install", "--user").ok()
    assert f"{machine.unit} written" in done.out
    assert "the supervisor runs, pid 4711" in done.out
    assert "warning" not in done.err
    assert machine.calls() == [
        "--user daemon-reload",
        f"--user enable {UNIT_NAME}",
        f"--user start {UNIT_NAME}",
    ]
    text = machine.unit.read_text()
    assert text == machine("install", "--user", "--print").ok().out
    assert machine.unit.stat().st_mode & 0o777 == 0o644
    assert machine.calls() == []

    done = machine("status", "--user").ok()
    assert "active (running), pid 4711 since 2026-11-24T10:39:08.000Z" in done.out
    assert "watches 3 environments" in done.out
    assert machine("status", "--user", "--json").ok().data == {
        "scope": "user",
        "path": str(machine.unit),
        "installed": True,
        "foreign": False,
        "enabled": True,
        "active": True,
        "state": "active (running)",
        "result": "success",
        "main_pid": 4711,
        "since": "2026-11-24T10:39:08.000Z",
        "restarts": 2,
        "status": "watches 3 environments",
    }

    done = machine("uninstall", "--user").ok()
    assert machine.calls() == [
        "--user daemon-reload",
        f"--user disable --now {UNIT_NAME}",
        "--user daemon-reload",
    ]
    assert list(machine.unit.parent.iterdir()) == []
    assert machine("status", "--user", "--json").ok().data["installed"] is False


def test_a_second_time_changes_only_what_differs(machine: Machine) -> None:
    machine("install", "--user").ok()
    machine.calls()
    before = machine.unit.stat()
    assert "is as it should be" in machine("install", "--user").ok().out
    assert machine.calls() == ["--user daemon-reload", f"--user enable {UNIT_NAME}"]
    assert machine.unit.stat().st_ino == before.st_ino

    machine.unit.write_text(machine.unit.read_text().replace("version ", "version 0.0.1, not ", 1))
    assert "written" in machine("install", "--user").ok().out
    assert machine.calls()[-1] == f"--user restart {UNIT_NAME}"


def test_no_start_only_enables_it(machine: Machine) -> None:
    done = machine("install", "--user", "--no-start", "--json").ok()
    assert (done.data["written"], done.data["enabled"], done.data["active"]) == (True, True, False)
    assert machine.calls() == ["--user daemon-reload", f"--user enable {UNIT_NAME}"]


def test_status_fails_when_it_is_installed_and_does_not_run(machine: Machine) -> None:
    machine("install", "--user", "--no-start").ok()
    done = machine("status", "--user")
    assert done.code == 1
    assert "failed (failed), it ended last with watchdog" in done.out
    envelope = json.loads(machine("status", "--user", "--json").out)
    assert (envelope["ok"], envelope["data"]["result"]) == (False, "watchdog")


def test_without_lingering_it_says_when_the_service_ends(machine: Machine) -> None:
    (machine.bin / "LINGER").write_text("no\n")
    assert "`loginctl enable-linger`" in machine("install", "--user").ok().err
    envelope = json.loads(machine("install", "--user", "--json").ok().out)
    assert envelope["data"]["lingers"] is False
    assert len(envelope["warnings"]) == 1


def unchanged(path: Path) -> tuple[int, ...]:
    found = path.lstat()
    return found.st_ino, found.st_mode, found.st_mtime_ns, found.st_ctime_ns


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_a_file_of_somebody_else_is_left_alone(machine: Machine, tmp_path: Path, kind: str) -> None:
    machine.unit.parent.mkdir(parents=True)
    other = tmp_path / "other"
    other.write_text("[Service]\nExecStart=/bin/true\n")
    if kind == "folder":
        machine.unit.mkdir()
    elif kind == "link":
        machine.unit.symlink_to(other)
    else:
        other.rename(machine.unit)
    before = unchanged(machine.unit)
    for action in ("install", "uninstall"):
        done = machine(action, "--user")
        assert done.code == 1
        assert "hint: look at it, then move it away" in done.err
        assert ("is a symbolic link" in done.err) == (kind == "link")
    status = machine("status", "--user")
    assert status.code == 1
    assert "not a file that stackctl wrote" in status.out
    assert unchanged(machine.unit) == before
    assert machine.calls() == []


@pytest.mark.parametrize(
    ("verb", "says", "hint"),
    [
        ("daemon-reload", "Failed to connect to bus: No medium found", "loginctl enable-linger USER"),
        ("enable", "Failed to enable unit: Access denied", "with sudo, or with --user"),
        ("start", "Job for it failed.\nSee the log.", f"journalctl --user -u {UNIT_NAME}"),
    ],
)
def test_what_systemd_refuses_is_told(machine: Machine, verb: str, says: str, hint: str) -> None:
    (machine.bin / "FAIL").write_text(verb)
    (machine.bin / "SAYS").write_text(says)
    done = machine("install", "--user")
    assert done.code == 1
    assert f"error: `systemctl {verb}` failed: {says.splitlines()[0].rstrip('.')}" in done.err
    assert hint in done.err
    assert "Traceback" not in done.err


def test_another_unit_of_the_same_name_is_told(machine: Machine) -> None:
    (machine.bin / "UNIT").write_text("/etc/hostname")
    done = machine("install", "--user")
    assert done.code == 1
    assert "systemd does not read" in done.err
    assert "it reads `/etc/hostname`" in done.err
    assert machine.calls() == ["--user daemon-reload"]


def test_the_system_s_unit_and_a_folder_that_may_not_be_written(machine: Machine) -> None:
    mount = "mount -t tmpfs tmpfs /etc && mkdir -p /etc/systemd/system"
    (machine.bin / "UNIT").write_text(f"/etc/systemd/system/{UNIT_NAME}")
    done = machine("install", "--system", "--json", before=mount).ok()
    assert done.data["path"] == f"/etc/systemd/system/{UNIT_NAME}"
    assert done.data["lingers"] is True
    assert machine.calls()[-1] == f"--system start {UNIT_NAME}"

    done = machine("install", "--system", before=f"{mount} && mount -o remount,ro /etc")
    assert done.code == 1
    assert "read-only file system" in done.err
    assert "hint: use sudo, or --user" in done.err


@dataclass(frozen=True)
class Older:
    """The machine's service as an older version installed it, whose program is gone."""

    machine: Machine
    unit: Path
    mount: str
    installed: str

    def hand_over(self, **env: str) -> list[str]:
        """Let this version take over, as the installer does; what systemd was asked for."""
        self.machine.command("self", "handover", before=self.mount, **env).ok()
        return self.machine.calls()


@pytest.fixture
def older(machine: Machine, tmp_path: Path) -> Older:
    folder = tmp_path / "units"
    folder.mkdir()
    place = "/etc/systemd/system"
    mount = f"mount -t tmpfs tmpfs /etc && mkdir -p {place} && mount --bind '{folder}' {place}"
    (machine.bin / "UNIT").write_text(f"{place}/{UNIT_NAME}")
    machine("install", "--system", before=mount).ok()
    machine.calls()
    unit = folder / UNIT_NAME
    text = unit.read_text()
    unit.write_text(
        text.replace(f"version {__version__}", "version 0.0.1").replace(sys.executable, "/gone/py")
    )
    return Older(machine, unit, mount, text)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_new_version_writes_the_unit_again_and_restarts_it(older: Older, elsewhere: bool) -> None:
    """The shell that updates may have another state directory and PATH than the one that installed it."""
    path = f"{older.machine.bin}:{os.environ['PATH']}:/elsewhere/bin"
    other = {"PATH": path, "STACKCTL_HOME": "/elsewhere", "DOCKER_HOST": "unix:///elsewhere.sock"}
    assert older.unit.read_text() != older.installed
    assert older.hand_over(**(other if elsewhere else {})) == [
        "--system daemon-reload",
        f"--system restart {UNIT_NAME}",
    ]
    assert older.unit.read_text() == older.installed
    assert older.hand_over() == ["--system daemon-reload"]


def test_a_new_version_starts_no_service_that_was_stopped(older: Older) -> None:
    for name in ("active", "enabled"):
        (older.machine.bin / name).unlink()
    assert older.hand_over() == ["--system daemon-reload"]
    assert older.unit.read_text() == older.installed
    assert not (older.machine.bin / "enabled").exists()


def test_a_new_version_leaves_a_unit_of_somebody_else_alone(older: Older) -> None:
    older.unit.write_text("[Service]\nExecStart=/bin/true\n")
    assert older.hand_over() == []
    assert older.unit.read_text() == "[Service]\nExecStart=/bin/true\n"


def test_what_systemd_refuses_a_new_version_is_told(older: Older) -> None:
    (older.machine.bin / "FAIL").write_text("restart")
    (older.machine.bin / "SAYS").write_text("Job failed")
    done = older.machine.command("self", "handover", before=older.mount)
    assert done.code == 1
    assert "`systemctl restart` failed" in done.err


@dataclass
class Manager:
    """A systemd that does what it is told, and remembers."""

    path: Path
    active: bool
    calls: list[str] = field(default_factory=list)

    def state(self) -> UnitState:
        active = "active" if self.active else "activating"
        words = {"load": "loaded", "sub": "", "enabled": "enabled", "status": "", "result": "success"}
        numbers = {"main_pid": 1, "restarts": 0, "since": None}
        return UnitState(fragment=str(self.path), active=active, **words, **numbers)

    def check(self, text: str) -> tuple[str, ...]:
        return (f"{UNIT_NAME}:3: unknown",)

    def lingers(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Callable[[], None]:
        return lambda: self.calls.append(name)


@pytest.mark.parametrize("active", [True, False])
def test_only_a_supervisor_that_is_not_the_service_s_own_is_asked_to_leave(tmp_path: Path, active) -> None:
    """The service needs its lock, so it leaves before the service starts."""
    manager = Manager(tmp_path / UNIT_NAME, active)
    stop = manager.__getattr__("stop_present")
    done = install(manager.path, lambda: "text", manager, start=True, stop_present=stop)
    started = ["restart"] if active else ["stop_present", "start"]
    assert manager.calls == ["require", "reload", "enable", *started]
    assert done.complaints == (f"{UNIT_NAME}:3: unknown",)


@pytest.fixture
def bare(tmp_path: Path) -> Callable[..., Systemd]:
    """A machine whose PATH and init are as asked."""

    def make(*, booted: bool, systemctl: bool) -> Systemd:
        for name in ("bin", "booted"):
            (tmp_path / name).mkdir(exist_ok=True)
        if systemctl:
            (tmp_path / "bin" / "systemctl").write_text("#!/bin/sh\n")
            (tmp_path / "bin" / "systemctl").chmod(0o755)
        place = tmp_path / ("booted" if booted else "missing")
        return Systemd("user", {"PATH": str(tmp_path / "bin")}, 1000, booted=place)

    return make


@pytest.mark.parametrize(
    ("booted", "systemctl", "why"),
    [(False, True, "was not booted with systemd"), (True, False, "no `systemctl`")],
)
def test_a_machine_without_systemd_is_told(bare, tmp_path: Path, booted, systemctl, why) -> None:
    manager = bare(booted=booted, systemctl=systemctl)
    path = tmp_path / UNIT_NAME
    with pytest.raises(StackctlError, match=why) as caught:
        install(path, lambda: "text", manager, start=True, stop_present=lambda: None)
    assert caught.value.exit_code == 1
    assert "`stackctl supervise`" in caught.value.hint
    assert not path.exists()


def test_without_systemd_nothing_is_written_and_the_unit_can_be_printed(cli: Cli, tmp_path: Path) -> None:
    """A root of its own without systemd, whatever this machine has."""
    hidden = 'mount -t tmpfs tmpfs /run && exec "$@"'
    names = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]

    def service(*arguments: str) -> Done:
        argv = ["unshare", *names, "--mount", "sh", "-c", hidden, "sh", *cli.argv("service", *arguments)]
        done = subprocess.run(argv, env=cli.environment(), capture_output=True, text=True, timeout=60)
        return Done(done.returncode, done.stdout, done.stderr)

    done = service("install", "--user", "--json")
    assert done.code == 1
    assert "cannot run a systemd service" in json.loads(done.out)["error"]["message"]
    assert not cli.home.exists()
    assert not (tmp_path / "config").exists()
    printed = service("install", "--user", "--print").ok().out
    assert f"ExecStart=:{sys.executable} -m stackctl supervise\n" in printed
    assert f"Environment=STACKCTL_HOME={cli.home}\n" in printed
    assert "no user service is installed" in service("uninstall", "--user").out
    assert service("uninstall", "--user", "--json").ok().data["removed"] is False
    assert "no user service is installed" in service("status", "--user").ok().out


@pytest.mark.parametrize(
    "arguments",
    [("restart",), (), ("uninstall", "--print"), ("status", "--no-start"), ("uninstall", "--now")],
)
def test_a_wrong_command_line_is_told(cli: Cli, arguments: tuple[str, ...]) -> None:
    done = cli("service", *arguments)
    assert done.code == 2
    assert "hint:" in done.err
