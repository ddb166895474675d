"""The kernel's end of a container for memory, where docker's flag lacks and its events have it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, cast

import pytest

from stackctl.core.errors import DaemonFrozen
from stackctl.core.facts import AppliedLimits, Container
from stackctl.engine.oom import as_the_kernel_says
from stackctl.engine.transport import Document, Transport

NOW = time.time()
LIMITS = AppliedLimits(pids=10, memory=24 << 20, swap=24 << 20, cpus=1.0)
ENDED = Container(
    id="ab" * 32,
    name="x",
    image="y",
    state="exited",
    exit_code=137,
    started=NOW - 5,
    finished=NOW - 1,
    limits=LIMITS,
)


class Told:
    """The one question that is asked, and what is answered."""

    def __init__(self, *actions: str, at: float = NOW - 1) -> None:
        self.actions, self.at, self.asked = actions, at, 0

    def past_events(self, container: str, since: float, until: float) -> tuple[Document, ...]:
        self.asked += 1
        assert container == ENDED.id
        assert since < NOW - 5 < NOW <= until + 1
        event: dict[str, Any] = {"Type": "container", "Actor": {"ID": container}}
        return tuple({**event, "Action": one, "timeNano": int(self.at * 1e9)} for one in self.actions)


def told(container: Container, transport: Told) -> bool:
    return as_the_kernel_says(cast("Transport", transport), container).oom_killed


def test_the_event_says_what_the_flag_does_not() -> None:
    assert told(ENDED, Told("start", "oom", "die"))
    assert not told(ENDED, Told("start", "kill", "die"))
    assert not told(ENDED, Told())


def test_an_event_of_an_earlier_run_says_nothing_of_this_one() -> None:
    assert not told(ENDED, Told("oom", at=NOW - 9))


@pytest.mark.parametrize(
    "other",
    [
        replace(ENDED, state="running"),
        replace(ENDED, exit_code=1),
        replace(ENDED, limits=replace(LIMITS, memory=0)),
        replace(ENDED, finished=NOW - 3600),
    ],
    ids=["runs", "another exit code", "unlimited", "long ago"],
)
def test_what_it_cannot_be_is_not_asked_for(other: Container) -> None:
    transport = Told("oom")
    assert not told(other, transport)
    assert transport.asked == 0


def test_a_flag_is_believed_without_asking() -> None:
    transport = Told()
    assert told(replace(ENDED, oom_killed=True), transport)
    assert transport.asked == 0


def test_an_engine_that_does_not_answer_takes_nothing_away() -> None:
    class Frozen(Told):
        def past_events(self, container: str, since: float, until: float) -> tuple[Document, ...]:
            raise DaemonFrozen("it does not answer")

    assert not told(ENDED, Frozen())
