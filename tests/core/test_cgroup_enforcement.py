"""What was asked for, what the engine wrote down, and what the kernel enforces."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stackctl.core.enforcement import unenforced
from stackctl.core.facts import AppliedLimits
from stackctl.core.records import ServiceRecord

ASKED = ServiceRecord(pids=256, memory=1 << 30, swap=1 << 30, cpus=1.5)
APPLIED = AppliedLimits(pids=256, memory=1 << 30, swap=1 << 30, cpus=1.5)


def test_what_is_in_force_everywhere_needs_no_words() -> None:
    assert unenforced(ASKED, APPLIED, APPLIED) == ()
    assert unenforced(ASKED, APPLIED) == ()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("pids", -1, "pids 256 was asked for and the kernel enforces no limit"),
        ("pids", 255, "pids 256 was asked for and the kernel enforces 255"),
        ("pids", 512, "pids 256 was asked for and the kernel enforces 512"),
        ("memory", -1, "memory 1g was asked for and the kernel enforces no limit"),
        ("memory", 1 << 31, "memory 1g was asked for and the kernel enforces 2g"),
        ("memory", 1 << 29, "memory 1g was asked for and the kernel enforces 512m"),
        ("swap", 1 << 31, "swap 1g was asked for and the kernel enforces 2g"),
        ("swap", None, "swap 1g was asked for and the kernel shows no such limit"),
        ("cpus", 1.0, "cpus 1.5 was asked for and the kernel enforces 1"),
        ("cpus", -1.0, "cpus 1.5 was asked for and the kernel enforces no limit"),
        ("cpus", None, "cpus 1.5 was asked for and the kernel shows no such limit"),
    ],
)
def test_each_difference_in_the_kernel_is_a_sentence(name: str, value: float | None, words: str) -> None:
    assert unenforced(ASKED, APPLIED, replace(APPLIED, **{name: value})) == (words,)


def test_the_engine_and_the_kernel_are_told_apart() -> None:
    loose = AppliedLimits(pids=-1, memory=-1, swap=-1, cpus=-1)
    found = unenforced(ASKED, loose, loose)
    assert len(found) == 8
    assert found[0] == "pids 256 was asked for and the engine enforces no limit"
    assert found[4] == "pids 256 was asked for and the kernel enforces no limit"


@pytest.mark.parametrize("page", [4096, 16384, 65536])
def test_memory_is_rounded_down_to_pages(page: int) -> None:
    odd = replace(ASKED, memory=100_000_001, swap=100_000_001)
    rounded = 100_000_001 // page * page
    kernel = AppliedLimits(pids=256, memory=rounded, swap=rounded, cpus=1.5)
    engine = AppliedLimits(pids=256, memory=100_000_001, swap=100_000_001, cpus=1.5)
    assert unenforced(odd, engine, kernel) == ()
    assert unenforced(odd, engine, replace(kernel, memory=rounded + page + 1)) != ()


@pytest.mark.parametrize(
    ("asked", "found", "same"), [(0.333, 0.33, True), (1.999, 2.0, True), (0.5, 0.52, False)]
)
def test_cpus_are_compared_to_a_hundredth(asked: float, found: float, same: bool) -> None:
    kernel = replace(APPLIED, cpus=found)
    assert (unenforced(replace(ASKED, cpus=asked), replace(APPLIED, cpus=asked), kernel) == ()) is same
