"""Environments from a program, on the real engine."""

from __future__ import annotations

import urllib.request

import pytest
from commandline import Cli

from stackctl import Client, Limits, PolicyError, ServiceFailed, UnknownName, UsageError

pytestmark = pytest.mark.engine

WEB = """
services:
  web:
    image: busybox:1.35
    command: [sh, -c, "echo ready; echo {{ word }} > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"]
    ports: ["127.0.0.1::8080"]
"""
HEAD = "description: for a test\nvariables: {word: {default: hello}}\n"
TASKS = """
template: site
tasks:
  look: {image: "busybox:1.35", command: [sh, -c, "wget -q -O - http://web:8080/"]}
"""


@pytest.fixture
def site(cli: Cli) -> None:
    cli.template("site", WEB, HEAD)
    cli.stack("site", TASKS)


@pytest.mark.usefixtures("site")
def test_an_environment_comes_up_is_asked_and_goes_down(client: Client, cli: Cli) -> None:
    environment = client.up("site", set={"word": "good"}, limits=Limits(memory="64m", lifetime="1h"))

    assert environment.phase == "running"
    assert (environment.stack, environment.instance) == ("site", "")
    with urllib.request.urlopen(environment.urls["web"], timeout=10) as page:
        assert page.read() == b"good\n"
    web = environment.services["web"]
    assert web.url("container") == "http://web:8080"
    with pytest.raises(ServiceFailed):
        web.url("isolated")
    assert environment.variables["WEB_PORT"] == str(web.port)
    assert environment.exec("web", "cat /tmp/index.html").stdout == "good\n"
    assert environment.logs("web") == "ready\n"
    status = environment.status()
    assert status.healthy
    assert 3500 < status.left <= 3600
    assert status.services["web"].memory_limit == 64 << 20
    assert 1 <= (status.services["web"].pids or 0) <= status.services["web"].pids_limit == 256
    assert [one.project for one in client.environments()] == [environment.project]
    with pytest.raises(UnknownName):
        environment.logs("nothing")

    client.down("site")

    assert environment.phase == "stopped"
    assert client.environments() == ()
    assert [one.project for one in client.environments(all=True)] == [environment.project]
    assert cli.containers() == ()


@pytest.mark.slow
@pytest.mark.usefixtures("site")
def test_a_frozen_environment_comes_up_as_it_was_locked(cli: Cli) -> None:
    warnings: list[str] = []
    with Client(cli.home, folder=cli.checkout, warn=warnings.append) as client:
        with pytest.raises(PolicyError, match=r"site\.lock\.yaml is missing"):
            client.up("site", frozen=True)
        cli("lock", "site").ok()
        environment = client.up("site", frozen=True)
        assert "@sha256:" in cli.containers(environment.project)[0].image
        with pytest.raises(PolicyError) as caught:
            client.up("site", set={"word": "other"}, frozen=True)
        assert [one.message for one in caught.value.problems] == ["the variable `word` has another value"]
        client.up("site", set={"word": "other"})
    assert any("is stale" in one for one in warnings)


def test_a_stack_of_compose_files_comes_up_and_its_lock_is_heeded(cli: Cli) -> None:
    (cli.checkout / "compose.yaml").write_text(
        "services: {web: {image: 'busybox:1.35', command: [sleep, '600'], environment: {W: '${W:-none}'},"
        " stop_grace_period: 1s}}\n"
    )
    cli.stack("shop", "compose: ../compose.yaml\n")
    cli("lock", "shop").ok()
    with Client(cli.home, folder=cli.checkout) as client:
        with pytest.raises(PolicyError):
            client.up("shop", set={"W": "given"}, frozen=True)
        environment = client.up("shop", frozen=True)
        assert environment.phase == "running"
        assert "@sha256:" in cli.containers(environment.project)[0].image
        environment.down()


@pytest.mark.slow
@pytest.mark.usefixtures("site")
def test_a_task_joins_an_environment_by_its_name(client: Client) -> None:
    environment = client.up("site", limits=Limits(memory="64m"))
    defined = client.run("look", inside="site", limits=Limits(memory="64m"))
    by_hand = client.run("busybox:1.35", "wget -q -O - http://web:8080/", inside=environment.project)
    assert (defined.logs(), by_hand.logs()) == ("hello\n", "hello\n")
    assert defined.name == "look"
    environment.down()


def test_mistakes_are_errors_with_hints(client: Client, cli: Cli) -> None:
    with pytest.raises(UnknownName):
        client.up("nothing")
    with pytest.raises(UnknownName):
        client.environment("nothing")
    cli.template("bad", "services: {web: {image: 'busybox:1.35', privileged: true}}")
    cli.stack("bad", "template: bad")
    with pytest.raises(PolicyError) as caught:
        client.up("bad")
    assert caught.value.problems
    cli.stack("wrong", "template: bad\nnothing: 1")
    with pytest.raises(UsageError, match="wrong"):
        client.up("wrong")
    assert client.environments(all=True) == ()
