"""Files of tasks: every key, both forms, and every kind of wrong file with its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.core.batch_results import (
    FAILED_FAST,
    INTERRUPTED,
    is_outcome,
    last_lines,
    never_began,
    outcomes,
    result_of,
)
from stackctl.core.batchfile import BatchTask, form_of, parse_batch
from stackctl.core.errors import Problem, StackFileError
from stackctl.core.limits import Setting
from stackctl.core.spec_files import spec_from_plain, spec_to_plain
from stackctl.core.stack import Guard, SidecarSpec
from stackctl.core.tasks import Mount, TaskLine, TaskSpec

EVERY_KEY: Mapping[str, Any] = {
    "key": "one",
    "name": "first",
    "image": "busybox:1.35",
    "command": "sh -c 'echo $HOME'",
    "env": {"A": 1, "B": True, "C": "x=y"},
    "mounts": ["/src:/dst:ro", "rel:/two"],
    "workdir": "/work",
    "user": 1000,
    "network": "none",
    "limits": {"memory": "64m", "pids": 32},
    "lifetime": "10m",
    "guard": {"patterns": ["pytest"], "older_than": "2m"},
    "allow": ["own-init"],
}


def lines(*tasks: Any) -> str:
    return "".join(f"{task if isinstance(task, str) else json.dumps(task)}\n" for task in tasks)


def read(*tasks: Any, **options: Any) -> tuple[BatchTask, ...]:
    return parse_batch(lines(*tasks), source="t.jsonl", form="jsonl", **options)


def problems(content: str, form: Any = "jsonl") -> list[str]:
    with pytest.raises(StackFileError) as caught:
        parse_batch(content, source="t", form=form)
    return [str(problem) for problem in caught.value.problems]


def test_every_key_is_read() -> None:
    (task,) = read(EVERY_KEY)
    spec = task.spec
    assert (task.key, task.path, task.line) == ("one", "[0]", 1)
    assert spec.name == "first"
    assert spec.command == ("sh", "-c", "echo $HOME")
    assert spec.environment == {"A": "1", "B": "true", "C": "x=y"}
    assert spec.mounts == (
        Mount(source="/src", target="/dst", read_only=True),
        Mount(source="rel", target="/two"),
    )
    assert (spec.workdir, spec.user, spec.network) == ("/work", "1000", "none")
    assert {name: one.value for name, one in spec.limits.items()} == {
        "memory": 64 << 20,
        "pids": 32,
        "lifetime": 600.0,
    }
    assert spec.guard == Guard(patterns=("pytest",), older_than=120.0)
    assert spec.allow == ("own-init",)
    assert spec.source == "t.jsonl:1"


def test_sidecars_by_words_or_written_as_in_a_stack_file() -> None:
    words, mapping = read(
        {"image": "a", "sidecars": ["postgres", "repos=gitea"]},
        {"image": "a", "sidecars": {"db": {"template": "postgres", "variables": {"version": "15"}}}},
    )
    assert words.spec.sidecars == {
        "postgres": SidecarSpec(template="postgres"),
        "repos": SidecarSpec(template="gitea"),
    }
    assert mapping.spec.sidecars["db"].variables["version"].value == "15"


def test_keys_default_to_the_name_and_else_to_a_number_that_empty_lines_do_not_change() -> None:
    found = read({"image": "a"}, "", {"image": "a", "name": "named"}, {"image": "a"})
    assert [(task.key, task.line) for task in found] == [("1", 1), ("named", 3), ("3", 4)]


def test_yaml_with_defaults_that_a_task_adds_to_or_replaces() -> None:
    content = """
defaults:
  image: busybox:1.35
  command: [echo, default]
  env: {A: a, B: b}
  limits: {memory: 64m, pids: 10}
tasks:
  - key: plain
  - key: own
    command: [echo, own]
    env: {B: own}
    limits: {pids: 20}
"""
    plain, own = parse_batch(content, source="t.yaml", form="yaml", limits={"pids": Setting(15, "--limit")})
    assert plain.spec.command == ("echo", "default")
    assert {name: one.value for name, one in plain.spec.limits.items()} == {"memory": 64 << 20, "pids": 15}
    assert own.spec.command == ("echo", "own")
    assert own.spec.environment == {"A": "a", "B": "own"}
    assert own.spec.limits["pids"].value == 20
    assert (own.path, own.line) == ("tasks[1]", 9)


def test_a_yaml_list_alone() -> None:
    (task,) = parse_batch("- image: busybox:1.35\n", source="t.yaml", form="yaml")
    assert task.key == "1"


def test_the_form_is_told_by_the_name() -> None:
    assert [form_of(name) for name in ("a.yaml", "B.YML", "a.jsonl", "-", "a")] == [
        "yaml",
        "yaml",
        "jsonl",
        "jsonl",
        "jsonl",
    ]


@pytest.mark.parametrize(
    ("content", "form", "wanted"),
    [
        ("", "jsonl", "there is no task in it"),
        ("\n\n", "jsonl", "there is no task in it"),
        ("", "yaml", "there is no task in it"),
        ("tasks: []\n", "yaml", "there is no task in it"),
        ("tasks: {a: b}\n", "yaml", "must be a list of tasks"),
        ("just text\n", "yaml", "must be a list of tasks"),
        ("- a: [\n", "yaml", "not valid YAML"),
        ("{\n", "jsonl", "t:1: this is not JSON"),
        ('{"image": NaN}\n', "jsonl", "t:1: this is not JSON: NaN"),
        ('{"image": "a", "image": "b"}\n', "jsonl", "`image` stands in it twice"),
        ('{"image": "a", "command": "\\ud800"}\n', "jsonl", "half a character"),
        ("[" * 5000 + "\n", "jsonl", "t:1: this is not JSON"),
        ("null\n", "jsonl", "t:1: [0]: "),
        ("3\n", "jsonl", "t:1: [0]: must be a mapping"),
        ('{"command": "x"}\n', "jsonl", "t:1: [0]: the task needs an `image`"),
        ('{"image": "UPPER CASE"}\n', "jsonl", "t:1: [0].image: "),
        ('{"image": "a", "imgae": "b"}\n', "jsonl", "t:1: [0].imgae: there is no key `imgae`"),
        ('{"image": "a", "command": []}\n', "jsonl", "[0].command: must not be empty"),
        ('{"image": "a", "command": "a \'b"}\n', "jsonl", "[0].command: its quotes do not match"),
        ('{"image": "a", "env": {"1A": "x"}}\n', "jsonl", "[0].env"),
        ('{"image": "a", "env": ["A"]}\n', "jsonl", "[0].env: `A` has no value"),
        ('{"image": "a", "env": {"A": "\\u0000"}}\n', "jsonl", "[0].env.A: has a NUL in it"),
        ('{"image": "a", "mounts": ["x"]}\n', "jsonl", "[0].mounts: `x` is no mount"),
        ('{"image": "a", "workdir": "rel"}\n', "jsonl", "[0].workdir: an absolute path"),
        ('{"image": "a", "limits": {"memory": "lots"}}\n', "jsonl", "[0].limits.memory: "),
        ('{"image": "a", "limits": {"disk": 1}}\n', "jsonl", "[0].limits.disk: no such limit"),
        ('{"image": "a", "lifetime": -1}\n', "jsonl", "[0].lifetime: "),
        ('{"image": "a", "sidecars": ["db", "db"]}\n', "jsonl", "[0].sidecars: two sidecars are called `db`"),
        ('{"image": "a", "sidecars": {"db": {}}}\n', "jsonl", "[0].sidecars.db: the sidecar lacks"),
        ('{"image": "a", "guard": {}}\n', "jsonl", "[0].guard: a guard needs `patterns`"),
        ('{"image": "a", "allow": ["nonsense"]}\n', "jsonl", "[0].allow[0]: "),
        ('{"image": "a", "key": ""}\n', "jsonl", "[0].key: must not be empty"),
        ('{"image": "a", "key": "a\\nb"}\n', "jsonl", "[0].key: a key has"),
        ('{"image": "a", "name": "No Name"}\n', "jsonl", "[0].name: "),
        (
            '{"image":"a","key":"x"}\n\n{"image":"a","key":"x"}\n',
            "jsonl",
            "t:3: [1]: the key `x` stands twice",
        ),
        ('{"image":"a"}\n{"image":"a","key":"1"}\n', "jsonl", "t:2: [1]: the key `1` stands twice"),
        ("defaults: {key: a}\ntasks: [{image: a}]\n", "yaml", "t:1: defaults.key: there is no key"),
        ("tasks: [{image: a}]\nmore: 1\n", "yaml", "t:2: more: there is no key"),
    ],
)
def test_a_wrong_file_says_where_and_why(content: str, form: str, wanted: str) -> None:
    found = problems(content, form)
    assert any(wanted in one for one in found), found


def test_every_problem_at_once() -> None:
    found = problems(lines({"image": "A A"}, {"image": "a", "lifetime": "x"}, {"command": "x"}))
    assert [one.split(":")[1] for one in found] == ["1", "2", "3"]


texts = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | texts,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(list(EVERY_KEY)) | texts, inner, max_size=5)
        ),
        max_leaves=8,
    )
)
def test_nothing_that_is_json_breaks_the_reader(raw: Any) -> None:
    wrong: tuple[Problem, ...] = ()
    try:
        read(raw)
    except StackFileError as error:
        wrong = error.problems
    assert all(problem.line == 1 for problem in wrong)


def test_a_spec_is_the_same_when_it_was_kept() -> None:
    (task,) = read({**EVERY_KEY, "network": "", "sidecars": ["redis"]} | {"network": "net"})
    assert spec_from_plain(json.loads(json.dumps(spec_to_plain(task.spec)))) == task.spec
    for raw in (
        None,
        [],
        {},
        {"schema": 2},
        {"schema": 1, "nothing": 1},
        {"schema": 1, "image": 1, "mounts": 3},
    ):
        with pytest.raises(ValueError):
            spec_from_plain(raw)


def test_a_spec_with_all_kinds_of_settings_is_the_same_when_it_was_kept() -> None:
    content = (
        "- image: a\n  sidecars: {db: {template: postgres, variables: {version: '15'}, reach: [host]}}\n"
        "  limits: {cpus: 0.5}\n"
    )
    (task,) = parse_batch(content, source="t", form="yaml")
    again = spec_from_plain(json.loads(json.dumps(spec_to_plain(task.spec))))
    assert again == task.spec
    assert isinstance(again, TaskSpec)


def line(**values: Any) -> TaskLine:
    return TaskLine(**{"id": "0" * 12, "phase": "succeeded", "key": "a", "started": 1.0, **values})


def test_what_is_an_outcome_and_what_is_done_again() -> None:
    assert is_outcome(line())
    assert is_outcome(line(phase="failed", started=0.0))
    assert is_outcome(line(phase="cancelled", reason="by hand"))
    assert is_outcome(line(phase="lost"))
    assert not is_outcome(line(phase="cancelled", reason=INTERRUPTED))
    assert not is_outcome(line(phase="cancelled", reason=FAILED_FAST))
    assert not is_outcome(line(phase="running"))
    assert not is_outcome(line(phase="lost", started=0.0))
    assert never_began(line(phase="lost", started=0.0))


def test_the_first_outcome_of_a_key_counts() -> None:
    found = outcomes(
        [
            line(id="3" * 12, created=3.0, phase="failed"),
            line(id="1" * 12, created=1.0, phase="lost", started=0.0),
            line(id="2" * 12, created=2.0),
        ]
    )
    assert {key: one.id for key, one in found.items()} == {"a": "2" * 12}


def test_a_result_has_the_last_lines_and_no_more() -> None:
    assert last_lines("") == []
    assert last_lines("a\nb\n") == ["a", "b"]
    assert last_lines("\n".join(map(str, range(100)))) == [str(number) for number in range(80, 100)]
    assert last_lines("x" * 5000 + "\nlast\n") == ["last"]
    assert sum(map(len, last_lines("y" * 9000))) == 4096
    plain = result_of(line(exit_code=None, incident="i"), "out\n")
    assert (plain["exit_code"], plain["output"], plain["incident"]) == (0, ["out"], "i")
    assert plain["peak_memory"] is None
