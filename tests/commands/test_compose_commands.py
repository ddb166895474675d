"""The commands around people's own compose files: what they need, the stack file, a folder as a name."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from commandline import Cli

from stackctl.ops.composing import plain_project, sources_from_files

pytestmark = pytest.mark.engine

ASKING = """include: [more.yml]
services:
  web:
    image: busybox:1.35
    command: [sleep, "600"]
    pid: host
    volumes:
      - ./data:/data
      - ${SOCKET:-/var/run/docker.sock}:/socket
  debugger:
    extends: {file: more.yml, service: agent}
    profiles: [debug]
"""
MORE = """services:
  agent:
    image: busybox:1.35
    command: [sleep, "600"]
    userns_mode: host
"""
NOWHERE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


def free_port() -> int:
    """A port of loopback that nobody holds right now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture
def asking(cli: Cli) -> Path:
    """A checkout whose compose file asks for what policy refuses, some of it by `include` and `extends`."""
    (cli.checkout / "docker-compose.yml").write_text(ASKING)
    (cli.checkout / "more.yml").write_text(MORE)
    (cli.checkout / "data").mkdir()
    return cli.checkout


@pytest.mark.slow
def test_lint_lists_every_problem_with_its_word_and_line_and_needs_no_engine(cli: Cli, asking: Path) -> None:
    refused = cli("lint", "--json", **NOWHERE)
    assert refused.code == 3
    problems = json.loads(refused.out)["error"]["problems"]
    assert {(one["path"], one["allow"], one["source"], one["line"]) for one in problems} == {
        ("services.agent.userns_mode", "host-userns", "more.yml", 5),
        ("services.debugger.userns_mode", "host-userns", "docker-compose.yml", 10),
        ("services.web.pid", "host-pid", "docker-compose.yml", 6),
        ("services.web.volumes[1]", "docker-socket", "docker-compose.yml", 9),
    }
    told = cli("lint", "-f", "docker-compose.yml", **NOWHERE).err
    assert "docker-compose.yml:9: services.web.volumes[1]:" in told
    assert "(allow: docker-socket)" in told
    assert cli("lint", "-f", "docker-compose.yml", "--profile", "none").err.count("(allow: ") == 3
    (asking / "fine.yml").write_text("services: {a: {image: 'busybox:1.35'}}\n")
    assert "nothing to refuse" in cli("lint", "-f", "fine.yml", **NOWHERE).ok().out


def test_what_a_variable_makes_of_a_file_counts(cli: Cli, asking: Path) -> None:
    (asking / ".env").write_text("SOCKET=./own.sock\n")
    assert "docker-socket" not in cli("lint").err
    assert "docker-socket" in cli("lint", "--set", "SOCKET=/var/run/docker.sock").err


def test_without_docker_lint_says_what_to_do(cli: Cli, asking: Path) -> None:
    missing = cli("lint", PATH="/nonexistent")
    assert missing.code == 4
    assert "compose" in missing.err


def test_what_no_word_allows_is_listed_with_the_rest(cli: Cli, asking: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("ceilings: {memory: 1g}\nforbid: [host-pid]\n")
    (asking / "docker-compose.yml").write_text(ASKING + "    mem_limit: 4g\n")
    refused = cli("lint", STACKCTL_POLICY=str(policy))
    assert refused.code == 3
    assert "docker-compose.yml:13: services.debugger.mem_limit" in refused.err
    assert "(allow: docker-socket)" in refused.err
    assert "(`host-pid`, which this machine forbids)" in refused.err
    assert cli("lint", "--write-allow", STACKCTL_POLICY=str(policy)).code == 3
    written = (asking / "stacks" / "checkout.yaml").read_text()
    assert "docker-socket" in written
    assert "host-pid" not in written


@pytest.mark.slow
def test_write_allow_makes_a_stack_file_for_review_and_then_it_comes_up(cli: Cli, asking: Path) -> None:
    first = cli("lint", "--write-allow").ok()
    assert first.out.splitlines()[0] == "stacks/checkout.yaml"
    assert "`debugger` is in no profile of the stack `checkout`" in first.err
    path = asking / "stacks" / "checkout.yaml"
    text = path.read_text()
    assert "  agent: [host-userns]\n  web: [host-pid, docker-socket]\n" in text
    assert "debugger" not in text
    again = cli("lint", "--write-allow", "--json").ok().data
    assert again == {"file": str(path), "added": {}}
    assert path.read_text() == text
    cli("lint", "checkout").ok()
    cli("up", "checkout").ok()
    assert {one.service for one in cli.containers()} == {"web", "agent"}


def test_a_stack_file_that_needs_no_word_is_not_told_as_one_that_was_there(cli: Cli) -> None:
    (cli.checkout / "compose.yaml").write_text(
        "services:\n  a: {image: 'busybox:1.35'}\n  b: {image: x, privileged: true, profiles: [b]}\n"
    )
    first = cli("lint", "--write-allow").ok()
    assert first.out == "stacks/checkout.yaml\n"
    assert "nothing to write" not in first.err
    assert "review it, then: stackctl up checkout" in first.err
    assert "nothing to write" in cli("lint", "--write-allow").ok().err


@pytest.mark.parametrize("words", [("up",), ("bound",), ("up", "-f", "docker-compose.yml"), ("up", "s")])
def test_what_is_refused_is_told_with_its_line(cli: Cli, asking: Path, words: tuple[str, ...]) -> None:
    if words[-1] == "s":
        cli.stack("s", "compose: ../docker-compose.yml\n")
    refused = cli(*words)
    assert refused.code == 3
    assert "\n  docker-compose.yml:6: services.web.pid: " in refused.err
    assert "\n  more.yml:5: services.agent.userns_mode: " in refused.err


@pytest.mark.slow
def test_write_allow_keeps_what_somebody_wrote_by_hand(cli: Cli, asking: Path) -> None:
    by_hand = (
        "compose: ../docker-compose.yml   # ours\nprofiles: [debug]\nallow:\n"
        "  web: [docker-socket]  # traefik reads it\n  # nobody else\nlimits: {memory: 64m}\n"
    )
    path = cli.stack("mine", by_hand)
    path.chmod(0o640)
    assert cli("lint", "mine").code == 3
    added = cli("lint", "-f", "docker-compose.yml", "--write-allow", "--json").ok().data["added"]
    assert added == {"agent": ["host-userns"], "debugger": ["host-userns"], "web": ["host-pid"]}
    text = path.read_text()
    assert text == by_hand.replace(
        "  web: [docker-socket]  # traefik reads it\n",
        "  web: [docker-socket, host-pid]  # traefik reads it\n"
        "  agent: [host-userns]\n  debugger: [host-userns]\n",
    )
    assert path.stat().st_mode & 0o777 == 0o640
    assert cli("lint", "mine", "--write-allow").ok().out.splitlines() == ["stacks/mine.yaml"]
    assert path.read_text() == text
    assert not (asking / "stacks" / "checkout.yaml").exists()
    cli.stack("twin", "compose: [../docker-compose.yml]\n")
    both = cli("lint", "-f", "docker-compose.yml", "--write-allow")
    assert both.code == 2
    assert "`mine`, `twin`" in both.err


def test_a_stack_of_a_template_gets_its_words_too(cli: Cli) -> None:
    cli.template("t", "services:\n  web:\n    image: busybox:1.35\n    pid: host\n    devices: [/dev/fuse]\n")
    path = cli.stack("s", "template: t\n")
    cli("lint", "s", "--write-allow").ok()
    assert path.read_text() == "template: t\nallow:\n  web: [host-pid, devices]\n"
    cli("lint", "s").ok()


def test_new_from_compose_files_is_a_stack_that_comes_up(cli: Cli, asking: Path) -> None:
    data = cli("new", "shop", "--from", "docker-compose.yml", "--profile", "debug", "--json").ok().data
    needed = {
        "agent": ["host-userns"],
        "debugger": ["host-userns"],
        "web": ["host-pid", "docker-socket"],
    }
    path = asking / "stacks" / "shop.yaml"
    assert data == {"stack": "shop", "path": str(path), "needed": needed, "replaced": False}
    text = path.read_text()
    assert "compose: ../docker-compose.yml\nprofiles:\n- debug\n" in text
    assert "# allow:\n#   agent: [host-userns]\n" in text
    assert cli("up", "shop").code == 3
    assert cli("new", "shop", "--from", "docker-compose.yml").code == 2
    assert path.read_text() == text
    granted = cli("new", "shop", "--from", "docker-compose.yml", "--write-allow", "--force").ok()
    assert "review it" in granted.err
    cli("up", "shop").ok()
    assert {one.service for one in cli.containers()} == {"web", "agent"}


@pytest.mark.slow
def test_new_from_several_files_of_a_folder_below(cli: Cli) -> None:
    folder = cli.checkout / "deploy"
    folder.mkdir()
    (folder / "a.yml").write_text("services: {a: {image: 'busybox:1.35', command: [sleep, '600']}}\n")
    (folder / "b.yml").write_text("services: {a: {environment: {B: 'yes it is'}}}\n")
    (folder / "bad.yml").write_text("services: {a: {nonsense: 1}}\n")
    cli("new", "two", "--from", "a.yml", "--from", "b.yml", cwd=folder).ok()
    text = (folder / "stacks" / "two.yaml").read_text()
    assert text.endswith("compose:\n- ../a.yml\n- ../b.yml\n")
    cli("up", "two", cwd=folder).ok()
    assert cli("exec", "two", "a", "sh", "-c", "echo $B", cwd=folder).ok().out == "yes it is\n"
    wrong = cli("new", "bad", "--from", "bad.yml", cwd=folder)
    assert wrong.code == 5
    assert "nonsense" in wrong.err
    assert not (folder / "stacks" / "bad.yaml").exists()
    cli("down", "two", cwd=folder).ok()


TWO = """name: two-services
services:
  web:
    image: nginx:1.22
    ports: ["80"]
  db:
    image: redis:7.0
    tmpfs: [/data]
"""


@pytest.mark.slow
def test_in_a_folder_with_a_compose_file_the_name_may_be_left_out(cli: Cli) -> None:
    (cli.checkout / "compose.yaml").write_text(TWO)
    assert cli("logs").code == 2
    project = cli("up", "--json").ok().data["project"]
    assert project.startswith("two-services-")
    assert "nginx" in cli("logs", "web").ok().out
    assert "Ready to accept" in cli("logs", "--tail", "20").ok().out
    assert cli("exec", "db", "redis-cli", "ping").ok().out == "PONG\n"
    assert cli("exec", "two-services", "db", "redis-cli", "ping").ok().out == "PONG\n"
    assert cli("exec", "db", "false").code == 1
    address = cli("url").ok().out
    assert address.startswith(("http://127.0.0.1:", "127.0.0.1:"))
    assert cli("url", "web").ok().out == address
    assert "WEB_PORT=" in cli("env").ok().out
    assert "nothing had to be enforced" in cli("why").ok().out
    assert cli("extend", "3h", "--json").ok().data["left_seconds"] == 3 * 3600
    assert cli("extend").ok().out.startswith("two-services lives for 3h")
    cli("diff").ok()
    assert "stackctl" in cli("render").ok().out
    started = {one.service: one.started for one in cli.containers(project)}
    assert cli("restart", "db", "--json").ok().data == {"project": project, "restarted": ["db"]}
    again = {one.service: one.started for one in cli.containers(project)}
    assert again["web"] == started["web"]
    assert again["db"] > started["db"]
    below = cli.checkout / "below"
    below.mkdir()
    assert "no compose file in this folder" in cli("logs", "db", cwd=below).err + cli("down", cwd=below).err
    cli("down").ok()
    assert cli.containers() == ()
    cli("down").ok()


@pytest.mark.slow
def test_a_folder_means_the_stack_of_its_compose_file_too(cli: Cli) -> None:
    (cli.checkout / "compose.yaml").write_text(TWO)
    alone = cli("up", "--json").ok().data["project"]
    cli("down").ok()
    cli("new", "named", "--from", "compose.yaml").ok()
    up = cli("up", "-v").ok()
    assert "`named` is the stack of this folder's compose file" in up.err
    project = cli("status", "--json").ok().data[0]["project"]
    assert project.startswith("named-")
    cli("diff").ok()
    assert cli("exec", "db", "redis-cli", "ping").ok().out == "PONG\n"
    cli("new", "twin", "--from", "compose.yaml").ok()
    cli("up", "twin").ok()
    several = cli("logs")
    assert several.code == 2
    assert f"several environments: `{project}`, `twin-" in several.err
    which = cli("up")
    assert which.code == 2
    assert "`named`, `twin` are stacks of this folder's compose file" in which.err
    cli("down", "twin").ok()
    assert cli("down", "--json").ok().data[0]["project"] == project
    assert cli("up", "-f", "compose.yaml", "--json").ok().data["project"] == alone
    assert cli("why", "--json").ok().data["project"] == alone


@pytest.mark.slow
def test_what_is_called_like_a_service_comes_before_the_service(cli: Cli) -> None:
    (cli.checkout / "compose.yaml").write_text(TWO)
    cli.template("t", "services:\n  db:\n    image: busybox:1.35\n    command: [sleep, '600']\n")
    cli.stack("db", "template: t\n")
    cli("up").ok()
    assert cli("exec", "db", "redis-cli", "ping").ok().out == "PONG\n"
    cli("up", "db").ok()
    assert cli("exec", "db", "db", "echo", "the stack").ok().out == "the stack\n"
    assert "`db` has no service `redis-cli`" in cli("exec", "db", "redis-cli", "ping").err
    other = cli("up", "--instance", "b", "--json").ok().data["project"]
    assert cli("exec", "--instance", "b", "db", "redis-cli", "set", "k", "v").ok().out == "OK\n"
    cli("down", "--instance", "b").ok()
    assert cli.record(other)["phase"] == "stopped"
    assert {one.service for one in cli.containers()} == {"web", "db"}


MANY_PORTS = """services:
  web:
    image: nginx:1.22
    ports: ["80", "8080:81", "5353/udp"]
    scale: 1
  pair:
    image: nginx:1.22
    ports: ["80"]
    deploy: {replicas: 2}
  quiet:
    image: busybox:1.35
    command: [sleep, "600"]
"""


def test_up_as_json_gives_services_ports_and_urls_to_scripts(cli: Cli) -> None:
    (cli.checkout / "compose.yaml").write_text(MANY_PORTS.replace("8080", str(free_port())))
    up = cli("up", "--json").ok().data
    services = up["services"]
    assert {name: one["standing"] for name, one in services.items()} == dict.fromkeys(services, "ready")
    assert services["quiet"]["ports"] == services["quiet"]["urls"] == []
    ports = {(one["container_port"], one["protocol"]): one for one in services["web"]["ports"]}
    assert set(ports) == {(80, "tcp"), (81, "tcp"), (5353, "udp")}
    assert {one["host_ip"] for one in ports.values()} == {"127.0.0.1"}
    assert services["web"]["urls"] == [f"http://127.0.0.1:{ports[n, 'tcp']['host_port']}" for n in (80, 81)]
    assert len(set(services["pair"]["urls"])) == 2
    for url in (services["web"]["urls"][0], *services["pair"]["urls"]):
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert b"nginx" in answer.read()
    for found in (cli("status", "checkout", "--json").ok().data, cli("status", "--json").ok().data[0]):
        assert {name: one["urls"] for name, one in found["services"].items()} == {
            name: one["urls"] for name, one in services.items()
        }
        assert found["services"]["web"]["ports"] == services["web"]["ports"]
    again = cli("up", "--json").ok().data
    assert again["unchanged"] is True
    assert again["services"]["web"]["ports"] == services["web"]["ports"]


HUNGRY = """services:
  hungry:
    image: busybox:1.35
    command: [sh, -c, "head -c 40m /dev/zero | tail | sleep 600"]
    scale: 1
  small:
    image: busybox:1.35
    command: [sleep, "600"]
    mem_limit: 32m
  job:
    image: busybox:1.35
    command: ["true"]
"""


@pytest.mark.slow
def test_limits_are_suggested_from_peaks_and_written_into_the_stack_file(cli: Cli) -> None:
    (cli.checkout / "compose.yaml").write_text(HUNGRY)
    cli("new", "mine", "--from", "compose.yaml").ok()
    path = cli.checkout / "stacks" / "mine.yaml"
    path.write_text(path.read_text() + "services:\n  hungry:   # eats\n    watchdog: {pids: 90%}\n")
    nothing = cli("limits", "mine", "--suggest", "--write").ok()
    assert "not measured, so kept as it is: hungry, job, small" in nothing.err
    assert "nothing to write" in nothing.err
    project = cli("up", "mine", "--json").ok().data["project"]
    deadline = time.monotonic() + 60
    while True:
        cli("supervise", "--once").ok()
        found = {
            one["service"]: one for one in cli("limits", "mine", "--suggest", "--json").ok().data["services"]
        }
        if (found["hungry"]["peak"]["memory_bytes"] or 0) > 40 << 20:
            break
        assert time.monotonic() < deadline, found
    assert found["hungry"]["suggested"] == {"memory_bytes": 64 << 20, "pids": 32}
    assert found["hungry"]["now"] == {"memory_bytes": 8 << 30, "pids": 256}
    assert found["small"]["held_by_document"] == ["memory"]
    assert found["job"]["measured"] is False
    before = path.read_text()
    written = cli("limits", "mine", "--suggest", "--write").ok()
    assert "memory is set to 32m by the compose file; raise it there" in written.err
    text = path.read_text()
    assert (
        text.replace("    limits:\n      memory: 64m\n      pids: 32\n", "").replace(
            "  small:\n    limits:\n      pids: 32\n", ""
        )
        == before
    )
    assert "nothing to write" in cli("limits", "mine", "--suggest", "--write").ok().err
    assert path.read_text() == text
    cli("up", "mine").ok()
    limits = {one.service: one.limits for one in cli.containers(project)}
    assert (limits["hungry"].memory, limits["hungry"].pids) == (64 << 20, 32)
    assert (limits["small"].memory, limits["small"].pids) == (32 << 20, 32)


def test_without_a_stack_file_there_is_nothing_to_write_limits_to(cli: Cli, tmp_path: Path) -> None:
    (cli.checkout / "compose.yaml").write_text(HUNGRY)
    assert cli("limits", "--suggest").ok().out.startswith("SERVICE")
    refused = cli("limits", "--suggest", "--write")
    assert refused.code == 2
    assert "`stackctl new checkout --from " in refused.err
    assert "came with stackctl" in cli("limits", "hello", "--suggest", "--write").err
    assert cli("limits", "hello", "--write").code == 2


@pytest.mark.slow
def test_a_stack_that_would_not_do_with_the_limits_is_left_as_it_is(cli: Cli) -> None:
    (cli.checkout / "compose.yaml").write_text(HUNGRY)
    configuration = cli.home.parent / "config" / "stackctl" / "config.yaml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text("watchdog: {pids: 200, urgent: {pids: 240}}\n")
    path = cli.stack("s", "compose: ../compose.yaml\n")
    before = path.read_text()
    project = cli("up", "s", "--json").ok().data["project"]
    cli("supervise", "--once").ok()
    assert "small" in json.loads((cli.home / "environments" / project / "peaks.json").read_text())
    refused = cli("limits", "s", "--suggest", "--write")
    assert refused.code == 2
    assert "threshold" in refused.err
    assert path.read_text() == before


@pytest.mark.slow
def test_up_says_in_one_note_that_the_sum_is_more_than_the_host_has(cli: Cli) -> None:
    (cli.checkout / "compose.yaml").write_text(HUNGRY)
    warnings = json.loads(cli("up", "--limit", "memory=900t", "--json").ok().out)["warnings"]
    (told,) = [one for one in warnings if "together" in one]
    assert "`stackctl limits checkout --suggest`" in told
    cli("down").ok()
    assert "together" not in cli("up", "--limit", "memory=16m", "--limit", "cpus=0.5").ok().err


SHOP = """name: {name}
services:
  db:
    image: busybox:1.35
    command: [sh, -c, "cat /data/note 2>/dev/null; echo ready; exec sleep 600"]
    init: true
    stop_grace_period: 1s
    volumes: [data:/data, cache:/cache]
volumes:
  data:
  cache:
"""


@dataclass(frozen=True)
class Plain:
    """A project as plain Compose runs it, of a name of its own; what it made is removed by its own name."""

    name: str
    folder: Path

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            ["docker", "compose", *words], cwd=self.folder, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def has(self, volume: str) -> bool:
        asked = ["docker", "volume", "inspect", f"{self.name}_{volume}"]
        return subprocess.run(asked, capture_output=True, timeout=30).returncode == 0

    def remove(self, volume: str) -> None:
        subprocess.run(["docker", "volume", "rm", f"{self.name}_{volume}"], capture_output=True, timeout=30)


@pytest.fixture
def plain(cli: Cli) -> Iterator[Plain]:
    """A compose file that plain Compose ran: its container is gone, its two volumes are there."""
    name = f"plain{uuid.uuid4().hex[:8]}"
    (cli.checkout / "compose.yaml").write_text(SHOP.format(name=name))
    project = Plain(name, cli.checkout)
    try:
        project("up", "-d")
        project("exec", "db", "sh", "-c", "echo earlier words > /data/note")
        project("down", "-t", "1")
        yield project
        cli("down", "--all")
    finally:
        project("down", "-t", "1")
        for volume in ("data", "cache"):
            project.remove(volume)
        own = subprocess.run(
            ["docker", "volume", "ls", "-q", "--filter", f"name={name}-"], capture_output=True, text=True
        )
        for volume in own.stdout.split():
            subprocess.run(["docker", "volume", "rm", volume], capture_output=True, timeout=30)


@pytest.mark.slow
def test_volumes_that_plain_compose_left_are_named_once_and_left_alone(cli: Cli, plain: Plain) -> None:
    first = cli("up").ok()
    told = (
        f"volumes `{plain.name}_cache`, `{plain.name}_data` of the project `{plain.name}` hold earlier data"
    )
    assert first.err.count(told) == 1
    assert f"--use-volumes-of {plain.name}" in first.err
    assert "earlier words" not in cli("logs", "db").ok().out
    assert "earlier data" not in cli("up").ok().err
    refused = cli("up", "--use-volumes-of", plain.name)
    assert refused.code == 2
    assert f"stackctl down {plain.name}" in refused.err
    cli("down").ok()
    cli("up", "--use-volumes-of", plain.name).ok()
    assert "earlier words" in cli("logs", "db").ok().out


def test_the_project_that_plain_compose_ran_is_called_as_its_variable_says(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("name: said\nservices: {}\n")
    sources = sources_from_files([file])

    def named(environ_name: str = "") -> str:
        return plain_project(sources.found, sources.stack, environ_name)

    assert named() == "said"
    for line, name in (
        ("COMPOSE_PROJECT_NAME=dotted", "dotted"),
        ("A=1\n export COMPOSE_PROJECT_NAME = 'quoted' # why", "quoted"),
        ("# COMPOSE_PROJECT_NAME=comment", "said"),
        ("COMPOSE_PROJECT_NAME=${OTHER}", "said"),
        ("COMPOSE_PROJECT_NAME=first\nCOMPOSE_PROJECT_NAME=last", "last"),
    ):
        (tmp_path / ".env").write_text(f"{line}\n")
        assert named() == name
    assert named("shell") == "shell"


@pytest.fixture
def left(cli: Cli) -> Iterator[str]:
    """A project whose volume `data` is all that is left of it; volumes that a test adds to it go with it."""
    name = f"left{uuid.uuid4().hex[:8]}"
    labels = (f"com.docker.compose.project={name}", "com.docker.compose.volume=data")
    made = [word for label in labels for word in ("--label", label)]
    subprocess.run(["docker", "volume", "create", *made, f"{name}_data"], check=True, capture_output=True)
    (cli.checkout / "compose.yaml").write_text(SHOP.format(name=name.replace("left", "shop")))
    yield name
    cli("down", "--all")
    for kept in (name, name.replace("left", "shop")):
        listed = ["docker", "volume", "ls", "-q", "--filter", f"name={kept}"]
        for volume in subprocess.run(listed, capture_output=True, text=True).stdout.split():
            subprocess.run(["docker", "volume", "rm", volume], capture_output=True, timeout=30)


def test_a_variable_that_names_the_project_leads_to_its_volumes(cli: Cli, left: str) -> None:
    first = cli("up", COMPOSE_PROJECT_NAME=left).ok()
    assert f"volume `{left}_data` of the project `{left}` holds earlier data" in first.err


@pytest.mark.slow
def test_a_moved_repository_goes_on_with_its_named_volumes(cli: Cli, left: str) -> None:
    name = left.replace("left", "shop")
    old = cli("up", "--json").ok().data["project"]
    cli("exec", "db", "sh", "-c", "echo earlier words > /data/note").ok()
    there = Cli(home=cli.home, checkout=cli.checkout.rename(cli.checkout.parent / "moved"))
    moved = there("move", name, "--json").ok().data
    cli.checkout.mkdir()
    assert moved["volumes"] == [f"{old}_cache", f"{old}_data"]
    there("up").ok()
    assert "earlier words" in there("logs", "db").ok().out
    assert f"{old}_data" not in there("reap").ok().err
    there("down").ok()
    gone = there("purge", name, "--yes").ok()
    assert f"docker volume rm {old}_cache {old}_data" in gone.err


@pytest.mark.slow
def test_a_volume_that_is_used_outlives_down_and_purge(cli: Cli, plain: Plain) -> None:
    project = cli("up", "--use-volumes-of", plain.name, "--json").ok().data["project"]
    assert "earlier words" in cli("logs", "db").ok().out
    cli("exec", "db", "sh", "-c", "echo more >> /data/note").ok()
    assert cli.record(project)["volumes_of"] == plain.name
    assert cli("up", "--json").ok().data["unchanged"] is True
    cli("diff").ok()
    cli("down").ok()
    cli("up").ok()
    assert "earlier words\nmore\n" in "".join(
        line.split("| ", 1)[-1] for line in cli("logs", "db").ok().out.splitlines(keepends=True)
    )
    cli("down").ok()
    alone = cli.checkout / "alone"
    cli("eject", "--to", str(alone)).ok()
    volumes = f"which `down -v` leaves: `{plain.name}_cache`, `{plain.name}_data`."
    assert volumes in (alone / "NOTES.md").read_text()
    cli("purge", plain.name, "--yes").ok()
    assert plain.has("data")
    assert plain.has("cache")
    assert plain("run", "--rm", "-T", "db", "cat", "/data/note") == "earlier words\nmore\n"


@pytest.mark.slow
def test_a_volume_that_is_gone_stops_the_next_up_before_anything_starts(cli: Cli, plain: Plain) -> None:
    plain.remove("cache")
    first = cli("up", "--use-volumes-of", plain.name).ok()
    assert f"`{plain.name}` has no volume `cache`, so a new one is made" in first.err
    cli("down").ok()
    plain.remove("data")
    assert not plain.has("data")
    gone = cli("up")
    assert gone.code == 5
    assert f"`{plain.name}_data` of the project `{plain.name}`" in gone.err
    assert "is gone" in gone.err
    assert cli.containers() == ()
    assert not plain.has("data")
    none = cli("up", "--use-volumes-of", "no-such-project")
    assert none.code == 2
    assert "the project `no-such-project` has no volume of" in none.err


@pytest.mark.slow
def test_two_that_run_never_share_a_volume(cli: Cli, plain: Plain) -> None:
    plain("up", "-d")
    busy = cli("up", "--use-volumes-of", plain.name)
    assert busy.code == 7
    assert f"docker compose -p {plain.name} stop" in busy.err
    assert cli.containers() == ()
    plain("stop", "-t", "1")
    first = cli("up", "--use-volumes-of", plain.name, "--json").ok().data["project"]
    twin = cli("up", "--instance", "b", "--use-volumes-of", plain.name)
    assert twin.code == 7
    assert f"`{first}` is up and uses" in twin.err
    cli("up", "--instance", "b").ok()
    assert "earlier words" not in cli("logs", "--instance", "b", "db").ok().out


@pytest.mark.slow
def test_a_stack_file_names_the_project_whose_volumes_it_uses(cli: Cli, plain: Plain) -> None:
    path = cli.stack(plain.name, f"compose: ../compose.yaml\nuse_volumes_of: {plain.name}\n")
    cli("up", plain.name).ok()
    assert "earlier words" in cli("logs", plain.name, "db").ok().out
    path.write_text(path.read_text().replace(f"use_volumes_of: {plain.name}", "use_volumes_of: ../x"))
    wrong = cli("up", plain.name)
    assert wrong.code == 2
    assert f"stacks/{plain.name}.yaml:2: use_volumes_of" in wrong.err
