"""One sidecar, reached by real connections: from its network, from the host, from containers on neither."""

from __future__ import annotations

import json
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from commandline import Cli

from stackctl.engine.docker import DockerEngine

pytestmark = pytest.mark.engine

LABEL = "stackctl-test.run"
CLIENT = "redis:7.0"
TEMPLATE = """
services:
  app:
    image: busybox:1.35
    command: [sleep, "600"]
"""
STACK = """
template: reach
limits: {memory: 256m}
sidecars:
  open: {template: redis, reach: [isolated]}
  shut: {template: redis, reach: [host], env: SHUT_URL}
"""


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def gateway(run_label: str) -> str:
    """The default bridge's address on the host, as a container on it has it in its routes."""
    route = "ip route | awk '/^default/ {print $3}'"
    return docker("run", "--rm", "--label", f"{LABEL}={run_label}", "busybox:1.35", "sh", "-c", route).strip()


@pytest.fixture(scope="module")
def reach(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """An environment `reach` with two sidecars, that runs; ended after the module's tests."""
    folder = tmp_path_factory.mktemp("reach")
    cli = Cli(home=folder / "home", checkout=folder / "checkout")
    (cli.checkout / ".git").mkdir(parents=True)
    cli.template("reach", TEMPLATE)
    cli.stack("reach", STACK)
    cli("up", "reach").ok()
    yield cli
    cli("down", "--all").ok()


@pytest.fixture
def elsewhere(run_label: str) -> Iterator[str]:
    """A network of somebody else's."""
    network = docker("network", "create", "--label", f"{LABEL}={run_label}", f"reach-{uuid.uuid4().hex[:8]}")
    yield network.strip()
    DockerEngine().remove_networks([network.strip()])


def url(cli: Cli, service: str, place: str) -> str:
    return cli("url", "reach", service, "--from", place).ok().out.strip()


def address(cli: Cli, service: str) -> dict[str, Any]:
    found: dict[str, Any] = cli("url", "reach", service, "--json").ok().data
    return found


def ask(network: str, where: str, *command: str, label: str) -> subprocess.CompletedProcess[str]:
    """Run the client in a container of its own, which calls the host what Docker Desktop calls it.

    The URL is taken apart: this redis-cli takes `redis://:password@` for a user without a name.
    """
    parts = urlsplit(where)
    options = ["--rm", "--label", f"{LABEL}={label}", "--network", network]
    options += ["--env", f"REDISCLI_AUTH={parts.password}", "--entrypoint", "redis-cli"]
    options += ["--add-host", "host.docker.internal:host-gateway", CLIENT]
    argv = ["docker", "run", *options, "-h", parts.hostname or "", "-p", str(parts.port), *command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


def ask_by_socket(where: str, *command: str) -> str:
    """The answer of a server at a URL, by a plain socket of this process."""
    parts = urlsplit(where)
    assert parts.hostname
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=10) as connection:
        stream = connection.makefile("rwb")
        for words in (("AUTH", parts.password or ""), command):
            sized = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
            stream.write(f"*{len(words)}\r\n{sized}".encode())
            stream.flush()
            line = stream.readline().decode().rstrip()
            assert line[:1] in "+$", line
        return line[1:] if line[0] == "+" else stream.read(int(line[1:])).decode()


def own_network(cli: Cli) -> str:
    (one,) = cli.containers(cli("status", "reach", "--json").ok().data["project"])[:1]
    (name,) = one.networks
    return name


@pytest.mark.slow
def test_all_three_places_reach_one_server(reach: Cli, run_label: str, elsewhere: str) -> None:
    inside, outside, isolated = (url(reach, "open", place) for place in ("container", "host", "isolated"))
    port = address(reach, "open")["port"]
    assert [urlsplit(one).netloc.rpartition("@")[2] for one in (inside, outside, isolated)] == [
        "open:6379",
        f"127.0.0.1:{port}",
        f"host.docker.internal:{port}",
    ]

    written = ask(own_network(reach), inside, "SET", "a", "by-name", label=run_label)
    assert (written.stdout.strip(), written.stderr) == ("OK", "")
    assert ask_by_socket(outside, "GET", "a") == "by-name"
    assert ask_by_socket(outside, "SET", "b", "by-loopback") == "OK"
    for network in ("bridge", elsewhere):
        assert ask(network, isolated, "GET", "b", label=run_label).stdout.strip() == "by-loopback"
    assert ask("bridge", isolated, "SET", "c", "by-gateway", label=run_label).stdout.strip() == "OK"
    assert ask(own_network(reach), inside, "GET", "c", label=run_label).stdout.strip() == "by-gateway"


def test_a_sidecar_that_is_not_to_be_reached_from_other_networks_refuses(reach: Cli, run_label: str) -> None:
    near = address(reach, "shut")
    assert ask_by_socket(near["url"], "PING") == "PONG"
    guessed = near["url"].replace("127.0.0.1", "host.docker.internal")
    refused = ask("bridge", guessed, "PING", label=run_label)
    assert "Connection refused" in refused.stdout + refused.stderr
    assert ask("bridge", url(reach, "open", "isolated"), "PING", label=run_label).stdout.strip() == "PONG"


def listeners(port: int) -> set[str]:
    """The addresses that something listens at, as the kernel has them."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            where, state = line.split()[1], line.split()[3]
            host, _, number = where.rpartition(":")
            if state == "0A" and int(number, 16) == port:
                found.add(socket.inet_ntoa(bytes.fromhex(host)[::-1]) if table == "tcp" else host)
    return found


def test_the_port_is_bound_on_loopback_and_on_the_bridge_and_nowhere_else(reach: Cli, gateway: str) -> None:
    for service, wanted in (("open", {"127.0.0.1", gateway}), ("shut", {"127.0.0.1"})):
        port = address(reach, service)["port"]
        (container,) = (one for one in reach.containers() if one.service == service)
        raw = json.loads(docker("inspect", container.id))[0]
        for bindings in (raw["HostConfig"]["PortBindings"], raw["NetworkSettings"]["Ports"]):
            assert set(bindings) == {"6379/tcp"}
            assert {(one["HostIp"], one["HostPort"]) for one in bindings["6379/tcp"]} == {
                (host, str(port)) for host in wanted
            }
        assert listeners(port) == wanted


def test_each_sidecar_tells_its_parts_and_other_services_none(reach: Cli) -> None:
    services = reach("status", "reach", "--json").ok().data["services"]
    assert services["app"]["reach"] is None
    for name, container_host in (("open", "host.docker.internal"), ("shut", None)):
        found = address(reach, name)
        parts = {"host": "127.0.0.1", "container_host": container_host, "container_port": 6379}
        assert services[name]["reach"] == {**parts, "port": found["port"]}
        assert {key: found[key] for key in parts} == parts
        assert len(services[name]["addresses"]) == 1
        assert found["url"].startswith("redis://:")
        assert "***" in services[name]["addresses"][0]["host"]


def test_an_up_with_nothing_to_do_and_a_diff_stay_quiet(reach: Cli) -> None:
    again = reach("up", "reach", "--json").ok().data
    assert again["unchanged"]
    assert again["services"]["open"]["reach"]["container_host"] == "host.docker.internal"
    assert reach("diff", "reach").code == 0


def test_what_is_not_reached_from_other_networks_says_how_it_would_be(reach: Cli) -> None:
    shut = reach("url", "reach", "shut", "--from", "isolated")
    assert (shut.code, "reach: [isolated]" in shut.err) == (1, True), shut.err
    assert (
        reach("url", "reach", "--from", "isolated").ok().out
        == reach("url", "reach", "open", "--from", "isolated").ok().out
    )


def test_the_document_is_the_same_everywhere(reach: Cli, gateway: str) -> None:
    rendered = reach("render", "reach").ok().out
    assert "${STACKCTL_GATEWAY:?}" in rendered
    assert gateway not in rendered


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Cli]:
    cli = Cli(home=tmp_path / "home", checkout=tmp_path / "checkout")
    (cli.checkout / ".git").mkdir(parents=True)
    cli.template("reach", TEMPLATE)
    cli.stack("reach", "template: reach\nsidecars: {db: {template: redis, reach: [host, isolated]}}\n")
    yield cli
    cli("down", "--all").ok()


@pytest.mark.slow
def test_a_port_that_is_taken_on_either_address_makes_way_on_both(alone: Cli, gateway: str) -> None:
    alone("up", "reach").ok()
    for where in ("127.0.0.1", gateway):
        before = address(alone, "db")["port"]
        alone("down", "reach").ok()
        with socket.create_server((where, before)):
            noted = alone("up", "reach").ok().err
            after = address(alone, "db")["port"]
            assert after != before
            assert f"port {before} was taken by somebody else" in noted
            assert listeners(after) == {"127.0.0.1", gateway}
            assert listeners(before) == {where}
