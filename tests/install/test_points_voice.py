"""Points 36 to 40 of docs/installers.md: what is said, to whom, and how much of it there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from installer import ROOT, Machine, served

SCRIPT = ROOT / "scripts" / "install.sh"
SECRET = "https://me:hunter2@example.test/x"


class TestPoint36:
    @pytest.mark.slow
    def test_point_36_stdout_is_the_result_and_quiet_is_quiet(self, machine: Machine, small: Path) -> None:
        done = machine.install(small, "-q")
        assert (done.stdout, done.stderr) == (f"{machine.launcher}\n", "")
        loud = machine.install(small, "--force")
        assert loud.stdout == f"{machine.launcher}\n"
        assert "\x1b" not in loud.stderr
        gone = machine.install(small, "-q", "--uninstall")
        assert (gone.returncode, gone.stdout, gone.stderr) == (0, "", "")

    @pytest.mark.parametrize("options", [("-q",), ("-q", "--from", "/no/such"), ("-q", "--nonsense")])
    def test_point_36_errors_are_always_said(
        self, machine: Machine, small: Path, options: tuple[str, ...]
    ) -> None:
        script = (small / "install.sh").read_bytes()
        done = machine.pipe(script, *options)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")

    def test_point_36_no_password_is_said(self, machine: Machine, small: Path) -> None:
        machine.stand_in("curl", "exit 22")
        script = (small / "install.sh").read_bytes()
        done = machine.pipe(script, "-v", "--base-url", SECRET)
        assert done.returncode == 4
        assert "https://***@example.test/x" in done.stderr
        other = machine.pipe(script, "-v", "--base-url", SECRET, "--version", "7.7")
        assert "hint: is there a 7.7? https://***@example.test/x/install.sh" in other.stderr
        assert "hunter2" not in done.stderr + other.stderr


@pytest.mark.slow
def test_point_37_it_ends_with_where_what_next_and_how_to_undo(machine: Machine, small: Path) -> None:
    done = machine.install(small)
    assert done.stderr.splitlines()[-3:] == [
        f"stackctl 1.0.0 is installed: {machine.launcher}",
        f"next: {machine.launcher} up hello",
        f"undo: {machine.launcher} self uninstall",
    ]


@pytest.mark.slow
def test_point_37_the_next_command_is_one_that_a_shell_takes(machine: Machine, small: Path) -> None:
    folder = machine.home / "a b"
    done = machine.install(small, "--bin-dir", str(folder))
    line = next(one for one in done.stderr.splitlines() if one.startswith("next: "))
    assert shlex.split(line) == ["next:", str(folder / "stackctl"), "up", "hello"]


def test_point_37_every_exit_code_is_documented(machine: Machine, small: Path) -> None:
    text = SCRIPT.read_text()
    used = {int(code) for code in re.findall(r"\b(?:die|exit) (\d+)\b", text)}
    said = machine.pipe((small / "install.sh").read_bytes(), "--help").stdout.split("Exit codes:")[1]
    assert used <= {int(code) for code in re.findall(r"\b\d+\b", said)}


@pytest.mark.slow
def test_point_38_no_other_host_is_asked(machine: Machine, small: Path, tmp_path: Path) -> None:
    """Everything but loopback would go through a proxy, and the proxy is asked for nothing."""
    (tmp_path / "nothing").mkdir()
    with served(small) as server, served(tmp_path / "nothing") as proxy:
        names = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy")
        environ = {**dict.fromkeys(names, proxy.url), "no_proxy": "127.0.0.1"}
        script = (small / "install.sh").read_bytes()
        done = machine.pipe(script, "--base-url", server.url, "--insecure-test", env=environ)
        assert done.returncode == 0, done.stderr
        assert [path for path, _ in server.asked] == [f"/{next(small.glob('*.tar.gz')).name}"]
        assert proxy.asked == []


def test_point_39_it_is_short_and_evaluates_nothing(small: Path) -> None:
    for path in (SCRIPT, small / "install.sh"):
        text = path.read_text()
        assert len(text.splitlines()) < 500
        assert not re.search(r"^\s*(eval|source|\.)\s", text, re.MULTILINE)
        assert max(map(len, text.splitlines())) <= 110


def test_point_40_it_is_ascii_and_its_help_is_the_documentation(machine: Machine, small: Path) -> None:
    assert (small / "install.sh").read_bytes().isascii()
    done = machine.pipe((small / "install.sh").read_bytes(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"```text\n{done.stdout}```\n" in (ROOT / "docs" / "guides" / "installing.md").read_text()


def test_point_40_every_point_has_its_test() -> None:
    names = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_points_*.py"))
    assert {int(one) for one in re.findall(r"def test_point_(\d+)_", names)} == set(range(1, 41))
