"""`stackctl.mk`: what `stackctl make` writes, under every make, wherever it is included, on the engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from commandline import Cli

from stackctl.core.errors import StackctlError, UsageError
from stackctl.core.makefile import TARGETS, Asked, fragment, read_fragment, same_fragment
from stackctl.ops.authoring import write_new

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("stackctl.mk.golden")
TEXT = fragment(Asked(stack="shop"), "9.9.9")
BMAKE = pytest.param("bmake", marks=pytest.mark.slow)
FIRST = "include stackctl.mk\n\nall: ## Everything\n\t@echo all\n"
LAST = "all: ## Everything\n\t@echo all\n\ninclude stackctl.mk\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A repository whose path has a space, with a Makefile and a `stackctl` that says how it was called."""
    folder = tmp_path / "a place"
    (folder / "bin").mkdir(parents=True)
    (folder / "Makefile").write_text(LAST)
    (folder / "stackctl.mk").write_text(TEXT)
    program = folder / "bin" / "stackctl"
    program.write_text('#!/bin/sh\necho "$(printf "[%s]" "$@")"\n')
    program.chmod(0o755)
    return folder


def without_make(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment as a person's is: nothing in it of a make that runs these tests."""
    ours = ("STACKCTL", "STACK", "S", "ARGS", "STACKCTL_INSTALL", "MFLAGS")
    return {key: value for key, value in environ.items() if key not in ours and not key.startswith("MAKE")}


def make(
    folder: Path, *words: str, program: str = "make", path: str = "bin"
) -> subprocess.CompletedProcess[str]:
    found = shutil.which(program)
    assert found, f"install {program}: this test runs it"
    return subprocess.run(
        [found, *words],
        cwd=folder,
        env={**without_make(os.environ), "PATH": f"{folder / path}:/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_is_what_it_was() -> None:
    assert GOLDEN.read_text() == TEXT, f"look at the change, then write {GOLDEN.name} again"


def test_it_has_no_logic() -> None:
    """Nothing runs while make reads it, and no make can read it in another way."""
    code = [line for line in TEXT.splitlines() if not line.startswith(("#", "\t"))]
    text = "\n".join(code)
    assert not re.search(r"\$\((shell|if|eval|call|wildcard|foreach|info|error|warning) |!=|\$\{|`", text)
    assert not re.search(
        r"^\s*[.-]?(if|ifdef|ifeq|ifndef|else|endif|include|define|export)\b", text, re.MULTILINE
    )
    assert not re.search(r"^(help|up|test|clean|all|%)\s*:", text, re.MULTILINE)


@pytest.mark.parametrize("program", ["make", BMAKE])
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_target_is_one_call(place: Path, target: object, program: str) -> None:
    done = make(place, f"stack-{target.name}", "S=web", "ARGS=--one 'two three'", program=program)
    assert (done.returncode, done.stderr) == (0, "")
    given = {"$(STACK)": "shop", '"$(STACK)"': "shop", "$(S)": "web", "$(ARGS)": "--one][two three"}
    words = "".join(f"[{given.get(word, word)}]" for word in target.words.split())
    assert done.stdout.splitlines() == [words]


def test_without_words_they_are_left_out(place: Path) -> None:
    assert make(place, "stack-logs").stdout == "[logs][shop]\n"
    assert make(place, "stack-up", "STACK=").stdout == "[up]\n"
    assert make(place, "stack-test", "STACK=").stdout == "[run][--in][][test]\n"


@pytest.mark.parametrize("text", [FIRST, LAST, FIRST + LAST.split("\n\n")[1] * 2])
def test_nothing_is_undefined_and_the_default_goal_stays(place: Path, text: str) -> None:
    (place / "Makefile").write_text(text)
    for words in ((), ("-j8",), ("stack-status", "-j8"), ("-n", "stack-up")):
        done = make(place, "--warn-undefined-variables", *words)
        assert (done.returncode, done.stderr) == (0, "")
    assert make(place).stdout == "all\n"
    assert make(place, "-C", str(place), "--no-print-directory", "stack-up").stdout == "[up][shop]\n"


def test_a_default_goal_that_was_chosen_stays(place: Path) -> None:
    (place / "Makefile").write_text(".DEFAULT_GOAL := it\n" + FIRST + "it:\n\t@echo it\n")
    assert make(place).stdout == "it\n"


@pytest.mark.slow
def test_bmake_reads_it_last_and_twice(place: Path) -> None:
    assert make(place, program="bmake").stdout == "all\n"
    (place / "Makefile").write_text(LAST + "include stackctl.mk\n")
    done = make(place, "-n", "stack-up", program="bmake")
    assert (done.returncode, done.stdout.splitlines()[-1], done.stderr) == (0, "stackctl up shop ", "")


def test_a_dry_run_and_other_targets_need_no_stackctl(place: Path) -> None:
    assert make(place, "-n", "stack-down", path="none").stdout.splitlines()[-1] == "stackctl down shop "
    assert make(place, "all", path="none").stdout == "all\n"
    assert "stack-up " in make(place, "stack-help", path="none").stdout


@pytest.mark.parametrize("program", ["make", BMAKE])
def test_where_there_is_no_stackctl_it_says_what_to_type(place: Path, program: str) -> None:
    done = make(place, "stack-up", path="none", program=program)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert (
        "error: there is no stackctl here\nhint: run the install.sh of a release of stackctl; " in done.stderr
    )
    assert "127" in said
    told = make(place, "stack-up", "STACKCTL_INSTALL=ask Ann", path="none", program=program)
    assert "hint: ask Ann\n" in told.stderr


def test_many_at_once_ask_for_stackctl_once(place: Path) -> None:
    done = make(place, "-j8", "stack-up", "stack-status", "stack-logs")
    assert sorted(done.stdout.splitlines()) == ["[logs][shop]", "[status][shop]", "[up][shop]"]
    assert make(place, "-j8", "-k", "stack-up", "stack-status", path="none").stderr.count("there is no") == 1


def test_a_command_of_many_words(place: Path) -> None:
    (place / "bin" / "stackctl").rename(place / "bin" / "a tool")
    (place / "Makefile").write_text("STACKCTL = env '$(CURDIR)/bin/a tool'\n" + LAST)
    assert make(place, "stack-up").stdout == "[up][shop]\n"


def test_the_help_of_a_makefile_lists_them(place: Path) -> None:
    """The way of listing targets that most Makefiles have."""
    with (place / "Makefile").open("a") as stream:
        stream.write('help:\n\t@awk \'BEGIN {FS = ":.*##"} /^[a-zA-Z_0-9-]+:.*?##/ {print $$1} ')
        stream.write("/^##@/ {print}' $(MAKEFILE_LIST)\n")
    listed = make(place, "help").stdout.splitlines()
    assert listed == ["all", "##@ Dev stack", *(f"stack-{one.name}" for one in TARGETS), "stack-help"]


def test_its_own_help_lists_them_too(place: Path) -> None:
    listed = re.findall(r"^(\S+)  ", make(place, "stack-help").stdout, re.MULTILINE)
    assert listed == [f"stack-{one.name}" for one in TARGETS]


def test_what_was_written_reads_as_it_was_asked() -> None:
    for asked in (Asked(), Asked(prefix="dev", stack="web-2")):
        found = read_fragment(fragment(asked, "1.0"))
        assert (found.asked, found.edited) == (asked, False)
    assert same_fragment(TEXT, fragment(Asked(stack="shop"), "10.0"))
    assert not same_fragment(TEXT, fragment(Asked(), "9.9.9"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "all:\n",
        TEXT + "\n",
        TEXT.replace("9.9.9", "1", 1).replace("up $(STACK)", "up x"),
        TEXT.replace("--stack shop", ""),
    ],
)
def test_an_edit_is_seen(text: str) -> None:
    assert read_fragment(text).edited or text == ""


@pytest.mark.parametrize("word", ["", "A", "a b", "x" * 40, "$(x)", "-a", "a/b", "a:"])
def test_a_prefix_that_cannot_be_one(word: str) -> None:
    with pytest.raises(UsageError, match="cannot begin the name of a target"):
        Asked(prefix=word)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A foreign repository."""
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    command = Cli(home=tmp_path / "home", checkout=checkout)
    command.stack("shop", "template: hello\n")
    return command


def test_it_is_written_once_and_again_when_it_is_stale(cli: Cli) -> None:
    path = cli.checkout / "stackctl.mk"
    missing = cli("make", "--check")
    assert (missing.code, missing.out) == (1, "stackctl.mk is missing\n")
    done = cli("make").ok()
    assert (done.out, done.err) == ("wrote stackctl.mk\n", "next: echo 'include stackctl.mk' >> Makefile\n")
    assert read_fragment(path.read_text()).asked == Asked(stack="shop")
    assert cli("make", "--check").ok().out == "stackctl.mk is up to date\n"
    before = path.stat().st_mtime_ns
    assert cli("make").ok().out == "stackctl.mk is up to date\n"
    assert path.stat().st_mtime_ns == before
    below = cli.checkout / "deep"
    below.mkdir()
    cli("make", "--prefix", "dev", "--stack", "hello", cwd=below).ok()
    assert "dev-up: ##" in path.read_text()
    data = cli("make", "--check", "--json").ok().data
    assert data == {"path": str(path), "state": "current", "prefix": "dev", "stack": "hello"}
    stale = cli("make", "--check", "--prefix", "stack")
    assert (stale.code, stale.out) == (1, "stackctl.mk is out of date\n")


def test_a_file_of_somebody_is_not_overwritten(cli: Cli) -> None:
    path = cli.checkout / "stackctl.mk"
    for text in (TEXT.replace("up $(STACK)", "up x"), "all:\n", ""):
        path.write_text(text)
        done = cli("make")
        assert (done.code, "was edited by hand" in done.err) == (2, True)
        assert cli("make", "--check").code == 1
        assert path.read_text() == text
    cli("make", "--force").ok()
    cli("make", "--check").ok()


@pytest.mark.parametrize("force", [True, False])
def test_where_it_cannot_be_written_its_folder_is_named_and_not_the_state(force: bool) -> None:
    """In a folder where root too can make no file."""
    with pytest.raises(StackctlError, match=r"cannot write `/sys/stackctl\.mk`") as caught:
        write_new(Path("/sys/stackctl.mk"), TEXT, force=force)
    assert caught.value.hint == "look at `ls -ld /sys` and `df /sys`"


def test_printed_it_is_the_same(cli: Cli) -> None:
    printed = cli("make", "--stdout").ok().out
    assert not (cli.checkout / "stackctl.mk").exists()
    cli("make").ok()
    assert (cli.checkout / "stackctl.mk").read_text() == printed


def test_with_several_stacks_none_is_chosen(cli: Cli) -> None:
    cli.stack("other", "template: hello\n")
    cli("make").ok()
    assert "\nSTACK ?=\n" in (cli.checkout / "stackctl.mk").read_text()
    assert cli("make", "--stack", "nope").code == 2


def test_this_repository_has_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stackctl", "make", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "stackctl.mk is up to date\n"), done.stderr
    help_text = make(ROOT, "help").stdout
    assert "stack-up" in help_text
    assert "stack-logs" in help_text


@pytest.mark.engine
def test_a_foreign_repository_uses_it(cli: Cli) -> None:
    """`init`, then nothing but make."""
    shutil.rmtree(cli.checkout / "stacks")
    cli("init").ok()
    own = f"STACKCTL = {sys.executable} -m stackctl\n"
    (cli.checkout / "Makefile").write_text(own + FIRST)
    assert "include" not in cli("init").ok().err

    environment = without_make(cli.environment())

    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *words],
            cwd=cli.checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    try:
        up = typed("-j8", "stack-up")
        assert up.returncode == 0, up.stderr
        assert "example is up" in up.stdout + up.stderr
        assert "web" in typed("stack-status").stdout
        assert typed("stack-status", "ARGS=--json").stdout.startswith("{")
        assert typed("stack-exec", "S=web", "ARGS=cat /etc/passwd").stdout.startswith("root:")
        assert typed("stack-url", "S=web").stdout.startswith("http://127.0.0.1:")
        logs = typed("stack-logs", "S=web", "ARGS=--tail=5")
        assert logs.returncode == 0, logs.stderr
        test = typed("stack-test")
        assert (test.returncode, "ok" in test.stdout) == (0, True), test.stdout + test.stderr
        down = typed("stack-down")
        assert down.returncode == 0, down.stderr
        assert typed("stack-status").returncode == 2
    finally:
        cli.end_all()
