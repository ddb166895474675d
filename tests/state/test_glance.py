"""The first look at the state directory guesses, and is never in the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stackctl.state.glance import seems_to_run


def recorded(home: Path, project: str, text: str) -> None:
    folder = home / "environments" / project
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(text)


@pytest.mark.parametrize(("phase", "runs"), [("running", True), ("stopped", False), ("starting", False)])
def test_it_is_the_phase_that_counts(tmp_path: Path, phase: str, runs: bool) -> None:
    recorded(tmp_path, "shop-0a1b2c", json.dumps({"phase": phase}))
    assert seems_to_run(tmp_path, "shop") is runs
    assert not seems_to_run(tmp_path, "sho")


@pytest.mark.parametrize("text", ["", "{", "[]", '"running"', "{}"])
def test_a_record_that_cannot_be_read_tells_nothing(tmp_path: Path, text: str) -> None:
    recorded(tmp_path, "shop-0a1b2c", text)
    assert not seems_to_run(tmp_path, "shop")


def test_where_there_is_no_state_nothing_runs(tmp_path: Path) -> None:
    assert not seems_to_run(tmp_path / "none", "shop")


@pytest.mark.parametrize("word", ["", "*", "**", "/etc", "..", "a/../b", "\0", "x" * 5000])
def test_any_word_may_be_asked_for(tmp_path: Path, word: str) -> None:
    recorded(tmp_path, "shop-0a1b2c", json.dumps({"phase": "running"}))
    assert not seems_to_run(tmp_path, word)
