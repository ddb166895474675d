"""The unit file: what it promises, and that systemd reads every word of it back as it was meant."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from stackctl.core.errors import UsageError
from stackctl.core.unit_file import (
    RESTART_SECONDS,
    STARTS,
    STARTS_WITHIN,
    UNIT_NAME,
    UnitSpec,
    chosen_environment,
    quoted,
    settings_of,
    unit_text,
    written_by_us,
)

PROGRAM = ("/opt/venv/bin/python", "-m", "stackctl", "supervise")
HOSTILE = [
    "100%h %%",
    'a "b" c',
    "back\\slash",
    "$HOME ${x} $$",
    "it's; # ü",
    "tail\\",
    " ",
    ";",
    "",
    "%",
    "~/x",
]


def spec(scope="user", **changes) -> UnitSpec:
    given = {"program": PROGRAM, "home": "/srv/state", "version": "1.2.3", **changes}
    return UnitSpec(scope=scope, **given)


def settings(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("scope", ["user", "system"])
def test_what_the_unit_promises(scope) -> None:
    found = settings(unit_text(spec(scope, environment={"PATH": "/bin"})))
    for name, value in {
        "Type": "notify",
        "NotifyAccess": "main",
        "ExecStart": ":/opt/venv/bin/python -m stackctl supervise",
        "WorkingDirectory": "/",
        "Restart": "always",
        "WatchdogSec": "60",
        "KillMode": "mixed",
        "MemoryMax": "256M",
        "MemorySwapMax": "0",
        "TasksMax": "128",
        "LimitCORE": "0",
        "NoNewPrivileges": "yes",
    }.items():
        assert found[name] == [value]
    assert found["Environment"] == ["PATH=/bin", "STACKCTL_HOME=/srv/state"]
    assert not {"PrivateTmp", "ProtectHome", "ProtectProc", "ProcSubset", "PrivateUsers"} & set(found)


def test_only_the_system_s_unit_waits_for_docker_and_goes_before_others() -> None:
    user, system = settings(unit_text(spec("user"))), settings(unit_text(spec("system")))
    assert system["After"] == system["Wants"] == ["docker.service"]
    assert system["RequiresMountsFor"] == ["/srv/state"]
    assert system["OOMScoreAdjust"] == ["-500"]
    assert system["WantedBy"] == ["multi-user.target"]
    assert system["ProtectSystem"] == ["full"]
    assert not {"After", "Wants", "RequiresMountsFor", "ProtectSystem"} & set(user)
    assert user["OOMScoreAdjust"] == ["0"]
    assert user["WantedBy"] == ["default.target"]


def test_restarting_by_itself_never_reaches_the_limit_of_starts() -> None:
    assert STARTS_WITHIN / RESTART_SECONDS < STARTS


def test_a_state_directory_below_a_protected_folder_stays_writable() -> None:
    assert "ReadWritePaths=/usr/local/state\n" in unit_text(spec("system", home="/usr/local/state"))
    assert "ReadWritePaths" not in unit_text(spec("system", home="/usrlocal/state"))
    assert "ReadWritePaths" not in unit_text(spec("user", home="/usr/local/state"))


def test_the_state_directory_is_the_one_that_was_named() -> None:
    text = unit_text(spec(environment={"STACKCTL_HOME": "/elsewhere"}))
    assert settings(text)["Environment"] == ["STACKCTL_HOME=/srv/state"]


def test_our_own_file_is_known_whatever_its_version() -> None:
    assert written_by_us(unit_text(spec()))
    assert written_by_us(unit_text(spec(version="99")).replace("[Unit]", "[Unit]\nDescription=edited"))
    assert not written_by_us("")
    assert not written_by_us("[Unit]\n" + unit_text(spec()))


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("/opt/a-b_c.d:e@f+1,2=3", "/opt/a-b_c.d:e@f+1,2=3"),
        ("/opt/100%/x", "/opt/100%%/x"),
        ("/opt/a b%", '"/opt/a b%%"'),
        ('say "so"', '"say \\"so\\""'),
        ("tail\\", '"tail\\\\"'),
        ("", '""'),
        (";", '";"'),
    ],
)
def test_how_a_word_is_written(word: str, text: str) -> None:
    assert quoted(word) == text


@pytest.mark.parametrize("word", ["a\nExecStartPre=/bin/rm", "a\x00", "a\x1b", "a\x7f", "a\udcff", "a\r"])
def test_what_no_unit_file_can_hold_is_refused(word: str) -> None:
    for changes in ({"home": word}, {"environment": {"DOCKER_HOST": word}}, {"program": (*PROGRAM, word)}):
        with pytest.raises(UsageError, match="cannot stand in a systemd unit"):
            unit_text(spec(**changes))


@pytest.mark.parametrize("path", ["python", '/opt/"x"/python', "/opt/it's/python", "/opt/a\\b/python"])
def test_a_program_that_systemd_would_ignore_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="systemd cannot start"):
        unit_text(spec(program=(path, "-m", "stackctl")))


def test_what_is_passed_on_of_the_environment() -> None:
    environ = {
        "PATH": "/bin:.::venv/bin:/usr/bin",
        "HOME": "/root",
        "DOCKER_HOST": "unix:///x",
        "DOCKER_CONTEXT": "",
        "SECRET": "x",
        "STACKCTL_HOME": "/else",
    }
    user = {"PATH": "/bin:/usr/bin", "DOCKER_HOST": "unix:///x"}
    assert chosen_environment(environ, "user") == user
    assert chosen_environment(environ, "system") == {**user, "HOME": "/root"}
    assert chosen_environment({"PATH": "."}, "user") == {}


def verify(text: str, scope: str, folder: Path, level: str = "warning") -> tuple[str, str]:
    """What systemd-analyze prints: the unit as it read it (with level "debug"), and what is wrong with it."""
    assert shutil.which("systemd-analyze"), "install systemd: its systemd-analyze reads the unit"
    path = folder / UNIT_NAME
    path.write_text(text)
    environ = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(folder), "SYSTEMD_LOG_LEVEL": level}
    argv = ["systemd-analyze", f"--{scope}", "--man=no", "verify", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if UNIT_NAME in line)


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["user", "system"])
def test_systemd_reads_every_word_as_it_was_meant(scope: str, tmp_path: Path) -> None:
    """In `make test-slow`, which may rely on systemd; the rest of core also runs where there is none."""
    program = tmp_path / "a $dir of 100%u" / "python 3"
    program.parent.mkdir()
    shutil.copy("/bin/true", program)
    environment = {f"V{number}": value for number, value in enumerate(HOSTILE)}
    changes = {"program": (str(program), *HOSTILE), "environment": environment, "home": "/srv/a b%c$d"}
    text = unit_text(spec(scope, **changes))
    _, wrong = verify(text, scope, tmp_path)
    assert wrong == ""
    dump, _ = verify(text, scope, tmp_path, "debug")
    read = dict(re.findall(r"\tEnvironment: (\w+)=(.*)", dump))
    assert read == {**environment, "STACKCTL_HOME": "/srv/a b%c$d"}
    command = re.search(r"Command Line: (.*)", dump)
    assert command is not None
    assert shlex.split(command[1].replace("\\$", "$")) == [str(program), *HOSTILE]
    if scope == "system":
        assert "RequiresMountsFor: /srv/a b%c$d " in dump


@pytest.mark.slow
@pytest.mark.parametrize("change", [("OOMPolicy=continue", "OOMPolicy=maybe"), ("KillMode", "KilMode")])
def test_systemd_would_tell_of_a_mistake(tmp_path: Path, change: tuple[str, str]) -> None:
    """The test above looks at what it should."""
    text = unit_text(spec(program=("/bin/true",)))
    assert verify(text.replace(*change), "user", tmp_path)[1] != ""


@pytest.mark.parametrize("scope", ["user", "system"])
@pytest.mark.parametrize("word", HOSTILE)
def test_what_was_given_is_read_back(scope: str, word: str) -> None:
    environment = {"PATH": f"/bin:{word}", "DOCKER_HOST": word}
    text = unit_text(spec(scope, home=f"/srv/{word}", environment=environment))
    assert settings_of(text) == (f"/srv/{word}", environment)
