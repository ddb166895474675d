"""Template files, and the check of one value for a variable."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.core.documents import dump
from stackctl.core.errors import StackFileError, UsageError
from stackctl.core.limits import Setting
from stackctl.core.patterns import check_pattern, matches
from stackctl.core.stack import DataFolder, SidecarFacts, SidecarSpec, Template, Variable
from stackctl.core.templatefile import parse_template, value_for
from stackctl.core.variables import TYPES

SOURCE = "templates/web/template.yaml"

WHOLE = """\
description: A web application
variables:
  image: {type: image, help: Your image}
  replicas: 2
  ratio: 0.5
  title: Hello
  debug: false
  must:
  password: {type: secret, help: of the database}
  port: {type: port, default: auto}
  size: {type: size, default: 1536m}
  keep: {type: duration, default: 90s}
  mode: {choices: [fast, safe], default: safe}
  level: {type: choice, choices: [1, 2]}
  host: {pattern: '[a-z0-9-]+(\\.[a-z]{2,8})?', default: a.example}
  plain: {default: x}
sidecar: {port: 5432, data: /var/lib/postgresql/data/, uid: 999, url: "pg://{title}@{host}:{port}", env: DB}
data: {visits: {uid: 1001}, cache: }
connects: [web]
sidecars: {db: {template: postgres, variables: {version: 17}}, cache: redis}
"""


def parse(text: str) -> Template:
    return parse_template(text, name="web", source=SOURCE)


@pytest.fixture(scope="module")
def whole() -> Template:
    return parse(WHOLE)


def test_variables_with_their_types_and_defaults(whole: Template) -> None:
    assert {name: (one.type, one.default) for name, one in whole.variables.items()} == {
        "image": ("image", None),
        "replicas": ("integer", 2),
        "ratio": ("number", 0.5),
        "title": ("string", "Hello"),
        "debug": ("boolean", False),
        "must": ("string", None),
        "password": ("secret", None),
        "port": ("port", 0),
        "size": ("size", "1536m"),
        "keep": ("duration", "1m30s"),
        "mode": ("choice", "safe"),
        "level": ("choice", None),
        "host": ("string", "a.example"),
        "plain": ("string", "x"),
    }
    assert whole.variables["image"].help == "Your image"
    assert whole.variables["mode"].choices == ("fast", "safe")


def test_what_a_template_says_of_its_services(whole: Template) -> None:
    assert whole.sidecar == SidecarFacts(
        port=5432, data="/var/lib/postgresql/data", uid=999, url="pg://{title}@{host}:{port}", env="DB"
    )
    assert whole.data == (DataFolder(name="visits", uid=1001), DataFolder(name="cache"))
    assert whole.connects == ("web",)
    assert whole.sidecars == {
        "db": SidecarSpec(template="postgres", variables={"version": Setting(17, f"{SOURCE}:20")}),
        "cache": SidecarSpec(template="redis"),
    }


def test_an_empty_template_declares_nothing() -> None:
    assert parse("") == Template(name="web", source=SOURCE)
    assert parse("connects: []").connects == ()
    assert parse("data: [a, b]").data == (DataFolder(name="a"), DataFolder(name="b"))


V = "variables:\n  a: "


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        ("[]", 1, "", "must be a mapping"),
        ("servces: {}", 1, "servces", "there is no key `servces`"),
        (V + "{type: nope}", 2, "variables.a.type", "there is no choice `nope`"),
        (V + "{typ: string}", 2, "variables.a.typ", "there is no key `typ`"),
        (V + "[1]", 2, "variables.a", "must be one value, not a list"),
        (V + "{default: [1]}", 2, "variables.a.default", "must be one value, not a list"),
        (V + "{type: secret, default: x}", 2, "variables.a.default", "a secret has no default"),
        (V + "{type: choice}", 2, "variables.a", "a choice needs `choices`"),
        (V + "{type: choice, default: x}", 2, "variables.a", "a choice needs `choices`"),
        (V + "{choices: []}", 2, "variables.a.choices", "a list of at least one value, not empty"),
        (V + "{choices: b}", 2, "variables.a.choices", "a list of at least one value, not text"),
        (V + "{choices: [b, b]}", 2, "variables.a.choices", "has the same choice twice"),
        (V + "{choices: [b], default: c}", 2, "variables.a.default", "'c' is none of b"),
        (V + "{type: integer, choices: [1]}", 2, "variables.a.choices", "only type choice has them"),
        (V + "{type: integer, pattern: a}", 2, "variables.a.pattern", "only type string has one"),
        (V + "{type: integer, default: x}", 2, "variables.a.default", "a whole number was expected"),
        (V + "{type: size, default: 0}", 2, "variables.a.default", "a size must be above zero"),
        (V + "{type: port, default: 70000}", 2, "variables.a.default", "a port from 1 to 65535"),
        (V + "{pattern: '(a'}", 2, "variables.a.pattern", "is not a regular expression"),
        (V + "{pattern: '(a+)+'}", 2, "variables.a.pattern", "could take too long"),
        (V + "{pattern: '[a-z]+', default: A}", 2, "variables.a.default", "does not match the pattern"),
        (V + "{help: 5}", 2, "variables.a.help", "must be text, not a number"),
        ("variables:\n  if: 1", 2, "variables.if", "`if` means something else in a template"),
        ("variables:\n  a-b: 1", 2, "variables.a-b", "cannot be the name of a variable"),
        ("sidecar: {}", 1, "sidecar", "a sidecar needs its `port`"),
        ("sidecar: 5", 1, "sidecar", "must be a mapping"),
        ("sidecar: {port: x}", 1, "sidecar.port", "a port from 1 to 65535"),
        ("sidecar: {port: 1, uid: 0}", 1, "sidecar.uid", "a service never runs as root"),
        ("sidecar: {port: 1, uid: root}", 1, "sidecar.uid", "a service never runs as root"),
        ("sidecar: {port: 1, uid: -1}", 1, "sidecar.uid", "a numeric user id from 1"),
        ("sidecar: {port: 1, uid: 1.5}", 1, "sidecar.uid", "a numeric user id from 1"),
        ("sidecar: {port: 1, uid: true}", 1, "sidecar.uid", "a numeric user id from 1"),
        ("sidecar: {port: 1, data: a}", 1, "sidecar.data", "an absolute path"),
        ('sidecar: {port: 1, url: "{who}"}', 1, "sidecar.url", "{who} is not known here"),
        ("sidecar: {port: 1, env: 1A}", 1, "sidecar.env", "cannot be the name of a variable"),
        ("data: [A]", 1, "data", "'A' cannot be the name of a data folder"),
        ("data: {A: }", 1, "data.A", "'A' cannot be the name of a data folder"),
        ("data: {a: 5}", 1, "data.a", "must be a mapping"),
        ("data: {a: {uid: 0}}", 1, "data.a.uid", "a service never runs as root"),
        ("data: 5", 1, "data", "must be a mapping"),
        ("connects: 4", 1, "connects", "must be text, not a number"),
        ("connects: [a b]", 1, "connects", "cannot be the name of a service"),
        ("sidecars: {db: {}}", 1, "sidecars.db", "the sidecar lacks `image` and `port`"),
    ],
)
def test_each_mistake_is_told_with_its_place(text: str, line: int, path: str, message: str) -> None:
    with pytest.raises(StackFileError) as caught:
        parse(text)

    (problem,) = caught.value.problems
    assert (problem.source, problem.line, problem.path) == (SOURCE, line, path)
    assert message in problem.message


def test_the_name_of_a_template_is_checked() -> None:
    with pytest.raises(UsageError, match="cannot be the name of a template"):
        parse_template("", name="a/b", source=SOURCE)


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("string", "a\nb", "a\nb"),
        ("string", "", ""),
        ("string", "a\tb", "a\tb"),
        ("string", 17, "17"),
        ("integer", 5, 5),
        ("integer", "-5", -5),
        ("integer", " 5 ", 5),
        ("number", 5, 5),
        ("number", "0.5", 0.5),
        ("number", "1e3", 1000.0),
        ("boolean", True, True),
        ("boolean", "true", True),
        ("boolean", "Yes", True),
        ("boolean", "no", False),
        ("size", "512m", "512m"),
        ("size", "0.5g", "512m"),
        ("size", "1024", "1k"),
        ("size", 1000, "1000b"),
        ("duration", "90s", "1m30s"),
        ("duration", "2d", "48h"),
        ("duration", 0.25, "250ms"),
        ("image", "busybox", "busybox"),
        ("image", "ghcr.io/acme/web:1.4", "ghcr.io/acme/web:1.4"),
        ("port", 80, 80),
        ("port", "65535", 65535),
        ("port", "auto", 0),
        ("port", 0, 0),
        ("choice", "fast", "fast"),
        ("choice", "2", 2),
        ("choice", "true", True),
        ("choice", True, True),
        ("secret", "file:/run/pw", "file:/run/pw"),
    ],
)
def test_values_are_written_in_one_way(kind: Any, raw: Any, value: Any) -> None:
    variable = Variable(name="a", type=kind, choices=("fast", 2, True) if kind == "choice" else ())

    found = value_for(variable, raw)

    assert (type(found), found) == (type(value), value)
    assert value_for(variable, found) == found


@pytest.mark.parametrize(
    ("kind", "raw", "message"),
    [
        ("string", None, "must be one value, not nothing"),
        ("string", ["a"], "must be one value, not a list"),
        ("string", 1.1, "must be text, not a number; put it in quotes"),
        ("string", True, "must be text, not true or false"),
        ("string", "a\0b", "must not have control characters"),
        ("string", "a\x1bb", "must not have control characters"),
        ("string", "x" * 70_000, "more than the 65536 allowed"),
        ("integer", "1.5", "a whole number was expected, not '1.5'"),
        ("integer", 1.0, "a whole number was expected"),
        ("integer", True, "a whole number was expected, not true"),
        ("integer", "five", "a whole number was expected, not 'five'"),
        ("integer", "", "a whole number was expected"),
        ("integer", "5\n6", "must be one line"),
        ("number", "x", "a number was expected, not 'x'"),
        ("number", False, "a number was expected"),
        ("number", ".inf", "not a finite number"),
        ("number", float("nan"), "a number was expected"),
        ("boolean", "maybe", "true or false was expected, not 'maybe'"),
        ("boolean", 1, "true or false was expected"),
        ("size", "big", "a size such as 512m or 8g was expected, not 'big'"),
        ("size", True, "a size such as"),
        ("size", "9" * 400 + "t", "a size such as"),
        ("duration", "0s", "a duration must be above zero"),
        ("duration", "5", "a duration such as"),
        ("duration", 1e300, "below 100 years"),
        ("image", "A B", "is not an image such as"),
        ("image", "", "is not an image such as"),
        ("image", "a\nb", "must be one line"),
        ("port", 65536, "a port from 1 to 65535 was expected, not 65536; `auto` lets stackctl choose"),
        ("port", -1, "a port from 1 to 65535"),
        ("port", False, "a port from 1 to 65535"),
        ("port", "0", "a port from 1 to 65535"),
        ("choice", "slow", "'slow' is none of fast, 2, true"),
        ("secret", "file:relative", "never the secret"),
        ("secret", "file:/folder/", "never the secret"),
        ("secret", 5, "never the secret"),
    ],
)
def test_what_is_no_value_is_refused_in_one_sentence(kind: Any, raw: Any, message: str) -> None:
    variable = Variable(name="a", type=kind, choices=("fast", 2, True) if kind == "choice" else ())

    with pytest.raises(ValueError) as caught:
        value_for(variable, raw)

    assert message in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_secret_is_never_repeated() -> None:
    with pytest.raises(ValueError) as caught:
        value_for(Variable(name="a", type="secret"), "hunter2")

    assert "hunter2" not in str(caught.value)


def test_a_pattern_holds_for_the_whole_value() -> None:
    variable = Variable(name="a", pattern="[a-z]+")

    assert value_for(variable, "abc") == "abc"
    for raw in ("abc1", "abc\n", ""):
        with pytest.raises(ValueError, match="does not match the pattern"):
            value_for(variable, raw)


def test_a_pattern_bounds_the_length() -> None:
    with pytest.raises(ValueError, match="more than the 256 that a pattern allows"):
        value_for(Variable(name="a", pattern="a*"), "a" * 257)


@pytest.mark.parametrize(
    "pattern",
    [
        "[a-z]+",
        r"[a-z0-9-]+(\.[a-z]{2,8}){1,2}",
        r"\d+\.\d+\.\d+",
        "(?:foo|bar)-[a-z]{1,20}",
        "v?[0-9]+",
        "(abc)+",
        "[]a]+[^]]",
        r"\(a\)\+",
        "a{}b{x}",
        "",
    ],
)
def test_patterns_that_are_bounded_pass(pattern: str) -> None:
    assert check_pattern(pattern) == pattern


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(a+)+", "could take too long"),
        ("(a|aa)+", "could take too long"),
        ("(a*)*b", "could take too long"),
        ("(a?){30}", "could take too long"),
        ("a?" * 30 + "a" * 30, "could take too long"),
        ("(.*a){12}", "could take too long"),
        (".*.*.*.*x", "could take too long"),
        ("((a{200}){200}){200}", "could take too long"),
        ("a{1000}", "could take too long"),
        ("a{2,}b{2,}c{2,}d{2,}", "could take too long"),
        ("(?=a)b", "plain groups only"),
        ("(?P<n>a)", "plain groups only"),
        ("(?i)a", "plain groups only"),
        (r"(a)\1", "cannot refer back"),
        ("(a", "is not a regular expression"),
        ("[a", "is not a regular expression"),
        ("[[a]]", "is not a regular expression"),
        ("*", "is not a regular expression"),
        ("a" * 201, "at most 200 characters"),
        ("(" * 40 + "a" + ")" * 40, "nested too deep"),
    ],
)
def test_patterns_that_could_blow_up_are_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_pattern(pattern)

    assert message in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(
    st.text("ab()|?*+{}1,2[]^\\.d-", max_size=16), st.sampled_from(["a" * 256, "ab" * 128, "a" * 255 + "!"])
)
def test_a_pattern_that_passes_ends_soon(pattern: str, text: str) -> None:
    try:
        check_pattern(pattern)
    except ValueError:
        return
    begun = time.process_time()
    matches(pattern, text)

    assert time.process_time() - begun < 3


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TYPES), st.text(max_size=10) | st.integers() | st.floats() | st.booleans())
def test_a_value_that_is_taken_stays_as_it_is(kind: Any, raw: Any) -> None:
    variable = Variable(name="a", type=kind, choices=("a", 1, True))
    try:
        value = value_for(variable, raw)
    except ValueError:
        return

    assert value_for(variable, value) == value


keys = st.sampled_from(
    [
        "description",
        "variables",
        "sidecar",
        "data",
        "connects",
        "sidecars",
        "type",
        "default",
        "help",
        "pattern",
        "choices",
        "port",
        "uid",
        "url",
        "env",
    ]
)
leaves = st.none() | st.booleans() | st.integers(-5, 70_000) | st.text("a{}:/(+0 ", max_size=5) | keys
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.just("a"), inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(keys, trees, max_size=6))
def test_any_tree_is_a_template_or_refused(tree: Any) -> None:
    with suppress(StackFileError):
        parse(dump(tree))
