"""The supervisor's whole judgement, from literals: what each rule does and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import MIB, NOW, container, lease, quiet, readings, service, watched, world

from stackctl.core.actions import Action, Plan
from stackctl.core.facts import Event, HostMemory, Network, Reading
from stackctl.core.marks import held_over
from stackctl.core.pace import leaders_pause, next_look
from stackctl.core.recovery import asked_to_end
from stackctl.core.supervision import Supervision
from stackctl.core.verdicts import REAPING, RULES, decide, still
from stackctl.core.world import Stray, Trail, Watched

LIMITS = Supervision()
NETWORK = Network(id="n1", name="app-aaaaaa_default", created=NOW.wall - 90)


def judged(*environments: Watched, **values: Any) -> Plan:
    return decide(world(*environments, **values), LIMITS)


def one_act(*environments: Watched, **values: Any) -> Action:
    plan = judged(*environments, **values)
    assert len(plan.acts) == 1, plan
    return plan.acts[0]


def nothing(*environments: Watched, **values: Any) -> None:
    plan = judged(*environments, **values)
    assert plan == Plan(), plan


def test_a_healthy_environment_is_left_alone() -> None:
    nothing(watched())


# Lifetimes


def test_a_lifetime_that_is_over_ends_the_environment() -> None:
    act = one_act(watched(left=-1.0))
    assert (act.rule, act.kind, act.phase, act.incident) == ("expired", "end", "expired", True)


def test_a_lifetime_counts_by_the_record_and_not_by_when_a_container_was_started() -> None:
    restarted = container(started=NOW.wall - 1)
    assert one_act(watched(left=-1.0, containers=(restarted,))).rule == "expired"
    old = container(started=NOW.wall - 1e6, created=NOW.wall - 1e6)
    nothing(watched(left=60.0, containers=(old,)))


def test_a_clock_that_was_set_moves_no_lifetime_of_this_boot() -> None:
    ahead = replace(NOW, wall=NOW.wall + 365 * 86400)
    nothing(watched(left=60.0), now=ahead)
    behind = replace(NOW, wall=NOW.wall - 365 * 86400)
    assert one_act(watched(left=-1.0), now=behind).rule == "expired"


def test_after_a_reboot_the_wall_clock_counts() -> None:
    one = watched(boot="boot-b", left=-1.0)
    assert one_act(one).rule == "expired"
    nothing(watched(boot="boot-b", left=60.0))


@pytest.mark.parametrize("phase", ["stopped", "failed", "expired", "killed", "lost"])
def test_what_has_ended_does_not_expire(phase: str) -> None:
    nothing(watched(phase=phase, left=-1.0, containers=()))


def test_a_busy_environment_and_another_engines_are_left_alone() -> None:
    nothing(watched(left=-1.0, busy=True))
    nothing(watched(left=-1.0, here=False))


def test_after_an_act_the_environment_is_quiet_for_a_while() -> None:
    nothing(watched(left=-1.0), quiet={"app-aaaaaa": NOW.boottime + 1})
    assert one_act(watched(left=-1.0), quiet={"app-aaaaaa": NOW.boottime - 1}).rule == "expired"


# Abandoned


def test_starting_with_a_dead_owner_and_nothing_made_is_undone() -> None:
    act = one_act(watched(phase="starting", owner="dead", containers=(), lease=lease()))
    assert (act.rule, act.kind, act.phase) == ("abandoned", "end", "failed")
    assert "`stackctl up app` died" in act.reason


def test_starting_with_a_dead_owner_and_all_healthy_is_adopted() -> None:
    assert one_act(watched(phase="starting", owner="dead")).kind == "adopt"


@pytest.mark.parametrize(
    "facts",
    [{"state": "created", "started": 0.0}, {"health": "starting"}, {"state": "exited", "exit_code": 1}],
)
def test_starting_with_a_dead_owner_and_not_healthy_is_undone(facts: dict[str, Any]) -> None:
    one = watched(phase="starting", owner="dead", containers=(container(**facts),), trails={})
    assert one_act(one).kind == "end"


def test_what_ran_before_an_interrupted_up_runs_on() -> None:
    old = container(created=NOW.wall - 500)
    half = container("db", state="created", started=0.0, name="abc_app-aaaaaa-db-1")
    one = watched(
        phase="starting", owner="dead", containers=(old, half), services={"web": service(), "db": service()}
    )
    act = one_act(one)
    assert act.kind == "adopt"
    assert "ran before" in act.reason


def test_a_tied_environment_whose_up_died_is_undone_even_when_healthy() -> None:
    assert one_act(watched(phase="starting", owner="dead", tied=True)).kind == "end"


@pytest.mark.parametrize("owner", ["alive", "none"])
def test_starting_with_a_live_owner_is_left_alone(owner: str) -> None:
    nothing(watched(phase="starting", owner=owner, containers=()))


@pytest.mark.parametrize("phase", ["starting", "stopping"])
def test_an_owner_of_whom_nothing_is_proven_is_reported_and_left_alone(phase: str) -> None:
    plan = judged(watched(phase=phase, owner="unknown", containers=()))
    assert not plan.acts
    assert [report.rule for report in plan.reports] == ["unknown_owner"]


def test_a_stopping_of_a_dead_owner_is_finished_as_what_it_was() -> None:
    act = one_act(watched(phase="stopping", owner="dead", aim="killed"))
    assert (act.kind, act.phase) == ("end", "killed")


def test_a_stopping_of_a_live_owner_is_left_alone() -> None:
    nothing(watched(phase="stopping", owner="alive"))


def test_a_tied_environment_ends_with_its_command() -> None:
    act = one_act(watched(tied=True, owner="dead"))
    assert (act.kind, act.phase) == ("end", "stopped")
    nothing(watched(tied=True, owner="alive"))


def test_running_with_everything_gone_is_lost() -> None:
    act = one_act(watched(containers=(), trails={}))
    assert (act.kind, act.phase) == ("lose", "lost")


def test_exited_after_a_reboot_is_lost_and_after_a_crash_is_not() -> None:
    ended = (container(state="exited", exit_code=255),)
    act = one_act(watched(boot="boot-b", containers=ended, trails={}))
    assert (act.kind, act.phase) == ("lose", "lost")
    nothing(watched(containers=ended, trails={}))
    nothing(watched(boot="boot-b"))


# Stuck


def test_an_ending_that_failed_is_tried_again_later_and_later() -> None:
    for attempts, seconds in ((1, 5), (2, 10), (3, 20), (12, 300)):
        early = watched(phase="stopping", attempts=attempts, updated=NOW.wall - seconds + 1, aim="expired")
        nothing(early)
        late = watched(phase="stopping", attempts=attempts, updated=NOW.wall - seconds, aim="expired")
        act = one_act(late)
        assert (act.rule, act.kind, act.phase) == ("stuck", "end", "expired")


def test_one_stuck_environment_shields_no_other() -> None:
    stuck = watched(phase="stopping", attempts=3, updated=NOW.wall)
    other = watched(project="other-bbbbbb", left=-1.0)
    assert one_act(stuck, other).project == "other-bbbbbb"


# Processes and memory


def test_pids_over_the_threshold_for_as_long_as_it_must_hold() -> None:
    short = readings((1.0, 201, MIB), (0.0, 210, MIB))
    nothing(watched(trails={"web-1": short}))
    long = readings((3.0, 5, MIB), (2.0, 200, MIB), (1.0, 201, MIB), (0.0, 210, MIB))
    act = one_act(watched(trails={"web-1": long}))
    assert (act.rule, act.kind, act.phase) == ("over_pids", "end", "killed")
    assert act.violation is not None
    assert (act.violation.level, act.violation.reading, act.violation.mark, act.violation.limit) == (
        "threshold",
        210,
        200,
        256,
    )
    assert act.violation.held == 2.0


def test_a_dip_below_the_threshold_begins_the_time_anew() -> None:
    dip = readings((4.0, 220, MIB), (3.0, 220, MIB), (1.0, 199, MIB), (0.0, 220, MIB))
    nothing(watched(trails={"web-1": dip}))


def test_urgent_pids_act_at_once() -> None:
    act = one_act(watched(trails={"web-1": readings((0.0, 245, MIB))}))
    assert act.violation is not None
    assert act.violation.level == "urgent"


def test_a_refused_fork_proves_that_the_limit_was_reached_between_samples() -> None:
    refused = readings((1.0, 5, MIB), (0.0, 5, MIB), pids_refused=3)
    act = one_act(watched(trails={"web-1": refused}))
    assert (act.rule, act.violation.level if act.violation else "") == ("over_pids", "kernel")


def test_memory_has_its_own_time() -> None:
    short = readings(*[(float(ago), 5, 81 * MIB) for ago in range(9, -1, -1)])
    nothing(watched(trails={"web-1": short}))
    long = readings(*[(float(ago), 5, 81 * MIB) for ago in range(10, -1, -1)])
    assert one_act(watched(trails={"web-1": long})).rule == "over_memory"
    assert one_act(watched(trails={"web-1": readings((0.0, 5, 95 * MIB))})).rule == "over_memory"


def test_no_sample_is_never_zero_and_never_a_violation() -> None:
    nothing(watched(trails={}))
    nothing(watched(trails={"web-1": readings((0.0, None, None))}))
    stale = replace(readings((2.0, 250, MIB)), missed=1)
    nothing(watched(trails={"web-1": stale}))


def test_a_missing_sample_in_between_does_not_end_the_time() -> None:
    gap = readings((3.0, 210, MIB), (2.0, None, None), (1.0, 210, MIB), (0.0, 210, MIB))
    assert one_act(watched(trails={"web-1": gap})).rule == "over_pids"


def test_pids_come_before_memory() -> None:
    both = readings((0.0, 250, 99 * MIB))
    assert one_act(watched(trails={"web-1": both})).rule == "over_pids"


def test_the_urgent_culprit_is_named_first() -> None:
    services = {"web": service(), "db": service()}
    trails = {
        "web-1": readings((2.0, 210, MIB), (0.0, 210, MIB)),
        "db-1": readings((0.0, 250, MIB)),
    }
    one = watched(containers=(container(), container("db")), services=services, trails=trails)
    assert one_act(one).service == "db"


@pytest.mark.parametrize(("word", "kind"), [("environment", "end"), ("service", "halt")])
def test_what_a_violation_ends(word: str, kind: str) -> None:
    one = watched(
        services={"web": service(marks={"on_violation": word})},
        trails={"web-1": readings((0.0, 250, MIB))},
    )
    assert one_act(one).kind == kind


def test_a_violation_that_is_only_reported_is_reported_once_for_a_while() -> None:
    one = watched(
        services={"web": service(marks={"on_violation": "report"})},
        trails={"web-1": readings((0.0, 250, MIB))},
    )
    plan = judged(one)
    assert not plan.acts
    assert [report.key for report in plan.reports] == ["app-aaaaaa/web/over_pids"]
    nothing(one, quiet={"app-aaaaaa/web/over_pids": NOW.boottime + 1})


def test_a_paused_container_still_counts() -> None:
    one = watched(containers=(container(state="paused"),), trails={"web-1": readings((0.0, 250, MIB))})
    assert one_act(one).rule == "over_pids"


def test_the_budget_counts_the_sum_over_all_services() -> None:
    services = {"web": service(), "db": service()}
    both = (container(), container("db"))
    trails = {"web-1": quiet(pids=60), "db-1": quiet(pids=60)}
    nothing(watched(containers=both, services=services, trails=trails, budget={"pids": 121}))
    act = one_act(watched(containers=both, services=services, trails=trails, budget={"pids": 120}))
    assert (act.rule, act.kind) == ("over_pids", "end")
    assert "budget" in act.reason
    act = one_act(watched(containers=both, services=services, trails=trails, budget={"memory": MIB}))
    assert act.rule == "over_memory"


def test_the_end_of_a_child_for_memory_is_reported_though_the_container_lives() -> None:
    trail = readings((1.0, 5, MIB), (0.0, 5, MIB), oom_kills=1)
    plan = judged(watched(trails={"web-1": trail}))
    assert not plan.acts
    assert [(report.rule, report.incident) for report in plan.reports] == [("oom", True)]


def test_each_further_kill_is_reported_and_one_kill_is_reported_once() -> None:
    first = watched(trails={"web-1": readings((1.0, 5, MIB), (0.0, 5, MIB), oom_kills=1)})
    (report,) = judged(first).reports
    told = {report.key: float("inf")}
    nothing(first, quiet=told)
    second = watched(trails={"web-1": readings((1.0, 5, MIB), (0.0, 5, MIB), oom_kills=2)})
    assert len(judged(second, quiet=told).reports) == 1
    nothing(second, quiet={**told, "app-aaaaaa/web/oom": NOW.boottime + 1})
    ended = watched(containers=(container(state="exited", oom_killed=True, finished=7.0),), trails={})
    (report,) = judged(ended).reports
    nothing(ended, quiet={report.key: float("inf")})


def test_a_counter_that_begins_anew_is_no_kill() -> None:
    before = Reading(at=1.0, pids=1, memory=1, oom_kills=5)
    after = Reading(at=2.0, pids=1, memory=1, oom_kills=0)
    nothing(watched(trails={"web-1": Trail((before, after))}))


# Crash loops


def crashed(**values: Any) -> Watched:
    facts = {"state": "exited", "exit_code": 1, "finished": NOW.wall - 1, **values.pop("facts", {})}
    restart = values.pop("restart", "always")
    return watched(
        containers=(container(**facts),), trails={}, services={"web": service(restart=restart)}, **values
    )


@pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure", "on-failure:5"])
def test_a_service_that_asked_for_it_is_restarted(policy: str) -> None:
    act = one_act(crashed(restart=policy))
    assert (act.rule, act.kind, act.service) == ("crash_looping", "restart", "web")
    assert "restart 1 of 3" in act.reason


def test_who_did_not_ask_is_not_restarted() -> None:
    nothing(crashed(restart="no"))
    nothing(crashed(restart="on-failure", facts={"exit_code": 0}))
    assert one_act(crashed(restart="always", facts={"exit_code": 0})).kind == "restart"


def test_after_three_restarts_in_ten_minutes_it_has_failed() -> None:
    times = (NOW.wall - 599, NOW.wall - 300, NOW.wall - 10)
    act = one_act(crashed(restarts={"web": times}))
    assert (act.kind, act.phase, act.incident) == ("end", "failed", True)
    older = (NOW.wall - 601, NOW.wall - 300, NOW.wall - 20)
    assert one_act(crashed(restarts={"web": older})).kind == "restart"


def test_each_restart_waits_longer_than_the_one_before() -> None:
    for count, seconds in ((1, 5), (2, 20)):
        times = tuple(NOW.wall - seconds - 100 * n for n in range(count))[::-1]
        assert one_act(crashed(restarts={"web": times})).kind == "restart"
        early = tuple(at + 1 for at in times)
        nothing(crashed(restarts={"web": early}))


def test_restarts_that_lie_ahead_of_a_clock_that_was_set_back_do_not_count() -> None:
    ahead = tuple(NOW.wall + 86400 + n for n in range(3))
    assert "restart 1 of 3" in one_act(crashed(restarts={"web": ahead})).reason
    nothing(watched(phase="stopping", attempts=1, updated=NOW.wall - 1))
    assert one_act(watched(phase="stopping", attempts=1, updated=NOW.wall + 86400)).rule == "stuck"


def test_a_policy_with_fewer_tries_is_kept() -> None:
    act = one_act(crashed(restart="on-failure:1", restarts={"web": (NOW.wall - 10,)}))
    assert act.kind == "end"


def test_never_after_a_stop_by_hand_or_a_violation() -> None:
    act = one_act(crashed(by_hand=frozenset({"web-1"})))
    assert (act.kind, act.service) == ("spare", "web")
    nothing(crashed(halted=("web",)))


@pytest.mark.parametrize(
    ("action", "signal", "stop_signal", "asked"),
    [
        ("kill", "15", "", True),
        ("kill", "SIGKILL", "", True),
        ("kill", "", "", True),
        ("kill", "SIGHUP", "", False),
        ("kill", "1", "", False),
        ("kill", "10", "SIGUSR1", True),
        ("kill", "28", "SIGWINCH", True),
        ("kill", "37", "SIGRTMIN+3", True),
        ("kill", "12", "SIGUSR1", False),
        ("stop", "", "", True),
        ("kill", "SIGUSR1", "SIGUSR1", True),
        ("die", "15", "", False),
        ("oom", "", "", False),
    ],
)
def test_what_counts_as_a_stop_by_hand(action: str, signal: str, stop_signal: str, asked: bool) -> None:
    event = Event(at=1.0, kind="container", action=action, id="c", signal=signal)
    assert asked_to_end(event, stop_signal) is asked


def test_a_running_service_is_never_restarted() -> None:
    nothing(watched(services={"web": service(restart="always")}))


# The host


def host(available: float) -> HostMemory:
    return HostMemory(total=1000 * MIB, available=int(available * 1000 * MIB))


def test_a_host_with_memory_is_left_alone() -> None:
    nothing(watched(), host=host(0.10))
    nothing(watched(), host=None)


def test_a_host_that_is_low_is_warned_of_and_reported_when_it_is_worse() -> None:
    plan = judged(watched(), host=host(0.09))
    assert [(one.rule, one.incident) for one in plan.reports] == [("host_low", False)]
    plan = judged(watched(), host=host(0.039))
    assert [(one.rule, one.incident) for one in plan.reports] == [("squeezing_host", True)]
    assert not plan.acts


def test_with_act_the_largest_of_ours_is_ended_and_one_at_a_time() -> None:
    limits = Supervision(host_pressure="act")
    small = watched(project="small-bbbbbb", trails={"web-1": quiet(memory=10 * MIB)})
    large = watched(project="large-cccccc", trails={"web-1": quiet(memory=50 * MIB)})
    plan = decide(world(small, large, host=host(0.03)), limits)
    assert [(act.project, act.rule, act.phase) for act in plan.acts] == [
        ("large-cccccc", "squeezing_host", "killed")
    ]
    calm = decide(world(small, large, host=host(0.03), quiet={"host": NOW.boottime + 5}), limits)
    assert not calm.acts


def test_for_the_hosts_sake_nobody_is_ended_who_cannot_be() -> None:
    limits = Supervision(host_pressure="act")
    large, middle = {"web-1": quiet(memory=50 * MIB)}, {"web-1": quiet(memory=40 * MIB)}
    stuck = watched(project="p-bbbbbb", phase="stopping", attempts=1, updated=NOW.wall, trails=large)
    starting = watched(project="q-cccccc", phase="starting", owner="alive", trails=middle)
    small = watched(project="s-dddddd", trails={"web-1": quiet(memory=MIB)})
    plan = decide(world(stuck, starting, small, host=host(0.03)), limits)
    assert [act.project for act in plan.acts] == ["s-dddddd"]


def test_with_act_and_nothing_of_ours_nobody_is_ended() -> None:
    plan = decide(world(host=host(0.01)), Supervision(host_pressure="act"))
    assert not plan.acts
    assert len(plan.reports) == 1


# Leftovers


@pytest.mark.parametrize("phase", ["stopped", "failed", "expired", "killed"])
def test_what_is_left_of_an_ended_environment_is_removed(phase: str) -> None:
    one = watched(phase=phase, trails={}, networks=(NETWORK,))
    assert (one_act(one).rule, one_act(one).kind) == ("leftover", "remove")
    assert one_act(watched(phase=phase, containers=(), trails={}, networks=(NETWORK,))).kind == "remove"


def test_what_is_newer_than_the_ending_has_a_grace() -> None:
    young = container(created=NOW.wall - 10)
    nothing(watched(phase="stopped", updated=NOW.wall - 50, containers=(young,), trails={}))
    old = container(created=NOW.wall - LIMITS.grace)
    assert (
        one_act(watched(phase="stopped", updated=NOW.wall - 500, containers=(old,), trails={})).kind
        == "remove"
    )


def test_a_lost_environment_keeps_its_containers_until_its_lifetime_is_over() -> None:
    ended = (container(state="exited"),)
    nothing(watched(phase="lost", containers=ended, trails={}))
    assert one_act(watched(phase="lost", left=-1.0, containers=ended, trails={})).kind == "remove"


def test_strays_are_reported_and_never_touched() -> None:
    stray = Stray(kind="container", id="x", name="odd", project="p-1", why="nothing is remembered of `p-1`")
    plan = judged(strays=(stray,))
    assert not plan.acts
    assert [(one.rule, one.incident) for one in plan.reports] == [("unmanaged", False)]


# The plan as a whole


def test_the_first_rule_in_order_wins() -> None:
    one = watched(left=-1.0, trails={"web-1": readings((0.0, 250, 99 * MIB))})
    assert one_act(one).rule == "expired"


def test_the_order_of_the_rules() -> None:
    names = [rule.__name__ for rule in RULES]
    assert names == [
        "finished",
        "expired",
        "abandoned",
        "stuck",
        "over_pids",
        "over_memory",
        "crash_looping",
        "squeezing_host",
        "leftover",
        "littered",
        "loosened",
        "refused_or_killed",
    ]
    assert [rule.__name__ for rule in REAPING] == ["finished", "expired", "abandoned", "stuck", "leftover"]


def test_an_act_is_confirmed_by_a_fresh_world_or_dropped() -> None:
    over = watched(trails={"web-1": readings((0.0, 250, MIB))})
    act = one_act(over)
    again = still(act, world(watched(trails={"web-1": readings((0.0, 251, MIB))})), LIMITS)
    assert again is not None
    assert again.violation is not None
    assert again.violation.reading == 251
    assert still(act, world(watched()), LIMITS) is None
    assert still(act, world(watched(left=-1.0)), LIMITS) is None, "another rule is another act"
    assert still(act, world(over, quiet={"app-aaaaaa": NOW.boottime + 9}), LIMITS) is not None


def test_refused_processes_are_told_once_for_each_end() -> None:
    trail = Trail((Reading(at=0.0, pids=9, pids_refused=0), Reading(at=1.0, pids=9, pids_refused=3)))
    first, again = (container(state="exited", finished=end) for end in (5.0, 9.0))
    told = [watched(containers=(one,), trails={one.id: trail}) for one in (first, first, again)]
    keys = [one.key for found in told for one in decide(world(found), LIMITS).reports]
    assert len(keys) == 3
    assert len(set(keys)) == 2
    over = {f"{told[0].record.project}/web/fork_refused": NOW.boottime + 1.0}
    assert not decide(world(told[0], quiet=over), LIMITS).reports


def test_the_pace_quickens_as_headroom_shrinks() -> None:
    assert next_look(world(), LIMITS) == LIMITS.idle_interval
    assert leaders_pause(0.01, LIMITS) == LIMITS.lead
    assert leaders_pause(10.0, LIMITS) == pytest.approx(190.0)
    assert next_look(world(watched(phase="stopped", containers=())), LIMITS) == LIMITS.idle_interval
    assert next_look(world(watched()), LIMITS) == 1.0
    near = next_look(world(watched(trails={"web-1": quiet(pids=150)})), LIMITS)
    assert 0.55 < near < 0.65
    assert next_look(world(watched(trails={"web-1": quiet(pids=250)})), LIMITS) == LIMITS.least_interval
    assert next_look(world(watched(left=0.4)), LIMITS) == pytest.approx(0.4)
    growing = watched(trails={"web-1": readings((1.0, 20, MIB), (0.0, 80, MIB))})
    assert next_look(world(growing), LIMITS) == 1.0, "120 more at 60 a second: half of 2 s"
    faster = watched(trails={"web-1": readings((1.0, 0, MIB), (0.0, 90, MIB))})
    assert next_look(world(faster), LIMITS) == pytest.approx(110 / 90 / 2)


@given(
    st.lists(st.tuples(st.floats(0, 0.5), st.none() | st.integers(0, 400)), min_size=1, max_size=50),
    st.integers(1, 300),
)
def test_the_time_over_a_mark_is_what_counting_gives(
    steps: list[tuple[float, int | None]], mark: int
) -> None:
    at, found = 0.0, []
    for step, value in steps:
        at += step
        found.append(Reading(at=at, pids=value))
    known = [(one.at, one.pids) for one in found if one.pids is not None]
    since = None
    for moment, value in known:
        over = value is not None and value >= mark
        since = (moment if since is None else since) if over else None
    expected = known[-1][0] - since if since is not None else 0.0
    assert held_over(found, "pids", mark) == pytest.approx(expected)


@given(st.lists(st.none() | st.integers(0, 300), min_size=1, max_size=100))
def test_a_trail_counts_misses_and_keeps_a_minute(samples: list[int | None]) -> None:
    trail = Trail()
    for at, value in enumerate(samples):
        reading = None if value is None else Reading(at=float(at), pids=value, memory=value)
        trail = trail.add(reading, keep=60.0)
    run = 0
    for value in reversed(samples):
        if value is not None:
            break
        run += 1
    assert trail.missed == run
    assert (trail.last is None) == (run > 0)
    known = [value for value in samples if value is not None]
    assert trail.peak_pids == max(known, default=0)
    assert all(one.at >= trail.readings[-1].at - 60.0 for one in trail.readings)


_PHASES = st.sampled_from(
    ["starting", "running", "stopping", "stopped", "failed", "expired", "killed", "lost"]
)


@given(
    phase=_PHASES,
    owner=st.sampled_from(["none", "alive", "dead", "unknown"]),
    left=st.floats(-100, 100),
    state=st.sampled_from(["created", "running", "paused", "exited", "dead", None]),
    tied=st.booleans(),
    attempts=st.integers(0, 3),
    pids=st.none() | st.integers(0, 256),
)
def test_nothing_of_a_live_command_and_nothing_unproven_is_ever_ended(
    phase: str, owner: str, left: float, state: str | None, tied: bool, attempts: int, pids: int | None
) -> None:
    one = watched(
        phase=phase,
        owner=owner,
        left=left,
        tied=tied,
        attempts=attempts,
        containers=(container(state=state),) if state else (),
        trails={"web-1": readings((0.0, pids, MIB))},
    )
    for act in judged(one).acts:
        if phase in ("starting", "stopping") and owner in ("alive", "unknown"):
            assert act.rule in ("over_pids", "over_memory")
        if act.kind == "end" and act.rule == "abandoned":
            assert owner == "dead"
        if act.kind == "remove":
            assert phase not in ("starting", "running", "stopping")
