"""The first look at the state directory guesses, and is never in the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stackctl.state.glance import environments, live_tasks, seems_to_run


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


NAMED = {"project": "shop-0a1b2c", "stack": "shop", "phase": "running", "root": "/shop"}


def test_environments_are_named_in_the_order_of_their_projects(tmp_path: Path) -> None:
    recorded(tmp_path, "shop-0a1b2c", json.dumps({**NAMED, "services": {"web": {}, "db": {}}}))
    recorded(tmp_path, "a-000000", json.dumps({**NAMED, "project": "a-000000"}))
    first, second = environments(tmp_path)
    assert (first.project, first.services) == ("a-000000", ())
    assert (second.stack, second.instance, second.services, second.task) == ("shop", "", ("web", "db"), "")


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "3", "{}", "[" * 100_000, json.dumps({**NAMED, "project": "other-0a1b2c"})),
        *(json.dumps({**NAMED, "task": 3}), json.dumps({**NAMED, "services": 3})),
    ],
)
def test_one_that_cannot_be_read_hides_no_other(tmp_path: Path, text: str) -> None:
    recorded(tmp_path, "shop-0a1b2c", text)
    recorded(tmp_path, "tidy-0a1b2c", json.dumps({**NAMED, "project": "tidy-0a1b2c"}))
    (tmp_path / "environments" / "file").write_text("")
    assert [one.project for one in environments(tmp_path)] == ["tidy-0a1b2c"]


def test_tasks_that_live(tmp_path: Path) -> None:
    task = {**NAMED, "project": "inst-0a1b2c3d4e5f", "task": {"id": "0a1b2c3d4e5f", "image": "busybox"}}
    (tmp_path / "tasks" / "0a1b2c3d4e5f").mkdir(parents=True)
    (tmp_path / "tasks" / "0a1b2c3d4e5f" / "record.json").write_text(json.dumps(task))
    assert live_tasks(tmp_path) == []
    (tmp_path / "live-tasks").mkdir()
    for name in ("0a1b2c3d4e5f", "ffffffffffff"):
        (tmp_path / "live-tasks" / name).write_text("")
    assert [(one.task, one.about) for one in live_tasks(tmp_path)] == [("0a1b2c3d4e5f", "busybox")]
