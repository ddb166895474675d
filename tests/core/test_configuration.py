"""The user's configuration and the machine's policy."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.core.configuration import parse_configuration, parse_machine_policy
from stackctl.core.documents import dump
from stackctl.core.errors import StackFileError
from stackctl.core.limits import Setting, Threshold
from stackctl.core.stack import Configuration, MachinePolicy

SOURCE = "config.yaml"


def test_everything_at_once() -> None:
    text = (
        "limits: {memory: 4g}\nwatchdog: {pids: 50%}\nsupervisor: manual\nports: 21000-21999\n"
        "subnets: 172.20.0.0/16\non_incident: notify-send 'it stopped'\nvariables: {region: eu}\n"
    )

    assert parse_configuration(text, source=SOURCE) == Configuration(
        limits={"memory": Setting(4 << 30, "config.yaml:1")},
        watchdog={"pids": Setting(Threshold(share=0.5), "config.yaml:2")},
        supervisor="manual",
        ports=(21000, 21999),
        subnets="172.20.0.0/16",
        on_incident=("notify-send", "it stopped"),
        variables={"region": Setting("eu", "config.yaml:7")},
    )


def test_nothing_leaves_the_defaults() -> None:
    assert parse_configuration("", source=SOURCE) == Configuration()
    assert parse_configuration("limits:\nports:\n", source=SOURCE) == Configuration()


@pytest.mark.parametrize(
    ("written", "ports"),
    [("[2000, 2999]", (2000, 2999)), ('"2000 - 2999"', (2000, 2999)), ("1024-65535", (1024, 65535))],
)
def test_ranges_of_ports(written: str, ports: tuple[int, int]) -> None:
    assert parse_configuration(f"ports: {written}", source=SOURCE).ports == ports


@pytest.mark.parametrize("subnets", ["10.0.0.0/8", "10.208.0.0/13", "192.168.0.0/16", "172.16.0.0/20"])
def test_private_ranges_are_taken(subnets: str) -> None:
    assert parse_configuration(f"subnets: {subnets}", source=SOURCE).subnets == subnets


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        ("- a", 1, "", "must be a mapping"),
        ("limit: {}", 1, "limit", "there is no key `limit`"),
        ("limits: {pids: -1}", 1, "limits.pids", "a whole number above zero"),
        ("limits: {pids: 9}\nwatchdog: {pids: 9}", 2, "watchdog.pids", "must be below the limit 9"),
        ("supervisor: maybe", 1, "supervisor", "there is no choice `maybe`"),
        ("ports: 80-90", 1, "ports", "a port from 1024 to 65535 was expected, not 80"),
        ("ports: [2000]", 1, "ports", "a range such as 20000-29999 was expected, not a list"),
        ("ports: many", 1, "ports", "a range such as 20000-29999 was expected, not many"),
        ("ports: 5", 1, "ports", "a range such as 20000-29999 was expected, not a number"),
        ("ports: 3000-2000", 1, "ports", "the first before the last"),
        ("ports: 2000-2001", 1, "ports", "at least 10 ports"),
        ("ports: 2000-70000", 1, "ports", "a port from 1024 to 65535"),
        ("ports: [true, 3000]", 1, "ports", "a port from 1024"),
        ("subnets: 8.8.0.0/16", 1, "subnets", "8.8.0.0/16 is no private range"),
        ("subnets: 0.0.0.0/0", 1, "subnets", "is no private range"),
        ("subnets: 169.254.0.0/16", 1, "subnets", "is no private range"),
        ("subnets: 10.0.0.0/24", 1, "subnets", "10.0.0.0/24 is too small; a /20 or larger"),
        ("subnets: 10.0.0.1/16", 1, "subnets", "an IPv4 range such as 10.208.0.0/13"),
        ("subnets: fd00::/8", 1, "subnets", "an IPv4 range such as"),
        ("subnets: 10", 1, "subnets", "an IPv4 range such as"),
        ("on_incident: 3", 1, "on_incident", "must be a list of words, or text"),
        ("variables: {a: [1]}", 1, "variables.a", "must be one value"),
    ],
)
def test_each_mistake_is_told_with_its_place(text: str, line: int, path: str, message: str) -> None:
    with pytest.raises(StackFileError) as caught:
        parse_configuration(text, source=SOURCE)

    (problem,) = caught.value.problems
    assert (problem.source, problem.line, problem.path) == (SOURCE, line, path)
    assert message in problem.message


def test_a_machine_policy() -> None:
    found = parse_machine_policy(
        "ceilings: {pids: 512, lifetime: 24h}\nforbid: [privileged]", source="policy.yaml"
    )

    assert found == MachinePolicy(
        source="policy.yaml",
        ceilings={"pids": Setting(512, "policy.yaml:1"), "lifetime": Setting(86400.0, "policy.yaml:1")},
        forbidden=frozenset({"privileged"}),
    )
    assert parse_machine_policy("", source="p") == MachinePolicy(source="p")


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("ceilings: {pids: 0}", "ceilings.pids", "a whole number above zero"),
        ("ceilings: [pids]", "ceilings", "must be a mapping"),
        ("forbid: [privilegd]", "forbid", "there is no choice `privilegd`"),
        ("forbid: {a: 1}", "forbid", "must be text, not a mapping"),
        ("allow: []", "allow", "there is no key `allow`"),
        ("ceilings: {pids: 1", "", "not valid YAML"),
    ],
)
def test_a_wrong_machine_policy_is_refused(text: str, path: str, message: str) -> None:
    with pytest.raises(StackFileError) as caught:
        parse_machine_policy(text, source="policy.yaml")

    assert [one.path for one in caught.value.problems] == [path]
    assert message in caught.value.problems[0].message


keys = st.sampled_from(
    [
        "limits",
        "watchdog",
        "supervisor",
        "ports",
        "subnets",
        "on_incident",
        "variables",
        "ceilings",
        "forbid",
        "memory",
    ]
)
leaves = st.none() | st.booleans() | st.integers(-5, 70_000) | st.text("a0-./ ", max_size=8) | keys
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(trees)
def test_any_tree_is_read_or_refused(tree: object) -> None:
    for parse in (parse_configuration, parse_machine_policy):
        with suppress(StackFileError):
            parse(dump(tree), source=SOURCE)


@pytest.mark.parametrize("path", ["/srv/stacks", "/var/lib/stackctl/", "/data"])
def test_the_folder_on_remote_hosts(path: str) -> None:
    assert parse_configuration(f"remote_folder: {path}\n", source="c").remote_folder == path.rstrip("/")


@pytest.mark.parametrize("path", ["/", "relative", "/a/../etc", "/a b", "/a//b", "/$HOME", "[x]"])
def test_a_folder_on_remote_hosts_that_cannot_be(path: str) -> None:
    with pytest.raises(StackFileError, match="remote_folder"):
        parse_configuration(f"remote_folder: {path!r}\n", source="c")
