"""No fault without a test that is there, or a reason."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from catalogue import FAULTS, NOT_HERE

ROOT = Path(__file__).resolve().parents[2]


@cache
def named_in(path: str) -> frozenset[str]:
    """Names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_all_seventy_are_there_and_most_are_made_to_happen() -> None:
    assert sorted(FAULTS) == list(range(1, 71))
    made = [number for number, (_, where) in FAULTS.items() if not where[0].startswith(NOT_HERE)]
    assert len(made) >= 65


@pytest.mark.parametrize("number", sorted(FAULTS))
def test_each_has_a_test_that_is_there_or_a_reason(number: int) -> None:
    _, where = FAULTS[number]
    if where[0].startswith(NOT_HERE):
        assert len(where) == 1
        assert len(where[0]) > len(NOT_HERE) + 20
        return
    for one in where:
        path, _, name = one.partition("::")
        assert (ROOT / path).is_file(), path
        assert not name or name in named_in(path), one
