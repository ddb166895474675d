"""Whatever a value is, the document has the shape that the template gave it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stackctl.core.documents import dump, load
from stackctl.core.errors import StackctlError, TemplateError
from stackctl.core.sandbox import Sandbox
from stackctl.core.tokens import Tokens
from templating import NASTY, render

TEMPLATE = """\
{% macro service(name, value) %}
  {{ name }}:
    image: busybox:1.35
    environment: {A: {{ value }}, B: "{{ value }}", C: 'x{{ value }}y', D: {{ value|upper }}}
    labels:
      {{ value }}: own
{% endmacro %}
{% macro wrap() %}{{ caller() }}{% endmacro %}
{% set block %}{{ v }}{% endset %}
services:
{{ service("web", v) }}
{% for one in [v, v ~ "!"] %}
  s{{ loop.index }}:
    image: {{ one }}
    # {{ one }}
    command: [{{ one }}, a{{ one }}, "{{ one }}"]
    working_dir: |
      one {{ one }}
      two
    hostname: >-
      {{ one }}
{% endfor %}
{% call wrap() %}
  last:
    image: {{ v }}
    domainname: "{{ block }}${STACKCTL_SECRETS:?}$HOME"
{% endcall %}
"""

RESERVED = "\U0010f5c0\U0010f5c1"
"""Characters that no value may have; a test of its own is about them."""
plain = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=RESERVED)
texts = st.text(plain, max_size=40) | st.sampled_from(NASTY)
joined = st.lists(texts | st.sampled_from(["\n", "\t", ": ", "\n  ", " #"]), max_size=5).map("".join)


def escaped(text: str) -> str:
    return text.replace("$", "$$")


def expected(value: str) -> dict[str, Any]:
    v, plus = escaped(value), escaped(value + "!")

    def looped(one: str) -> dict[str, Any]:
        return {
            "image": one,
            "command": [one, f"a{one}", one],
            "working_dir": f"one {one}\ntwo\n",
            "hostname": one,
        }

    web = {"A": v, "B": v, "C": f"x{v}y", "D": escaped(value.upper())}
    return {
        "web": {"image": "busybox:1.35", "environment": web, "labels": {value: "own"}},
        "s1": looped(v),
        "s2": looped(plus),
        "last": {"image": v, "domainname": v + "${STACKCTL_SECRETS:?}$$HOME"},
    }


def check(value: str) -> None:
    document = render(TEMPLATE, {"v": {"type": "string"}}, {"v": value}).document
    assert document == {"services": expected(value)}
    assert load(dump(document), source="x").data == document


@pytest.mark.parametrize("value", NASTY)
def test_no_nasty_value_changes_the_shape(value: str) -> None:
    check(value)


@given(joined)
@example("a\n\n  b: c")
def test_no_value_changes_the_shape(value: str) -> None:
    check(value)


@given(st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_scalar_that_is_one_value_keeps_its_type(value: float) -> None:
    kind = {bool: "boolean", int: "integer", float: "number"}[type(value)]
    compose = 'services: {w: {image: a, x: {{ v }}, y: "{{ v }}", z: "v{{ v }}"}}'
    service = render(compose, {"v": {"type": kind}}, written={"v": value}).document["services"]["w"]
    assert (service["x"], service["y"]) == (value, value)
    assert type(service["x"]) is type(value)
    assert service["z"] == "v" + (str(value).lower() if isinstance(value, bool) else str(value))


KEYS = "services:\n  w:\n    image: a\n    labels:\n      {{ a }}: 1\n      {{ b }}: 2\n"
KEY_VARIABLES = {"a": {"type": "string"}, "b": {"type": "string"}}


@given(st.lists(joined, min_size=2, max_size=2, unique=True))
def test_keys_are_values_too(keys: list[str]) -> None:
    one, other = keys
    document = render(KEYS, KEY_VARIABLES, {"a": one, "b": other}).document
    assert document["services"]["w"]["labels"] == {one: 1, other: 2}


def test_two_values_that_make_the_same_key_are_refused() -> None:
    with pytest.raises(TemplateError, match="`x: y` stands twice"):
        render(KEYS, KEY_VARIABLES, {"a": "x: y", "b": "x: y"})


def test_a_value_cannot_forge_a_stand_in() -> None:
    for text in ("\U0010f5c00\U0010f5c1", "\U0010f5c0", "x\U0010f5c1"):
        with pytest.raises(StackctlError, match="reserved"):
            render("services: {w: {image: '{{ v }}'}}", {"v": {"type": "string"}}, {"v": text})


@pytest.mark.parametrize(
    "text",
    [
        "{{ '\\U0010f5c00\\U0010f5c1' }}",
        "{{ v ~ '\\U0010f5c0' }}",
        "{{ ['\\U0010f5c0', '0', '\\U0010f5c1']|join }}",
    ],
)
def test_a_template_cannot_forge_one_either(text: str) -> None:
    with pytest.raises(TemplateError):
        render(f'services: {{w: {{image: a, x: "{text}"}}}}', {"v": "secret"})


@pytest.mark.parametrize(
    "text",
    [
        "{% filter replace('X', v) %}X{% endfilter %}",
        "{% call v.strip() %}{% endcall %}",
        "{% call v.replace('a', 'b') %}{% endcall %}",
        "{% autoescape true %}{{ v }}{% endautoescape %}",
        "{% block b %}{{ v }}{% endblock %}",
    ],
)
def test_every_way_to_print_without_a_stand_in_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        render(f"services:\n  w:\n    image: a{text}\n", {"v": "\n    privileged: true"})


def test_a_call_block_prints_what_a_macro_made_and_nothing_else() -> None:
    texts = {"a": "{% call f(v) %}{% endcall %}"}
    sandbox = Sandbox("x", texts, Tokens())
    with pytest.raises(TemplateError, match="only a macro can stand in"):
        sandbox.render("a", {"f": lambda value, caller: value, "v": "a: b"})


def test_a_value_that_names_a_secret_path_brings_no_secret() -> None:
    compose = "services: {w: {image: a, command: ['{{ v }}']}, x: {image: a, command: ['{{ s.file }}']}}"
    variables = {"v": "/run/secrets/s", "s": {"type": "secret"}}
    services = render(compose, variables).document["services"]
    assert "secrets" not in services["w"]
    assert services["x"]["secrets"] == ["s"]


@pytest.mark.parametrize("value", ["a b", "a;b", "$(id)", "a\nb", "`id`", "é", "'", '"', "<b>", "{", "#"])
def test_a_value_in_a_file_is_quoted_or_refused(value: str) -> None:
    compose = "services: {w: {image: a}}"
    with pytest.raises(TemplateError, match="quoted") as caught:
        render(compose, {"v": value}, files={"files/x.conf": "one\nset {{ v }};\n"})
    assert caught.value.problems[0].line == 2
    assert caught.value.problems[0].source == "templates/own/files/x.conf"


FILE = "services: {w: {image: a}}"


@pytest.mark.parametrize("value", NASTY)
def test_the_shell_reads_a_quoted_value_back(value: str) -> None:
    files = {"files/x.sh": "printf %s {{ v|shell }}"}
    made = render(FILE, {"v": {"type": "string"}}, {"v": value}, files=files)
    done = subprocess.run(["sh", "-c", made.files["x.sh"]], capture_output=True, check=True, timeout=10)
    assert done.stdout.decode() == value


@given(joined)
def test_json_reads_a_quoted_value_back(value: str) -> None:
    made = render(FILE, {"v": {"type": "string"}}, {"v": value}, files={"files/x": "{{ v|json }}"})
    assert json.loads(made.files["x"]) == value
    assert "<" not in made.files["x"]
