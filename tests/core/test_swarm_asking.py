"""What is asked of a Swarm's managers, by answers as they give them: without a leader, and very long ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from core.worlds import NOW, watched
from stackctl.core.errors import EngineUnavailable
from stackctl.core.stack import MachinePolicy
from stackctl.engine import swarm_api
from stackctl.engine.swarm_api import SwarmApi
from stackctl.engine.wire import Answer, TooLong
from stackctl.ops.swarm_status import extend_on_swarm

LEADERLESS = {"Swarm": {"LocalNodeState": "active", "NodeID": "n", "ControlAvailable": True}}
LED = {"Swarm": {"LocalNodeState": "active", "NodeID": "n", "ControlAvailable": True, "Cluster": {"ID": "c"}}}
NO_LEADER = "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few"
LOST = "rpc error: code = DeadlineExceeded desc = context deadline exceeded"


class Manager:
    """A connection to one that answers as it is told, and what it was asked."""

    def __init__(self, answer: Callable[[str], Any], status: int = 200) -> None:
        self.answer, self.status, self.asked = answer, status, list[str]()

    def call(self, method: str, target: str, *_: Any, most: int = 0, **__: Any) -> Answer:
        self.asked.append(target)
        body = json.dumps(self.answer(target)).encode()
        if most and len(body) > most:
            raise TooLong("it is longer")
        return Answer(self.status, body)

    def api(self) -> SwarmApi:
        return SwarmApi(lambda: self)  # type: ignore[arg-type, return-value]


def test_an_election_is_waited_for_also_by_who_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm_api, "_PAUSE", 0.001)
    answers = iter([LEADERLESS] * 5 + [LED])
    assert Manager(lambda _: next(answers)).api().cluster(patient=True).id == "c"


def test_managers_without_a_leader_are_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm_api, "ELECTION", 0.0)
    one = Manager(lambda _: LEADERLESS)
    with pytest.raises(EngineUnavailable, match="no leader"):
        one.api().cluster(patient=True)
    assert not one.api().cluster().id


@pytest.mark.parametrize("words", [NO_LEADER, LOST])
def test_what_managers_say_of_a_lost_leader_is_understood(words: str) -> None:
    with pytest.raises(EngineUnavailable, match="no leader") as found:
        Manager(lambda _: {"message": words}, status=500).api().nodes()
    assert "docker node ls" in found.value.hint


def test_a_long_list_is_never_read_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [{"ID": f"{first}00", "Spec": {}} for first in "09az"]

    def listed(target: str) -> Any:
        return [one for one in every if f"%22{one['ID'][0]}%22" in target] if "%22id%22" in target else every

    monkeypatch.setattr(swarm_api, "PART", 40)
    one = Manager(listed)
    api = one.api()
    assert [found.id for found in api.single_services({})] == ["000", "900", "a00", "z00"]
    assert len(one.asked) == 1 + 36
    api.single_services({})
    assert len(one.asked) == 1 + 2 * 36


def test_a_lifetime_of_which_managers_were_not_told_is_not_written_down() -> None:
    record = replace(watched().record, engine="c", orchestrator="swarm")
    written = list[Any]()

    def refuse(**_: Any) -> None:
        raise EngineUnavailable("no leader")

    store = SimpleNamespace(lock=lambda *_, **__: nullcontext(), read=lambda _: record, write=written.append)
    engine = SimpleNamespace(swarm=lambda: SimpleNamespace(cluster=refuse))
    context: Any = SimpleNamespace(store=store, engine=engine, clock=SimpleNamespace(now=lambda: NOW))
    with pytest.raises(EngineUnavailable):
        extend_on_swarm(context, MachinePolicy(), record, 7200.0, command="extend")
    assert written == []
