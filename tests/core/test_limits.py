"""The limits: defaults, layers, ceilings, thresholds."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.core.errors import UsageError
from stackctl.core.limits import (
    DEFAULT,
    DEFAULT_WATCHDOG,
    PARSERS,
    SENTENCES,
    Limits,
    Setting,
    Threshold,
    Watchdog,
    check_thresholds,
    effective,
    limit_layer_from_words,
    parse_layer,
    parse_threshold,
    watchdog_for,
)

GIB = 1 << 30


def layer(origin: str, **values: Any) -> dict[str, Setting]:
    return {name: Setting(value, origin) for name, value in values.items()}


def numbers(*layers: dict[str, Setting], ceilings: dict[str, Setting] | None = None) -> Limits:
    found, problems = effective(*layers, ceilings=ceilings)
    assert not problems
    return found.limits


def test_the_defaults_are_those_that_the_documents_promise() -> None:
    assert Limits(pids=256, memory=8 * GIB, swap=8 * GIB, cpus=2.0, lifetime=43200.0) == DEFAULT
    assert DEFAULT_WATCHDOG.pids.at(256) == 200
    assert DEFAULT_WATCHDOG.memory.at(8 * GIB) == int(0.8 * 8 * GIB)
    assert DEFAULT_WATCHDOG.urgent_pids.at(256) == 245
    assert (DEFAULT_WATCHDOG.sustain_pids, DEFAULT_WATCHDOG.sustain_memory) == (2.0, 10.0)
    assert not check_thresholds(DEFAULT_WATCHDOG, DEFAULT)


def test_each_limit_has_a_sentence_and_a_parser() -> None:
    assert set(SENTENCES) == set(PARSERS) == {field.name for field in fields(Limits)}
    assert all(SENTENCES.values())


@pytest.mark.parametrize(
    ("name", "text"), [("pids", "256"), ("memory", "8g"), ("swap", "8g"), ("cpus", "2"), ("lifetime", "12h")]
)
def test_limits_are_shown_as_they_are_written(name: str, text: str) -> None:
    assert DEFAULT.show(name) == text


def test_the_strongest_layer_counts_and_is_named() -> None:
    found, problems = effective(
        layer("--limit", pids=10), layer("stack", pids=20, cpus=1.0), layer("user", cpus=3.0)
    )

    assert not problems
    assert (found.limits.pids, found.limits.cpus) == (10, 1.0)
    assert found.origins == {
        "pids": "--limit",
        "memory": "default",
        "swap": "default",
        "cpus": "stack",
        "lifetime": "default",
    }


def test_swap_follows_memory() -> None:
    found, _ = effective(layer("stack", memory=GIB))

    assert found.limits.swap == GIB
    assert found.origins["swap"] == "stack"


def test_swap_beside_memory_counts() -> None:
    assert numbers(layer("stack", memory=GIB, swap=2 * GIB)).swap == 2 * GIB
    assert numbers(layer("--limit", swap=2 * GIB), layer("stack", memory=GIB)).swap == 2 * GIB


def test_swap_of_a_weaker_place_than_memory_follows_memory() -> None:
    found = numbers(layer("stack", memory=2 * GIB), layer("user", memory=GIB, swap=GIB))

    assert (found.memory, found.swap) == (2 * GIB, 2 * GIB)


def test_swap_alone_lowers_the_default_memory() -> None:
    found, problems = effective(layer("stack", swap=GIB))

    assert not problems
    assert (found.limits.memory, found.origins["memory"]) == (GIB, "stack")


def test_swap_below_memory_is_refused() -> None:
    _, problems = effective(layer("stack", memory=2 * GIB, swap=GIB))

    assert problems == ("swap counts memory and swap together, so it cannot be below memory",)


def test_a_ceiling_lowers_a_default() -> None:
    found, problems = effective(ceilings=layer("policy.yaml:2", pids=100, memory=GIB))

    assert not problems
    assert (found.limits.pids, found.limits.memory, found.limits.swap) == (100, GIB, GIB)
    assert found.origins["pids"] == "ceiling in policy.yaml:2"


def test_a_ceiling_above_changes_nothing() -> None:
    assert numbers(ceilings=layer("p", pids=1000, memory=100 * GIB)) == DEFAULT


def test_the_order_of_ceilings_does_not_count() -> None:
    ceilings = layer("p", swap=4 * GIB, memory=2 * GIB)

    assert numbers(ceilings=ceilings) == numbers(ceilings=dict(reversed(ceilings.items())))
    assert numbers(ceilings=ceilings).swap == 2 * GIB


def test_a_ceiling_on_swap_holds_memory_too() -> None:
    assert numbers(ceilings=layer("p", swap=GIB)).memory == GIB


def test_more_than_a_ceiling_is_refused_never_clamped() -> None:
    found, problems = effective(layer("stack:3", memory=2 * GIB), ceilings=layer("policy.yaml:2", memory=GIB))

    assert problems == ("memory 2g (stack:3) is above this machine's ceiling of 1g (policy.yaml:2)",)
    assert found.limits.memory == 2 * GIB


def test_as_much_as_a_ceiling_is_fine() -> None:
    assert numbers(layer("s", pids=100), ceilings=layer("p", pids=100)).pids == 100


settings_of = st.fixed_dictionaries(
    {},
    optional={
        "pids": st.integers(1, 1000),
        "memory": st.integers(1, 16).map(lambda size: size * GIB),
        "swap": st.integers(1, 16).map(lambda size: size * GIB),
        "cpus": st.floats(0.01, 16),
        "lifetime": st.floats(1, 1e6),
    },
)


@settings(max_examples=60, deadline=None)
@given(settings_of, settings_of, settings_of)
def test_what_is_in_force_is_below_every_ceiling(strong: Any, weak: Any, most: Any) -> None:
    found, problems = effective(layer("a", **strong), layer("b", **weak), ceilings=layer("p", **most))

    if not problems:
        assert all(getattr(found.limits, name) <= value for name, value in most.items())
        assert found.limits.swap >= found.limits.memory
    assert set(found.origins) == set(SENTENCES)


def test_a_layer_is_read_with_its_places() -> None:
    found, wrong = parse_layer({"memory": "2g", "pids": 10}, {"memory": "x:1", "pids": "x:2"})

    assert found == {"memory": Setting(2 * GIB, "x:1"), "pids": Setting(10, "x:2")}
    assert not wrong


def test_what_is_wrong_in_a_layer_is_told_for_each() -> None:
    found, wrong = parse_layer({"memory": "x", "cpu": 1, "pids": -1, "cpus": 1}, {})

    assert set(found) == {"cpus"}
    assert wrong["memory"].startswith("a size such as")
    assert wrong["cpu"] == "no such limit; there are pids, memory, swap, cpus, lifetime"
    assert wrong["pids"].startswith("a whole number above zero")


def test_memory_below_the_engines_minimum_is_refused() -> None:
    assert parse_layer({"memory": "6m"}, {})[0]
    assert parse_layer({"memory": "5m"}, {})[1] == {"memory": "the engine takes no less than 6m, not 5m"}


def test_limits_from_words() -> None:
    found = limit_layer_from_words(["memory=2g", "pids=5", "pids=6", "lifetime=1h"], "--limit")

    assert found == layer("--limit", memory=2 * GIB, pids=6, lifetime=3600.0)
    assert limit_layer_from_words([], "--limit") == {}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("memory", "`memory` does not set a limit"),
        ("", "`` does not set a limit"),
        ("memory=", "--limit memory: a size such as 512m or 8g was expected, not ''"),
        ("memory=0", "--limit memory: a size must be above zero"),
        ("pids=-1", "--limit pids: a whole number above zero"),
        ("pids=unlimited", "--limit pids: a whole number above zero"),
        ("ram=2g", "--limit ram: no such limit; there are pids"),
        ("=2g", "no such limit"),
        ("x" * 5000 + "=1", "no such limit"),
    ],
)
def test_words_that_set_no_limit(word: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        limit_layer_from_words([word], "--limit")

    assert message in caught.value.message
    assert len(caught.value.message) < 200


def test_the_watchdog_of_several_places() -> None:
    strong = layer("service", pids=Threshold(absolute=10))
    weak = layer("stack", pids=Threshold(absolute=20), sustain_pids=5.0, on_violation="report")

    assert watchdog_for() == DEFAULT_WATCHDOG
    assert watchdog_for(strong, weak) == replace(
        DEFAULT_WATCHDOG, pids=Threshold(absolute=10), sustain_pids=5.0, on_violation="report"
    )


@pytest.mark.parametrize(
    ("text", "size", "threshold"),
    [
        ("80%", True, Threshold(share=0.8)),
        ("80%", False, Threshold(share=0.8)),
        (200, False, Threshold(absolute=200)),
        ("1g", True, Threshold(absolute=GIB)),
    ],
)
def test_thresholds_are_shares_counts_or_sizes(text: Any, size: bool, threshold: Threshold) -> None:
    assert parse_threshold(text, size=size) == threshold


@pytest.mark.parametrize(
    ("text", "size"), [("100%", True), ("1g", False), (0, False), ("0", True), (None, True)]
)
def test_what_is_no_threshold(text: Any, size: bool) -> None:
    with pytest.raises(ValueError):
        parse_threshold(text, size=size)


@pytest.mark.parametrize(
    ("threshold", "limit", "mark"),
    [
        (Threshold(share=0.8), 100, 80),
        (Threshold(share=200 / 256), 64, 50),
        (Threshold(absolute=200), 64, 200),
        (Threshold(share=0.1), 5, 1),
    ],
)
def test_marks_scale_with_their_limit_unless_set(threshold: Threshold, limit: int, mark: int) -> None:
    assert threshold.at(limit) == mark


@pytest.mark.parametrize(
    ("watchdog", "limits", "message"),
    [
        (
            Watchdog(pids=Threshold(absolute=256)),
            DEFAULT,
            "the pids threshold 256 must be below the limit 256",
        ),
        (
            Watchdog(pids=Threshold(absolute=64)),
            Limits(pids=64),
            "the pids threshold 64 must be below the limit 64",
        ),
        (
            Watchdog(urgent_pids=Threshold(absolute=300)),
            DEFAULT,
            "the urgent pids threshold 300 must be below",
        ),
        (Watchdog(memory=Threshold(share=0.97)), DEFAULT, "must not be above the urgent one"),
        (Watchdog(urgent_memory=Threshold(share=0.5)), DEFAULT, "must not be above the urgent one"),
    ],
)
def test_thresholds_that_cannot_stand(watchdog: Watchdog, limits: Limits, message: str) -> None:
    (problem,) = check_thresholds(watchdog, limits)

    assert message in problem


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.integers(6 << 20, 64 * GIB))
def test_the_default_thresholds_stand_below_every_limit(pids: int, memory: int) -> None:
    limits = Limits(pids=pids, memory=memory, swap=memory)

    assert check_thresholds(DEFAULT_WATCHDOG, limits) == ()


def test_thresholds_are_written_as_people_write_them() -> None:
    assert str(Threshold(share=0.8)) == "80%"
    assert str(Threshold(absolute=200)) == "200"
