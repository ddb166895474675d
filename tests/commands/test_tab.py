"""A press of TAB is answered without click, and with the same words that click and the whole readers give."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import CompletionItem, get_completion_class
from remembered import record

from stackctl.cli.candidates import VALUES
from stackctl.cli.commands import COMMANDS, SHELLS
from stackctl.cli.main import stackctl
from stackctl.cli.tab import VARIABLE, answer, words_for
from stackctl.core.documents import load
from stackctl.core.records import EnvironmentRecord, TaskPart
from stackctl.ops.finding import stack_files, template_names
from stackctl.ops.surroundings import find_places
from stackctl.state.home import open_home
from stackctl.state.record_files import environment_folders, survey
from stackctl.state.store import FileStore
from stackctl.state.task_files import marked

TASK = "0a1b2c3d4e5f"
STACK = "template: hello\ntasks:\n  test: {image: a}\n  tidy: {image: a}\n"


class Scene:
    """A checkout with the stack `shop`, of which two instances are up, one elsewhere, and a task."""

    def __init__(self, folder: Path) -> None:
        self.home, self.checkout = folder / "home", folder / "check out"
        (self.checkout / ".git").mkdir(parents=True)
        (self.checkout / "stacks").mkdir()
        (self.checkout / "stacks" / "shop.yaml").write_text(STACK)
        (self.checkout / "stacks" / "it's.yaml").write_text(STACK)
        (self.checkout / "stacks" / "co:lon.yaml").write_text(STACK)
        store = FileStore(open_home(self.home))
        for stack, root, instance in (
            ("shop", self.checkout, ""),
            ("shop", self.checkout, "two"),
            ("old", "/a:b", ""),
        ):
            store.write(record(store, stack, root, instance))
        part = TaskPart(id=TASK, image="busybox:1.35")
        store.write(record(store, "task", self.checkout, task=part))

    def called(self, record: EnvironmentRecord, instance: str = "") -> str:
        here = record.root in (str(self.checkout), str(self.home)) and record.instance == instance
        return record.stack if here else record.project

    @property
    def records(self) -> tuple[EnvironmentRecord, ...]:
        return survey(environment_folders(self.home / "environments")).records


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("tab")
    with pytest.MonkeyPatch.context() as patch:
        found = Scene(folder)
        patch.setenv("STACKCTL_HOME", str(found.home))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.chdir(found.checkout)
        yield found


def by_click(args: Sequence[str], begun: str) -> list[tuple[str, str, str]]:
    """What click's own completion gives: kind, value, help."""
    base = get_completion_class("bash")
    items = base(stackctl, {}, "stackctl", VARIABLE).get_completions(list(args), begun)
    return [(one.type, one.value, one.help or "") for one in items]


def ours(args: Sequence[str], begun: str) -> list[tuple[str, str, str]]:
    return [(one.kind, one.value, one.about) for one in words_for(args, begun)]


def commands() -> Iterator[tuple[list[str], click.Command]]:
    group = click.Context(stackctl, info_name="stackctl", **stackctl.context_settings)
    yield [], stackctl
    for name in COMMANDS:
        command = stackctl.get_command(group, name)
        assert command is not None
        yield [name], command
        for below, one in command.commands.items() if isinstance(command, click.Group) else ():
            yield [name, below], one


def options(path: list[str], command: click.Command) -> list[click.Option]:
    """A command's own; those that all share are looked at with one of them."""
    shared = () if path == ["up"] else {one.name for one in stackctl.params}
    return [one for one in command.params if isinstance(one, click.Option) and one.name not in shared]


HEADS = ([], ["-q"], ["--home", "/nowhere", "--json"], ["--home=/nowhere"], ["-qv"])


@pytest.mark.parametrize(
    ("head", "begun"), [*((head, "-") for head in HEADS), *(([], one) for one in ("--no-", "-h", "--none"))]
)
def test_options_of_every_command(scene: Scene, head: list[str], begun: str) -> None:
    for path, _ in commands():
        assert ours([*head, *path], begun) == by_click([*head, *path], begun), path


def test_options_that_stand_there_already(scene: Scene) -> None:
    for path, command in commands():
        for option, name in ((one, name) for one in options(path, command) for name in one.opts):
            takes = not option.is_flag and not option.count
            for words in ([name, "x"], [f"{name}=x"], [f"{name}x"]) if takes else ([name], [f"{name}v"]):
                if len(name) == 2 or not words[0].removeprefix(name).isalpha():
                    assert ours([*path, *words], "-") == by_click([*path, *words], "-"), words


def test_values_of_every_option(scene: Scene) -> None:
    for path, command in commands():
        for option, name in ((one, name) for one in options(path, command) for name in one.opts):
            if name in VALUES or option.is_flag or option.count:
                continue
            for begun in ("", "h", "-"):
                assert ours([*path, name], begun) == by_click([*path, name], begun), (path, name, begun)
            if len(name) > 2:
                assert ours(path, f"{name}=h") == by_click(path, f"{name}=h"), (path, name)


def names(scene: Scene, command: str, given: Sequence[str]) -> Iterable[str]:
    """The arguments that may stand next, by the whole readers."""
    environments = [scene.called(one) for one in scene.records]
    places = find_places(Path.cwd(), scene.home)
    home = open_home(scene.home)
    tasks = [one.task.id for one in survey(marked(home.live_tasks, home.tasks)).records if one.task]
    if command in ("logs", "exec", "restart") and given:
        services = [
            one.services for one in scene.records if given[0] in (scene.called(one), one.project)
        ] or [{}]
        return [name for name in services[0] if name not in given[1:]]
    if command == "run":
        loaded = load((scene.checkout / "stacks" / "shop.yaml").read_text(), source="shop.yaml")
        return list(loaded.data["tasks"])
    listed = {
        "up": list(stack_files(places)),
        "lint": list(stack_files(places)),
        "templates": list(template_names(places)),
        "down": environments,
        "restart": environments,
        "logs": [*environments, *tasks],
        "exec": [*environments, *tasks],
        "wait": [one for one in tasks if one not in given],
    }
    return listed[command]


LINES = [
    *product(
        ("up", "lint", "templates", "down", "logs", "exec", "restart", "wait"), ((),), ("", "s", "o", "0")
    ),
    *product(("logs", "exec", "restart"), (("shop",), ("nothing",)), ("", "w", "d")),
    *product(("logs", "restart"), (("shop", "web"), ("shop", "web", "db")), ("", "d")),
    *product(("run",), ((),), ("", "t", "ti")),
    ("wait", (TASK,), ""),
]
BEFORE = ([], ["-q"], ["--home", "{home}"], ["--home={home}"], ["-v", "--json"])


@pytest.mark.parametrize("head", BEFORE, ids=" ".join)
@pytest.mark.parametrize(("command", "given", "begun"), LINES)
def test_names(scene: Scene, head: list[str], command: str, given: Sequence[str], begun: str) -> None:
    shared = [word.format(home=scene.home) for word in head]
    known = ["--in", "shop"] if command == "run" else []
    expected = [one for one in names(scene, command, given) if one.startswith(begun)]
    for words in ([*shared, command, *known, *given], [command, *known, *shared, *given]):
        assert [value for _, value, _ in ours(words, begun)] == expected
    assert expected or given or begun


class Slow:
    """click's own reading of what a shell asks, and its own way to write the answer."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        return [CompletionItem(value, kind, about) for kind, value, about in ours(args, incomplete)]


TYPED = [
    *(
        "",
        "u",
        "up",
        "up ",
        "up s",
        "up 'sh",
        'up "sh',
        "up it\\'",
        "up sh\\",
        "up --engine l",
        "up --engine=l",
    ),
    *(
        "down ",
        "down old",
        "--home '{home}' down ",
        "logs shop ",
        "logs shop web ",
        "logs 'shop' \"w",
        "-",
        "--",
    ),
    *(
        "up -f /et",
        "up '",
        "up # ",
        "logs shop # w",
        "templates sidecars/",
        "env shop --format ",
        "up  s",
        "up\ts",
    ),
    *(
        "with shop -- ls ",
        "down é",
        "up \\",
        "completion ",
        "service ",
        "self u",
        "no-command ",
        "run --in shop t",
    ),
]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("text", TYPED)
def test_a_shell_is_read_and_answered_as_by_click(
    scene: Scene, shell: str, text: str, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any
) -> None:
    line = f"stackctl {text.format(home=scene.home)}"
    last = line.rpartition(" ")[2] if shell == "fish" else str(len(line.split(" ")) - 1)
    for name, value in ((VARIABLE, f"{shell}_complete"), ("COMP_WORDS", line), ("COMP_CWORD", last)):
        monkeypatch.setenv(name, value)
    base = get_completion_class(shell)
    assert base is not None
    slow = type("Slow", (Slow, base), {})(stackctl, {}, "stackctl", VARIABLE)
    assert answer(os.environ) == 0
    assert capfdbinary.readouterr().out.decode() == f"{slow.complete()}\n"


def test_a_name_that_is_no_utf8_is_offered_as_it_is(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any
) -> None:
    path = os.fsencode(scene.checkout / "stacks") + b"/caf\xe9.yaml"
    Path(os.fsdecode(path)).write_text(STACK)
    environ = {VARIABLE: "bash_complete", "COMP_WORDS": "stackctl up caf", "COMP_CWORD": "2"}
    assert answer(environ) == 0
    Path(os.fsdecode(path)).unlink()
    assert capfdbinary.readouterr().out == b"plain,caf\xe9\n"
