"""Nothing that reaps can delete data: it has no way to say so, as its source shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import stackctl
from stackctl.engine.api import SocketTransport
from stackctl.engine.dialing import UnixLine

SOURCE = Path(stackctl.__file__).parent.parent
REAPERS = (
    *("acting", "down", "evidence", "reap", "supervise", "taking_down", "unmanaged", "watch", "watches"),
    *("leading", "node_agent", "node_watch", "swarm_reaping"),
)

ENGINE = {
    *("containers", "events", "facts", "host_memory", "inspect", "log_tail", "networks", "networks_brief"),
    *("past_events", "processes", "readings", "roster", "sample", "volumes", "close", "local"),
    *("bare_facts", "lead", "swarm"),
    *(
        "output",
        "renew_limits",
        "end_processes",
        "forbid_restart",
        "kill",
        "remove_containers",
        "remove_networks",
        "restart",
        "stop",
    ),
}
"""What a reaper may ask of the engine, or do with it: about containers, their processes and networks."""
STORE = {
    *("deployment", "home", "identity", "incidents", "heartbeat", "lease", "lease_alive", "lock"),
    *("lock_holder", "peaks", "read", "recall", "records", "unreadable"),
    *("write", "write_incident", "write_output", "write_peaks", "wish_end", "end_wished"),
}
"""What a reaper may ask of the state directory, or write to it."""
DELETERS = {
    *(
        "delete_inside",
        "move_data",
        "prune",
        "purge",
        "remove",
        "remove_record",
        "remove_volumes",
        "removedirs",
    ),
    *("rename", "replace_file", "rmdir", "rmtree", "truncate", "unlink", "write_bytes", "write_text"),
    *("Popen", "call", "check_call", "check_output", "eval", "exec", "open", "run", "system", "__import__"),
    *("getattr", "import_module", "setattr"),
}
"""Words that delete, overwrite, start a process, or could call any of these under another name."""
FOREIGN = {"importlib", "os", "pathlib", "shutil", "subprocess", "tempfile", "python_on_whales"}
WORDS = {"-v", "-f", "--volumes", "--force", "rm", "prune", "v=1", "force=1", "force=true"}


def path_of(module: str) -> Path:
    return SOURCE / f"{module.replace('.', '/')}.py"


def code(node: ast.AST) -> Iterator[ast.AST]:
    """Everything below a node but what stands there for annotations only."""
    for child in ast.iter_child_nodes(node):
        if (
            isinstance(child, ast.If)
            and isinstance(child.test, ast.Name)
            and child.test.id == "TYPE_CHECKING"
        ):
            continue
        yield child
        yield from code(child)


def imports(tree: ast.AST) -> Iterator[str]:
    for node in code(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for one in node.names:
                full = f"{node.module}.{one.name}"
                yield full if path_of(full).exists() else node.module


def reached() -> dict[str, ast.Module]:
    """The modules that reap, and every one of ours that they can come to, with their code."""
    found: dict[str, ast.Module] = {}
    waiting = [f"stackctl.ops.{name}" for name in REAPERS]
    while waiting:
        module = waiting.pop()
        if module.startswith("stackctl") and module not in found:
            found[module] = ast.parse(path_of(module).read_text())
            waiting += imports(found[module])
    return found


def harm(tree: ast.AST, *, core: bool = False) -> list[str]:
    """What in some code could delete data, in words."""
    wrong = [f"imports {name}" for name in imports(tree) if name.partition(".")[0] in FOREIGN]
    wrong += [f"imports {name}" for name in imports(tree) if ".state" in name or ".engine" in name]
    deleters = DELETERS - {"getattr"} if core else DELETERS  # the core has nothing that could be got from
    for node in code(tree):
        if isinstance(node, ast.Constant) and node.value in WORDS:
            wrong.append(f"says {node.value!r}")
        elif isinstance(node, ast.Name) and node.id in deleters:
            wrong.append(f"names {node.id}")
        elif isinstance(node, ast.Attribute):
            wrong += beyond(node) or [f"names {node.attr}"] * (node.attr in deleters)
    return wrong


def beyond(node: ast.Attribute) -> list[str]:
    """What it asks of the engine or the store that it may not ask."""
    owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
    allowed = {"engine": ENGINE, "store": STORE}.get(str(owner).lstrip("_"))
    return [] if allowed is None or node.attr in allowed else [f"asks {owner} for {node.attr}"]


MODULES = reached()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_what_reaps_has_no_way_to_delete_data(module: str) -> None:
    assert harm(MODULES[module], core=module.startswith("stackctl.core.")) == []


def test_what_reaps_comes_to_nothing_that_may_delete() -> None:
    names = {name.removeprefix("stackctl.") for name in MODULES}

    assert {f"ops.{name}" for name in REAPERS} < names
    assert {name.partition(".")[0] for name in names} == {"core", "ops"}
    assert not names & {"ops.purge", "ops.moving", "ops.context", "ops.undoing", "ops.preparing"}


@pytest.mark.parametrize(
    "line",
    [
        "context.store.purge(project)",
        "self.context.store.move_data(a, b)",
        "store.remove_record(project)",
        "context.engine.delete_inside(folder, image)",
        "delete = context.engine.remove_volumes",
        "engine.pull(images)",
        "shutil.rmtree(folder)",
        "from shutil import rmtree",
        "from stackctl.state.trash import discard",
        "from stackctl.engine.process import run",
        "path.unlink()",
        "folder.rmdir()",
        "path.write_text('')",
        "getattr(context.engine, name)(ids)",
        "engine.act(['volume', 'rm'])",
        "def reap():\n    import os\n    os.remove('x')",
        "open(path, 'w')",
        "act('--volumes')",
    ],
)
def test_the_check_sees_harm(line: str) -> None:
    assert harm(ast.parse(line)) != []


def test_annotations_are_no_harm() -> None:
    text = (
        "if TYPE_CHECKING:\n    from pathlib import Path\ndef f(path: Path) -> None:\n    engine.stop([])\n"
    )

    assert harm(ast.parse(text)) == []


@pytest.mark.parametrize("kind", ["containers", "networks"])
def test_the_engine_removes_by_id_without_force_and_without_volumes(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        SocketTransport, "_act_once", lambda self, *words, **also: asked.append((words, also))
    )

    SocketTransport(UnixLine("/nowhere"), 1.0).remove(kind, ["a1", "b2"])

    assert sorted(words for words, _ in asked) == [("DELETE", f"/{kind}/a1"), ("DELETE", f"/{kind}/b2")]
    assert [also["body"] for _, also in asked] == [None, None]


def test_the_engine_knows_no_words_for_force_or_volumes() -> None:
    for module in ("api", "docker", "sensors", "roster"):
        tree = ast.parse(path_of(f"stackctl.engine.{module}").read_text())
        assert WORDS.isdisjoint(words_of(tree)), module
        removed = [one.args[0] for one in calls(tree) if called(one) == "remove"]
        assert all(isinstance(kind, ast.Constant) for kind in removed)
        assert {kind.value for kind in removed if isinstance(kind, ast.Constant)} <= {
            "containers",
            "networks",
        }


def test_only_one_call_deletes() -> None:
    tree = ast.parse(path_of("stackctl.engine.api").read_text())
    users = [
        one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and "DELETE" in words_of(one)
    ]

    assert users == ["remove"]


def words_of(tree: ast.AST) -> set[Any]:
    """Every text in some code, whole and by its parts."""
    texts = [
        one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]
    return {part for text in texts for part in (text, *text.replace("?", "&").split("&"))}


def calls(tree: ast.AST) -> Sequence[ast.Call]:
    return [one for one in ast.walk(tree) if isinstance(one, ast.Call) and one.args]


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""
