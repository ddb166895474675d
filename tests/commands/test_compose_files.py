"""People's own compose files on the real engine: taken as they are, bounded, and brought up."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from commandline import Cli

pytestmark = pytest.mark.engine

FILE = """
services:
  web:
    image: nginx:1.22
    container_name: fixed
    ports: ["80"]
    restart: always
    depends_on: {db: {condition: service_started}, migrate: {condition: service_completed_successfully}}
    volumes: ["./html:/usr/share/nginx/html:ro"]
    mem_limit: 64m
  db:
    image: redis:7.0
    volumes: [data:/data]
    deploy: {resources: {limits: {pids: 50}}}
  migrate:
    image: busybox:1.35
    command: [sh, -c, "echo $$WORD done"]
    environment: {WORD: "${WORD:-none}"}
  tool: {image: "busybox:1.35", command: [sleep, "600"], profiles: [debug]}
volumes: {data: }
"""


@pytest.fixture
def project(cli: Cli) -> Path:
    """A checkout with a compose file, an `.env` and a folder that is mounted."""
    (cli.checkout / "docker-compose.yml").write_text(FILE)
    (cli.checkout / ".env").write_text("WORD=dotenv\n")
    (cli.checkout / "html").mkdir()
    (cli.checkout / "html" / "index.html").write_text("hello\n")
    return cli.checkout


def test_the_file_of_this_folder_is_brought_up_as_it_is_and_bounded(cli: Cli, project: Path) -> None:
    up = cli("up", "--json").ok().data
    name = up["project"]
    assert name.startswith("checkout-")
    found = {one.service: one for one in cli.containers(name)}
    assert set(found) == {"web", "db", "migrate"}
    assert (found["web"].limits.memory, found["web"].limits.pids) == (64 << 20, 256)
    assert (found["db"].limits.pids, found["db"].limits.memory) == (50, 8 << 30)
    assert all(one.restart_policy == "no" for one in found.values())
    (port,) = [one for one in found["web"].ports if one.host_port]
    assert port.host_ip == "127.0.0.1"
    with urllib.request.urlopen(f"http://127.0.0.1:{port.host_port}/", timeout=10) as answer:
        assert answer.read() == b"hello\n"
    assert "dotenv done" in cli("logs", "checkout", "migrate").ok().out
    assert cli("exec", "checkout", "db", "getent", "hosts", "fixed").code == 0
    assert cli.record(name)["services"]["web"]["restart"] == "always"

    for words in (("diff", "checkout"), ("limits", "checkout"), ("up", "checkout")):
        cli(*words).ok()  # by the name that it is called by
    again = cli("up", "-f", "docker-compose.yml", "--json").ok().data
    assert again["project"] == name
    assert {one.id for one in cli.containers(name)} == {one.id for one in found.values()}
    cli("down", "checkout").ok()
    assert cli.containers() == ()


@pytest.mark.slow
def test_a_stack_file_over_compose_files_with_a_profile_and_a_sidecar(cli: Cli, project: Path) -> None:
    cli.stack(
        "shop",
        "compose: [../docker-compose.yml, ../more.yml]\nprofiles: [debug]\nvariables: {WORD: stack}\n"
        "sidecars: {cache: {template: redis}}\nlimits: {memory: 512m}\n",
    )
    (project / "more.yml").write_text("services: {web: {environment: {MORE: yes-indeed}}}\n")
    cli("up", "shop").ok()
    services = cli("status", "shop", "--json").ok().data["services"]
    assert set(services) == {"web", "db", "migrate", "tool", "cache"}
    assert "stack done" in cli("logs", "shop", "migrate").ok().out
    assert cli("exec", "shop", "web", "printenv", "MORE").ok().out == "yes-indeed\n"
    assert cli("exec", "shop", "web", "printenv", "REDIS_URL").ok().out.startswith("redis://")


@pytest.mark.slow
def test_bound_shows_every_profile_each_change_and_what_is_refused(cli: Cli, project: Path) -> None:
    shown = cli("bound", "--json").ok().data
    assert set(shown["document"]["services"]) == {"web", "db", "migrate", "tool"}
    assert shown["allow"] == {}
    assert "services.web.container_name" in {change["path"] for change in shown["changes"]}
    assert all(change["reason"] and change["remedy"] for change in shown["changes"])
    told = cli("bound", "--explain").ok().out
    assert "container_name: made an alias on its networks\n" in told
    assert "  otherwise  `allow: {SERVICE: [container-name]}` in a stack file\n" in told

    (project / "compose.yaml").write_text(
        "services:\n  web:\n    image: busybox:1.35\n    privileged: true\n"
        "    volumes: ['/var/run/docker.sock:/s']\n"
    )
    refused = cli("bound", "--json")
    assert refused.code == 3
    assert len(json.loads(refused.out)["error"]["problems"]) == 2
    allowed = cli("bound", "--allow-all", "--json").ok().data
    assert sorted(allowed["allow"]["web"]) == ["docker-socket", "privileged"]
    assert cli("up").code == 3
    assert cli.containers() == ()


def test_wrong_words_are_told_apart(cli: Cli) -> None:
    nothing = cli("up")
    assert nothing.code == 2
    assert "no compose file in this folder" in nothing.err
    assert cli("up", "-f", "no.yml").code == 2
    assert cli("up", "shop", "-f", "no.yml").code == 2
    (cli.checkout / "compose.yaml").write_text("services: {web: {image: busybox:1.35, nonsense: 1}}\n")
    wrong = cli("up")
    assert wrong.code == 5
    assert "nonsense" in wrong.err
    assert "Traceback" not in wrong.err
    (cli.checkout / "compose.yaml").write_text("services: {web: {image: 'busybox:1.35', pids_limit: -1}}\n")
    endless = cli("bound")
    assert endless.code == 3
    assert "compose.yaml:1: services.web.pids_limit" in endless.err
    assert "by name" not in endless.err  # no word allows it
    cli.stack("lost", "compose: ../nowhere.yml\n")
    lost = cli("up", "lost")
    assert lost.code == 2
    assert "nowhere.yml" in lost.err
