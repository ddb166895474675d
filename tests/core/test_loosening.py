"""Which lost limits are written again, among literal worlds, and that nothing is ended for them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from worlds import MIB, NOW, container, record, service

from stackctl.core.facts import AppliedLimits, Container
from stackctl.core.loosening import loosened, lost_limits
from stackctl.core.records import EnvironmentRecord
from stackctl.core.supervision import Supervision
from stackctl.core.verdicts import decide
from stackctl.core.world import Watched, World

LIMITS = Supervision()
WHOLE = AppliedLimits(pids=256, memory=100 * MIB, swap=100 * MIB, cpus=1.0)
LOOSE = replace(WHOLE, swap=-1)
PROVEN = record(verified="kernel")
WEB = container(limits=WHOLE)


def world(one: Watched) -> World:
    return World(now=NOW, engine_time=NOW.wall, environments=(one,))


def test_what_the_kernel_lost_is_told() -> None:
    (sentence,) = lost_limits(PROVEN, WEB, LOOSE)
    assert "swap 100m" in sentence
    assert "the kernel enforces no limit" in sentence
    assert lost_limits(PROVEN, WEB, WHOLE) == ()


@pytest.mark.parametrize(
    ("kept", "one", "kernel"),
    [
        (PROVEN, container(limits=replace(WHOLE, memory=200 * MIB)), LOOSE),
        (record(verified="unverified: it was allowed"), WEB, LOOSE),
        (PROVEN, WEB, None),
        (replace(PROVEN, services={"db": service()}), WEB, LOOSE),
    ],
    ids=["changed through the engine", "never proven", "not read", "no service of the record"],
)
def test_what_was_not_lost_is_left_alone(
    kept: EnvironmentRecord, one: Container, kernel: AppliedLimits | None
) -> None:
    assert lost_limits(kept, one, kernel) == ()


def test_it_asks_for_a_renewal_that_ends_nothing_and_shields_from_nothing() -> None:
    one = Watched(record=PROVEN, containers=(WEB,), loosened={WEB.id: ("swap is lost",)})
    (act,) = decide(world(one), LIMITS).acts
    assert (act.rule, act.kind, act.service, act.incident) == ("loosened", "renew", "web", False)
    assert act.reason == "`web`: swap is lost"
    quiet = replace(world(one), quiet={act.key: NOW.boottime + 60})
    assert decide(quiet, LIMITS).acts == ()
    over = replace(one, record=replace(PROVEN, deadline=record(left=-1.0).deadline))
    assert [act.rule for act in decide(replace(quiet, environments=(over,)), LIMITS).acts] == ["expired"]


@pytest.mark.parametrize("state", ["exited", "created"])
def test_a_container_that_does_not_run_has_no_limits_to_lose(state: str) -> None:
    ended = replace(WEB, state=state)
    one = Watched(record=PROVEN, containers=(ended,), loosened={WEB.id: ("swap is lost",)})
    assert list(loosened(world(one), LIMITS)) == []
