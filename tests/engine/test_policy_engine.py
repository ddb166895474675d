"""Bounded documents on the real engine: Compose takes them as they are, and what they ask for is in force."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stackctl.core.documents import dump
from stackctl.core.labels import Stamp, read_stamp
from stackctl.core.limits import Setting, effective
from stackctl.core.placement import Placement, PlacementWorld, environment_file, place
from stackctl.core.policy import Bounded, Rules, bound
from stackctl.core.stack import DataFolder

pytestmark = pytest.mark.engine

IMAGE = "busybox:1.35"
WAIT = {"image": IMAGE, "command": ["sleep", "300"], "stop_grace_period": "0s"}


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inspect(kind: str, *ids: str) -> list[dict[str, Any]]:
    return list(json.loads(docker(kind, "inspect", *ids))) if ids else []


@dataclass(frozen=True)
class Environment:
    """A bounded document on disk with its placement; compose is driven as a person would."""

    folder: Path
    bounded: Bounded
    placement: Placement
    stamp: Stamp

    def compose(self, *words: str) -> str:
        files = ("--env-file", str(self.folder / "placement.env"), "-f", str(self.folder / "compose.yaml"))
        return docker("compose", *files, *words)

    def config(self) -> dict[str, Any]:
        return dict(json.loads(self.compose("config", "--format", "json")))

    def ids(self, kind: str) -> list[str]:
        listing = ("ps", "-a") if kind == "container" else (kind, "ls")
        wanted = f"label=com.docker.compose.project={self.stamp.project}"
        return docker(*listing, "-q", "--filter", wanted).split()


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Callable[..., Environment]]:
    """Bound, place and write a document of the services given; what it makes is removed by id."""
    made: list[Environment] = []

    def make(
        services: Mapping[str, Any], folder: str = "env", rules: Rules | None = None, **top: Any
    ) -> Environment:
        project = f"pol-{uuid.uuid4().hex[:10]}"
        stamp = Stamp(
            project=project, stack="pol", generation=uuid.uuid4().hex, home="0" * 12, user=1234, engine="E:1"
        )
        place_in = tmp_path / folder
        (place_in / "data" / "db").mkdir(parents=True)
        bounded = bound({"services": services, **top}, rules or Rules(stack="pol", root=str(place_in)))
        placement = place(
            bounded.document,
            world=PlacementWorld(
                ports=(31000, 31999), subnets="10.215.128.0/17", cpus=int(docker("info", "-f", "{{.NCPU}}"))
            ),
            kept={},
            stamp=stamp,
            folder=str(place_in),
            owner=(1234, 1234),
            caller_is_root=False,
            data=(DataFolder(name="db"),),
            services=bounded.services,
        )
        (place_in / "compose.yaml").write_text(dump(bounded.document))
        (place_in / "placement.env").write_text(environment_file(placement))
        made.append(Environment(place_in, bounded, placement, stamp))
        return made[-1]

    yield make
    for one in made:
        for kind, remove in (
            ("container", ("rm", "-f", "-v")),
            ("network", ("network", "rm")),
            ("volume", ("volume", "rm")),
        ):
            ids = one.ids(kind)
            if ids:
                docker(*remove, *ids)


def host_configs(environment: Environment) -> dict[str, dict[str, Any]]:
    found = inspect("container", *environment.ids("container"))
    return {one["Config"]["Labels"]["com.docker.compose.service"]: one["HostConfig"] for one in found}


DIALECTS = {
    "plain": WAIT,
    "service": {**WAIT, "mem_limit": "64m", "pids_limit": 50, "cpus": 0.5},
    "deploy": {**WAIT, "deploy": {"resources": {"limits": {"memory": "64m", "pids": 50, "cpus": "0.5"}}}},
    "mixed": {
        **WAIT,
        "pids_limit": 50,
        "cpu_quota": 50000,
        "deploy": {"resources": {"limits": {"memory": "64m"}}},
    },
}


def test_compose_takes_both_dialects_of_limits(environment):
    config = environment(DIALECTS).config()
    assert config["services"]["service"]["mem_limit"] == str(64 << 20)
    limits = config["services"]["deploy"]["deploy"]["resources"]["limits"]
    assert limits == {"cpus": 0.5, "memory": str(64 << 20), "pids": 50}
    assert {service["memswap_limit"] for name, service in config["services"].items() if name != "plain"} == {
        str(64 << 20)
    }


def test_limits_of_both_dialects_are_in_force(environment):
    made = environment(DIALECTS)
    made.compose("up", "-d")
    found = host_configs(made)
    asked = {name: (one.memory, one.swap, one.pids, one.cpus) for name, one in made.bounded.services.items()}
    applied = {
        name: (one["Memory"], one["MemorySwap"], one["PidsLimit"], one["NanoCpus"] / 1e9)
        for name, one in found.items()
    }
    assert applied == asked
    assert applied["deploy"] == applied["service"] == applied["mixed"] == (64 << 20, 64 << 20, 50, 0.5)


def test_swap_that_was_asked_for_is_in_force_in_both_dialects(environment):
    limits, wrong = effective({"memory": Setting(32 << 20, "stack"), "swap": Setting(48 << 20, "stack")})
    assert not wrong
    deploy = {**WAIT, "deploy": {"resources": {"limits": {"pids": 20}}}}
    made = environment({"a": WAIT, "b": deploy}, rules=Rules(stack="pol", limits={"": limits}))
    made.compose("up", "-d")
    applied = {(one["Memory"], one["MemorySwap"]) for one in host_configs(made).values()}
    assert applied == {(32 << 20, 48 << 20)}


def test_a_bounded_container_has_everything_that_was_laid_over_it(environment):
    service = {
        **WAIT,
        "ports": [8080, "0.0.0.0:0:81", "53/udp"],
        "restart": "always",
        "volumes": ["kept:/kept", "${STACKCTL_DATA_DB:?}:/data"],
        "labels": ["mine=yes"],
    }
    made = environment({"web": service}, volumes={"kept": None})
    made.compose("up", "-d")
    (container,) = inspect("container", *made.ids("container"))
    host = container["HostConfig"]
    values = made.placement.values
    assert host["Init"] is True
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
    assert host["RestartPolicy"]["Name"] == "no"
    assert made.bounded.services["web"].restart == "always"
    assert host["PortBindings"] == {
        "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": values["STACKCTL_PORT_WEB_8080"]}],
        "81/tcp": [{"HostIp": "127.0.0.1", "HostPort": values["STACKCTL_PORT_WEB_81"]}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": values["STACKCTL_PORT_WEB_53_UDP"]}],
    }
    sources = {mount["Destination"]: mount["Source"] for mount in container["Mounts"]}
    assert sources["/data"] == str(made.folder / "data" / "db")
    assert container["Config"]["Labels"]["mine"] == "yes"
    (network,) = inspect("network", *made.ids("network"))
    assert network["IPAM"]["Config"][0]["Subnet"] == values["STACKCTL_SUBNET"]
    (volume,) = inspect("volume", *made.ids("volume"))
    assert read_stamp(container["Config"]["Labels"]) == made.stamp
    assert read_stamp(network["Labels"]) == made.stamp
    assert read_stamp(volume["Labels"]) == made.stamp


def test_nothing_is_to_do_for_a_bounded_document_that_is_up(environment):
    made = environment({"web": {**WAIT, "ports": [80]}})
    made.compose("up", "-d")
    before = made.ids("container")
    made.compose("up", "-d")
    assert made.ids("container") == before


def test_folders_with_odd_names_come_through_placement(environment):
    made = environment(
        {"web": {**WAIT, "volumes": ["${STACKCTL_DATA_DB:?}:/data:ro"]}}, folder="a b'c $HOME #d:e"
    )
    (mount,) = made.config()["services"]["web"]["volumes"]
    assert mount["source"].replace("$$", "$") == str(made.folder / "data" / "db")
    assert mount["bind"].get("create_host_path") is not True


def test_text_with_dollars_reaches_the_container_as_it_was_meant(environment):
    script = 'echo "$$0 cost $$$$5" > /dev/null; echo $$PRICE'
    made = environment(
        {"job": {"image": IMAGE, "command": ["sh", "-c", script], "environment": {"PRICE": "a$$b"}}}
    )
    made.compose("up", "-d")
    (container,) = made.ids("container")
    docker("wait", container)
    assert docker("logs", container) == "a$b\n"


def test_keys_of_every_kind_pass_through_compose(environment):
    service = {
        **WAIT,
        "cap_add": ["NET_BIND_SERVICE"],
        "cap_drop": ["ALL"],
        "configs": [{"source": "greeting", "target": "/greeting"}],
        "depends_on": {"db": {"condition": "service_healthy"}},
        "dns": "1.1.1.1",
        "expose": ["8080"],
        "extra_hosts": ["host.docker.internal:host-gateway"],
        "group_add": ["1000"],
        "hostname": "web",
        "mem_reservation": "16g",
        "networks": {"default": None, "back": {"aliases": ["w"]}},
        "profiles": [],
        "read_only": True,
        "scale": 2,
        "security_opt": ["no-new-privileges"],
        "shm_size": "16m",
        "sysctls": {"net.core.somaxconn": 512},
        "tmpfs": "/run",
        "ulimits": {"nofile": 1024},
        "user": "1000:1000",
        "volumes": [
            "./src:/src:ro",
            "/anonymous",
            {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "1m"}},
        ],
    }
    db = {**WAIT, "healthcheck": {"test": ["CMD", "true"], "interval": "200ms"}, "networks": ["back"]}
    made = environment(
        {"web": service, "db": db},
        networks={"back": {"internal": True}},
        configs={"greeting": {"file": "./greeting"}},
        version="3.8",
    )
    (made.folder / "greeting").write_text("hello")
    (made.folder / "src").mkdir()
    config = made.config()
    assert config["name"] == made.stamp.project
    assert config["networks"]["back"]["ipam"]["config"] == [
        {"subnet": made.placement.values["STACKCTL_SUBNET_BACK"]}
    ]
    made.compose("up", "-d", "--scale", "web=1", "--no-deps", "web")
    assert host_configs(made)["web"]["MemoryReservation"] == 8 << 30
