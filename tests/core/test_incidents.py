"""What an incident tells, from literals."""

from __future__ import annotations

import json

from stackctl.core.actions import Violation
from stackctl.core.facts import Process
from stackctl.core.incidents import Incident, explain, from_plain, process_groups, to_plain

MIB = 1 << 20
INIT = Process(pid=100, inside=1, parent=0, command="docker-init", memory=MIB)


def many(count: int, parent: int, first: int = 200) -> list[Process]:
    return [
        Process(pid=first + n, inside=first + n, parent=parent, command="pytest -x", memory=2 * MIB)
        for n in range(count)
    ]


def incident(**values: object) -> Incident:
    plain: dict[str, object] = {
        "id": "i",
        "at": 1.0,
        "rule": "over_pids",
        "action": "end",
        "stack": "app",
        "service": "worker",
        "reason": "`worker` had 231 processes, threshold 200, limit 256",
        "result": "done",
    }
    return Incident(**{**plain, **values})  # type: ignore[arg-type]


def test_processes_are_told_by_command_whoever_started_them() -> None:
    one_parent = process_groups([INIT, *many(214, 1)])
    assert (one_parent[0].count, one_parent[0].parent, one_parent[0].memory) == (214, 1, 428 * MIB)
    chain = [
        Process(pid=300 + n, inside=300 + n, parent=299 + n, command="fork", memory=1) for n in range(64)
    ]
    (largest, *_) = process_groups([INIT, *chain])
    assert (largest.command, largest.count, largest.parent) == ("fork", 64, 0)


def test_groups_are_the_largest_by_count_and_by_memory() -> None:
    suite = [one for n in range(40) for one in many(1, 1, 1000 + n)]
    odd = [Process(pid=5000 + n, inside=5000 + n, command=f"small {n}", memory=1) for n in range(30)]
    hog = Process(pid=9000, inside=9000, parent=1, command="hog", memory=900 * MIB)
    found = process_groups([*suite, *odd, hog], top=3)
    assert found[0].command == "pytest -x"
    assert "hog" in {one.command for one in found}
    assert len(found) <= 6


def test_the_story_in_plain_words() -> None:
    told = explain(
        incident(groups=process_groups([INIT, *many(214, 1)]), done=("1 container removed",)), "14:02:11"
    )
    assert told == (
        "`worker` was stopped at 14:02:11, and with it `app`: 231 processes, threshold 200, limit 256",
        "214 of them were `pytest -x`, children of pid 1",
        "1 container removed",
    )


def test_the_story_of_memory_names_the_largest() -> None:
    found = Violation(measure="memory", level="urgent", reading=1, mark=1)
    hog = Process(pid=7, inside=7, parent=1, command="python3 hog.py", memory=900 * MIB)
    told = explain(incident(rule="over_memory", violation=found, groups=process_groups([INIT, hog])), "1:00")
    assert told[1] == "900 MiB of it in `python3 hog.py`, child of pid 1"


def test_a_story_that_was_never_finished_says_so() -> None:
    assert "the supervisor died meanwhile" in explain(incident(result=""), "1:00")[-1]
    assert "tried again" in explain(incident(result="stuck"), "1:00")[-1]


def test_an_incident_is_read_back_and_what_is_none_is_none() -> None:
    found = Violation(measure="pids", level="urgent", reading=1, mark=1)
    whole = incident(violation=found, groups=process_groups([INIT]), log=("a", "b"), readings=({"at": 0.0},))

    assert from_plain(json.loads(json.dumps(to_plain(whole)))) == whole
    for raw in (None, [], {}, {"schema": 99}, {"schema": 1}, {"schema": 1, "id": "x"}):
        assert from_plain(raw) is None
