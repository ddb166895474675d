"""Keys read by lines are those that YAML's own reader finds, or none are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.core.documents import load
from stackctl.core.errors import StackFileError
from stackctl.core.outline import keys_below

PLAIN = """\
description: It's a shop  # tasks: none
template: webapp
tasks:

  # what is run before a push
  test: {image: a, command: [pytest, -q]}
  tidy:   # and afterwards
    image: a
    command: |
      tasks: x

  a-b_2: {image: a}
watchdog: {pids: 200}
"""
LINES = (
    *("tasks:", "tasks:  # x", "tasks: {}", "tasks: {a: {image: b}}", "tasks: &x", "tasks: |", "taskset: 1"),
    *("  test: {image: a}", "  tidy:", "    image: a", "   odd: 1", " near: 2", "  - item", "  yes: {}"),
    *(
        '  "quoted": {}',
        "  'q': {}",
        "  <<: *x",
        "  open: {a: 1,",
        "  b: 2}",
        '  said: "one',
        '  two: three"',
    ),
    *(
        "  text: |",
        "      deep: x",
        "  folded: >-",
        "  ? complex",
        "  : value",
        "",
        "# comment",
        "  # comment",
    ),
    *(
        "other:",
        "other: 1",
        "description: 'x",
        "x'",
        "---",
        "...",
        "{",
        "}",
        "&a tasks:",
        "\ttab: 1",
        "  1: x",
    ),
    *("  a.b: 1", "  spaced : 1", "  url: http://x", "  text: a", "    b: c", "  more: [", "  x: y]"),
)


def test_what_people_write_is_read() -> None:
    assert keys_below(PLAIN, "tasks") == ["test", "tidy", "a-b_2"]
    assert keys_below("tasks:\n    test: {}\n", "tasks") == ["test"]
    assert keys_below("template: webapp\n", "tasks") == []


@pytest.mark.parametrize(
    "text",
    [
        *("tasks: {test: {}}\n", "tasks:\n", "tasks: *x\n", "tasks:\n  on: {}\n"),
        '"\\x74asks": {a: {}}',
        *("tasks:\n  open: {a: 1,\n  b: 2}\n", 'tasks:\n  said: "one\n  two: three"\n'),
    ],
)
def test_of_anything_else_nothing_is_told(text: str) -> None:
    assert keys_below(text, "tasks") is None


@given(st.lists(st.sampled_from(LINES), max_size=9), st.booleans())
def test_what_is_told_is_what_yaml_says(lines: list[str], begun: bool) -> None:
    text = "\n".join(["tasks:", "  first: {image: a}", *lines] if begun else lines)
    told = keys_below(text, "tasks")
    try:
        read = load(text, source="stack.yaml").data
    except StackFileError:
        return
    if told is not None:
        assert told == list((read or {}).get("tasks") or ())
