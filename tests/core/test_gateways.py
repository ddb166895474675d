"""The address at which containers on no shared network reach the host: private, this host's, or an error."""

from __future__ import annotations

import pytest

from stackctl.core.errors import EngineRefused
from stackctl.core.facts import EngineFacts, Network
from stackctl.core.gateways import bridge_gateway

OWN = frozenset({"127.0.0.1", "192.168.1.5", "172.17.0.1", "10.208.0.1"})


def engine(*, local: bool = True, rootless: bool = False, system: str = "Debian GNU/Linux 12") -> EngineFacts:
    return EngineFacts(
        id="E", host="unix:///d.sock", local=local, version="1", rootless=rootless, operating_system=system
    )


def network(gateway: str = "172.17.0.1", name: str = "bridge", *subnets: str) -> Network:
    return Network(id=name, name=name, gateway=gateway, subnets=subnets or ("172.17.0.0/16",))


def test_the_gateway_of_the_default_bridge_as_the_engine_tells_it() -> None:
    every = (network("10.208.0.1", "shop_default"), network(), network("", "host"))
    assert bridge_gateway(every, engine(), OWN) == "172.17.0.1"


def test_an_engine_elsewhere_is_believed() -> None:
    assert bridge_gateway((network("10.9.8.1"),), engine(local=False), OWN) == "10.9.8.1"


@pytest.mark.parametrize("gateway", ["", "fd00::1"])
def test_where_the_engine_does_not_tell_it_is_this_hosts_only_address_in_the_bridge(gateway: str) -> None:
    bridge = network(gateway, "bridge", "fd00::/64", "172.17.0.0/16")
    assert bridge_gateway((bridge,), engine(), OWN) == "172.17.0.1"
    with pytest.raises(EngineRefused, match="does not say"):
        bridge_gateway((bridge,), engine(), OWN | {"172.17.0.9"})
    with pytest.raises(EngineRefused, match="does not say"):
        bridge_gateway((bridge,), engine(local=False), OWN)


def test_docker_desktop_reaches_loopback_by_that_name() -> None:
    assert bridge_gateway((network(),), engine(local=False, system="Docker Desktop"), OWN) == "127.0.0.1"


@pytest.mark.parametrize(
    ("gateway", "why"),
    [
        ("8.8.8.8", "not a private"),
        ("100.64.0.1", "not a private"),
        ("0.0.0.0", "not a private"),
        ("127.0.0.1", "not a private"),
        ("224.0.0.1", "not a private"),
        ("172.17.0.2", "not one of this host"),
    ],
)
def test_any_other_address_is_refused_with_a_way_out(gateway: str, why: str) -> None:
    with pytest.raises(EngineRefused, match=why) as caught:
        bridge_gateway((network(gateway),), engine(), OWN | ({gateway} if "private" in why else set()))
    assert "leave `isolated` out" in caught.value.hint


def test_without_a_bridge_of_the_hosts_own_it_is_refused() -> None:
    with pytest.raises(EngineRefused, match="no default bridge"):
        bridge_gateway((network(name="shop_default"),), engine(), OWN)
    with pytest.raises(EngineRefused, match="rootless"):
        bridge_gateway((network(),), engine(rootless=True, local=False), OWN)
