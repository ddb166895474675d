"""What may run at once: never over the budget, in order, and everything some time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.core.admission import Budget, Demand, admit, demand_of, host_budget, misfit, parse_budget
from stackctl.core.errors import UsageError
from stackctl.core.records import ServiceRecord

GIB = 1 << 30
BUDGET = Budget(memory=8 * GIB, nano_cpus=4_000_000_000, tasks=3)
SMALL = Demand(memory=GIB, nano_cpus=500_000_000)
LARGE = Demand(memory=6 * GIB, nano_cpus=500_000_000)


def service(memory: int, cpus: float, replicas: int = 1) -> ServiceRecord:
    return ServiceRecord(pids=64, memory=memory, swap=memory, cpus=cpus, replicas=replicas)


def test_a_demand_is_the_sum_over_all_services_with_cpus_as_the_host_has_them() -> None:
    services = {"task": service(GIB, 8.0), "db": service(2 * GIB, 0.1, replicas=3)}
    assert demand_of(services, 2) == Demand(memory=7 * GIB, nano_cpus=2_300_000_000)
    assert demand_of(services, 0).nano_cpus == 8_300_000_000


def test_as_many_start_as_fit_and_no_more_than_may() -> None:
    assert admit([SMALL] * 5, [], BUDGET) == 3
    assert admit([SMALL] * 5, [SMALL], BUDGET) == 2
    assert admit([LARGE, SMALL, SMALL], [], BUDGET) == 3
    assert admit([SMALL], [LARGE, SMALL], BUDGET) == 1
    assert admit([SMALL], [LARGE, SMALL, SMALL], BUDGET) == 0


def test_what_does_not_fit_lets_nothing_pass() -> None:
    assert admit([LARGE, SMALL], [LARGE], BUDGET) == 0


def test_processors_count_as_memory_does() -> None:
    assert admit([Demand(nano_cpus=3_000_000_000)] * 2, [], BUDGET) == 1


def test_sums_of_fractions_are_exact() -> None:
    tenth = demand_of({"task": service(GIB, 0.1)}, 4)
    assert admit([tenth] * 10, [], Budget(memory=10 * GIB, nano_cpus=1_000_000_000, tasks=10)) == 10


def test_what_never_fits_says_so_and_how_to_change_it() -> None:
    message, hint = misfit("big", Demand(memory=9 * GIB, nano_cpus=1_500_000_000), BUDGET)
    assert message == (
        "task `big` may use 9 GiB of memory and 1.5 cpus, and the budget is 8 GiB of memory and 4 cpus: "
        "it never fits"
    )
    assert "--limit memory=512m" in hint
    assert "--budget memory=9g,cpus=1.5" in hint
    assert misfit("small", SMALL, BUDGET) == ("", "")


def test_a_budget_is_the_host_unless_it_is_given() -> None:
    host = host_budget(8 * GIB, 4, 3)
    assert host == BUDGET
    assert parse_budget("memory=2g", host) == Budget(memory=2 * GIB, nano_cpus=4_000_000_000, tasks=3)
    assert parse_budget("cpus=1.5, memory=1g", host) == Budget(memory=GIB, nano_cpus=1_500_000_000, tasks=3)
    assert host_budget(0, 0, 1).holds(Demand(memory=1 << 50, nano_cpus=1 << 50))


@pytest.mark.parametrize("text", ["", "memory", "disk=1g", "memory=0", "memory=lots", "cpus=0", "cpus=2,,"])
def test_a_budget_that_cannot_be_read(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_budget(text, BUDGET)
    assert "--budget memory=16g,cpus=8" in caught.value.hint


demands = st.builds(Demand, memory=st.integers(0, 8 * GIB), nano_cpus=st.integers(0, BUDGET.nano_cpus))


@given(st.lists(demands, max_size=30), st.data())
def test_never_over_the_budget_in_order_and_everything_runs(tasks: list[Demand], data: st.DataObject) -> None:
    waiting, running, started = list(tasks), list[Demand](), list[Demand]()
    while waiting or running:
        count = admit(waiting, running, BUDGET)
        started += waiting[:count]
        running += waiting[:count]
        waiting = waiting[count:]
        assert len(running) <= BUDGET.tasks
        assert BUDGET.holds(sum(running, Demand()))
        assert running, "everything that fits alone starts some time"
        room = len(running) < BUDGET.tasks
        assert not (waiting and room and BUDGET.holds(sum([*running, waiting[0]], Demand())))
        running.pop(data.draw(st.integers(0, len(running) - 1)))
    assert started == tasks
