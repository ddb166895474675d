"""What a heartbeat's age says of the supervisor."""

from __future__ import annotations

from dataclasses import replace

import pytest
from worlds import NOW

from stackctl.core.heartbeat import Heartbeat, Standing, from_plain, version_key
from stackctl.core.records import Lease
from stackctl.core.supervision import DEFAULT_SUPERVISION

BEAT = Heartbeat(version="1.2.3", pid=7, since=1.0, wall=NOW.wall, boottime=NOW.boottime, boot=NOW.boot)
STALE = DEFAULT_SUPERVISION.stale
HOLDER = Lease(boot=NOW.boot, pid=7, started=1)


def test_it_is_read_back_as_it_was() -> None:
    beat = replace(BEAT, blind=("ssh://far",), environments=3)
    assert from_plain(beat.plain()) == beat


@pytest.mark.parametrize("raw", [None, {}, {"schema": 99}, {"schema": 1}, {"schema": 1, "pid": "x"}])
def test_what_is_none_is_none(raw: dict[str, object] | None) -> None:
    assert from_plain(raw) is None


def test_its_age_counts_suspended_time_and_no_clock_that_was_set() -> None:
    later = replace(NOW, boottime=NOW.boottime + 40, wall=NOW.wall - 86400)
    assert BEAT.age(later) == 40
    rebooted = replace(NOW, boot="boot-b", boottime=3.0, wall=NOW.wall + 60)
    assert BEAT.age(rebooted) == 60
    assert BEAT.age(replace(NOW, boottime=NOW.boottime - 5)) == 0


@pytest.mark.parametrize(
    ("holder", "beat", "age", "sound", "stale", "words"),
    [
        (None, None, 0.0, False, False, "not running"),
        (None, BEAT, 900.0, False, False, "not running"),
        (HOLDER, None, 0.0, True, False, "pid 7, it has just begun"),
        (HOLDER, replace(BEAT, pid=3), 900.0, True, False, "pid 7, it has just begun"),
        (HOLDER, BEAT, 0.2, True, False, "pid 7, last good look less than 1s ago"),
        (HOLDER, BEAT, STALE + 1, False, True, "pid 7, HUNG: last good look 16s ago"),
        (HOLDER, replace(BEAT, interval=60.0), 179.0, True, False, "pid 7, last good look 2m59s ago"),
        (HOLDER, replace(BEAT, interval=60.0), 181.0, False, True, "pid 7, HUNG: last good look 3m1s ago"),
        (HOLDER, replace(BEAT, interval=0.2), STALE - 1, True, False, "pid 7, last good look 14s ago"),
        (
            HOLDER,
            replace(BEAT, blind=("the engine",)),
            STALE + 1,
            False,
            False,
            "pid 7, last good look 16s ago, it cannot ask the engine",
        ),
    ],
)
def test_standing(
    holder: Lease | None, beat: Heartbeat | None, age: float, sound: bool, stale: bool, words: str
) -> None:
    found = Standing(holder=holder, beat=beat, age=age)
    assert (found.sound, found.stale, found.words) == (sound, stale, words)


def test_a_successor_waits_longer_than_the_one_that_leaves_takes() -> None:
    assert DEFAULT_SUPERVISION.handover >= DEFAULT_SUPERVISION.ending + 5


def test_versions_sort_as_people_count() -> None:
    assert version_key("1.9.2") < version_key("1.10.0") < version_key("1.10.0.1")
    assert version_key("0.1.0+local") == version_key("0.1.0")
    assert version_key("0.2.0rc1") == (0, 2, 0)
