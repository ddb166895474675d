"""Completion as a shell asks for it: the right words, quickly, and never anything else."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from commandline import Cli
from remembered import record

from stackctl.cli.candidates import WORDS
from stackctl.cli.commands import COMMANDS, SHELLS
from stackctl.cli.typed import read_words
from stackctl.core.names import project_name
from stackctl.state.home import open_home
from stackctl.state.store import FileStore

SLOW = ("click", "dataclasses", "yaml", "jinja2", "rich", "python_on_whales", "pydantic", "psutil")

Complete = Callable[..., list[str]]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A checkout with the stack `shop`, of which two instances are up; the stack `old` is up elsewhere."""
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    command = Cli(home=tmp_path / "home", checkout=checkout)
    command.stack("shop", "template: hello\n")
    command.template("house")
    store = FileStore(open_home(command.home))
    for stack, root, instance in (("shop", checkout, ""), ("shop", checkout, "two"), ("old", "/gone", "")):
        store.write(record(store, stack, root, instance))
    return command


@pytest.fixture
def in_bash(cli: Cli, tmp_path: Path) -> Complete:
    """What bash offers after these words, the last of them begun; by the script that we print."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "stackctl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m stackctl "$@"\n')
    program.chmod(0o755)
    loaded = 'eval "$(stackctl completion bash)"\n'
    asked = 'COMP_WORDS=(stackctl "$@"); COMP_CWORD=$#; _stackctl_completion stackctl; '
    shown = 'printf "%s\\n" "${COMPREPLY[@]}"'

    def complete(*words: str, cwd: Path | None = None) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", loaded + asked + shown, "bash", *words],
            env=cli.environment(PATH=f"{folder}:{os.environ['PATH']}"),
            cwd=cwd or cli.checkout,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return [line for line in done.stdout.splitlines() if line]

    return complete


def test_commands(in_bash: Complete) -> None:
    assert in_bash("") == list(COMMANDS)
    assert in_bash("do") == ["down", "doctor"]
    assert in_bash("nothing-like-it") == []


def test_options(in_bash: Complete) -> None:
    assert "--home" in in_bash("--")
    assert in_bash("completion", "--j") == ["--json"]


def test_stacks_of_the_checkout_and_shipped_ones(in_bash: Complete) -> None:
    assert in_bash("up", "") == ["shop", "hello", "myenv", "webapp"]
    assert in_bash("up", "sh") == ["shop"]
    assert in_bash("up", "shop", "") == []


def test_environments_by_stack_here_and_by_project_elsewhere(in_bash: Complete, cli: Cli) -> None:
    two, old = project_name("shop", str(cli.checkout), "two"), project_name("old", "/gone")
    assert set(in_bash("down", "")) == {"shop", two, old}
    assert set(in_bash("status", "shop")) == {"shop", two}
    assert in_bash("down", "o") == [old]


def test_every_name_offered_means_an_environment(in_bash: Complete, cli: Cli) -> None:
    for name in in_bash("env", ""):
        assert cli("extend", name, "no-time").err.startswith("error: TIME")


def test_options_before_a_word_do_not_hide_it(in_bash: Complete, cli: Cli) -> None:
    elsewhere = str(cli.home.parent / "nothing")
    assert set(in_bash("down", "--instance", "two", "shop")) == {
        "shop",
        project_name("shop", str(cli.checkout)),
    }
    assert in_bash("--home", elsewhere, "down", "") == []
    assert in_bash("-q", "up", "--lifetime", "1h", "sh") == ["shop"]
    assert in_bash("down", "--", "shop") == in_bash("down", "shop")


def test_services_of_the_environment_named(in_bash: Complete, cli: Cli) -> None:
    assert in_bash("logs", "shop", "") == ["web", "db"]
    assert in_bash("logs", "shop", "web", "") == ["db"]
    assert in_bash("exec", "-T", project_name("old", "/gone"), "w") == ["web"]
    assert in_bash("url", "shop", "w") == ["web"]
    assert in_bash("logs", "nothing", "") == []


def test_templates(in_bash: Complete) -> None:
    found = in_bash("templates", "")
    assert [name for name in found if "/" not in name] == ["house", "hello", "webapp"]
    assert {"sidecars/postgres", "sidecars/redis"} <= set(found)
    assert in_bash("new", "mine", "--template", "h") == ["house", "hello"]


def test_somebody_elses_words_are_left_alone(in_bash: Complete) -> None:
    assert in_bash("exec", "shop", "web", "--") == []
    assert in_bash("with", "shop", "--", "--j") == []
    assert in_bash("run", "image", "--j") == []
    assert in_bash("guard", "run", "make", "--j") == []
    assert in_bash("guard", "") == ["run", "sweep"]


def test_damage_is_silent(in_bash: Complete, cli: Cli) -> None:
    shutil.rmtree(cli.home)
    cli.home.write_text("no folder")
    assert in_bash("down", "") == []
    assert in_bash("no-command", "--x") == []


@pytest.mark.parametrize("words", ["no-command --x", "up --lifetime", "--home", "'"])
def test_a_line_that_makes_no_sense_is_silent(cli: Cli, words: str) -> None:
    done = cli(COMP_WORDS=f"stackctl {words}", COMP_CWORD="9", _STACKCTL_COMPLETE="bash_complete")
    assert (done.code, done.err) == (0, "")


def test_asking_makes_nothing(cli: Cli, in_bash: Complete) -> None:
    shutil.rmtree(cli.home)
    assert in_bash("down", "") == []
    assert not cli.home.exists()


@pytest.mark.parametrize(
    "words", ["down ", "logs shop ", "up ", "templates ", "run --in shop t", "up --", "-q d", "url --from "]
)
def test_nothing_slow_is_loaded(cli: Cli, words: str) -> None:
    cli.stack("shop", TASKS)
    count = len(words.split(" "))
    code = (
        "import sys; from stackctl.cli.tab import answer; import os; code = answer(os.environ); "
        f"print(code, *(name for name in {SLOW} if name in sys.modules), file=sys.stderr)"
    )
    env = cli.environment(
        COMP_WORDS=f"stackctl {words}", COMP_CWORD=str(count), _STACKCTL_COMPLETE="bash_complete"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=cli.checkout, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("plain,")
    assert done.stderr.split() == ["0"]


def test_every_command_says_what_its_words_are() -> None:
    assert set(WORDS) == set(COMMANDS)


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_are_in_their_shells_language(cli: Cli, shell: str) -> None:
    text = cli("completion", shell).ok().out
    assert f"_STACKCTL_COMPLETE={shell}_complete" in text
    program = shutil.which(shell)
    if program:
        checked = subprocess.run([program, "-n"], input=text, capture_output=True, text=True, timeout=60)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_the_shell_is_found_by_its_variable(cli: Cli) -> None:
    assert "compdef" in cli("completion", SHELL="/usr/bin/zsh").ok().out
    assert cli("completion", "bash", "--json").ok().data["script"].startswith("_stackctl_completion()")


@pytest.mark.parametrize("words", [["tcsh"], []])
def test_a_shell_without_a_script_is_an_error(cli: Cli, words: list[str]) -> None:
    done = cli("completion", *words, SHELL="/bin/tcsh")
    assert done.code == 2
    assert "hint: name one of bash, zsh, fish" in done.err


@pytest.mark.parametrize("instruction", ["", "csh_complete", "bash_wrong", "_"])
def test_an_instruction_that_makes_no_sense_is_silent(cli: Cli, instruction: str) -> None:
    done = cli(_STACKCTL_COMPLETE=instruction)
    assert (done.code, done.err) == (0, "")


def test_options_are_told_from_words() -> None:
    typed = read_words(["--home=/x", "logs", "--tail", "5", "-f", "shop"])
    assert typed.words == ["logs", "shop"]
    assert typed.options == {"--home": "/x", "--tail": "5"}
    assert read_words(["new", "shop", "--template"]).pending == "--template"
    assert read_words(["exec", "-Tu", "me", "shop"]).words == ["exec", "shop"]
    assert read_words(["exec", "-Tume", "shop"]).options == {"-u": "me"}
    assert read_words(["self", "--version", "1"]).words == ["self"]
    assert read_words(["--version", "self"]).words == ["self"]
    assert read_words(["guard", "run", "make", "--pids"]).pending == ""
    assert read_words(["exec", "-u", "me", "shop", "web", "-x"]).words == ["exec", "shop", "web", "-x"]


TASKS = "template: hello\ntasks:\n  test: {image: a}\n  tidy:\n    image: a\n"
TASKS_ON_A_LINE = "template: hello\ntasks: {test: {image: a}, tidy: {image: a}}\n"
SHOWN = [
    ("up sh", "up shop"),
    ("up hel", "up hello"),
    ("logs shop w", "logs shop web"),
    ("down ol", f"down {project_name('old', '/gone')}"),
    ("run --in shop te", "run --in shop test"),
    ("doct", "doctor"),
]


@pytest.mark.parametrize("text", [TASKS, TASKS_ON_A_LINE])
def test_tasks_of_a_stack(in_bash: Complete, cli: Cli, text: str) -> None:
    cli.stack("shop", text)
    assert in_bash("run", "--in", "shop", "") == ["test", "tidy"]
    assert in_bash("run", "--in", "nothing", "") == []
    assert in_bash("run", "") == []
    assert set(in_bash("run", "--in", "s")) == {"shop", project_name("shop", str(cli.checkout), "two")}


def test_bash_makes_three_words_of_an_option_with_its_value(in_bash: Complete, cli: Cli) -> None:
    assert in_bash("down", "--home", "=", str(cli.home.parent / "nothing"), "") == []
    assert in_bash("--home", "=", str(cli.home), "logs", "shop", "w") == ["web"]
    assert in_bash("env", "--format", "=") == in_bash("env", "--format", "=", "") != []
    assert in_bash("env", "--format", "=", "j") == ["json"]


def test_docker_contexts(in_bash: Complete) -> None:
    assert "default" in in_bash("up", "--context", "d")


def typed_at(shell: str, setup: str, begun: str, cli: Cli, folder: Path) -> str:
    """The command line of an interactive shell on a terminal, after TAB."""
    program = shutil.which(shell)
    assert program, f"install {shell}: this test presses TAB in it"
    seen = folder / "seen"
    env = cli.environment(
        PATH=f"{folder}/bin:{os.environ['PATH']}", SEEN=str(seen), TERM="xterm", HOME=str(folder)
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cli.checkout)
        os.execve(program, PROGRAMS[shell], env)
    ready = folder / "ready"
    try:
        os.write(terminal, f"{setup}; touch {ready}\n".encode())
        wait_for(ready, terminal)
        os.write(terminal, f"stackctl {begun}\t".encode())
        time_up = time.monotonic() + DEADLINE_S
        while time.monotonic() < time_up:  # the key that shows the line is heeded only after TAB was answered
            os.write(terminal, b"\x14")
            drain(terminal)
            if seen.exists() and seen.read_text().strip() != f"stackctl {begun}":
                break
        return seen.read_text().strip().removeprefix("stackctl ")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


DEADLINE_S = 60
PROGRAMS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
SETUPS = {
    "bash": """eval "$(stackctl completion bash)"; """
    """bind -x '"\\C-t":printf "%s" "$READLINE_LINE" > "$SEEN"'""",
    "zsh": 'autoload -Uz compinit; compinit -u -D; eval "$(stackctl completion zsh)"; '
    'show() { print -rn -- "$BUFFER" > "$SEEN" }; zle -N show; bindkey "^T" show',
    "fish": "stackctl completion fish | source; bind \\ct 'commandline > $SEEN'",
}


def drain(terminal: int) -> None:
    """Read what the shell draws, so that it goes on."""
    while select.select([terminal], [], [], 0.2)[0]:
        with suppress(OSError):
            if not os.read(terminal, 65536):
                return


def wait_for(path: Path, terminal: int) -> None:
    time_up = time.monotonic() + DEADLINE_S
    while not path.exists():
        assert time.monotonic() < time_up, "the shell did not come up"
        drain(terminal)


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_tab_in_a_real_shell(cli: Cli, tmp_path: Path, shell: str, in_bash: Complete) -> None:
    """`in_bash` has put a `stackctl` into `bin`."""
    cli.stack("shop", TASKS)
    for number, (begun, meant) in enumerate(SHOWN):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        (folder / "bin").symlink_to(tmp_path / "bin")
        assert typed_at(shell, SETUPS[shell], begun, cli, folder) == meant
