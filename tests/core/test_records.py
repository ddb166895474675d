"""Records survive the way through JSON, and nothing that is not one is taken for one."""

import json
from contextlib import suppress
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.core.records import (
    PHASES,
    SCHEMA,
    Deadline,
    Ending,
    EnvironmentRecord,
    Lease,
    ServiceRecord,
    SidecarRecord,
    UnreadableRecord,
    from_plain,
    to_plain,
)

NUMBERS = st.floats(min_value=-1e15, max_value=1e15, allow_nan=False)
WORDS = st.text(max_size=12)
WHOLE = st.integers(min_value=0, max_value=2**53)
SERVICES = st.builds(
    ServiceRecord,
    pids=WHOLE,
    memory=WHOLE,
    swap=WHOLE,
    cpus=NUMBERS,
    restart=WORDS,
    one_shot=st.booleans(),
    sidecar=st.booleans(),
    replicas=WHOLE,
    watchdog=st.dictionaries(WORDS, st.one_of(WHOLE, NUMBERS, WORDS), max_size=3),
)
SIDECARS = st.builds(SidecarRecord, port=WHOLE, url=WORDS, env=WORDS)
RECORDS = st.builds(
    EnvironmentRecord,
    project=WORDS,
    stack=WORDS,
    instance=WORDS,
    generation=WORDS,
    phase=st.sampled_from(PHASES),
    root=WORDS,
    stack_file=WORDS,
    engine=WORDS,
    engine_host=WORDS,
    home=WORDS,
    user=WHOLE,
    created=NUMBERS,
    updated=NUMBERS,
    lifetime=NUMBERS,
    deadline=st.builds(Deadline, wall=NUMBERS, boottime=NUMBERS, boot=WORDS),
    placement=st.dictionaries(WORDS, WORDS, max_size=3),
    ports=st.lists(WHOLE, max_size=3).map(tuple),
    document=WORDS,
    services=st.dictionaries(WORDS, SERVICES, max_size=2),
    containers=st.dictionaries(WORDS, st.lists(WORDS, max_size=2).map(tuple), max_size=2),
    networks=st.dictionaries(WORDS, WORDS, max_size=2),
    sidecars=st.dictionaries(WORDS, SIDECARS, max_size=2),
    secrets=st.lists(WORDS, max_size=2).map(tuple),
    variables=st.dictionaries(WORDS, WORDS, max_size=2),
    verified=WORDS,
    tied=st.booleans(),
    lease=st.none() | st.builds(Lease, boot=WORDS, pid=WHOLE, started=WHOLE, command=WORDS, namespace=WORDS),
    ending=st.none() | st.builds(Ending, reason=WORDS, at=NUMBERS, incident=WORDS),
    warnings=st.lists(WORDS, max_size=2).map(tuple),
)
RECORD = EnvironmentRecord(
    project="myenv-0a1b2c",
    stack="myenv",
    generation="g",
    phase="running",
    root="/src/app",
    engine="e",
    home="h",
    user=1000,
    created=1.0,
    lifetime=60.0,
    deadline=Deadline(wall=61.0, boottime=61.0, boot="b"),
    services={"web": ServiceRecord(pids=256, memory=1 << 30, swap=1 << 30, cpus=2.0)},
    lease=Lease(boot="b", pid=7, started=11),
    ending=Ending(reason="its lifetime ended", at=61.0),
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150)
@given(RECORDS)
def test_a_record_is_the_same_after_json(record: EnvironmentRecord) -> None:
    assert from_plain(json.loads(json.dumps(to_plain(record)))) == record


def test_every_field_has_a_reader() -> None:
    plain = to_plain(RECORD)
    assert set(plain) == {field.name for field in fields(EnvironmentRecord)}
    assert from_plain(plain) == RECORD


@settings(max_examples=300)
@given(st.sampled_from([field.name for field in fields(EnvironmentRecord)]), JSON_VALUES)
def test_a_wrong_value_is_refused_or_read_as_what_the_field_says(name: str, value: object) -> None:
    with suppress(UnreadableRecord):
        record = from_plain({**to_plain(RECORD), name: value})
        assert from_plain(json.loads(json.dumps(to_plain(record)))) == record


@given(JSON_VALUES)
def test_what_is_no_record_is_refused(raw: object) -> None:
    with pytest.raises(UnreadableRecord):
        from_plain(raw)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"phase": "asleep"}, "phase is no phase: 'asleep'"),
        ({"phase": ["running"]}, "phase is no phase"),
        ({"project": 7}, "project is not text"),
        ({"user": True}, "user is not a whole number"),
        ({"tied": 1}, "tied is not true or false"),
        ({"created": "now"}, "created is not a number"),
        ({"created": float("nan")}, "created is no finite number"),
        ({"lifetime": float("inf")}, "lifetime is no finite number"),
        ({"ports": "80"}, "ports is not a list"),
        ({"ports": [80, "81"]}, "ports[1] is not a whole number"),
        ({"placement": {"STACKCTL_PORT_DB_5432": 20000}}, "placement.STACKCTL_PORT_DB_5432 is not text"),
        ({"services": {"web": {"pids": 1}}}, "services.web.memory is missing"),
        ({"deadline": None}, "deadline is not a mapping"),
        ({"lease": {"boot": "b", "pid": "7", "started": 1}}, "lease.pid is not a whole number"),
        ({"schema": 0}, "there is no schema 0"),
        ({"schema": True}, "it is not a record"),
        ({"schema": "1"}, "it is not a record"),
    ],
)
def test_the_message_names_what_is_wrong(change: dict[str, object], words: str) -> None:
    with pytest.raises(UnreadableRecord) as caught:
        from_plain({**to_plain(RECORD), **change})
    assert words in str(caught.value)
    assert not caught.value.newer


def test_a_newer_schema_is_told_apart() -> None:
    with pytest.raises(UnreadableRecord) as caught:
        from_plain({**to_plain(RECORD), "schema": SCHEMA + 1, "project": 5})
    assert caught.value.newer


def test_a_missing_field_is_named() -> None:
    plain = to_plain(RECORD)
    del plain["generation"]
    with pytest.raises(UnreadableRecord, match="generation is missing"):
        from_plain(plain)


def test_unknown_keys_of_a_later_version_are_left_out() -> None:
    plain = to_plain(replace(RECORD, services={}))
    plain["mood"] = "good"
    plain["lease"]["mood"] = "good"
    assert from_plain(plain) == replace(RECORD, services={})


def test_a_deadline_counts_suspended_time_and_ignores_the_wall_clock_within_a_boot() -> None:
    deadline = Deadline(wall=1000.0, boottime=500.0, boot="this")
    assert deadline.left(wall=5000.0, boottime=400.0, boot="this") == 100.0
    assert deadline.left(wall=900.0, boottime=9999.0, boot="another") == 100.0
