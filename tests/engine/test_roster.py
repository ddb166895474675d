"""A listing that asks again only of what changed, against an engine made of dictionaries and the real one."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from stackctl.engine.docker import DockerEngine
from stackctl.engine.roster import Roster

LABEL = "stackctl-test.which"
Start = Callable[..., str]


class Listing:
    """The two questions that a roster asks, and which ids were asked about."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.labels: Mapping[str, str] = {}

    def set(self, key: str, status: str, *, state: str = "running", name: str = "x", pid: int = 1) -> None:
        self.rows[key] = {"status": status, "state": state, "name": name, "pid": pid}

    def brief(self, kind: str, labels: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
        assert kind == "containers"
        self.labels = labels
        return tuple(
            {"Id": key, "State": one["state"], "Status": one["status"], "Names": [f"/{one['name']}"]}
            for key, one in self.rows.items()
        )

    def inspect(self, ids: Sequence[str]) -> tuple[dict[str, Any], ...]:
        self.asked.extend(ids)
        return tuple(
            {"Id": key, "Name": one["name"], "State": {"Status": one["state"], "Pid": one["pid"]}}
            for key in ids
            if (one := self.rows[key])["state"] != "vanished"
        )


@pytest.fixture
def listing() -> Listing:
    made = Listing()
    made.set("a", "Up 3 minutes (healthy)")
    made.set("b", "Exited (0) 2 hours ago", state="exited")
    return made


@pytest.fixture
def roster(listing: Listing) -> Roster:
    made = Roster(listing)  # type: ignore[arg-type]  # it asks these two questions only
    assert [one.id for one in made.containers({"l": "1"})] == ["a", "b"]
    assert listing.asked == ["a", "b"]
    listing.asked.clear()
    return made


@pytest.mark.parametrize(
    ("status", "asked"),
    [
        ("Up 3 minutes (healthy)", []),
        ("Up 4 minutes (healthy)", []),
        ("Up About an hour (healthy)", []),
        ("Up 2 hours (healthy)", []),
        ("Up 47 hours (healthy)", []),
        ("Up 13 days (healthy)", []),
        ("Up 2 weeks (healthy)", []),
        ("Up 3 months (healthy)", []),
        ("Up 2 years (healthy)", []),
        ("Up 2 minutes (healthy)", ["a"]),
        ("Up About a minute (healthy)", ["a"]),
        ("Up 59 seconds (healthy)", ["a"]),
        ("Up 1 second (healthy)", ["a"]),
        ("Up Less than a second (healthy)", ["a"]),
        ("Up 3 minutes (unhealthy)", ["a"]),
        ("Up 3 minutes (health: starting)", ["a"]),
        ("Up 3 minutes (Paused)", ["a"]),
        ("Up 3 minutes", ["a"]),
        ("Restarting (1) 3 minutes ago", ["a"]),
        ("", ["a"]),
    ],
)
def test_what_a_status_gives_away(listing: Listing, roster: Roster, status: str, asked: list[str]) -> None:
    listing.set("a", status)
    roster.containers({"l": "1"})
    assert listing.asked == asked


def test_the_ages_of_one_container_never_seem_to_shrink(listing: Listing, roster: Roster) -> None:
    """All that docker says in turn of a container that is left alone for four years."""
    seconds = ["Less than a second", "1 second", *(f"{n} seconds" for n in range(2, 60))]
    minutes = ["About a minute", *(f"{n} minutes" for n in range(2, 60))]
    hours = ["About an hour", *(f"{n} hours" for n in range(2, 48))]
    days, weeks = [f"{n} days" for n in range(2, 14)], [f"{n} weeks" for n in range(2, 9)]
    months, years = [f"{n} months" for n in range(2, 25)], ["2 years", "3 years", "4 years"]
    listing.set("a", "Up Less than a second")
    roster.containers({"l": "1"})
    listing.asked.clear()
    for age in (*seconds, *minutes, *hours, *days, *weeks, *months, *years):
        listing.set("a", f"Up {age}")
        roster.containers({"l": "1"})
    assert listing.asked == []


def test_what_is_new_renamed_ended_dirty_or_gone(listing: Listing, roster: Roster) -> None:
    listing.set("c", "Created", state="created")
    assert [one.state for one in roster.containers({"l": "1"})] == ["running", "exited", "created"]
    listing.set("a", "Up 3 minutes (healthy)", name="y")
    assert [one.name for one in roster.containers({"l": "1"})] == ["y", "x", "x"]
    listing.set("b", "Exited (137) 2 hours ago", state="exited")
    roster.containers({"l": "1"})
    assert listing.asked == ["c", "a", "b"]
    listing.asked.clear()
    listing.set("a", "Up 3 minutes (healthy)", name="y", pid=77)
    assert roster.containers({"l": "1"})[0].pid == 1
    assert roster.containers({"l": "1"}, {"a", "elsewhere"})[0].pid == 77
    assert listing.asked == ["a"]
    del listing.rows["b"]
    assert [one.id for one in roster.containers({"l": "1"})] == ["a", "c"]


def test_everything_again_on_request_and_for_other_labels(listing: Listing, roster: Roster) -> None:
    roster.containers({"l": "1"}, full=True)
    assert listing.asked == ["a", "b"]
    roster.containers({"l": "2"})
    assert listing.asked == ["a", "b"] * 2
    assert listing.labels == {"l": "2"}


def test_one_that_vanishes_between_the_two_questions_is_left_out(listing: Listing, roster: Roster) -> None:
    listing.set("a", "Up 1 second", state="vanished")
    assert [one.id for one in roster.containers({"l": "1"})] == ["b"]
    listing.set("a", "Up 2 seconds")
    assert [one.id for one in roster.containers({"l": "1"})] == ["a", "b"]


@pytest.mark.engine
def test_it_says_what_a_whole_listing_says(engine: DockerEngine, start: Start, run_label: str) -> None:
    labels = {LABEL: f"roster-{run_label}"}
    options = ["--init", "--label", f"{LABEL}={labels[LABEL]}"]
    first, second = (start("sleep", "300", options=options) for _ in range(2))

    def agreed(dirty: frozenset[str] = frozenset()) -> None:
        found = engine.roster(labels, dirty)
        assert {one.id: one for one in found} == {one.id: one for one in engine.containers(labels)}

    agreed()
    engine.kill([second])
    deadline = time.monotonic() + 20
    while engine.inspect([second])[0].state != "exited":
        assert time.monotonic() < deadline
    agreed()
    subprocess.run(["docker", "restart", "--time", "0", first], check=True, capture_output=True, timeout=60)
    agreed(frozenset({first}))
    engine.remove_containers([second])
    third = start("sleep", "300", options=options)
    agreed()
    assert {one.id for one in engine.roster(labels, full=True)} == {first, third}


@pytest.mark.engine
def test_networks_come_without_their_members(engine: DockerEngine, start: Start, run_label: str) -> None:
    labels = {LABEL: f"net-{run_label}"}
    flags = [
        word
        for name, value in {**labels, "stackctl-test.run": run_label}.items()
        for word in ("--label", f"{name}={value}")
    ]
    network = subprocess.run(
        ["docker", "network", "create", *flags, f"roster-{run_label}"],
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout.strip()  # fmt: skip
    (brief,) = engine.networks_brief(labels)
    (whole,) = engine.networks(labels)
    assert brief == whole
    assert (brief.id, brief.labels[LABEL]) == (network, labels[LABEL])
    start("sleep", "300", options=["--init", "--network", network])
    assert engine.networks_brief(labels)[0].members == ()
    assert len(engine.networks(labels)[0].members) == 1
