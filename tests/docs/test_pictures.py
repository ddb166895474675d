"""The pictures of terminals: each is made by scripts/picture.py as it is now, and a page shows it."""

from __future__ import annotations

import html
import importlib.util
import re
import sys
from types import ModuleType

import pytest
from pages import ROOT

DRAWN = ROOT / "docs" / "pictures"
BY_BENCHMARK = {"incident"}
"""Pictures of numbers, which `make bench` measures."""


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("picture", ROOT / "scripts" / "picture.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found  # its dataclasses look for themselves there
    spec.loader.exec_module(found)
    return found


PICTURES = script().PICTURES


def test_no_picture_is_there_that_cannot_be_made_again() -> None:
    assert {path.stem for path in DRAWN.glob("*.svg")} == {one.name for one in PICTURES} | BY_BENCHMARK


@pytest.mark.parametrize("picture", PICTURES, ids=lambda one: one.name)
def test_a_picture_shows_its_commands_and_a_page_shows_it(picture: object) -> None:
    name, commands = picture.name, picture.commands  # type: ignore[attr-defined]
    text = html.unescape((DRAWN / f"{name}.svg").read_text()).replace("\xa0", " ")
    shown = re.findall(r">\$ stackctl ([^<]*)<", text)
    assert tuple(shown) == commands
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    assert any(f"pictures/{name}.svg" in page.read_text() for page in pages)


def test_what_is_erased_on_a_terminal_is_not_drawn() -> None:
    written = "starting\r\n\x1b[1A\x1b[2Kdone\r\nnext"
    assert script().left_on_screen(written) == ["done", "next"]
