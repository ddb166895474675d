"""The heartbeat on disk: a full disk stops its content, and not its time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stackctl.core.errors import StateError
from stackctl.core.heartbeat import Heartbeat
from stackctl.state.heartbeat import beat, read_beat

BEAT = Heartbeat(version="1.2.3", pid=7, since=1.0, wall=1.7e9, boottime=500.25, boot="a", blind=("x",))


def later(seconds: float, wall: float = 0.0) -> Heartbeat:
    return replace(BEAT, wall=BEAT.wall + seconds + wall, boottime=BEAT.boottime + seconds)


@pytest.fixture
def blocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a beat, in which no other can be written from now on."""
    beat(tmp_path, BEAT.plain())
    monkeypatch.setattr("os.getpid", lambda: 4242)
    (tmp_path / "supervisor" / ".heartbeat.json-4242").mkdir()
    return tmp_path


def test_it_is_read_back_as_it_was(tmp_path: Path) -> None:
    assert read_beat(tmp_path) is None
    for one in (BEAT, later(3600), BEAT):
        beat(tmp_path, one.plain())
        assert read_beat(tmp_path) == {**one.plain(), "blind": ["x"]}


@pytest.mark.parametrize("clock", [0.0, -86400.0, 86400.0])
def test_one_that_cannot_be_written_moves_the_time_of_the_last_by_the_clock_that_nobody_sets(
    blocked: Path, clock: float
) -> None:
    beat(blocked, later(40, wall=clock).plain())

    found = read_beat(blocked)

    assert found is not None
    assert found["boottime"] == pytest.approx(BEAT.boottime + 40, abs=0.01)
    assert found["wall"] == pytest.approx(BEAT.wall + 40, abs=0.01)


def test_the_next_that_can_be_written_says_its_own_time(blocked: Path) -> None:
    beat(blocked, later(40).plain())
    (blocked / "supervisor" / ".heartbeat.json-4242").rmdir()
    beat(blocked, later(20).plain())
    found = read_beat(blocked)
    assert found is not None
    assert found["boottime"] == later(20).boottime


@pytest.mark.parametrize("other", [{"pid": 8}, {"boot": "b"}, {"since": 2.0}])
def test_nobody_lives_on_by_the_beat_of_another(blocked: Path, other: dict[str, object]) -> None:
    with pytest.raises(StateError):
        beat(blocked, {**later(40).plain(), **other})
    found = read_beat(blocked)
    assert found is not None
    assert found["boottime"] == BEAT.boottime


def test_where_there_is_none_yet_none_is_made_up(tmp_path: Path) -> None:
    (tmp_path / "supervisor").write_text("a file in its folder's place")
    with pytest.raises(StateError):
        beat(tmp_path, BEAT.plain())
    assert read_beat(tmp_path) is None
