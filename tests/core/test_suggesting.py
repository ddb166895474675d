"""Limits proposed from peaks: room above what was seen, neat numbers, never above a ceiling."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from stackctl.core.limits import DEFAULT_WATCHDOG, Setting
from stackctl.core.records import ServiceRecord
from stackctl.core.suggesting import LEAST_MEMORY, LEAST_PIDS, Measure, neat_size, suggest

MIB = 1 << 20
NOW = ServiceRecord(pids=256, memory=8 << 30, swap=8 << 30, cpus=2.0)
CEILINGS = {"memory": Setting(1 << 30, "policy"), "pids": Setting(100, "policy")}


def proposed(memory: int, pids: int, ceilings: Mapping[str, Setting] = {}) -> Measure:
    (one,) = suggest({"web": NOW}, {"web": {"memory": memory, "pids": pids}}, ceilings)
    return one.limits


def test_neat_sizes_are_powers_of_two_and_those_between() -> None:
    sizes = (1, 64, 65, 96, 97, 128, 129, 300, 512, 513, 1024, 1025)
    assert [neat_size(n * MIB) // MIB for n in sizes] == [
        *(1, 64, 96, 96, 128, 128),
        *(192, 384, 512, 768, 1024, 1536),
    ]


@given(st.integers(1, 1 << 45))
def test_a_neat_size_is_not_below_and_at_most_a_half_above(size: int) -> None:
    assert size <= neat_size(size) <= max(2, size * 3 // 2 + 1)


def test_what_was_seen_gets_room_and_the_least_is_kept() -> None:
    assert proposed(100 * MIB, 40) == Measure(memory=192 * MIB, pids=80)
    assert proposed(1, 1) == Measure(memory=LEAST_MEMORY, pids=LEAST_PIDS)
    assert proposed(10 << 30, 300) == Measure(memory=16 << 30, pids=600)
    assert proposed(10 << 30, 300, CEILINGS) == Measure(memory=1 << 30, pids=100)


@given(st.integers(1, 1 << 40), st.integers(1, 1 << 20))
def test_a_peak_stays_below_the_marks_of_the_watchdog(memory: int, pids: int) -> None:
    limits = proposed(memory, pids)
    assert memory < DEFAULT_WATCHDOG.memory.at(limits.memory)
    assert pids < DEFAULT_WATCHDOG.pids.at(limits.pids)


def test_what_was_not_measured_keeps_what_it_has_and_says_so() -> None:
    services = {"web": NOW, "db": NOW, "job": NOW}
    peaks = {"web": {"memory": 100 * MIB, "pids": 0}, "db": "damaged", "gone": {"memory": 1}}
    db, job, web = suggest(services, peaks, {})
    assert (db.measured, job.measured, web.measured) == (False, False, True)
    assert db.limits == job.limits == Measure(memory=NOW.memory, pids=NOW.pids)
    assert not db.changes
    assert web.changes == {"memory": 192 * MIB}
