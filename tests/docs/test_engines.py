"""Every test that the page of engines names, as what backs a cell of its tables, is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def named() -> list[tuple[str, str]]:
    return sorted(set(NAMED.findall((ROOT / "docs/engines.md").read_text())))


def test_cells_name_tests() -> None:
    assert len(named()) >= 15


@pytest.mark.parametrize(("file", "name"), named(), ids=lambda part: part.rpartition("/")[2])
def test_it_is_there(file: str, name: str) -> None:
    assert f"\ndef {name}(" in (ROOT / file).read_text()
