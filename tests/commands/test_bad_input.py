"""Bad input of every kind: a clear error, the documented exit code, no traceback, and nothing left behind."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from bad_input_cases import CASES, Case, template
from commandline import Cli, Done

NOWHERE = "unix:///nonexistent/docker.sock"
BOUND_S = 25
SLEEPER = "services:\n  app: {image: 'busybox:1.35', command: [sleep, '600']}\n"


@pytest.fixture
def bare(tmp_path: Path) -> Cli:
    """A command line that has no engine to ask."""
    (tmp_path / "checkout" / ".git").mkdir(parents=True)
    return Cli(home=tmp_path / "home", checkout=tmp_path / "checkout")


def write(root: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def run(cli: Cli, case: Case, *more: str) -> Done:
    """Run a case where there is no engine."""
    root = cli.home.parent
    write(root, dict(case.files))
    env = {name: text.format(root=root) for name, text in case.env.items()}
    return cli(*more, *case.argv, timeout=BOUND_S, **{"DOCKER_HOST": NOWHERE, **env})


def told(done: Done, code: int, *says: str, hint: str = "") -> None:
    """The command failed with this code, and said what happened and what to do next."""
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    assert done.err.count("error: ") >= 1
    assert done.out == ""
    for words in says:
        assert words in done.err
    hints = [line for line in done.err.splitlines() if line.startswith("hint: ")]
    assert hints, done.err
    assert any(hint in line for line in hints), done.err
    assert len(hints) == len(set(hints)), done.err


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def clean(home: Path) -> bool:
    """No environment was begun, and nothing but the proof that locks work was written."""
    begun = list((home / "environments").iterdir()) if (home / "environments").is_dir() else []
    return not begun and files(home) <= {"locks/.probe"}


def test_the_table_is_long_enough_and_names_each_case_once() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 100


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_bad_input(bare: Cli, case: Case) -> None:
    done = run(bare, case)

    told(done, case.code, *case.says, hint=case.hint)
    assert files(bare.home.parent) - {f"home/{name}" for name in files(bare.home)} == set(case.files)
    assert clean(bare.home)


@pytest.mark.parametrize("case", CASES[::6], ids=lambda case: case.name.replace(" ", "-"))
def test_bad_input_as_json(bare: Cli, case: Case) -> None:
    done = run(bare, case, "--json")

    envelope = json.loads(done.out)
    # the code of a `run` tells its own failure from the task's; the envelope has the one of the error
    refused = any("policy refuses" in one for one in case.says)
    own = (3 if refused else 2) if case.argv[0] == "run" else case.code
    assert (done.code, envelope["ok"], envelope["error"]["exit_code"]) == (case.code, False, own)
    assert envelope["error"]["message"]
    assert envelope["error"]["hint"]
    assert "Traceback" not in done.err


INJECTIONS = (
    "x\nprivileged: true",
    "x'\n    privileged: true\n    y: 'z",
    'x"\n    privileged: true\n    y: "z',
    "{{ 7 * 7 }}",
    "{% for a in range(9) %}a{% endfor %}",
    "${HOME} $(id) `id`",
    "*alias &anchor !!tag",
    "]}, privileged: true, x: {a: [",
    "# comment",
    "---\nservices: {}",
    "yes",
    "0x10",
    "null",
)


@pytest.mark.parametrize("value", INJECTIONS)
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_value_stays_a_value(bare: Cli, value: str, quote: str) -> None:
    text = "services:\n  web:\n    image: busybox:1.35\n    environment:\n      WORDS: Q{{ words }}Q\n"
    head = "variables: {words: {type: string}}\n"
    write(bare.home.parent, template(text.replace("Q", quote), head))

    done = bare("render", "s", "--set", f"words={value}", DOCKER_HOST=NOWHERE).ok()

    web = yaml.safe_load(done.out)["services"]["web"]
    assert web["environment"]["WORDS"].replace("$$", "$") == value
    assert "privileged" not in web


def test_a_template_that_links_out_of_its_folder(bare: Cli, tmp_path: Path) -> None:
    folder = bare.template("t", SLEEPER)
    bare.stack("s", "template: t\n")
    (folder / "files").mkdir()
    (folder / "files" / "passwd").symlink_to("/etc/passwd")

    done = bare("up", "s", DOCKER_HOST=NOWHERE)

    told(done, 2, "templates/t/files/passwd is a link that leads out of its template", hint="put the file")
    assert clean(bare.home)


def test_no_daemon(bare: Cli) -> None:
    told(bare("up", "hello", DOCKER_HOST=NOWHERE), 4, "/nonexistent/docker.sock", hint="DOCKER_HOST")
    assert not list((bare.home / "environments").iterdir())


def test_no_docker_command(bare: Cli, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()

    done = bare("up", "hello", PATH=str(tmp_path / "bin"))

    told(done, 4, "docker", hint="install")
    assert not list((bare.home / "environments").iterdir())


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[str]:
    """The address of a daemon that accepts every connection and never answers."""
    path = tmp_path / "frozen.sock"
    held: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(64)

        def accept() -> None:
            try:
                while True:
                    held.append(server.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"unix://{path}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)
    for one in held:
        one.close()


def test_a_frozen_daemon(bare: Cli, frozen: str) -> None:
    begun = time.monotonic()

    done = bare("up", "hello", DOCKER_HOST=frozen, timeout=60)

    told(done, 6, "answer", hint="docker")
    assert time.monotonic() - begun < 20
    assert not list((bare.home / "environments").iterdir())


@pytest.mark.parametrize("command", ["status", "up", "down", "logs", "url", "purge"])
@pytest.mark.parametrize(
    ("text", "says"),
    [("{garbage", "record.json"), ("[]", "record.json"), ('{"schema": 99}', "newer")],
    ids=["garbage", "no-record", "newer"],
)
def test_a_record_that_cannot_be_read(bare: Cli, command: str, text: str, says: str) -> None:
    project = bare("up", "hello", "--json", DOCKER_HOST=NOWHERE)
    assert project.code == 4
    name = next((bare.home / "locks").glob("hello-*")).name
    record = bare.home / "environments" / name / "record.json"
    record.parent.mkdir(mode=0o700)
    record.write_text(text)
    record.chmod(0o600)
    words = [command, "hello", *(["--yes"] if command == "purge" else [])]

    done = bare(*words, DOCKER_HOST=NOWHERE)

    told(done, 1, says)
    assert record.read_text() == text


def test_a_state_directory_that_is_a_file(bare: Cli) -> None:
    bare.home.write_text("mine")

    told(bare("up", "hello", DOCKER_HOST=NOWHERE), 1, str(bare.home))
    assert bare.home.read_text() == "mine"


def test_a_state_directory_that_everybody_may_write_to(bare: Cli) -> None:
    bare.home.mkdir()
    bare.home.chmod(0o777)

    told(bare("up", "hello", DOCKER_HOST=NOWHERE), 1, str(bare.home), hint="chmod")
    assert clean(bare.home)
