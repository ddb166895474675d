"""What is typed for a task, and what a list says of one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stackctl.core.errors import UsageError
from stackctl.core.limits import limit_layer_from_words
from stackctl.core.records import Deadline, EnvironmentRecord, TaskPart
from stackctl.core.stack import SidecarSpec
from stackctl.core.tasks import parse_sidecars, read_line, task_line

RECORD = EnvironmentRecord(
    project="inst-0123456789ab",
    stack="inst",
    generation="g",
    phase="succeeded",
    root="/",
    stack_file="",
    engine="e",
    engine_host="",
    home="h",
    user=0,
    created=1.0,
    updated=9.0,
    lifetime=60.0,
    deadline=Deadline(wall=61.0, boottime=61.0, boot="b"),
    task=TaskPart(id="0123456789ab", image="busybox:1.35", exit_code=0, started=5.4, finished=5.3),
)


def test_the_second_sidecar_of_a_template_has_a_variable_of_its_own_name() -> None:
    found = parse_sidecars(["main=postgres", "redis", "read-only_2=postgres", "2nd=redis"])
    assert found == {
        "2nd": SidecarSpec(template="redis", env="_2ND_URL"),
        "main": SidecarSpec(template="postgres"),
        "read-only_2": SidecarSpec(template="postgres", env="READ_ONLY_2_URL"),
        "redis": SidecarSpec(template="redis"),
    }
    with pytest.raises(UsageError, match="two sidecars are called `redis`"):
        parse_sidecars(["redis", "redis=postgres"])


def test_no_task_ends_before_it_starts() -> None:
    assert RECORD.task is not None
    line = task_line(RECORD)
    assert (line.started, line.finished) == (5.4, 5.4)
    running = replace(RECORD, phase="running", task=replace(RECORD.task, finished=0.0))
    assert task_line(running).finished == 0.0


def test_a_line_says_that_a_task_was_forgotten() -> None:
    assert RECORD.task is not None
    line = task_line(replace(RECORD, task=replace(RECORD.task, forgotten=True)))
    assert line.forgotten
    assert read_line(line.plain()) == line
    old = {name: value for name, value in line.plain().items() if name != "forgotten"}
    assert read_line(old) == replace(line, forgotten=False)


@pytest.mark.parametrize(
    ("word", "says", "hint"),
    [
        ("cpus=0.001", "no less than 0.01 cpus", "cpus=1.5"),
        ("cpus=x", "a number of cpus", "cpus=1.5"),
        ("pids=", "whole number", "pids=200"),
        ("memory=x", "size", "memory=2g"),
    ],
)
def test_a_wrong_limit_is_answered_with_an_example_of_its_own_kind(word: str, says: str, hint: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        limit_layer_from_words([word], "--limit")
    assert hint in caught.value.hint
