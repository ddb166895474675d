"""Addresses of services from the record and the containers: which binding each of the three places uses."""

from __future__ import annotations

import pytest

from stackctl.cli.views import address_data, reach_data
from stackctl.core.facts import Container, PublishedPort
from stackctl.core.records import Deadline, EnvironmentRecord, SidecarRecord
from stackctl.ops.reaching import Address, addresses

LOOPBACK = PublishedPort(container_port=5432, host_ip="127.0.0.1", host_port=20001)
BRIDGE = PublishedPort(container_port=5432, host_ip="172.17.0.1", host_port=20001)
HERE = {"host": "127.0.0.1", "port": 20001, "container_port": 5432}


def only(*ports: PublishedPort, gateway: str = "172.17.0.1", service: str = "db") -> Address:
    record = EnvironmentRecord(
        project="shop-1",
        stack="shop",
        generation="g",
        phase="running",
        root="/r",
        engine="E",
        home="h",
        user=1,
        created=0,
        lifetime=1,
        deadline=Deadline(wall=1, boottime=1, boot="b"),
        placement={"STACKCTL_GATEWAY": gateway} if gateway else {},
        sidecars={"db": SidecarRecord(port=5432, url="postgres://app:{secret:pw}@{host}:{port}/app")},
    )
    container = Container(id="1", name="1", image="i", state="running", service=service, ports=ports)
    return addresses(record, (container,), {"pw": "s"})[0]


@pytest.mark.parametrize("ports", [(LOOPBACK, BRIDGE), (BRIDGE, LOOPBACK)])
def test_a_sidecar_on_both_addresses_is_reached_from_all_three_places(ports) -> None:
    found = only(*ports)
    assert found.host == "postgres://app:s@127.0.0.1:20001/app"
    assert found.container == "postgres://app:s@db:5432/app"
    assert found.isolated == "postgres://app:s@host.docker.internal:20001/app"
    assert reach_data(found) == {**HERE, "container_host": "host.docker.internal"}
    assert address_data(found)["isolated"] == found.isolated


@pytest.mark.parametrize("gateway", ["", "172.17.0.1"])
def test_on_loopback_alone_it_is_not_reached_from_other_networks(gateway: str) -> None:
    found = only(LOOPBACK, gateway=gateway)
    assert (found.isolated, reach_data(found)) == ("", {**HERE, "container_host": None})


def test_where_the_gateway_is_loopback_one_binding_is_both() -> None:
    assert reach_data(only(LOOPBACK, gateway="127.0.0.1")) == {
        **HERE,
        "container_host": "host.docker.internal",
    }


@pytest.mark.parametrize("everywhere", ["", "0.0.0.0", "::"])
def test_a_port_on_every_address_is_reached_from_all_three_places(everywhere: str) -> None:
    port = PublishedPort(container_port=80, host_ip=everywhere, host_port=8080)
    found = only(port, gateway="", service="web")
    assert (found.host, found.isolated) == ("http://127.0.0.1:8080", "http://host.docker.internal:8080")


def test_a_sidecar_that_is_published_nowhere_has_its_name_and_port() -> None:
    found = only(service="web")
    assert (found.host, found.container, found.isolated) == ("", "postgres://app:s@db:5432/app", "")
    assert reach_data(found) == {"host": None, "container_host": None, "port": None, "container_port": 5432}
