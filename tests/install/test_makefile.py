"""The Makefile and the scripts behind it: what they promise, refuse, and leave alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import lives, until

ROOT = Path(__file__).resolve().parents[2]
OUR_SCRIPTS = ["bench", "clean", "demo", "lint", "pythons", "requirements", "test", "venv"]
PINNED = ["runtime", "build", "test", "dev", "resolver", "installer"]


def run(*command: str | Path, cwd: Path = ROOT, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "PYTEST", "STACKCTL"))
    }
    environment.pop("PYTHON", None)
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**environment, **changes},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=250,
    )


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The checkout's committed and new files, apart, so that scripts may change them."""
    folder = tmp_path / "copy"
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


class TestHelp:
    def test_it_is_the_default_goal(self) -> None:
        assert run("make").stdout == run("make", "help").stdout != ""

    def test_it_lists_every_target(self) -> None:
        text = "".join((ROOT / name).read_text() for name in ("Makefile", "stackctl.mk"))
        targets = set(re.findall(r"^([a-z-]+):(?!=)", text, re.MULTILINE)) - {
            "stack-tool"
        }  # what others need
        listed = set(re.findall(r"^  ([a-z-]+) {2}", run("make").stdout, re.MULTILINE))
        assert targets == listed

    @pytest.mark.parametrize("name", OUR_SCRIPTS)
    def test_every_script_says_what_it_does(self, name: str) -> None:
        answer = run(ROOT / "scripts" / f"{name}.sh", "--help")
        assert (answer.returncode, answer.stderr) == (0, "")
        assert answer.stdout.startswith(f"usage: scripts/{name}.sh")

    @pytest.mark.parametrize("name", [name for name in OUR_SCRIPTS if name != "bench"])
    def test_an_unknown_option_is_refused(self, name: str) -> None:
        answer = run(ROOT / "scripts" / f"{name}.sh", "--nonsense")
        assert answer.returncode == 2
        assert "usage:" in answer.stderr

    @pytest.mark.parametrize("python", ["/bin/false", "/nonexistent"])
    def test_a_release_that_cannot_be_built_leaves_the_one_before(self, tmp_path: Path, python: str) -> None:
        dist = tmp_path / "dist"
        dist.mkdir()
        (dist / "SHA256SUMS").write_text("as it was\n")
        for _ in range(2):
            answer = run(ROOT / "scripts" / "dist.sh", str(dist), DIST_PYTHON=python)
            assert answer.returncode == 1
            assert "error: the wheel could not be built" in answer.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["dist"]
        assert (dist / "SHA256SUMS").read_text() == "as it was\n"

    def test_an_unknown_benchmark_is_refused(self) -> None:
        answer = run(ROOT / "scripts" / "bench.sh", "nonsense")
        assert answer.returncode == 1
        assert "there is no bench/nonsense.py" in answer.stderr


class TestPythons:
    def test_every_one_listed_runs_and_is_of_its_version(self) -> None:
        lines = run(ROOT / "scripts" / "pythons.sh").stdout.splitlines()
        assert lines
        for line in lines:
            version, path = line.split(" ", 1)
            assert (
                run(path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").stdout.strip() == version
            )

    def test_the_chosen_one_wins(self) -> None:
        answer = run(ROOT / "scripts" / "pythons.sh", "--default", PYTHON=sys.executable)
        assert answer.stdout.strip() == sys.executable

    def test_one_that_does_not_run_is_an_error(self) -> None:
        answer = run(ROOT / "scripts" / "pythons.sh", "--default", PYTHON="/nonexistent/python3")
        assert answer.returncode == 1
        assert "error: PYTHON=/nonexistent/python3 does not run\nhint: " in answer.stderr

    def test_one_too_old_is_an_error(self, tmp_path: Path) -> None:
        old = program(tmp_path / "python3", "echo 3.8 /old/python3.8")
        answer = run(ROOT / "scripts" / "pythons.sh", "--default", PYTHON=str(old))
        assert answer.returncode == 1
        assert "is Python 3.8, and stackctl needs one of 3.10 3.11 3.12 3.13" in answer.stderr

    def test_a_python3_too_new_gives_way_to_one_that_fits(self, tmp_path: Path) -> None:
        program(tmp_path / "python3", "echo 3.99 /new/python3.99")
        program(tmp_path / "python3.13", "echo 3.13 /fits/python3.13")
        answer = run(ROOT / "scripts" / "pythons.sh", "--default", PATH=f"{tmp_path}:/usr/bin:/bin")
        assert answer.stdout.strip() == "/fits/python3.13"


class TestVenv:
    def test_what_somebody_else_made_is_not_replaced(self, copy: Path) -> None:
        theirs = copy / ".venv" / "precious"
        theirs.parent.mkdir()
        theirs.touch()
        answer = run(copy / "scripts" / "venv.sh", ".venv", "runtime")
        assert answer.returncode == 1
        assert "was not made by this script" in answer.stderr
        assert theirs.exists()

    def test_an_unknown_set_of_packages_is_refused(self) -> None:
        answer = run(ROOT / "scripts" / "venv.sh", ".venv-x", "nonsense")
        assert answer.returncode == 2
        assert "there is no requirements/nonsense.txt" in answer.stderr

    @pytest.mark.slow
    def test_it_is_made_once_and_follows_the_source(self, copy: Path) -> None:
        make = (copy / "scripts" / "venv.sh", ".venv", "runtime", "build")
        first = run(*make, PYTHON=sys.executable)
        assert first.returncode == 0, first.stderr
        version = copy / "src" / "stackctl" / "__init__.py"
        assert "installing stackctl" in first.stdout
        assert run(*make, PYTHON=sys.executable).stdout == ""
        version.write_text(re.sub(r'__version__ = ".*"', '__version__ = "9.9.9"', version.read_text()))
        again = run(*make, PYTHON=sys.executable).stdout
        assert "making" not in again
        assert run(copy / ".venv/bin/stackctl", "--version").stdout.strip() == "stackctl 9.9.9"

    @pytest.mark.slow
    def test_a_package_that_is_not_the_pinned_one_is_refused(self, copy: Path) -> None:
        pins = copy / "requirements" / "build.txt"
        pins.write_text(re.sub("sha256:[0-9a-f]{8}", "sha256:00000000", pins.read_text()))
        answer = run(
            copy / "scripts" / "venv.sh", "--without-stackctl", ".venv", "build", PYTHON=sys.executable
        )
        assert answer.returncode == 1
        assert "THESE PACKAGES DO NOT MATCH THE HASHES" in answer.stderr


class TestRequirements:
    @pytest.mark.parametrize("name", PINNED)
    def test_every_package_is_pinned_with_hashes_and_names_no_place(self, name: str) -> None:
        text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", "")
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        assert lines
        for line in lines:
            assert re.match(r"[a-z0-9-]+==[^ ]+ .*--hash=sha256:[0-9a-f]{64}", line), line
        assert "://" not in text

    def test_what_is_tested_is_what_runs(self) -> None:
        pins = {
            name: set(
                re.findall(
                    r"^[a-z0-9-]+==[^ ]+",
                    (ROOT / "requirements" / f"{name}.txt").read_text(),
                    re.MULTILINE,
                )
            )
            for name in PINNED
        }
        assert pins["runtime"] | pins["build"] <= pins["test"] <= pins["dev"]

    def test_every_dependency_is_there(self) -> None:
        block = re.search(
            r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL
        )
        assert block is not None
        wanted = set(re.findall(r'"([a-z0-9-]+)', block[1]))
        pinned = set(
            re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE)
        )
        assert wanted <= pinned


class TestClean:
    def test_it_removes_what_was_made_here_and_nothing_else(self, copy: Path) -> None:
        before = {path for path in copy.rglob("*") if path.is_file()}
        theirs = [copy / ".venv-theirs" / "pyvenv.cfg", copy / "notes" / "build" / "mine"]
        ours = [
            copy / ".venv-3.11" / "made-by-stackctl" / "made-from",
            copy / ".cache" / "pytest" / "x",
            copy / "dist" / "x.whl",
            copy / "src" / "stackctl" / "__pycache__" / "x.pyc",
        ]
        for path in theirs + ours:
            path.parent.mkdir(parents=True)
            path.touch()
        answer = run("make", "clean", cwd=copy)
        assert answer.returncode == 0, answer.stderr
        assert {path for path in copy.rglob("*") if path.is_file()} == before | set(theirs)
        assert "scripts/images.sh --clean" in answer.stdout

    def environment(self, copy: Path, root: Path, ended: object = None) -> None:
        """A `.venv` whose stackctl lists one `hello` of that root, and cannot take it down."""
        listed = {"data": {"environments": [{"stack": "hello", "root": str(root), "ended": ended}]}}
        (copy / "listed.json").write_text(json.dumps(listed))
        program(copy / ".venv/bin/stackctl", f"case $1 in list) cat {copy}/listed.json ;; *) exit 4 ;; esac")
        (copy / ".venv/bin/python").symlink_to(sys.executable)
        (copy / ".venv" / "made-by-stackctl").mkdir()

    def test_nothing_is_removed_while_the_demo_cannot_be_taken_down(self, copy: Path) -> None:
        self.environment(copy, root=copy)
        answer = run("make", "clean", cwd=copy)
        assert answer.returncode != 0
        assert "could not be taken down" in answer.stderr
        assert (copy / ".venv").exists()

    def test_a_demo_of_another_checkout_is_left_alone(self, copy: Path, tmp_path: Path) -> None:
        self.environment(copy, root=tmp_path / "elsewhere")
        assert run("make", "clean", cwd=copy).returncode == 0
        assert not (copy / ".venv").exists()

    def test_a_demo_that_has_ended_needs_no_taking_down(self, copy: Path) -> None:
        self.environment(copy, root=copy, ended={"reason": "down"})
        assert run("make", "clean", cwd=copy).returncode == 0


class TestContinuousIntegration:
    def test_every_stage_runs_and_one_failure_is_enough(self, tmp_path: Path) -> None:
        (tmp_path / ".ci").mkdir()
        shutil.copy2(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
        (tmp_path / "Makefile").write_text(
            "lint:\n\tfalse\ntest test-pythons test-slow test-swarm:\n\techo ran $@\n"
        )
        answer = run("bash", ".ci/run", cwd=tmp_path, CORPUS="nowhere")
        assert answer.returncode == 1
        assert "ran test\n" in answer.stdout
        assert "ran test-slow\n" in answer.stdout
        assert re.search(r"\d+s  make lint +FAILED\n", answer.stdout)
        assert answer.stderr.endswith("error: failed: make lint\n")

    def test_it_passes_when_every_stage_does(self, tmp_path: Path) -> None:
        (tmp_path / ".ci").mkdir()
        shutil.copy2(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
        (tmp_path / "Makefile").write_text("lint test test-pythons test-slow test-swarm:\n\t@echo ran $@\n")
        assert run("bash", ".ci/run", cwd=tmp_path, CORPUS="nowhere").returncode == 0

    def test_a_stage_that_runs_beside_another_is_told_and_fails_it_too(self, tmp_path: Path) -> None:
        (tmp_path / ".ci").mkdir()
        shutil.copy2(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
        (tmp_path / "files").mkdir()
        rules = (
            "lint test test-pythons test-slow test-swarm:\n\t@echo ran $@\ncorpus:\n\t@echo ran $@; false\n"
        )
        (tmp_path / "Makefile").write_text(rules)
        answer = run("bash", ".ci/run", cwd=tmp_path, CORPUS=str(tmp_path / "files"))
        assert answer.returncode == 1
        assert "ran corpus\n" in answer.stdout
        assert re.search(r"\d+s  make corpus +FAILED\n", answer.stdout)
        assert answer.stderr.endswith("error: failed: make corpus\n")

    def test_when_it_is_ended_what_runs_beside_ends_too(self, tmp_path: Path) -> None:
        (tmp_path / ".ci").mkdir()
        shutil.copy2(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
        os.mkfifo(tmp_path / "began")
        (tmp_path / "files").mkdir()
        rules = "lint test test-pythons test-slow:\n\t@true\ntest-swarm:\n\t@cat began; exec sleep 300\n"
        rules += "corpus:\n\t@echo $$$$ > pid; echo > began; exec sleep 300\n"
        (tmp_path / "Makefile").write_text(rules)
        argv = ["bash", str(tmp_path / ".ci" / "run")]
        environ = {**os.environ, "CORPUS": str(tmp_path / "files")}
        with subprocess.Popen(argv, start_new_session=True, stdout=subprocess.DEVNULL, env=environ) as child:
            until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
            pid = int((tmp_path / "pid").read_text())
            os.killpg(child.pid, signal.SIGINT)
            assert child.wait(30) == 130
            until(lambda: not lives(pid), 30, "the end of what ran beside")


class TestEngineGate:
    """The suite's own conftest, on a suite of two tests and an engine that is not there."""

    @pytest.fixture
    def suite(self, tmp_path: Path) -> Path:
        (tmp_path / "tests").mkdir()
        for name in ("conftest.py", "tables.py"):
            shutil.copy2(ROOT / "tests" / name, tmp_path / "tests" / name)
        settings = "[pytest]\nmarkers = engine: on the engine\npythonpath = tests\n"
        (tmp_path / "pytest.ini").write_text(settings)
        (tmp_path / "tests" / "test_two.py").write_text(
            "import pytest\n\n@pytest.mark.engine\ndef test_engine(): pass\n\ndef test_core(): pass\n"
        )
        return tmp_path

    def ask(self, suite: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        nowhere = f"unix://{suite}/none.sock"
        return run(
            sys.executable, "-m", "pytest", "-q", *arguments, cwd=suite, DOCKER_HOST=nowhere, **changes
        )

    def test_without_an_engine_its_tests_fail_and_say_why(self, suite: Path) -> None:
        answer = self.ask(suite)
        assert answer.returncode == 1
        assert "this test needs a Docker engine: " in answer.stdout
        assert "1 passed, 1 error" in answer.stdout

    @pytest.mark.parametrize("arguments", [(), ("-n", "2")])
    def test_what_is_left_out_is_said(self, suite: Path, arguments: tuple[str, ...]) -> None:
        answer = self.ask(suite, *arguments, STACKCTL_TEST_ENGINE="none")
        assert answer.returncode == 0
        assert "STACKCTL_TEST_ENGINE=none: 1 tests on the real engine were NOT run" in answer.stdout

    def test_any_other_word_is_an_error(self, suite: Path) -> None:
        answer = self.ask(suite, STACKCTL_TEST_ENGINE="no")
        assert answer.returncode == 4
        assert "it may only be `none`, or not be set" in answer.stderr
