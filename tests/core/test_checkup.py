from dataclasses import replace
from typing import Any

import pytest

from stackctl.core.checkup import CHECKS, Finding, HostFacts, judge
from stackctl.core.checkup_facts import (
    Disk,
    EngineSight,
    Leftover,
    Owned,
    Program,
    Route,
    Socket,
    StateSight,
    Supervisor,
    Trouble,
)
from stackctl.core.facts import EngineFacts, Network
from stackctl.core.limits import Limits

GIB = 1 << 30
ENGINE = EngineFacts(
    id="E1",
    host="unix:///var/run/docker.sock",
    local=True,
    version="27.1",
    cgroup_version="2",
    cgroup_driver="systemd",
    cpus=8,
    memory=32 * GIB,
    data_root="/var/lib/docker",
)
BRIDGE = Network(id="n1", name="bridge", subnets=("172.17.0.0/16",))
OURS = Network(id="n2", name="myenv", subnets=("10.208.0.0/26",), labels={"stackctl.home": "aaaa"})
SIGHT = EngineSight(
    host=ENGINE.host,
    socket=Socket(path="/var/run/docker.sock", mode=0o660, owner="root", group="docker", usable=True),
    command="/usr/bin/docker",
    command_version="27.1",
    facts=ENGINE,
    compose="2.29.1",
    skew=0.1,
    networks=(BRIDGE, OURS),
    objects=(),
)
STATE = StateSight(
    path="/home/me/state", mode=0o700, owner="me", identity="aaaa", generations={"web-1": "g1"}
)
HEALTHY = HostFacts(
    engine=SIGHT,
    state=STATE,
    disks=(Disk(what="docker", path="/var/lib/docker", total=100 * GIB, free=50 * GIB),),
    routes=(Route("eth0", "0.0.0.0/0"), Route("docker0", "172.17.0.0/16"), Route("br-2", "10.208.0.0/26")),
    interfaces=frozenset({"lo", "eth0", "docker0", "br-2"}),
    program=Program(running="/opt/bin/stackctl", on_path=(("/usr/bin/stackctl", "/opt/bin/stackctl"),)),
    python=(3, 11),
    supervisor=Supervisor(True, "it looked 2 s ago"),
)


def seen(facts: HostFacts, check: str) -> list[Finding]:
    return [one for one in judge(facts) if one.check == check]


def only(facts: HostFacts, check: str) -> Finding:
    (finding,) = seen(facts, check)
    return finding


def engine(**changes: Any) -> HostFacts:
    """The healthy host with another sight of its engine."""
    return replace(HEALTHY, engine=replace(SIGHT, **changes))


def facts(**changes: Any) -> HostFacts:
    """The healthy host with an engine that says something else."""
    return engine(facts=replace(ENGINE, **changes))


def test_a_healthy_host_passes_everything() -> None:
    findings = judge(HEALTHY)
    assert {one.state for one in findings} == {"passed"}
    assert not any(one.remedy for one in findings)
    assert len({one.check for one in findings}) == len(findings)


def test_only_the_checks_given_are_made() -> None:
    extra = Finding("extra", "warning", "seen", "do")
    assert judge(HEALTHY, (lambda _: extra, lambda _: ())) == (extra,)
    assert len(judge(HEALTHY, CHECKS[:2])) == 2


def test_an_absent_engine_leaves_no_check_that_claims_to_have_looked() -> None:
    down = Trouble("DaemonDown", "no docker daemon listens on /x", "start it")
    host = engine(facts=None, trouble=down, skew=None, networks=None, objects=None)
    assert only(host, "daemon") == Finding("daemon", "failed", down.message, "start it")
    for check in (
        "cgroup",
        "swap accounting",
        "host memory",
        "clock",
        "address pool",
        "docker0",
        "unmanaged objects",
    ):
        assert only(host, check).state == "warning"
        assert "not checked" in only(host, check).message
        assert only(host, check).remedy


def test_an_engine_that_falls_silent_after_its_first_answer_fails() -> None:
    frozen = Trouble("DaemonFrozen", "the daemon did not answer", "look at its log")
    host = engine(trouble=frozen, networks=None, objects=None)
    assert only(host, "daemon").state == "failed"
    assert only(host, "cgroup").state == "passed"
    assert only(host, "address pool").state == "warning"


def test_without_a_docker_command_the_command_fails_and_the_rest_is_not_checked() -> None:
    missing = Trouble("DockerMissing", "there is no docker command on PATH", "install it")
    host = engine(command="", facts=None, trouble=missing, compose="", compose_trouble=missing)
    assert only(host, "docker command").state == "failed"
    assert only(host, "docker command").remedy == "install it"
    assert only(host, "daemon").state == only(host, "compose").state == "warning"


def test_a_command_that_does_not_tell_its_version_is_a_warning() -> None:
    assert only(engine(command_version=""), "docker command").state == "warning"


def test_the_context_is_named() -> None:
    assert "context `farm`" in only(engine(context="farm"), "daemon").message


def test_an_old_compose_fails_with_its_own_hint() -> None:
    old = Trouble("ComposeMissing", "the compose plugin is version 2.1", "install Compose 2.20")
    found = only(engine(compose="", compose_trouble=old), "compose")
    assert (found.state, found.remedy) == ("failed", "install Compose 2.20")


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({"usable": False}, "failed", "usermod -aG docker"),
        ({"usable": False, "mode": 0o600}, "failed", "use rootless docker"),
        ({"mode": 0o666}, "warning", "chmod o-rw /var/run/docker.sock"),
        ({"mode": None, "usable": False}, "warning", "see the check `daemon`"),
        ({}, "passed", ""),
    ],
)
def test_permissions(changes: dict[str, Any], state: str, words: str) -> None:
    assert SIGHT.socket is not None
    found = only(engine(socket=replace(SIGHT.socket, **changes)), "permissions")
    assert found.state == state
    assert words in found.remedy


def test_an_engine_without_a_socket_has_no_permissions_to_check() -> None:
    assert seen(engine(socket=None), "permissions") == []


@pytest.mark.parametrize("name", ["memory_limit", "pids_limit", "cpu_quota"])
def test_a_missing_controller_fails(name: str) -> None:
    found = only(facts(**{name: False}), "cgroup")
    assert found.state == "failed"
    assert f"cannot limit {name.partition('_')[0]}" in found.message
    assert "cgroup_enable=memory" in found.remedy


def test_a_rootless_engine_is_told_to_delegate() -> None:
    assert "Delegate=" in only(facts(rootless=True, pids_limit=False), "cgroup").remedy


def test_a_rootless_engine_on_cgroup_v1_ignores_limits() -> None:
    assert only(facts(rootless=True, cgroup_version="1"), "cgroup").state == "failed"
    assert only(facts(rootless=True), "cgroup").state == "passed"


def test_limits_of_a_remote_engine_pass_and_are_said_to_be_unproven() -> None:
    found = only(facts(local=False), "cgroup")
    assert found.state == "passed"
    assert "cannot be proven" in found.message


@pytest.mark.parametrize(
    ("host", "clear", "state", "words"),
    [
        ("tcp://farm:2375", True, "warning", "whoever reaches that port is root on farm"),
        ("tcp://127.0.0.1:2375", True, "passed", "read back from the engine"),
        ("tcp://farm:2376", False, "passed", "ssh -L"),
        ("ssh://build@farm", False, "passed", "kept on that host"),
    ],
)
def test_the_way_to_a_remote_engine(host: str, clear: bool, state: str, words: str) -> None:
    there = replace(ENGINE, host=host, local=False)
    found = only(engine(facts=there, host=host, socket=None, clear=clear), "remote engine")
    assert found.state == state
    assert words in found.message
    assert (not found.remedy) or "ssh://USER@farm" in found.remedy


def test_an_engine_of_this_machine_has_no_way_to_be_checked() -> None:
    assert seen(HEALTHY, "remote engine") == []


def test_missing_swap_accounting_is_a_warning() -> None:
    assert only(facts(swap_limit=False), "swap accounting").state == "warning"


@pytest.mark.parametrize(
    ("skew", "state"),
    [
        (5.0, "passed"),
        (-5.0, "passed"),
        (5.1, "warning"),
        (-60.0, "warning"),
        (60.1, "failed"),
        (-3600.0, "failed"),
    ],
)
def test_clock(skew: float, state: str) -> None:
    found = only(engine(skew=skew), "clock")
    assert found.state == state
    if state != "passed":
        assert ("ahead of" if skew > 0 else "behind") in found.message


def test_an_engine_without_a_clock_is_a_warning() -> None:
    assert only(engine(skew=None), "clock").state == "warning"


def test_a_host_smaller_than_a_default_limit_is_a_warning() -> None:
    assert only(facts(memory=4 * GIB), "host memory").state == "warning"
    small = replace(facts(memory=4 * GIB), limits=Limits(memory=2 * GIB, swap=2 * GIB))
    assert only(small, "host memory").state == "passed"


@pytest.mark.parametrize(
    ("total", "free", "state"),
    [
        (100 * GIB, 10 * GIB, "passed"),
        (100 * GIB, 10 * GIB - 1, "warning"),
        (20 * GIB, 5 * GIB, "passed"),
        (20 * GIB, 5 * GIB - 1, "warning"),
        (100 * GIB, GIB, "warning"),
        (100 * GIB, GIB - 1, "failed"),
        (0, 0, "failed"),
    ],
)
def test_disk_space(total: int, free: int, state: str) -> None:
    host = replace(HEALTHY, disks=(Disk(what="state", path="/s", total=total, free=free),))
    found = only(host, "disk of state")
    assert found.state == state
    assert bool(found.remedy) == (state != "passed")


@pytest.mark.parametrize(
    ("left", "state"), [(100, "passed"), (99, "warning"), (10, "warning"), (9, "failed")]
)
def test_inodes(left: int, state: str) -> None:
    disk = Disk(what="docker", path="/d", total=100 * GIB, free=50 * GIB, inodes=1000, inodes_free=left)
    assert only(replace(HEALTHY, disks=(disk,)), "inodes of docker").state == state


def test_a_file_system_that_counts_no_inodes_is_not_asked() -> None:
    assert seen(HEALTHY, "inodes of docker") == []


def test_a_strangers_network_in_our_range_is_named() -> None:
    stranger = Network(id="n3", name="vpn", subnets=("fd00::/64", "10.209.0.0/16"))
    found = only(engine(networks=(BRIDGE, OURS, stranger)), "address pool")
    assert found.state == "warning"
    assert "`vpn` (10.209.0.0/16)" in found.message
    assert "3 networks, 1 of them" in found.message


def test_a_route_into_our_range_is_named_and_dockers_own_are_not() -> None:
    host = replace(HEALTHY, routes=(*HEALTHY.routes, Route("tun0", "10.0.0.0/8")))
    found = only(host, "address pool")
    assert found.state == "warning"
    assert "10.0.0.0/8 by tun0" in found.message
    assert "br-2" not in found.message
    assert "eth0" not in found.message


@pytest.mark.parametrize("where", [{"elsewhere": True}, {"facts": replace(ENGINE, local=False)}])
def test_routes_count_only_where_the_engine_shares_them(where: dict[str, Any]) -> None:
    routes = (Route("tun0", "10.0.0.0/8"),)
    assert only(replace(engine(**where), routes=routes), "address pool").state == "passed"


def test_a_range_that_is_used_up_is_a_warning() -> None:
    most = Network(id="n4", name="big", subnets=("10.208.0.0/13",), labels=OURS.labels)
    found = only(replace(engine(networks=(BRIDGE, most)), routes=()), "address pool")
    assert (found.state, "100% of it" in found.message) == ("warning", True)


def test_dockers_own_pools_nearly_used_up_are_a_warning() -> None:
    many = tuple(Network(id=f"n{n}", name=f"net{n}", subnets=(f"172.{n}.0.0/16",)) for n in range(28))
    for networks, state in ((many, "warning"), (many[1:], "passed")):
        assert only(replace(engine(networks=networks), routes=()), "address pool").state == state


def test_a_lost_docker0_fails() -> None:
    host = replace(HEALTHY, interfaces=frozenset({"lo", "br-2"}), routes=())
    assert only(host, "docker0").state == "failed"


def test_a_default_bridge_of_another_name_is_found_by_its_route() -> None:
    host = replace(HEALTHY, interfaces=frozenset({"mybridge"}), routes=(Route("mybridge", "172.17.0.0/16"),))
    assert only(host, "docker0").state == "passed"


def test_an_engine_without_a_default_network_misses_no_bridge() -> None:
    host = replace(engine(networks=(OURS,)), interfaces=frozenset({"lo"}), routes=())
    assert only(host, "docker0").state == "passed"


@pytest.mark.parametrize(
    "where",
    [
        {"elsewhere": True},
        {"facts": replace(ENGINE, local=False)},
        {"facts": replace(ENGINE, rootless=True)},
    ],
)
def test_docker0_is_looked_for_only_where_it_must_be(where: dict[str, Any]) -> None:
    assert seen(replace(engine(**where), interfaces=frozenset({"lo"}), routes=()), "docker0") == []


def test_an_unusable_state_directory_fails_and_hides_what_is_managed() -> None:
    trouble = Trouble("StateError", "others may write to it", "chmod 700")
    host = replace(HEALTHY, state=StateSight(path="/s", trouble=trouble))
    assert only(host, "state directory") == Finding("state directory", "failed", trouble.message, "chmod 700")
    assert only(host, "unmanaged objects").state == "warning"


def test_a_state_directory_that_is_not_made_yet_passes() -> None:
    assert (
        only(replace(HEALTHY, state=StateSight(path="/s", exists=False)), "state directory").state == "passed"
    )


def test_each_unreadable_record_is_named() -> None:
    state = replace(STATE, unreadable=(("a-1", "it is empty"), ("b-2", "it is no JSON")))
    found = seen(replace(HEALTHY, state=state), "records")
    assert [one.state for one in found] == ["failed", "failed"]
    assert "`a-1`" in found[0].message
    assert "it is no JSON" in found[1].message


def test_each_leftover_names_its_command_and_the_way_out() -> None:
    state = replace(STATE, leftovers=(Leftover("web-1", "starting", "stackctl up web"),))
    found = only(replace(HEALTHY, state=state), "leftover")
    assert found.state == "warning"
    assert "`stackctl up web`" in found.message
    assert "`stackctl reap`" in found.remedy


def owned(kind: str, project: str, generation: str, home: str = "aaaa", number: str = "c" * 64) -> Owned:
    name = f"{project}-{kind}"
    return Owned(kind=kind, id=number, name=name, project=project, generation=generation, home=home)


def test_an_object_without_a_record_is_named_and_one_of_another_home_only_counted() -> None:
    objects = (
        owned("container", "web-1", "g1"),
        owned("container", "web-1", "older"),
        owned("network", "gone-2", "g2"),
        owned("volume", "other-3", "g3", home="bbbb"),
    )
    found = only(engine(objects=objects), "unmanaged objects")
    assert found.state == "warning"
    assert "container `web-1-container`, network `gone-2-network`" in found.message
    assert "other-3" not in found.message
    assert "1 object of other state directories" in found.message
    assert "`stackctl adopt gone-2` takes it on, `stackctl reap --force gone-2` ends it" in found.remedy
    assert "`stackctl reap --force web-1`" in found.remedy
    assert "docker rm" not in found.remedy


def test_a_volume_is_data_that_only_its_user_removes() -> None:
    found = only(engine(objects=(owned("volume", "gone-2", "g2"),)), "unmanaged objects")
    assert "`docker volume rm gone-2-volume`" in found.remedy
    assert "--force" not in found.remedy


def test_an_object_whose_record_is_unreadable_is_not_called_unmanaged() -> None:
    host = replace(
        engine(objects=(owned("container", "bad-1", "g"),)),
        state=replace(STATE, unreadable=(("bad-1", "it is empty"),)),
    )
    assert only(host, "unmanaged objects").state == "passed"


def test_many_unmanaged_objects_are_cut_short() -> None:
    objects = tuple(owned("volume", f"gone-{n}", "g") for n in range(9))
    assert "and 4 more" in only(engine(objects=objects), "unmanaged objects").message


def test_a_wrong_configuration_fails() -> None:
    host = replace(HEALTHY, configuration_trouble=Trouble("StackFileError", "c.yaml:3: no", "fix it"))
    assert only(host, "configuration").state == "failed"


@pytest.mark.parametrize(
    ("found", "live", "state", "words"),
    [
        (None, (), "passed", "the first `stackctl up` starts one"),
        (Supervisor(True, "pid 7"), ("web-1",), "passed", "pid 7"),
        (Supervisor(True, "pid 7, HUNG", sound=False), (), "failed", "HUNG"),
        (Supervisor(False, "not running"), (), "passed", "the next `stackctl up` starts one"),
        (Supervisor(False, "not running", automatic=False), (), "passed", "`stackctl supervise` runs one"),
        (Supervisor(False, "not running"), ("web-1",), "warning", "nobody ends `web-1`"),
    ],
)
def test_who_watches(found: Supervisor | None, live: tuple[str, ...], state: str, words: str) -> None:
    host = replace(HEALTHY, supervisor=found, state=replace(STATE, live=live))
    told = only(host, "supervisor")
    assert told.state == state
    assert words in told.message


MINE, OTHER = ("/usr/bin/stackctl", "/opt/bin/stackctl"), ("/old/stackctl", "/old/stackctl")


@pytest.mark.parametrize(
    ("on_path", "state", "words"),
    [
        ((MINE,), "passed", "only"),
        ((OTHER, MINE), "warning", "a shell finds /old/stackctl, while /opt/bin/stackctl runs"),
        ((OTHER,), "warning", "a shell finds /old/stackctl"),
        ((MINE, OTHER), "warning", "hides /old/stackctl"),
        ((), "warning", "no `stackctl` is on PATH"),
    ],
)
def test_shadowed_command(on_path: tuple[tuple[str, str], ...], state: str, words: str) -> None:
    program = Program(running="/opt/bin/stackctl", on_path=on_path, folder="/opt/bin")
    found = only(replace(HEALTHY, program=program), "command")
    assert found.state == state
    assert words in found.message


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 9), "warning"), ((3, 10), "passed"), ((3, 13), "passed"), ((3, 14), "warning")],
)
def test_python(version: tuple[int, int], state: str) -> None:
    assert only(replace(HEALTHY, python=version), "python").state == state
