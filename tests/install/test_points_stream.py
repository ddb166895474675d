"""Points 1 to 6 of docs/installers.md: the script as a stream, in every shell."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from installer import OTHERS, ROOT, SHELLS, TOOLS, Machine, served, shell_words, tree

PARTS = 4
HARMLESS = ("sed", "tail", "id", "cut", "getent")
FAILURES = [
    (),
    ("--nonsense",),
    ("--prefix",),
    ("--method", "conda"),
    ("--from", "/no/such/place"),
    ("--base-url", "http://example.test/x"),
    ("--help",),
    ("--dry-run", "--from", "RELEASE"),
    ("--dry-run", "--from", "RELEASE", "--prefix", "a b/c", "-v"),
    ("--uninstall",),
]


def cut(machine: Machine, script: bytes, shell: str, offsets: range) -> list[int]:
    """The offsets at which what is left of a script does anything at all; the shell reads it from a pipe."""
    for name in TOOLS:
        machine.stand_in(name)
    machine.stand_in("python3")
    environ, words, guilty = machine.env(), shell_words(shell), []
    argv = [*words, "-s", "--", "--prefix", str(machine.home / "there"), "--base-url", "https://example.test"]
    for offset in offsets:
        with subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environ,
            cwd=machine.work,
            close_fds=False,
        ) as child:
            assert child.stdin is not None
            child.stdin.write(script[:offset])
        if machine.calls:
            guilty.append(offset)
            (machine.root / "calls").unlink()
    assert tree(machine.home) == {}
    assert tree(machine.work) == {}
    return guilty


class TestPoint01:
    def test_point_01_a_cut_script_does_nothing_sampled_in_dash(self, machine: Machine, small: Path) -> None:
        script = (small / "install.sh").read_bytes().rstrip(b"\n")
        tail = range(len(script) - 40, len(script))
        assert cut(machine, script, "dash", range(0, len(script) - 40, 97)) == []
        assert cut(machine, script, "dash", tail) == []

    def test_point_01_the_whole_script_is_seen_to_act(self, machine: Machine, small: Path) -> None:
        script = (small / "install.sh").read_bytes()
        assert cut(machine, script, "dash", range(len(script) - 1, len(script) + 1)) != []

    @pytest.mark.slow
    @pytest.mark.parametrize("part", range(PARTS))
    def test_point_01_a_cut_script_does_nothing_at_every_byte(
        self, machine: Machine, small: Path, part: int
    ) -> None:
        script = (small / "install.sh").read_bytes().rstrip(b"\n")
        assert cut(machine, script, "dash", range(part, len(script), PARTS)) == []

    @pytest.mark.slow
    @pytest.mark.parametrize("shell", OTHERS)
    def test_point_01_a_cut_script_does_nothing_sampled(
        self, machine: Machine, small: Path, shell: str
    ) -> None:
        script = (small / "install.sh").read_bytes().rstrip(b"\n")
        last = len(script) - 60
        assert cut(machine, script, shell, range(0, last, 211)) == []
        assert cut(machine, script, shell, range(last, len(script))) == []


EVERY = [one if one in ("dash", "bash") else pytest.param(one, marks=pytest.mark.slow) for one in SHELLS]
"""The shells that are always there, and the others, which `make test-slow` installs."""


@pytest.mark.parametrize("shell", EVERY)
def test_point_02_what_is_appended_is_never_run(machine: Machine, small: Path, shell: str) -> None:
    script = (small / "install.sh").read_bytes() + b"\necho pwned >pwned\n: >pwned\n"
    assert machine.pipe(script, "--help", shell=shell).returncode == 0
    assert machine.pipe(script, "--nonsense", shell=shell).returncode == 2
    assert machine.pipe(script, "--dry-run", "--from", str(small), shell=shell).returncode == 0
    assert tree(machine.work) == {}


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_point_03_curl_says_nothing_of_an_early_failure(
    machine: Machine, small: Path, tmp_path: Path, shell: str
) -> None:
    """The script is longer than a pipe holds, so curl hears of a reader that leaves early."""
    text = (small / "install.sh").read_text()
    assert text.count('\n  main "$@"\n') == 1
    longer = text.replace('\n  main "$@"\n', "\n" + "  # more\n" * 40_000 + '  main "$@"\n')
    (tmp_path / "longer").mkdir()
    (tmp_path / "longer" / "install.sh").write_text(longer)
    with served(tmp_path / "longer") as server:
        line = f"curl -fsSL {server.url}/install.sh | {shell} -s -- --nonsense"
        done = subprocess.run(
            ["bash", "-c", line], env=machine.env(PATH=None), capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 2
    assert done.stderr == "error: unknown option --nonsense\nhint: sh install.sh --help lists the options\n"


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_point_04_it_is_the_same_however_it_is_called(machine: Machine, small: Path, shell: str) -> None:
    words, script = shell_words(shell), small / "install.sh"
    options = ["--dry-run", "--from", str(small)]
    text = script.read_text()
    ways = [
        (["-s", "--", *options], text),
        ([str(script), *options], ""),
        (["-c", text, "sh", *options], ""),
    ]
    answers = set()
    for arguments, stdin in ways:
        done = subprocess.run(
            [*words, *arguments],
            input=stdin,
            env=machine.env(),
            cwd=machine.work,
            capture_output=True,
            text=True,
        )
        answers.add((done.returncode, done.stdout, done.stderr))
    assert len(answers) == 1
    assert answers.pop()[0] == 0


@pytest.mark.slow
def test_point_05_every_shell_says_the_same(machine: Machine, small: Path) -> None:
    script = (small / "install.sh").read_bytes()
    for options in FAILURES:
        given = [str(small) if one == "RELEASE" else one for one in options]
        answers = {}
        for shell in SHELLS:
            done = machine.pipe(script, *given, shell=shell)
            answers[shell] = (done.returncode, done.stdout, done.stderr)
        assert len(set(answers.values())) == 1, answers
        assert tree(machine.home) == {}


@pytest.mark.slow
@pytest.mark.parametrize("shell", [*SHELLS, "zsh"])
def test_point_05_every_shell_installs_and_uninstalls(machine: Machine, small: Path, shell: str) -> None:
    before = tree(machine.root)
    done = machine.install(small, "--prefix", str(machine.home / "a b"), shell=shell)
    assert (done.returncode, done.stdout) == (0, f"{machine.launcher}\n"), done.stderr
    assert machine.version() == "1.0.0"
    gone = machine.install(small, "--uninstall", "--prefix", str(machine.home / "a b"), shell=shell)
    assert gone.returncode == 0, gone.stderr
    assert tree(machine.root) == before


@pytest.mark.slow
def test_point_06_it_is_clean_to_every_checker() -> None:
    tools, script = Path(sys.executable).parent, str(ROOT / "scripts" / "install.sh")
    for argv in (
        [tools / "shellcheck", "-s", "sh", "-S", "style", script],
        [tools / "shellcheck", "-s", "dash", "-S", "style", script],
        [tools / "shfmt", "-i", "2", "-ci", "-d", script],
        ["bash", "-n", script],
        ["bash", "--posix", "-n", script],
    ):
        done = subprocess.run([str(one) for one in argv], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, ""), done.stdout
    for line in re.findall(r"shellcheck disable=.*", Path(script).read_text()):
        assert re.fullmatch(r"shellcheck disable=SC\d+ # .+", line)
