"""When a sweep is asked for, among literal worlds, and that it shields and ends nothing else."""

from __future__ import annotations

from worlds import MIB, NOW, container, quiet, readings, watched, world

from stackctl.core.actions import Action
from stackctl.core.facts import Process
from stackctl.core.litter import littered
from stackctl.core.supervision import Supervision
from stackctl.core.verdicts import decide, still
from stackctl.core.world import Watched

LIMITS = Supervision()


def lost(count: int) -> tuple[Process, ...]:
    return tuple(Process(pid=100 + n, inside=10 + n, parent=1, command="pytest") for n in range(count))


def swept(one: Watched) -> list[Action]:
    return list(littered(world(one), LIMITS))


def test_orphans_ask_for_a_sweep_and_for_nothing_else() -> None:
    one = watched(orphans={"web-1": lost(3)})
    plan = decide(world(one), LIMITS)
    (act,) = plan.acts
    assert (act.rule, act.kind, act.service, act.container) == ("littered", "sweep", "web", "web-1")
    assert (act.reason, act.incident, plan.reports) == ("`web` had 3 orphans", False, ())


def test_one_sweep_is_for_all_the_services_and_names_the_worst() -> None:
    containers = (container("web"), container("worker"))
    one = watched(containers=containers, orphans={"web-1": lost(1), "worker-1": lost(2)})
    (act,) = swept(one)
    assert (act.service, act.reason) == ("worker", "`web` and `worker` had 3 orphans")


def test_many_at_once_are_reported() -> None:
    assert [swept(watched(orphans={"web-1": lost(n)}))[0].incident for n in (49, 50)] == [False, True]


def test_what_does_not_run_or_is_not_ours_to_judge_is_not_swept() -> None:
    orphans = {"web-1": lost(3)}
    for one in (
        watched(),
        watched(orphans={"web-1": ()}),
        watched(orphans={"other-1": lost(3)}),
        watched(orphans=orphans, busy=True),
        watched(orphans=orphans, here=False),
        watched(orphans=orphans, phase="starting"),
        watched(orphans=orphans, phase="stopping"),
        watched(orphans=orphans, containers=(container(state="paused"),)),
    ):
        assert swept(one) == []


def test_what_ends_an_environment_goes_before() -> None:
    orphans = {"web-1": lost(3)}
    over = watched(orphans=orphans, trails={"web-1": readings((0.0, 250, MIB))})
    assert [act.rule for act in decide(world(over), LIMITS).acts] == ["over_pids"]
    late = watched(orphans=orphans, left=-1.0)
    assert [act.rule for act in decide(world(late), LIMITS).acts] == ["expired"]


def test_the_quiet_after_a_sweep_never_shields_from_the_watchdog() -> None:
    orphans = {"web-1": lost(3)}
    (act,) = decide(world(watched(orphans=orphans)), LIMITS).acts
    hushed = {act.key: NOW.boottime + 10.0}
    assert decide(world(watched(orphans=orphans), quiet=hushed), LIMITS).acts == ()
    over = watched(orphans=orphans, trails={"web-1": readings((0.0, 250, MIB))})
    assert [one.rule for one in decide(world(over, quiet=hushed), LIMITS).acts] == ["over_pids"]


def test_a_sweep_is_confirmed_by_a_fresh_look_with_its_numbers() -> None:
    (act,) = decide(world(watched(orphans={"web-1": lost(3)})), LIMITS).acts
    fresh = still(act, world(watched(orphans={"web-1": lost(60)}, trails={"web-1": quiet()})), LIMITS)
    assert fresh is not None
    assert (fresh.reason, fresh.incident) == ("`web` had 60 orphans", True)
    assert still(act, world(watched()), LIMITS) is None
