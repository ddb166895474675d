"""A sidecar template's own limits: what they yield to, and what lowers them."""

from __future__ import annotations

from stackctl.core.limits import DEFAULT, Setting, effective

OWN = {
    "memory": Setting(1 << 30, "postgres/template.yaml:40"),
    "pids": Setting(100, "postgres/template.yaml:40"),
}


def test_they_stand_where_nobody_asks() -> None:
    found, wrong = effective({}, {}, defaults=OWN)
    assert not wrong
    assert (found.limits.memory, found.limits.swap, found.limits.pids) == (1 << 30, 1 << 30, 100)
    assert found.limits.cpus == DEFAULT.cpus
    assert found.origins["memory"] == "default of postgres/template.yaml:40"


def test_whoever_asks_wins_and_swap_follows_memory() -> None:
    asked = {"memory": Setting(2 << 30, "stacks/a.yaml:3")}
    found, wrong = effective({}, asked, defaults=OWN)
    assert not wrong
    assert (found.limits.memory, found.limits.swap, found.limits.pids) == (2 << 30, 2 << 30, 100)


def test_a_ceiling_lowers_them_as_any_default() -> None:
    ceilings = {"memory": Setting(512 << 20, "policy.yaml:1"), "pids": Setting(64, "policy.yaml:2")}
    found, wrong = effective({}, defaults=OWN, ceilings=ceilings)
    assert not wrong
    assert (found.limits.memory, found.limits.swap, found.limits.pids) == (512 << 20, 512 << 20, 64)
    _, wrong = effective({"pids": Setting(100, "--limit")}, defaults=OWN, ceilings=ceilings)
    assert len(wrong) == 1
