"""No step without a fail-point: every change goes through engine or store, and each has two points."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import stackctl.ops
from stackctl.core.errors import StackctlError, StateError, UsageError
from stackctl.ops.failpoints import (
    DEEDS,
    Points,
    SteppedEngine,
    SteppedLead,
    SteppedStore,
    SteppedSwarm,
    wrap_engine,
    wrap_store,
)
from stackctl.ops.protocols import Engine, Lead, Store, Swarm

OPS = Path(stackctl.ops.__file__).parent

ENGINE_QUESTIONS = {
    "attach",
    "bare_facts",
    "config",
    "container_logs",
    "exit_wait",
    "output",
    "resize",
    "close",
    "containers",
    "events",
    "facts",
    "host_addresses",
    "host_memory",
    "images",
    "inspect",
    "local",
    "local_images",
    "log_tail",
    "logs",
    "networks",
    "networks_brief",
    "past_events",
    "port_holder",
    "ports_in_use",
    "processes",
    "readings",
    "registry_digest",
    "roster",
    "sample",
    "volumes",
    "warm",
}
STORE_QUESTIONS = {
    "end_wished",
    "finished_tasks",
    "output_tail",
    "past",
    "read_spec",
    "task_ids",
    "data_size",
    "deployment",
    "folder",
    "has_data",
    "heartbeat",
    "home",
    "identity",
    "incidents",
    "lease",
    "lease_alive",
    "lock_holder",
    "owned_ports",
    "owned_subnets",
    "parcel",
    "peaks",
    "read",
    "recall",
    "records",
    "secret",
    "secret_stamp",
    "trash_left",
    "unreadable",
}
SWARM_QUESTIONS = {
    *("cluster", "nodes", "services", "things", "service_called", "log_tail", "log_lines"),
    *("logs", "engine_of", "api", "tasks", "single_services", "service_output"),
}
CHANGING = ("write", "ensure", "make", "remove", "purge", "move", "set_aside", "beat", "sweep")
"""How a call of the state's own modules begins that changes something."""

DOORS = {
    "authoring": {"stackctl.state.atomic"},  # writes the user's own files, in the checkout
    "command_path": {"stackctl.state.startup_files"},  # the user's shell, for the installer, with consent
    "installing": {"stackctl.engine.process"},  # pip or uv, for install.sh
    "uninstalling": {"stackctl.engine.process", "stackctl.state.startup_files"},  # what the installer made
    "updating": {
        "stackctl.engine.endpoint",
        "stackctl.engine.process",
    },  # runs the install.sh of another release
    "bounded_call": {"stackctl.engine.process"},  # beside threads, a pure function in a new interpreter
    "doctor_engine": {"stackctl.engine.endpoint", "stackctl.engine.process", "stackctl.engine.wire"},
    "doctor_host": {"stackctl.engine.endpoint", "stackctl.state.installation"},
    "ejecting": {"stackctl.state.ejected_folder"},  # writes a new folder of the user's own
    "failpoints": {"stackctl.state.failures"},
    "keeping_watch": {"stackctl.engine.detached"},  # starts the supervisor
    "linting": {"stackctl.state.atomic"},  # writes what `--write-allow` adds to the user's own stack file
    "lock_files": {"stackctl.state.atomic"},  # writes the user's own lock, beside the stack file
    "surroundings": {
        "stackctl.state.home",
        "stackctl.state.layout",
    },  # finds the user's files, for the command line and the API
    "service": {"stackctl.state.atomic"},  # writes the service manager's unit, among its files
}
"""Which use cases reach past the two objects, and to what; doctor only asks."""

CHANGES_BY_HAND = {
    "authoring": {"mkdir", "unlink", "open", "write_atomic"},  # as above
    "bounded_call": {"fork", "kill", "pipe", "_exit"},  # a child for a pure function
    "failpoints": {"open", "kill", "killpg"},
    "linting": {"write_atomic"},  # as above
    "keeping_watch": {"kill"},  # asks a supervisor to leave, whose lease proves which process it is
    "service": {"mkdir", "unlink", "write_atomic"},  # as above
}
CHANGING_CALLS = {
    *("chmod", "chown", "fork", "kill", "killpg", "link", "makedirs", "mkdir", "pipe", "popen", "rename"),
    *("replace_file", "rmdir", "rmtree", "symlink", "symlink_to", "system", "touch", "truncate", "unlink"),
    *("write_bytes", "write_text", "write_atomic", "Popen", "run_command", "spawnv", "_exit"),
    *("hardlink_to", "copy", "copytree", "copyfile"),
}


def members(protocol: type) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}


def plain(protocol: type) -> SimpleNamespace:
    """An object with a function of its own for each member."""

    def member(name: str) -> Callable[..., str]:
        def call(*_: Any, **__: Any) -> str:
            return name

        return call

    return SimpleNamespace(**{name: member(name) for name in members(protocol)})


@pytest.mark.parametrize(
    ("protocol", "stepped", "questions"),
    [
        (Engine, SteppedEngine, ENGINE_QUESTIONS),
        (Store, SteppedStore, STORE_QUESTIONS),
        (Swarm, SteppedSwarm, SWARM_QUESTIONS),
        (Lead, SteppedLead, {"standing", "services", "things", "close"}),
    ],
)
def test_every_member_is_a_question_or_a_step(protocol: type, stepped: type, questions: set[str]) -> None:
    inner: Any = plain(protocol)
    wrapped = stepped(inner, Points())

    missing = {name for name in members(protocol) if not hasattr(wrapped, name)}
    straight = {
        name for name in members(protocol) - missing if getattr(wrapped, name) is getattr(inner, name)
    }

    assert not missing
    assert straight == questions


def test_no_question_of_the_store_changes_anything() -> None:
    tree = ast.parse((OPS.parent / "state" / "store.py").read_text())
    (store,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    methods = [node for node in store.body if isinstance(node, ast.FunctionDef)]

    guilty = {
        f"{method.name}: {called}"
        for method in methods
        if method.name in STORE_QUESTIONS
        for called in calls(method)
        if called.lstrip("_").startswith(CHANGING)
    }

    assert {method.name for method in methods} >= STORE_QUESTIONS
    assert not guilty


def calls(tree: ast.AST) -> Iterator[str]:
    """The last word of each name that is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            yield function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            both = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= both if node.module in ("stackctl.engine", "stackctl.state") else {node.module}
    return found


@pytest.mark.parametrize("path", sorted(OPS.glob("*.py")), ids=lambda path: path.stem)
def test_no_use_case_changes_anything_but_through_the_engine_and_the_store(path: Path) -> None:
    tree = ast.parse(path.read_text())
    annotations = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    tree.body = [node for node in tree.body if id(node) not in annotations]

    doors = {name for name in imported(tree) if name.startswith(("stackctl.engine", "stackctl.state"))}
    processes = imported(tree) & {"subprocess", "shutil", "tempfile", "multiprocessing"}
    changes = direct_changes(tree)

    assert doors <= DOORS.get(path.stem, set())
    assert not processes
    assert changes <= CHANGES_BY_HAND.get(path.stem, set())


def direct_changes(tree: ast.AST) -> set[str]:
    """Calls that change files or processes, other than on an engine or a store."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
        ours = owner.rpartition(".")[2] in ("engine", "store")
        if (name in CHANGING_CALLS and not ours) or (name == "open" and opened_to_write(node)):
            found.add(name)
    return found


def opened_to_write(call: ast.Call) -> bool:
    words = [*call.args, *(keyword.value for keyword in call.keywords)]
    modes = [word.value for word in words if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    flags = any("O_WRONLY" in ast.unparse(word) or "O_RDWR" in ast.unparse(word) for word in words)
    return flags or any(set(mode) & set("wax+") and len(mode) <= 3 for mode in modes)


def test_the_scan_sees_what_it_is_for() -> None:
    assert direct_changes(ast.parse("path.write_text('x')")) == {"write_text"}
    assert direct_changes(ast.parse("path.open('w')")) == {"open"}
    assert direct_changes(ast.parse("context.store.write(record); path.open('rb')")) == set()


@pytest.mark.parametrize("deed", sorted(DEEDS))
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_deed_is_done_at_its_point_and_nowhere_else(tmp_path: Path, deed: str, when: str) -> None:
    script = (
        "import sys\n"
        "from stackctl.ops.failpoints import Points\n"
        "step = Points(sys.argv[1], sys.argv[2]).around('step', lambda word: print(word, flush=True))\n"
        "step('one'); step('two'); step('three')\n"
    )
    trace = tmp_path / "trace"
    child = subprocess.Popen(
        [sys.executable, "-c", script, f"step#2:{when}:{deed}", str(trace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if deed == "hang":
        until(lambda: trace.is_file() and trace.read_text().endswith(f"step#2:{when}\n"))
        child.kill()

    out, err = child.communicate(timeout=30)

    assert out.split() == ["one"] if when == "before" else ["one", "two"]
    assert trace.read_text().splitlines()[-1] == f"step#2:{when}"
    if deed in ("raise", "enospc"):
        assert child.returncode == 1
        assert ("StackctlError" if deed == "raise" else "no space left on device") in err
    else:
        assert child.returncode == -signal.SIGKILL


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.02)


def test_the_whole_process_group_is_killed() -> None:
    script = (
        "import subprocess, sys\n"
        "from stackctl.ops.failpoints import Points\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "print(child.pid, flush=True)\n"
        "Points('step#1:before:killgroup').around('step', print)('x')\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    out, _ = child.communicate(timeout=30)

    assert child.returncode == -signal.SIGKILL
    until(lambda: not Path(f"/proc/{int(out)}").exists() or "Z" in state_of(int(out)))


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_an_unknown_deed_is_refused() -> None:
    with pytest.raises(UsageError, match="no deed"):
        Points("document#1:before:explode")


def test_a_step_that_fails_is_not_finished(tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    def fail() -> None:
        raise StateError("no")

    with pytest.raises(StateError):
        Points(trace=str(trace)).around("step", fail)()

    assert trace.read_text().splitlines() == ["step#1:before"]


def test_a_call_without_ids_is_no_step_and_one_with_ids_is(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    inner: Any = plain(Engine)
    engine = wrap_engine(inner, Points(trace=str(trace)))

    engine.stop([])
    engine.stop(["a"], grace=1.0)
    engine.kill(["a"])

    assert trace.read_text().splitlines() == [
        "stop#1:before",
        "stop#1:after",
        "kill#1:before",
        "kill#1:after",
    ]


def test_steps_of_many_threads_are_counted_once_each(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    points = Points(trace=str(trace))
    inner: Any = plain(Store)
    stores = [wrap_store(inner, points) for _ in range(8)]
    threads = [threading.Thread(target=lambda s=store: [s.purge("x") for _ in range(50)]) for store in stores]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = trace.read_text().splitlines()
    assert sorted(lines) == sorted(
        f"purge#{number}:{when}" for number in range(1, 401) for when in ("before", "after")
    )


@pytest.mark.parametrize("asked", [True, False])
def test_only_who_asks_loads_them(tmp_path: Path, asked: bool) -> None:
    script = (
        "import sys\nfrom stackctl.cli.door import run\ncode = run(['list'])\n"
        "print('stackctl.ops.failpoints' in sys.modules)\nsys.exit(code)\n"
    )
    env = {**os.environ, "STACKCTL_HOME": str(tmp_path / "home")}
    env |= {"STACKCTL_FAILPOINT_TRACE": str(tmp_path / "trace"), "STACKCTL_TEST": "1" if asked else ""}

    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60, cwd=tmp_path
    )

    assert done.stdout.splitlines()[-1] == str(asked), done.stderr


def test_an_error_that_is_raised_is_one_of_ours() -> None:
    with pytest.raises(StackctlError, match="step#1:before"):
        Points("step#1:before:raise").around("step", print)("x")
