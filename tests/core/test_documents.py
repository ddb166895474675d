"""The YAML loader and dumper: what is refused and where, what scalars mean, what comes back."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.core import documents
from stackctl.core.documents import MAX_BYTES, dump, load, show_path
from stackctl.core.errors import StackFileError

characters = st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\0")
odd_text = st.text("0123456789_.:+-eExXoOyYnN~<= \n\t#'\"|>[]{}!&*%@`", max_size=12)
words = st.sampled_from(
    [
        "y",
        "n",
        "yes",
        "no",
        "on",
        "off",
        "True",
        "NULL",
        "~",
        "22:22",
        "190:20:30.15",
        "2026-01-01",
        "0o17",
        "0x1F",
        "0777",
        "0888",
        "1_000",
        "1e3",
        "1.",
        ".5",
        ".inf",
        ".nan",
        "=",
        "<<",
        "!reset",
        "*a",
        "&a",
        "-",
        "?",
        ":",
        "---",
        "...",
        "#",
        "a:b",
        "$HOME",
        "${A:?}",
    ]
)
texts = st.one_of(st.text(characters, max_size=20), odd_text, words)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.one_of(texts, numbers, st.booleans(), st.none())
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def refused(text: str) -> StackFileError:
    with pytest.raises(StackFileError) as caught:
        load(text, source="x.yaml")
    return caught.value


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], ids=["c", "pure"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_LOADER", getattr(yaml, request.param))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
        ("tRUE", "tRUE"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("null", None),
        ("~", None),
        ("", None),
        ("22:22", "22:22"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"),
        ("0o17", 15),
        ("0x1F", 31),
        ("-0x1F", -31),
        ("0b101", 5),
        ("0440", 288),
        ("0888", 888.0),
        ("1_000", 1000),
        ("_1", "_1"),
        ("+5", 5),
        ("-5", -5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("0x1p4", "0x1p4"),
        ("18446744073709551615", 18446744073709551615),
        ("18446744073709551616", 1.8446744073709552e19),
        ("1.2.3", "1.2.3"),
        ('"1"', "1"),
        ("'true'", "true"),
        ("!!str 1", "1"),
        ("=", "="),
        ("127.0.0.1:80:80", "127.0.0.1:80:80"),
    ],
)
def test_scalars_are_what_compose_reads(written: str, value: Any, parser: None) -> None:
    found = load(f"a: {written}", source="x.yaml").data["a"]

    assert found == value
    assert type(found) is type(value)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        ("a: 1\nb: [1\n", 3, "", "not valid YAML"),
        ("a: b: c", 1, "", "not valid YAML: mapping values are not allowed"),
        ("a:\n\tb: 1", 2, "", "not valid YAML"),
        ("a: 'open", 1, "", "not valid YAML"),
        ("a: 1\nb: 2\na: 3", 3, "a", "`a` stands here twice, first on line 1"),
        ("s:\n  web: 1\n  web: 2", 3, "s.web", "first on line 2"),
        ("a: 1\n1.5: 2", 2, "", "the key `1.5` is not text"),
        ("0x10: 2", 1, "", "the key `0x10` is not text"),
        ("true: 2", 1, "", "the key `true` is not text"),
        ("? [a, b]\n: 2", 1, "", "a key must be text, not a list"),
        ("a: &k x\n*k : 2", 2, "", "a key must be text"),
        ("a: !reset 1", 1, "a", "the tag `!reset` is not supported"),
        ("a:\n- !override [1]", 2, "a[0]", "the tag `!override` is not supported"),
        ("a: !!python/object:os.system x", 1, "a", "the tag `!!python/object:os.system` is not"),
        ("a: !!int 3", 1, "a", "the tag `!!int` is not supported"),
        ("a: 1\n---\nb: 2", 2, "", "a second document begins here"),
        ("a: 1\nb: \x00", 2, "", "the character U+0000 cannot stand"),
        ("a: \x1b[0m", 1, "", "the character U+001B cannot stand"),
        ("a: \ud800", 1, "", "the character U+D800 cannot stand"),
        ('a: "x\\0y"', 1, "a", "a NUL character"),
        ("a: *nowhere", 1, "a", "`*nowhere` names no anchor above it"),
        ("a: &a [*a]", 1, "a[0]", "`*a` contains itself"),
        ("a: .inf", 1, "a", "`.inf` is not a finite number"),
        ("a: -.Inf", 1, "a", "not a finite number"),
        ("a: .nan", 1, "a", "`.nan` is not a finite number"),
        ("a: 1e999", 1, "a", "`1e999` is not a finite number"),
        ("a: {<<: 3}", 1, 'a["<<"]', "a merge key takes a mapping"),
        ("a: {<<: [{b: 1}, 3]}", 1, 'a["<<"]', "a merge key takes a mapping"),
        ("%YAML 3.0\n---\na: 1", 1, "", "not valid YAML"),
        ("[" * 60 + "]" * 60, 1, "", "the nesting is deeper than 50 levels"),
        ("\n".join(" " * depth + "a:" for depth in range(80)), 51, "", "the nesting is deeper than 50"),
        (BOMB, 6, "", "grows beyond 100000 values"),
        ("a: &a x\nb: [" + "*a," * 501 + "]", 2, "b[500]", "there are more than 500 aliases"),
        ("a: &a " + "x" * 300_000 + "\nb: [" + "*a," * 400 + "]", 2, "", "grows beyond 100000 values"),
        ("a: " + "x" * MAX_BYTES, 0, "", f"more than the {MAX_BYTES} allowed"),
    ],
)
def test_what_is_no_document_is_refused_where_it_stands(
    text: str, line: int, path: str, message: str
) -> None:
    error = refused(text)

    (problem,) = error.problems
    assert (problem.source, problem.line, problem.path) == ("x.yaml", line, path)
    assert message in problem.message
    assert error.exit_code == 2


def test_depth_behind_an_alias_counts() -> None:
    nested = "[" * 30 + "]" * 30

    assert "deeper than 50" in refused(f"a: &a {nested}\nb: {'[' * 25}*a{']' * 25}").problems[0].message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a:\n\tb: 1", "indent with spaces"),
        ("a: b: c", "in quotes"),
        ("a: @x", "put the value in quotes"),
        ("a: 1\n---\nb: 2", "one document in a file"),
        ("a: [1", "close the bracket"),
    ],
)
def test_common_mistakes_have_a_hint(text: str, hint: str) -> None:
    assert hint in refused(text).problems[0].hint


def test_all_problems_of_a_document_are_told_at_once() -> None:
    error = refused("a: 1\na: 2\nb: !x 1\n2.5: c\n")

    assert [problem.line for problem in error.problems] == [2, 3, 4]
    assert error.message == "`x.yaml` has 3 problems"


def test_a_flood_of_problems_is_cut() -> None:
    error = refused("a: 1\n" * 2_000)

    assert error.message == "`x.yaml` has 1999 problems"
    assert len(error.problems) == 50


@pytest.mark.parametrize(
    "text",
    ["[" * 400_000, "- " * 300_000, "? " * 300_000, "!" * 400_000, "&a " * 200_000, '"' + "\n" * 400_000],
)
def test_hostile_text_is_refused_fast(text: str) -> None:
    begun = time.process_time()
    refused(text)

    assert time.process_time() - begun < 5, "seconds of processor time, however busy the machine is"


def test_messages_never_repeat_long_text() -> None:
    for text in ("!" + "x" * 90_000 + " 1", "? " + "k" * 90_000 + "\n: 1\n? " + "k" * 90_000 + "\n: 2"):
        problem = refused(text).problems[0]

        assert len(str(problem)) < 300


def test_long_keys_around_many_values_take_no_more_memory_than_the_text() -> None:
    keys = "".join(f"{' ' * depth}{'k' * 400}:\n" for depth in range(40))
    loaded = load(f"{keys}{' ' * 40}[{'1, ' * 5_000}]", source="x")

    assert sum(map(len, loaded.lines)) < 1 << 20


def test_numbers_as_keys_become_their_text() -> None:
    assert load("labels: {8080: web}", source="x").data == {"labels": {"8080": "web"}}


def test_an_empty_file_is_no_document() -> None:
    loaded = load("# nothing\n", source="x")

    assert (loaded.data, loaded.line("a")) == (None, 0)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert load("\ufeffa: 1", source="x").data == {"a": 1}


def test_merge_keys_bring_in_what_is_not_set() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], c: 3}\nw:\n  <<: *x\n  b: 9\n"
    data = load(text, source="x").data

    assert data["z"] == {"a": 1, "b": 1, "c": 3}
    assert data["w"] == {"a": 1, "b": 9}


def test_a_quoted_merge_key_is_a_key() -> None:
    assert load('"<<": {a: 1}', source="x").data == {"<<": {"a": 1}}


def test_what_an_alias_repeats_is_not_shared() -> None:
    data = load("a: &a {b: [1]}\nc: *a", source="x").data
    data["a"]["b"].append(2)

    assert data["c"] == {"b": [1]}


def test_lines_are_those_of_keys_and_items() -> None:
    loaded = load('services:\n  web:\n    ports:\n    - "80"\n    - "81"\n  "a.b": 1\n', source="x")

    assert loaded.line("services.web.ports[1]") == 5
    assert loaded.line('services["a.b"]') == 6
    assert loaded.line("services.web.image") == 2
    assert loaded.line("services.web.ports[7].x") == 3
    assert loaded.line('services["a.b"].x') == 6
    assert loaded.line("nothing") == 1


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ([], ""),
        (["services", "web", "ports", 0], "services.web.ports[0]"),
        (["services", "a.b", "x-y"], 'services["a.b"].x-y'),
        ([0, "a"], "[0].a"),
        (["a", ""], 'a[""]'),
        (["a", 'b"c\n'], 'a["b\\"c\\n"]'),
        (["labels", "8080"], "labels.8080"),
    ],
)
def test_paths(parts: list[str | int], path: str) -> None:
    assert show_path(parts) == path


@settings(max_examples=60, deadline=None)
@given(trees)
def test_what_is_dumped_loads_as_it_was(tree: Any) -> None:
    text = dump(tree)

    assert load(text, source="x").data == tree
    assert repr(load(text, source="x").data) == repr(load(dump(load(text, source="x").data), source="x").data)


@settings(max_examples=60, deadline=None)
@given(trees)
def test_readers_of_the_older_yaml_see_the_same(tree: Any) -> None:
    found = yaml.safe_load(dump(tree))

    assert found == tree


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60) | odd_text | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_any_text_loads_or_is_refused(text: str) -> None:
    with suppress(StackFileError):
        load(text, source="x")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["a: ", "&a ", "*a ", "<<: ", "[", "]", "{", "}", "- ", "\n", "\n  ", "1", ", "])
    )
)
def test_any_structure_loads_or_is_refused(parts: list[str]) -> None:
    with suppress(StackFileError):
        load("".join(parts), source="x")


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(texts, scalars, max_size=6))
def test_order_of_keys_does_not_change_the_bytes(mapping: dict[str, Any]) -> None:
    assert dump(mapping) == dump(dict(reversed(mapping.items())))


def test_the_top_has_an_order_of_its_own() -> None:
    document = {"x-a": 1, "networks": {}, "services": {"b": {}, "a": {}}, "name": "n", "volumes": {}}

    assert list(yaml.safe_load(dump(document))) == ["name", "services", "networks", "volumes", "x-a"]
    assert list(yaml.safe_load(dump(document))["services"]) == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    ["yes", "no", "y", "22:22", "0o17", "0777", "1e3", "2026-01-01", "null", "<<", "~", "1_0", "", ".inf"],
)
def test_ambiguous_strings_are_quoted(text: str) -> None:
    assert dump({"a": text}) == f"a: '{text}'\n"


def test_long_lines_stay_whole_and_scripts_readable() -> None:
    long = "echo " + "word " * 200 + "end"

    assert dump({"a": long}) == f"a: {long}\n"
    assert dump({"a": "one\ntwo\n"}) == "a: |\n  one\n  two\n"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, b"x"])
def test_what_has_no_text_is_not_written(value: Any) -> None:
    with pytest.raises(TypeError):
        dump({"a": value})
