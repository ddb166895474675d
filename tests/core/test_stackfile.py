"""Stack files: every key there is, and every way to get one wrong with the place where it stands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.core.allow import ALLOW
from stackctl.core.documents import dump
from stackctl.core.errors import StackFileError, UsageError
from stackctl.core.limits import Setting, Threshold
from stackctl.core.stack import Guard, SidecarSpec, Stack, TaskDefinition
from stackctl.core.stackfile import parse_stack

SOURCE = "stacks/myenv.yaml"

WHOLE = """\
description: The web application with its database and cache
template: webapp
variables: {image: "acme/web:1.4", workers: 3, debug: true, since: 2026-01-01}
sidecars:
  db: {template: postgres, variables: {version: "17"}, reach: [host]}
  cache: redis
  search:
    image: acme/search:2
    port: 9200
    data: /var/lib/search/
    health: "curl -fs localhost:9200"
    url: "http://{host}:{port}"
    env: SEARCH_URL
limits: {memory: 2g, cpus: 1.5, pids: 256, lifetime: 8h}
watchdog: {memory: 80%, pids: 200, sustain: 10s, urgent: {memory: 95%, pids: 245}, on_violation: service}
services:
  web: {limits: {memory: 512m}, guard: {patterns: [pytest], older_than: 1m}}
  worker:
    watchdog: {pids: 50%}
tasks:
  test: {image: "acme/web:1.4", command: [pytest, -q, 1], lifetime: 20m}
  shell: {image: busybox, command: "sh -c 'echo a b'", environment: {A: 1, B: true, C: x y}}
  list: {image: busybox, environment: ["A=1", "B="]}
allow: {traefik: [docker-socket], web: public-ports}
engine: swarm
"""


def parse(text: str) -> Stack:
    return parse_stack(text, name="myenv", source=SOURCE)


def problems(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(StackFileError) as caught:
        parse(text)
    return [(one.line, one.path, one.message) for one in caught.value.problems]


@pytest.fixture(scope="module")
def whole() -> Stack:
    return parse(WHOLE)


def test_what_stands_at_the_top(whole: Stack) -> None:
    assert (whole.name, whole.source, whole.template, whole.engine) == ("myenv", SOURCE, "webapp", "swarm")
    assert whole.description == "The web application with its database and cache"
    assert whole.allow == {"traefik": ("docker-socket",), "web": ("public-ports",)}
    assert whole.lines["sidecars.search.port"] == 9


def test_variables_keep_their_type_and_their_place(whole: Stack) -> None:
    assert whole.variables == {
        "image": Setting("acme/web:1.4", f"{SOURCE}:3"),
        "workers": Setting(3, f"{SOURCE}:3"),
        "debug": Setting(True, f"{SOURCE}:3"),
        "since": Setting("2026-01-01", f"{SOURCE}:3"),
    }
    assert whole.variables["debug"].value is True


def test_sidecars_by_template_and_written_out(whole: Stack) -> None:
    version = Setting("17", f"{SOURCE}:5")
    assert whole.sidecars == {
        "db": SidecarSpec(template="postgres", variables={"version": version}, reach=("host",)),
        "cache": SidecarSpec(template="redis"),
        "search": SidecarSpec(
            image="acme/search:2",
            port=9200,
            data="/var/lib/search",
            health="curl -fs localhost:9200",
            url="http://{host}:{port}",
            env="SEARCH_URL",
        ),
    }


def test_limits_and_watchdog_are_numbers_with_their_place(whole: Stack) -> None:
    assert whole.limits == {
        "memory": Setting(2 << 30, f"{SOURCE}:14"),
        "cpus": Setting(1.5, f"{SOURCE}:14"),
        "pids": Setting(256, f"{SOURCE}:14"),
        "lifetime": Setting(8 * 3600.0, f"{SOURCE}:14"),
    }
    assert {name: setting.value for name, setting in whole.watchdog.items()} == {
        "memory": Threshold(share=0.8),
        "pids": Threshold(absolute=200),
        "sustain_pids": 10.0,
        "sustain_memory": 10.0,
        "urgent_memory": Threshold(share=0.95),
        "urgent_pids": Threshold(absolute=245),
        "on_violation": "service",
    }


def test_settings_of_one_service(whole: Stack) -> None:
    web, worker = whole.services["web"], whole.services["worker"]

    assert web.limits == {"memory": Setting(512 << 20, f"{SOURCE}:17")}
    assert web.guard == Guard(patterns=("pytest",), after="exec", older_than=60.0)
    assert worker.watchdog == {"pids": Setting(Threshold(share=0.5), f"{SOURCE}:19")}
    assert worker.guard is None


def test_tasks(whole: Stack) -> None:
    assert whole.tasks == {
        "test": TaskDefinition(image="acme/web:1.4", command=("pytest", "-q", "1"), lifetime=1200.0),
        "shell": TaskDefinition(
            image="busybox",
            command=("sh", "-c", "echo a b"),
            environment={"A": "1", "B": "true", "C": "x y"},
        ),
        "list": TaskDefinition(image="busybox", environment={"A": "1", "B": ""}),
    }


def test_existing_compose_files() -> None:
    stack = parse("compose: ../docker-compose.yml\nprofiles: [debug]\nenv_file: .env\n")

    assert (stack.compose, stack.profiles, stack.env_file) == (
        ("../docker-compose.yml",),
        ("debug",),
        (".env",),
    )
    assert parse("compose: [a.yml, b.yml]").compose == ("a.yml", "b.yml")


def test_keys_with_nothing_behind_them_say_nothing() -> None:
    stack = parse("template: web\nvariables:\nlimits:\nservices:\n  web:\nsidecars:\n")

    assert (stack.variables, stack.limits, stack.sidecars) == ({}, {}, {})
    assert stack.services["web"].limits == {}


T = "template: t\n"
DEEP_IMAGE = "a/" * 300 + "b"


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        ("", 0, "", "a stack needs `template` or `compose`"),
        ("- a", 1, "", "must be a mapping of `key: value`, not a list"),
        ("just words", 1, "", "must be a mapping of `key: value`, not text"),
        ("template: a\ncompose: b", 2, "compose", "a stack has either a template or compose files"),
        ("templte: a\ncompose: b", 1, "templte", "there is no key `templte`"),
        ("template: ../a", 1, "template", "'../a' cannot be the name of a template"),
        ("template: 5", 1, "template", "must be text, not a number; put it in quotes"),
        ("template: [a]", 1, "template", "must be text, not a list"),
        ('template: " "', 1, "template", "must not be empty"),
        ("compose: []", 1, "compose", "must name at least one file"),
        ("compose: [a, 5]", 1, "compose", "item 2 must be text, not a number"),
        ('compose: "a\\nb"', 1, "compose", "a path cannot have control characters"),
        (T + "profiles: [a]", 2, "profiles", "only compose files have this"),
        (T + "env_file: a", 2, "env_file", "only compose files have this"),
        (T + "description: {}", 2, "description", "must be text, not a mapping"),
        (T + "engine: swam", 2, "engine", "there is no choice `swam`"),
        (T + "engine: 3", 2, "engine", "must be text, not a number"),
        (T + "variables: [a]", 2, "variables", "must be a mapping"),
        (T + "variables:\n  a: [1]", 3, "variables.a", "must be one value, not a list"),
        (T + "variables:\n  a:", 3, "variables.a", "has no value"),
        (T + "variables:\n  a b: 1", 3, 'variables["a b"]', "'a b' cannot be the name of a variable"),
        (T + "variables:\n  1a: 1", 3, "variables.1a", "cannot be the name of a variable"),
        (T + "limits: {memory: 0}", 2, "limits.memory", "a size must be above zero"),
        (T + "limits: {memory: -1}", 2, "limits.memory", "a size such as 512m or 8g was expected, not '-1'"),
        (T + "limits: {memory: 1.5}", 2, "limits.memory", "a size such as 512m or 8g was expected"),
        (T + "limits: {memory: 2}", 2, "limits.memory", "the engine takes no less than 6m, not 2b"),
        (T + "limits: {memory: }", 2, "limits.memory", "was expected, not nothing"),
        (T + "limits: {memory: [1]}", 2, "limits.memory", "a size such as"),
        (T + "limits: {pids: -1}", 2, "limits.pids", "a whole number above zero was expected, not '-1'"),
        (T + "limits: {pids: 0}", 2, "limits.pids", "a whole number above zero"),
        (T + "limits: {pids: unlimited}", 2, "limits.pids", "not 'unlimited'"),
        (T + "limits: {pids: true}", 2, "limits.pids", "a whole number above zero"),
        (T + "limits: {cpus: 0}", 2, "limits.cpus", "a number of cpus"),
        (T + "limits: {cpus: two}", 2, "limits.cpus", "a number of cpus such as 0.5 or 2"),
        (T + "limits: {lifetime: 0s}", 2, "limits.lifetime", "a duration must be above zero"),
        (T + "limits: {lifetime: forever}", 2, "limits.lifetime", "a duration such as"),
        (T + "limits: {lifetime: 101y}", 2, "limits.lifetime", "a duration such as"),
        (T + "limits: {memry: 1g}", 2, "limits.memry", "no such limit; there are pids, memory"),
        (T + "limits: {memory: 2g, swap: 1g}", 2, "limits.swap", "it cannot be below memory"),
        (T + "limits: 5", 2, "limits", "must be a mapping"),
        (T + "watchdog: {memory: 100%}", 2, "watchdog.memory", "a share above 0% and below 100%"),
        (T + "watchdog: {pids: 0%}", 2, "watchdog.pids", "a share above 0% and below 100%"),
        (T + "watchdog: {pids: 1g}", 2, "watchdog.pids", "a whole number above zero"),
        (T + "watchdog: {sustain: soon}", 2, "watchdog.sustain", "a duration such as"),
        (T + "watchdog: {on_violation: boom}", 2, "watchdog.on_violation", "there is no choice `boom`"),
        (T + "watchdog: {urgent: 5}", 2, "watchdog.urgent", "must be a mapping"),
        (T + "watchdog: {urgent: {cpus: 5}}", 2, "watchdog.urgent.cpus", "there is no key `cpus`"),
        (T + "watchdog: {sustain_pids: 5s}", 2, "watchdog.sustain_pids", "there is no key"),
        (
            T + "limits: {pids: 100}\nwatchdog: {pids: 100}",
            3,
            "watchdog.pids",
            f"the pids threshold 100 ({SOURCE}:3) must be below the limit 100 ({SOURCE}:2)",
        ),
        (
            T + "limits: {memory: 1g}\nwatchdog:\n  urgent:\n    memory: 2g",
            5,
            "watchdog.urgent.memory",
            f"the memory threshold 2g ({SOURCE}:5) must be below the limit 1g ({SOURCE}:2)",
        ),
        (
            T + "watchdog: {pids: 90%, urgent: {pids: 80%}}",
            2,
            "watchdog.pids",
            "the pids threshold 90%",
        ),
        (
            T + "limits: {pids: 100}\nwatchdog: {pids: 90%, urgent: {pids: 80}}",
            3,
            "watchdog.pids",
            "must not be above the urgent one, 80",
        ),
        (
            T + "watchdog: {pids: 200}\nservices:\n  web:\n    limits: {pids: 64}",
            5,
            "services.web.limits.pids",
            f"the pids threshold 200 ({SOURCE}:2) must be below the limit 64 ({SOURCE}:5)",
        ),
        (
            T + "limits: {pids: 64}\nservices:\n  web:\n    watchdog: {pids: 64}",
            5,
            "services.web.watchdog.pids",
            "must be below the limit 64",
        ),
        (T + "services: [web]", 2, "services", "must be a mapping"),
        (T + "services:\n  web: 5", 3, "services.web", "must be a mapping"),
        (T + "services:\n  web: {image: x}", 3, "services.web.image", "there is no key `image`"),
        (T + "services:\n  a/b: {}", 3, 'services["a/b"]', "'a/b' cannot be the name of a service"),
        (T + "services:\n  web: {guard: {}}", 3, "services.web.guard", "a guard needs `patterns`"),
        (
            T + "services: {w: {guard: {patterns: [1]}}}",
            2,
            "services.w.guard.patterns",
            "item 1 must be text",
        ),
        (T + "services: {w: {guard: {patterns: '('}}}", 2, "services.w.guard.patterns", "regular expression"),
        (T + "services: {w: {guard: {patterns: [b, '.*.*.*']}}}", 2, "services.w.guard.patterns", "too long"),
        (T + "services: {w: {guard: {patterns: a, after: x}}}", 2, "services.w.guard.after", "no choice `x`"),
        (T + "sidecars:\n  db:", 3, "sidecars.db", "the sidecar lacks `image` and `port`"),
        (T + "sidecars:\n  db: {image: a}", 3, "sidecars.db", "the sidecar lacks `port`"),
        (T + "sidecars:\n  db: {template: p, image: x}", 3, "sidecars.db.image", "its template says this"),
        (T + "sidecars:\n  db: {template: p, port: 5}", 3, "sidecars.db.port", "its template says this"),
        (
            T + "sidecars:\n  db: {template: ../p}",
            3,
            "sidecars.db.template",
            "cannot be the name of a template",
        ),
        (T + "sidecars:\n  DB: p", 3, "sidecars.DB", "'DB' cannot be the name of a sidecar"),
        (T + "sidecars:\n  db: [p]", 3, "sidecars.db", "must be a mapping"),
        (T + "sidecars:\n  s: {image: a b, port: 1}", 3, "sidecars.s.image", "'a b' is not an image"),
        (T + "sidecars:\n  s: {image: a, port: 0}", 3, "sidecars.s.port", "a port from 1 to 65535"),
        (T + "sidecars:\n  s: {image: a, port: 65536}", 3, "sidecars.s.port", "a port from 1 to 65535"),
        (T + "sidecars:\n  s: {image: a, port: true}", 3, "sidecars.s.port", "a port from 1 to 65535"),
        (T + "sidecars:\n  s: {image: a, port: 1, data: d}", 3, "sidecars.s.data", "an absolute path"),
        (T + "sidecars:\n  s: {image: a, port: 1, data: /}", 3, "sidecars.s.data", "an absolute path"),
        (T + "sidecars:\n  s: {image: a, port: 1, data: /a/../b}", 3, "sidecars.s.data", "an absolute path"),
        (T + 'sidecars:\n  s: {image: a, port: 1, data: "/a:b"}', 3, "sidecars.s.data", "an absolute path"),
        (
            T + "sidecars:\n  s: {image: a, port: 1, env: A-B}",
            3,
            "sidecars.s.env",
            "cannot be the name of a variable",
        ),
        (T + "sidecars:\n  s: {image: a, port: 1, reach: moon}", 3, "sidecars.s.reach", "no choice `moon`"),
        (
            T + 'sidecars:\n  s: {image: a, port: 1, url: "{host"}',
            3,
            "sidecars.s.url",
            "its braces do not match",
        ),
        (T + 'sidecars:\n  s: {image: a, port: 1, url: "{x}"}', 3, "sidecars.s.url", "{x} is not known here"),
        (
            T + 'sidecars:\n  s: {image: a, port: 1, url: "{host.a}"}',
            3,
            "sidecars.s.url",
            "{host.a} is not known",
        ),
        (
            T + 'sidecars:\n  s: {image: a, port: 1, url: "{host!r}"}',
            3,
            "sidecars.s.url",
            "is not known here",
        ),
        (T + 'sidecars:\n  s: {image: a, port: 1, url: "a b"}', 3, "sidecars.s.url", "white space"),
        (
            T + "sidecars:\n  s: {image: a, port: 1, variables: {a: 1}}",
            3,
            "sidecars.s.variables",
            "only a template",
        ),
        (T + "sidecars:\n  s: {template: a, variables: {a: }}", 3, "sidecars.s.variables.a", "has no value"),
        (T + "sidecars:\n  s: {template: a, volume: b}", 3, "sidecars.s.volume", "there is no key `volume`"),
        (T + "tasks:\n  t: {command: a}", 3, "tasks.t", "the task needs an `image`"),
        (T + f"tasks:\n  t: {{image: {DEEP_IMAGE}}}", 3, "tasks.t.image", "is not an image"),
        (T + "tasks:\n  T: {image: a}", 3, "tasks.T", "'T' cannot be the name of a task"),
        (T + 'tasks:\n  t: {image: a, command: "\'x"}', 3, "tasks.t.command", "its quotes do not match"),
        (
            T + "tasks:\n  t: {image: a, command: [a, {}]}",
            3,
            "tasks.t.command",
            "item 2 must be text, not a mapping",
        ),
        (T + "tasks:\n  t: {image: a, command: []}", 3, "tasks.t.command", "must not be empty"),
        (T + "tasks:\n  t: {image: a, command: 5}", 3, "tasks.t.command", "must be a list of words, or text"),
        (T + "tasks:\n  t: {image: a, lifetime: x}", 3, "tasks.t.lifetime", "a duration such as"),
        (T + "tasks:\n  t: {image: a, environment: {A: }}", 3, "tasks.t.environment.A", "has no value"),
        (
            T + "tasks:\n  t: {image: a, environment: {A-B: 1}}",
            3,
            "tasks.t.environment.A-B",
            "name of a variable",
        ),
        (
            T + "tasks:\n  t: {image: a, environment: [A]}",
            3,
            "tasks.t.environment",
            "`A` has no value; write A=value",
        ),
        (T + "allow: {web: [privilegd]}", 2, "allow.web[0]", "there is no choice `privilegd`"),
        (T + "allow: {web: 5}", 2, "allow.web", "must be text, not a number"),
        (T + "allow: [privileged]", 2, "allow", "must be a mapping"),
        (T + "a: 1\na: 2", 3, "a", "`a` stands here twice"),
        (T + "services: !reset {}", 2, "services", "the tag `!reset` is not supported"),
    ],
)
def test_each_mistake_is_told_with_its_place(text: str, line: int, path: str, message: str) -> None:
    found = [one for one in problems(text) if one[:2] == (line, path)]

    assert len(found) == 1, problems(text)
    assert message in found[0][2]


def test_what_a_service_inherits_is_told_once() -> None:
    text = T + "limits: {pids: 9}\nwatchdog: {pids: 9}\nservices: {web: {}, db: {limits: {memory: 1g}}}\n"

    assert [(line, path) for line, path, _ in problems(text)] == [(3, "watchdog.pids")]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = "template: A\nlimits: {pids: 0, memory: x}\nallow: {web: [x]}\nengine: y\n"

    assert [(line, path) for line, path, _ in problems(text)] == [
        (1, "template"),
        (2, "limits.pids"),
        (2, "limits.memory"),
        (3, "allow.web[0]"),
        (4, "engine"),
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("templte: a\ncompose: b", "did you mean `template`?"),
        (T + "allow: {web: [docker-sock]}", "did you mean `docker-socket`?"),
        (T + "engine: swam", "did you mean `swarm`?"),
        (T + "services: {web: {watchdgo: {}}}", "did you mean `watchdog`?"),
        (T + "zzzz: 1", "there are: description, template"),
        ("", "write `template: NAME`"),
    ],
)
def test_a_hint_names_what_was_meant(text: str, hint: str) -> None:
    with pytest.raises(StackFileError) as caught:
        parse(text)

    assert hint in caught.value.problems[0].hint


def test_an_error_says_file_line_and_path_in_its_text() -> None:
    with pytest.raises(StackFileError) as caught:
        parse("template: web\nlimits:\n  memory: 0\n")

    assert str(caught.value).startswith(f"{SOURCE}:3: limits.memory: a size must be above zero")


def test_the_name_of_a_stack_is_checked() -> None:
    with pytest.raises(UsageError, match="cannot be the name of a stack"):
        parse_stack(T, name="../x", source=SOURCE)


@pytest.mark.parametrize("word", sorted(ALLOW))
def test_each_word_of_allow_is_taken(word: str) -> None:
    assert parse(f"template: t\nallow: {{web: [{word}, {word}]}}").allow == {"web": (word,)}


keys = st.sampled_from(
    [
        "description",
        "template",
        "compose",
        "variables",
        "profiles",
        "env_file",
        "sidecars",
        "limits",
        "watchdog",
        "services",
        "tasks",
        "allow",
        "use_volumes_of",
        "engine",
        "memory",
        "pids",
        "cpus",
        "swap",
        "lifetime",
        "urgent",
        "sustain",
        "on_violation",
        "guard",
        "patterns",
        "after",
        "older_than",
        "image",
        "port",
        "data",
        "health",
        "url",
        "env",
        "reach",
        "command",
        "environment",
        "web",
        "db",
    ]
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["1g", "80%", "host", "{host}", "{", "a b", "", "web", "10s", "privileged", "-1", "∞", "'"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\0"), max_size=8),
)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | leaves.map(str), inner, max_size=6),
    max_leaves=25,
)


def _stack_or_refusal(text: str) -> None:
    found: Stack | StackFileError
    try:
        found = parse(text)
    except StackFileError as error:
        found = error
    if isinstance(found, Stack):
        assert bool(found.template) != bool(found.compose)
    else:
        assert found.problems
        assert all(one.source == SOURCE and one.message and "\n" not in one.message for one in found.problems)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(keys, trees, max_size=8))
def test_any_tree_is_a_stack_or_refused(tree: Any) -> None:
    _stack_or_refusal(dump(tree))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80) | st.text("template: limits{}[]\n ,&*!|>'\"#-%@", max_size=60))
def test_any_text_is_a_stack_or_refused(text: str) -> None:
    _stack_or_refusal(text)
