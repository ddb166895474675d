"""Docker's answers as facts: whole ones, sparse ones and odd ones."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from stackctl.core.facts import AppliedLimits, PublishedPort
from stackctl.engine.parse import (
    parse_container,
    parse_engine,
    parse_image,
    parse_limits,
    parse_log,
    parse_network,
    parse_time,
    parse_volume,
)
from stackctl.engine.swarm_parse import service_log


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T00:00:01.123456789Z", 1.123456789),
        ("1970-01-01T01:00:01+01:00", 1.0),
        ("1969-12-31T19:00:01.25-0500", 1.25),
        (
            "2026-11-24T05:34:30.189247974Z",
            datetime(2026, 11, 24, 5, 34, 30, tzinfo=timezone.utc).timestamp() + 0.189247974,
        ),
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
        ("yesterday", 0.0),
        ("2026-13-99T00:00:00Z", 0.0),
        (None, 0.0),
        (7, 0.0),
    ],
)
def test_times(text: Any, seconds: float) -> None:
    assert parse_time(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    ("host", "limits"),
    [
        (
            {"PidsLimit": 256, "Memory": 1 << 30, "MemorySwap": 1 << 30, "NanoCpus": 1_500_000_000},
            AppliedLimits(pids=256, memory=1 << 30, swap=1 << 30, cpus=1.5),
        ),
        ({"CpuQuota": 50_000, "CpuPeriod": 100_000}, AppliedLimits(pids=-1, memory=-1, swap=-1, cpus=0.5)),
        ({"CpuQuota": 25_000, "CpuPeriod": 0}, AppliedLimits(pids=-1, memory=-1, swap=-1, cpus=0.25)),
        ({"PidsLimit": None, "MemorySwap": -1}, AppliedLimits(pids=-1, memory=-1, swap=-1, cpus=-1)),
        ({"PidsLimit": -1, "Memory": 0, "NanoCpus": 0}, AppliedLimits(pids=-1, memory=-1, swap=-1, cpus=-1)),
        ({}, AppliedLimits(pids=-1, memory=-1, swap=-1, cpus=-1)),
    ],
)
def test_what_is_not_set_is_unlimited(host: dict[str, Any], limits: AppliedLimits) -> None:
    assert parse_limits(host) == limits


def test_a_container_of_compose() -> None:
    one = parse_container(
        {
            "Id": "abc",
            "Name": "/p-web-2",
            "Image": "sha256:1",
            "Created": "2026-01-01T00:00:00Z",
            "RestartCount": 3,
            "State": {
                "Status": "running",
                "Pid": 42,
                "OOMKilled": True,
                "StartedAt": "2026-01-01T00:00:01Z",
                "FinishedAt": "0001-01-01T00:00:00Z",
                "Health": {"Status": "starting"},
            },
            "Config": {
                "Image": "web:1",
                "StopSignal": "SIGINT",
                "StopTimeout": 0,
                "ExposedPorts": {"80/tcp": {}, "81/tcp": {}, "53/udp": {}},
                "Labels": {
                    "com.docker.compose.project": "p",
                    "com.docker.compose.service": "web",
                    "com.docker.compose.container-number": "2",
                    "com.docker.compose.oneoff": "True",
                    "com.docker.compose.config-hash": "beef",
                },
            },
            "HostConfig": {"RestartPolicy": {"Name": "always"}},
            "NetworkSettings": {
                "Ports": {
                    "80/tcp": [
                        {"HostIp": "127.0.0.1", "HostPort": "8080"},
                        {"HostIp": "::1", "HostPort": "8080"},
                    ],
                    "81/tcp": None,
                },
                "Networks": {"n": {"IPAddress": "10.0.0.2"}, "m": None},
            },
            "Mounts": [
                {"Type": "bind", "Source": "/a", "Destination": "/b"},
                {"Type": "volume", "Name": "v", "Source": "/var/lib/v", "Destination": "/c"},
                None,
            ],
        }
    )
    assert (one.name, one.project, one.service, one.number, one.one_off) == ("p-web-2", "p", "web", 2, True)
    assert (one.state, one.health, one.pid, one.oom_killed) == ("running", "starting", 42, True)
    assert (one.restart_policy, one.restart_count, one.stop_signal, one.stop_timeout) == (
        "always",
        3,
        "SIGINT",
        0,
    )
    assert one.started == one.created + 1
    assert one.finished == 0
    assert one.ports == (
        PublishedPort(container_port=53, protocol="udp"),
        PublishedPort(container_port=80, host_ip="127.0.0.1", host_port=8080),
        PublishedPort(container_port=80, host_ip="::1", host_port=8080),
        PublishedPort(container_port=81),
    )
    assert one.networks == {"n": "10.0.0.2", "m": ""}
    assert one.mounts == (("bind", "/a", "/b"), ("volume", "v", "/c"))


def test_a_stopped_container_keeps_the_ports_that_it_asked_for() -> None:
    one = parse_container(
        {
            "Id": "a",
            "State": {"Status": "exited"},
            "HostConfig": {
                "PortBindings": {"5432/tcp": [{"HostIp": "127.0.0.1", "HostPort": "20001"}], "x": []}
            },
            "NetworkSettings": {"Ports": {}},
        }
    )
    assert one.ports == (PublishedPort(container_port=5432, host_ip="127.0.0.1", host_port=20001),)


@pytest.mark.parametrize(
    "raw", [{}, {"State": None, "Config": [], "HostConfig": "x", "Mounts": {}, "Name": 1}]
)
def test_nothing_at_all_is_still_a_container(raw: dict[str, Any]) -> None:
    one = parse_container(raw)
    assert (one.id, one.state, one.restart_policy, one.ports, one.stop_timeout) == (
        "",
        "created",
        "no",
        (),
        None,
    )


def test_a_health_check_that_is_off_is_none() -> None:
    assert parse_container({"State": {"Health": {"Status": "none"}}}).health == ""


def test_networks() -> None:
    one = parse_network(
        {
            "Id": "n1",
            "Name": "n",
            "Created": "1970-01-01T00:00:05.1Z",
            "IPAM": {
                "Config": [{"Subnet": "10.1.0.0/26", "Gateway": "10.1.0.1"}, {"Subnet": "fd00::/64"}, None]
            },
            "Containers": {"b": {}, "a": {}},
            "Labels": {"x": "y"},
        }
    )
    assert one.subnets == ("10.1.0.0/26", "fd00::/64")
    assert (one.gateway, one.members, one.labels, one.created) == ("10.1.0.1", ("a", "b"), {"x": "y"}, 5.1)
    assert parse_network({"IPAM": {"Config": None}, "Containers": None}).subnets == ()


@pytest.mark.parametrize(
    ("raw", "anonymous"),
    [
        ({"Name": "a" * 64, "Labels": None}, True),
        ({"Name": "x", "Labels": {"com.docker.volume.anonymous": ""}}, True),
        ({"Name": "a" * 64, "Labels": {"mine": "1"}}, False),
        ({"Name": "data", "Labels": {}}, False),
    ],
)
def test_anonymous_volumes(raw: dict[str, Any], anonymous: bool) -> None:
    assert parse_volume(raw).anonymous is anonymous


def test_images() -> None:
    one = parse_image(
        {
            "Id": "sha256:1",
            "RepoDigests": ["x@sha256:2"],
            "Config": {
                "Volumes": {"/var/lib/b": {}, "/a": {}},
                "User": "999",
                "ExposedPorts": {"5432/tcp": {}},
                "StopSignal": "SIGINT",
            },
        },
        "x:1",
    )
    assert (one.reference, one.digests, one.volumes) == ("x:1", ("x@sha256:2",), ("/a", "/var/lib/b"))
    assert (one.user, one.ports, one.stop_signal) == ("999", ("5432/tcp",), "SIGINT")
    assert parse_image({"Config": {"Volumes": None}}, "y").volumes == ()


def test_an_engine_that_enforces_nothing_says_so() -> None:
    facts = parse_engine(
        {
            "ID": "e",
            "SecurityOptions": ["name=seccomp", "name=rootless"],
            "CgroupVersion": "2",
            "CpuCfsQuota": False,
        },
        host="unix:///x",
        local=True,
    )
    assert facts.rootless
    assert facts.cgroup_version == "2"
    assert not any((facts.memory_limit, facts.swap_limit, facts.pids_limit, facts.cpu_quota))


def _frame(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (_frame(1, b"out\n") + _frame(2, b"err\n"), "out\nerr\n"),
        (b"a terminal's raw bytes\r\n", "a terminal's raw bytes\r\n"),
        (_frame(1, b"\xff"), "\N{REPLACEMENT CHARACTER}"),
        (_frame(1, b"cut short")[:-3], "cut sh"),
        (b"", ""),
        (b"\x01", "\x01"),
    ],
)
def test_logs(data: bytes, text: str) -> None:
    assert parse_log(data) == text


def test_a_services_log_is_told_from_what_a_manager_says_of_itself() -> None:
    def part(stream: int, text: bytes) -> bytes:
        return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text

    both = part(1, b"out\n") + part(2, b"err\n")
    assert service_log(both) == (b"out\nerr\n", True)
    assert service_log(both + part(3, b"node x is not available")) == (b"out\nerr\n", False)
    assert service_log(b"") == (b"", True)
