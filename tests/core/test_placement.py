"""Placement: every hole filled, stable, never what somebody else holds."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.core.errors import EngineRefused, PortTaken, UsageError
from stackctl.core.holes import data_hole, find_holes, port_hole, subnet_hole, user_hole
from stackctl.core.labels import Stamp
from stackctl.core.placement import Placement, PlacementWorld, environment_file, place
from stackctl.core.policy import Rules, bound
from stackctl.core.records import ServiceRecord
from stackctl.core.stack import DataFolder

STAMP = Stamp(
    project="hello-123abc", stack="hello", generation="g-1", home="0123456789ab", user=1000, engine="E1"
)
WORLD = PlacementWorld(ports=(20000, 29999), subnets="10.208.0.0/13", cpus=4)
FOLDER = "/home/u/.local/share/stackctl/environments/hello-123abc"


def bounded(services, sidecars=(), **top):
    return bound({"services": services, **top}, Rules(stack="hello", root="/srv/app", sidecars=sidecars))


def placed(
    services, world=WORLD, kept=None, stamp=STAMP, root=False, data=(), owner=(1000, 1000), **top
) -> Placement:
    result = bounded(services, **top)
    return place(
        result.document,
        world=world,
        kept=kept or {},
        stamp=stamp,
        folder=FOLDER,
        owner=owner,
        caller_is_root=root,
        data=data,
        services=result.services,
    )


WEB = {"web": {"image": "busybox:1.35", "ports": [80, "443/udp"]}}


def test_every_hole_that_must_be_filled_is_filled():
    document = bounded(WEB).document
    needed = {name for name, default in find_holes(document).items() if default is None}
    values = placed(WEB).values
    assert needed <= set(values)
    assert values["STACKCTL_PROJECT"] == "hello-123abc"
    assert values["STACKCTL_INSTANCE"] == ""
    assert values["STACKCTL_USER_ID"] == "1000"
    assert "STACKCTL_CPUS_WEB" not in values


def test_the_same_inputs_give_the_same_placement_and_projects_differ():
    assert placed(WEB) == placed(WEB)
    other = Stamp(project="hello-ffffff", stack="hello", generation="g", home="h", user=1, engine="e")
    assert (
        placed(WEB).values["STACKCTL_PORT_WEB_80"] != placed(WEB, stamp=other).values["STACKCTL_PORT_WEB_80"]
    )
    assert placed(WEB).values["STACKCTL_SUBNET"] != placed(WEB, stamp=other).values["STACKCTL_SUBNET"]


def test_taken_ports_are_passed_over():
    first = int(placed(WEB).values["STACKCTL_PORT_WEB_80"])
    world = PlacementWorld(
        ports=WORLD.ports, subnets=WORLD.subnets, cpus=4, taken_ports=frozenset({first, first + 1})
    )
    assert int(placed(WEB, world).values["STACKCTL_PORT_WEB_80"]) == first + 2


def test_kept_ports_stay_even_outside_of_the_range_and_others_make_way():
    kept = {"STACKCTL_PORT_WEB_443_UDP": "31000"}
    assert placed(WEB, kept=kept).values["STACKCTL_PORT_WEB_443_UDP"] == "31000"
    free = placed(WEB).values["STACKCTL_PORT_WEB_80"]
    swapped = placed(WEB, kept={"STACKCTL_PORT_WEB_443_UDP": free}).values
    assert swapped["STACKCTL_PORT_WEB_443_UDP"] == free
    assert swapped["STACKCTL_PORT_WEB_80"] != free


def test_a_kept_port_that_a_foreigner_took_moves_with_a_note():
    world = PlacementWorld(ports=WORLD.ports, subnets=WORLD.subnets, cpus=4, taken_ports=frozenset({20007}))
    found = placed(WEB, world, kept={"STACKCTL_PORT_WEB_80": "20007"})
    assert found.values["STACKCTL_PORT_WEB_80"] != "20007"
    assert "20007" in found.notes[0]
    assert "`web` port 80" in found.notes[0]


@pytest.mark.parametrize("free", range(20000, 20004))
def test_a_literal_port_of_the_document_is_never_given_out(free):
    world = PlacementWorld(ports=(20000, 20003), subnets=WORLD.subnets, cpus=4)
    literal = [f"{port}:{port}" for port in range(20000, 20004) if port != free]
    services = {"web": {"image": "i:1", "ports": [*literal, 81]}}
    assert placed(services, world).values["STACKCTL_PORT_WEB_81"] == str(free)


def test_no_port_left_is_refused_with_the_range():
    world = PlacementWorld(ports=(20000, 20000), subnets=WORLD.subnets)
    with pytest.raises(PortTaken, match="between 20000 and 20000") as caught:
        placed(WEB, world)
    assert caught.value.exit_code == 5
    assert "ports" in caught.value.hint


def test_subnets_hold_the_services_and_do_not_overlap_anybodys():
    services = {
        "web": {"image": "i:1", "networks": ["default", "back"]},
        "many": {"image": "i:1", "scale": 100},
    }
    taken = ("10.208.0.0/14", "fd00::/64", "172.17.0.0/16")
    world = PlacementWorld(ports=WORLD.ports, subnets=WORLD.subnets, taken_subnets=taken)
    values = placed(services, world, networks={"back": None}).values
    default, back = IPv4Network(values["STACKCTL_SUBNET"]), IPv4Network(values["STACKCTL_SUBNET_BACK"])
    assert default.prefixlen == 24
    assert back.prefixlen == 26
    assert default.subnet_of(IPv4Network("10.212.0.0/14"))
    assert not default.overlaps(back)


def test_a_kept_subnet_stays_until_it_is_taken_or_too_small():
    kept = {"STACKCTL_SUBNET": "10.209.1.0/26"}
    assert placed(WEB, kept=kept).values["STACKCTL_SUBNET"] == "10.209.1.0/26"
    world = PlacementWorld(ports=WORLD.ports, subnets=WORLD.subnets, taken_subnets=("10.209.0.0/16",))
    assert placed(WEB, world, kept=kept).values["STACKCTL_SUBNET"] != "10.209.1.0/26"
    crowd = {"many": {"image": "i:1", "scale": 100}}
    moved = placed(crowd, kept=kept)
    assert IPv4Network(moved.values["STACKCTL_SUBNET"]).prefixlen == 24
    assert "10.209.1.0/26" in moved.notes[0]


@pytest.mark.parametrize("space", ["10.208.0.0/27", "10.209.0.0/26"])
def test_no_subnet_left_is_refused(space):
    world = PlacementWorld(ports=WORLD.ports, subnets=space, taken_subnets=("10.209.0.0/30",))
    with pytest.raises(EngineRefused, match="no subnet /26") as caught:
        placed(WEB, world)
    assert caught.value.exit_code == 5


def test_a_subnet_that_the_document_writes_is_not_cut_again():
    networks = {"back": {"ipam": {"config": [{"subnet": "10.209.0.0/26"}]}}}
    services = {"web": {"image": "i:1", "networks": ["default", "back"]}}
    world = PlacementWorld(ports=WORLD.ports, subnets="10.209.0.0/25")
    assert placed(services, world, networks=networks).values["STACKCTL_SUBNET"] == "10.209.0.64/26"


DB = {"db": {"image": "i:1", "user": user_hole("db"), "volumes": [f"{data_hole('db')}:/data"]}}


@pytest.mark.parametrize(
    ("root", "owner", "uid", "user"),
    [
        (False, (1234, 5678), 999, "1234:5678"),
        (True, (0, 0), 999, "999:999"),
        (True, (0, 0), 0, "1000:1000"),
        (False, (0, 0), 70, "70:70"),
    ],
)
def test_data_belongs_to_the_caller_and_never_to_root(root, owner, uid, user):
    values = placed(DB, root=root, owner=owner, data=(DataFolder(name="db", uid=uid),)).values
    assert values["STACKCTL_USER_DB"] == user
    assert values["STACKCTL_DATA_DB"] == f"{FOLDER}/data/db"


def test_a_folder_that_nobody_declared_is_an_error():
    with pytest.raises(UsageError, match="STACKCTL_DATA_DB"):
        placed(DB)


def test_cpus_are_lowered_to_the_hosts_and_said_so():
    found = placed({"web": {"image": "i:1", "cpus": 6}, "small": {"image": "i:1", "cpus": 0.5}})
    assert found.values["STACKCTL_CPUS_WEB"] == "4"
    assert "STACKCTL_CPUS_SMALL" not in found.values
    assert found.notes == ("the host has 4 cpus, so `web` gets 4 instead of 6",)


def test_alike_names_get_ports_of_their_own():
    services = {name: {"image": "i:1", "ports": [80]} for name in ("a-b", "a_b", "a.b")}
    values = placed(services).values
    ports = [values[port_hole(name, 80)[2:-3]] for name in services]
    assert len(set(ports)) == 3


BRIDGED = {"db": {"image": "i:1", "ports": [80, {"target": 80, "host_ip": "${STACKCTL_GATEWAY:?}"}]}}


def test_both_addresses_of_a_sidecar_have_one_port_and_the_gateway_is_given_where_it_is_asked_for():
    world = PlacementWorld(ports=(20000, 20001), subnets=WORLD.subnets, cpus=4, gateway="172.17.0.1")
    values = placed(BRIDGED, world, sidecars=("db",)).values
    assert values["STACKCTL_GATEWAY"] == "172.17.0.1"
    assert [name for name in values if "PORT" in name] == ["STACKCTL_PORT_DB_80"]
    again = placed(BRIDGED, world, kept=values, sidecars=("db",))
    assert (again.values, again.notes) == (values, ())
    assert "STACKCTL_GATEWAY" not in placed(WEB, world).values
    with pytest.raises(UsageError, match="STACKCTL_GATEWAY"):
        placed(BRIDGED, sidecars=("db",))


def test_environment_file_is_sorted():
    text = environment_file(Placement(values={"STACKCTL_B": "1", "STACKCTL_A": "a b"}))
    assert text == "STACKCTL_A='a b'\nSTACKCTL_B=1\n"


@given(
    taken=st.frozensets(st.integers(20000, 20020)),
    kept=st.dictionaries(
        st.sampled_from(
            [port_hole("web", port)[2:-3] for port in range(1, 6)] + ["STACKCTL_SUBNET", "STACKCTL_GONE"]
        ),
        st.sampled_from(["20001", "20002", "99999", "x", "", "10.208.0.0/26", "10.208.0.64/28"]),
    ),
    subnets=st.lists(
        st.sampled_from(["10.208.0.0/26", "10.208.0.64/26", "10.208.0.128/25", "10.0.0.0/9", "junk"]),
        max_size=3,
    ),
)
def test_nothing_given_is_taken_and_nothing_twice(taken, kept, subnets):
    world = PlacementWorld(
        ports=(20000, 20030),
        subnets="10.208.0.0/23",
        taken_ports=taken,
        taken_subnets=tuple(subnets),
        cpus=4,
    )
    services = {"web": {"image": "i:1", "ports": list(range(1, 6))}}
    values = placed(services, world, kept=kept).values
    ports = [int(values[port_hole("web", port)[2:-3]]) for port in range(1, 6)]
    assert len(set(ports)) == 5
    assert not set(ports) & taken
    subnet = IPv4Network(values[subnet_hole()[2:-3]])
    assert subnet.prefixlen <= 26
    assert not any(subnet.overlaps(IPv4Network(other)) for other in subnets if other != "junk")
    again = placed(services, world, kept=values)
    assert again.values == values
    assert again.notes == ()


def test_services_without_a_record_count_as_one():
    document = bounded(WEB).document
    found = place(
        document,
        world=WORLD,
        kept={},
        stamp=STAMP,
        folder=FOLDER,
        owner=(1, 1),
        caller_is_root=False,
        data=(),
        services={"other": ServiceRecord(pids=1, memory=1, swap=1, cpus=1.0)},
    )
    assert IPv4Network(found.values["STACKCTL_SUBNET"]).prefixlen == 26
