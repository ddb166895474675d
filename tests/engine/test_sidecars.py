"""Each sidecar that has an image here, for real: written to, killed, brought back, read from."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commandline import Cli
from sidecar_clients import Amqp, Memcached, Nats
from waiting import until

from shipped import ROOT, SIDECARS
from stackctl.engine.docker import DockerEngine

if TYPE_CHECKING:
    from stackctl.core.facts import Container

pytestmark = [pytest.mark.slow, pytest.mark.engine, pytest.mark.timeout(600)]

WAITS = """
services:
  app:
    image: busybox:1.35
    command: [sleep, "600"]
    user: "1000:1000"
"""
ADVICE = re.compile(r"^\| \[(\w+)\].*\| `(\{memory: .*?\})`", re.MULTILINE)
ELSEWHERE = 4321
"""A user id that no image knows."""


class Environment:
    """A stack with one sidecar, `it`, from a template, within the limits that the documentation advises."""

    def __init__(self, cli: Cli, template: str) -> None:
        self.cli = cli
        cli.template("app", WAITS)
        limits = dict(ADVICE.findall((ROOT / "docs" / "sidecars.md").read_text()))[template]
        cli.stack("s", f"template: app\nsidecars: {{it: {template}}}\nlimits: {limits}\n")
        self.project = str(cli("up", "s", "--json").ok().data["project"])
        self.url = cli("url", "s", "it").ok().out.strip()

    @property
    def container(self) -> Container:
        return next(one for one in self.cli.containers(self.project) if one.service == "it")

    @property
    def data(self) -> Path:
        return self.cli.home / "environments" / self.project / "data" / "it"

    def kill(self) -> None:
        """SIGKILL to its first process, and with it to all of them."""
        DockerEngine().kill([self.container.id])
        until(lambda: self.container.state == "exited", what="its end")

    def up(self) -> None:
        """Bring it back, healthy."""
        self.cli("up", "s").ok()
        assert (self.container.state, self.container.health) == ("running", "healthy")

    def run(self, *words: str) -> str:
        """What a command in the sidecar's container says."""
        return self.cli("exec", "s", "it", *words).ok().out.strip()

    def sql(self, text: str) -> str:
        """What MariaDB answers to its user, who comes by TCP with the password."""
        client = 'mariadb --skip-ssl -h 127.0.0.1 -u app app -Ne "$1"'
        return self.run("sh", "-c", f'MYSQL_PWD="$(cat /run/secrets/it-password)" {client}', "sh", text)


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Cli]]:
    """Makes command lines, each with a home of its own, whose environments end with the last test."""
    made: list[Cli] = []

    def make() -> Cli:
        folder = tmp_path_factory.mktemp("sidecars")
        (folder / "checkout" / ".git").mkdir(parents=True)
        made.append(Cli(home=folder / "home", checkout=folder / "checkout"))
        return made[-1]

    yield make
    for one in made:
        one("down", "--all").ok()
        assert not one.containers()


@pytest.fixture(scope="module")
def start(cli: Callable[[], Cli]) -> Callable[[str], Environment]:
    """An environment with the sidecar of that name, the same one for every test."""
    return functools.cache(lambda name: Environment(cli(), name))


def test_mariadb_keeps_a_row(start: Callable[[str], Environment]) -> None:
    it = start("mariadb")
    it.sql("create table kept (note text); insert into kept values ('a row that stays')")

    it.kill()
    it.up()

    assert it.sql("select note from kept") == "a row that stays"
    assert it.sql("select count(*) from information_schema.schemata where schema_name = 'mysql'") == "0"


def test_mariadb_lets_nobody_in_without_a_password_nor_root_from_elsewhere(
    start: Callable[[str], Environment],
) -> None:
    it = start("mariadb")
    client = "mariadb --skip-ssl -h 127.0.0.1 -e 'select 1'"
    as_root = f'MYSQL_PWD="$(cat /run/secrets/it-root_password)" {client} -u root'

    assert "ERROR 1045" in it.cli("exec", "s", "it", "sh", "-c", f"{client} -u app 2>&1").out
    assert "ERROR 1045" in it.cli("exec", "s", "it", "sh", "-c", f"{as_root} 2>&1").out
    assert it.run("sh", "-c", as_root.replace("-h 127.0.0.1", "-N")) == "1"


def test_rabbitmq_keeps_a_persistent_message_of_a_durable_queue(start: Callable[[str], Environment]) -> None:
    it = start("rabbitmq")
    with Amqp(it.url) as client:
        client.publish("kept", b"a message that stays")
    it.run("rabbitmqctl", "-q", "add_vhost", "extra")

    it.kill()
    it.up()
    assert "extra" in it.run("rabbitmqctl", "-q", "list_vhosts").split()
    # A new container has another host name, after which RabbitMQ would call its data
    it.kill()
    it.cli("down", "s").ok()
    it.up()

    with Amqp(it.url) as client:
        assert client.get("kept") == b"a message that stays"
    assert "extra" in it.run("rabbitmqctl", "-q", "list_vhosts").split()
    assert it.run(
        "rabbitmqctl",
        "-q",
        "eval",
        "vm_memory_monitor:get_vm_memory_high_watermark().",
    ) == ("{absolute,268435456}")


def test_nats_keeps_a_message_of_a_stream(start: Callable[[str], Environment]) -> None:
    it = start("nats")
    with Nats(it.url) as client:
        client.publish("KEPT", b"a message that stays")

    it.kill()
    it.up()

    with Nats(it.url) as client:
        assert client.get("KEPT") == b"a message that stays"
    with (
        Nats(re.sub(":[^:@]+@", ":wrong@", it.url)) as client,
        pytest.raises(AssertionError, match="Authorization"),
    ):
        client.publish("OTHER", b"")


def test_memcached_comes_back_empty(start: Callable[[str], Environment]) -> None:
    it = start("memcached")
    with Memcached(it.url) as client:
        client.set("kept", "nothing that stays")
        assert client.get("kept") == "nothing that stays"

    it.kill()
    it.up()

    with Memcached(it.url) as client:
        assert client.get("kept") == ""
    assert not it.data.exists()


@pytest.mark.parametrize("name", ["mariadb", "rabbitmq", "nats"])
def test_any_user_may_own_the_data(cli: Callable[[], Cli], name: str) -> None:
    """As where the caller is not root: the user is then the caller, whom no image knows."""
    command = cli()
    folder = command.checkout / "templates" / "sidecars" / name
    shutil.copytree(ROOT / "templates" / "sidecars" / name, folder)
    text = (folder / "template.yaml").read_text()
    (folder / "template.yaml").write_text(re.sub(r"uid: \d+", f"uid: {ELSEWHERE}", text))

    it = Environment(command, name)

    owner = ELSEWHERE if os.geteuid() == 0 else os.geteuid()
    assert it.run("id", "-u") == str(owner)
    written = list(it.data.rglob("*"))
    assert written
    assert {path.stat().st_uid for path in (it.data, *written)} == {owner}


@pytest.mark.parametrize("name", ["mariadb", "rabbitmq", "nats", "memcached"])
def test_no_capability_and_no_password_in_sight(start: Callable[[str], Environment], name: str) -> None:
    it = start(name)

    fields = dict(
        line.split(":\t", 1) for line in it.run("cat", "/proc/1/status").splitlines() if ":\t" in line
    )
    assert int(fields["CapBnd"], 16) == 0
    assert "0" not in fields["Uid"].split()
    assert fields["NoNewPrivs"] == "1"
    assert it.cli("exec", "s", "it", "sh", "-c", "echo x > /etc/x").code != 0
    secrets = [path.read_text() for path in (it.data.parents[1] / "secrets").glob("it-*")]
    inspected = ["docker", "inspect", it.container.id]
    shown = subprocess.run(inspected, capture_output=True, text=True, check=True, timeout=30).stdout
    shown += it.run("sh", "-c", "cat /proc/[0-9]*/cmdline") + it.cli("logs", "s").out
    assert len(secrets) == {"mariadb": 2, "memcached": 0}.get(name, 1)
    assert not [secret for secret in secrets if secret in shown]


@pytest.mark.parametrize("name", SIDECARS)
def test_every_sidecar_is_rendered_and_linted(cli: Callable[[], Cli], name: str) -> None:
    """Those that have no image here too."""
    command = cli()
    command.template("app", WAITS)
    command.stack("s", f"template: app\nsidecars: {{sidecar: {name}}}\n")

    assert "nothing to refuse" in command("lint", "s").ok().out
    assert "sidecar:" in command("render", "s").ok().out
