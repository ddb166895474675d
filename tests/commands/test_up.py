"""`up`, `status`, `down` on the real engine: bounded, proven, stable, and gone when it is ended."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
from commandline import Cli

from stackctl.engine.docker import DockerEngine

pytestmark = pytest.mark.engine

TWO = """
services:
  app:
    image: busybox:1.35
    command: [sh, -c, "echo {{ greeting }}; exec sleep 600"]
  side:
    image: busybox:1.35
    command: [sleep, "600"]
"""
TWO_HEAD = "description: two\nvariables: {greeting: {default: hello}}\n"


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def test_hello_serves_a_page_with_the_limits_that_the_kernel_enforces(cli: Cli) -> None:
    data = cli("up", "hello", "--json").ok().data
    url = cli("url", "hello").ok().out.strip()

    text = page(url)

    assert re.search(r'id="pids">32<', text)
    assert re.search(r'id="memory">64 MiB<', text)
    assert re.search(r'id="cpus">0.5<', text)
    assert data["limits_verified"] == "kernel"
    assert url == data["services"]["web"]["addresses"][0]["host"]


def test_every_limit_stands_in_the_engine_and_in_the_kernel(cli: Cli) -> None:
    cli.template("app")
    cli.stack("s", "template: app\nlimits: {memory: 96m, pids: 40, cpus: 0.25}\n")

    project = cli("up", "s", "--json").ok().data["project"]

    (container,) = cli.containers(project)
    reading = DockerEngine().readings([container])[container.id]
    for found in (container.limits, reading.limits):
        assert (found.pids, found.memory, found.swap, found.cpus) == (40, 96 << 20, 96 << 20, 0.25)
    assert container.restart_policy == "no"


def test_a_second_up_says_that_nothing_is_to_do_and_touches_nothing(cli: Cli) -> None:
    first = cli("up", "hello", "--json").ok().data
    before = cli.containers(first["project"])

    second = cli("up", "hello").ok()

    assert "already up and unchanged" in second.out
    assert [c.id for c in cli.containers(first["project"])] == [c.id for c in before]
    assert cli("up", "hello", "--json").ok().data["left_seconds"] <= first["left_seconds"]


def test_data_and_port_outlive_down(cli: Cli) -> None:
    cli("up", "hello").ok()
    url = cli("url", "hello").ok().out.strip()
    page(url)
    assert 'id="visits">2<' in page(url)

    down = cli("down", "hello").ok()

    assert "its data is kept" in down.out
    assert cli.containers() == ()
    assert cli.networks() == []
    cli("up", "hello").ok()
    assert cli("url", "hello").ok().out.strip() == url
    assert 'id="visits">3<' in page(url)


def test_an_edit_recreates_only_what_it_changed(cli: Cli) -> None:
    cli.template("two", TWO, TWO_HEAD)
    cli.stack("s", "template: two\n")
    project = cli("up", "s", "--json").ok().data["project"]
    before = {c.service: c.id for c in cli.containers(project)}
    cli.stack("s", "template: two\nvariables: {greeting: salut}\n")

    diff = cli("diff", "s", "--json")
    changed = cli("up", "s", "--json").ok().data

    assert diff.code == 1
    assert diff.data["changes"] == {"app": "recreate", "side": "keep"}
    assert changed["changes"] == {"app": "recreate", "side": "keep"}
    after = {c.service: c.id for c in cli.containers(project)}
    assert after["side"] == before["side"]
    assert after["app"] != before["app"]
    assert cli("diff", "s").code == 0


@pytest.mark.slow
def test_an_edit_says_first_what_it_will_recreate(cli: Cli) -> None:
    cli.template("two", TWO, TWO_HEAD)
    cli.stack("s", "template: two\n")
    cli("up", "s").ok()
    cli.stack("s", "template: two\nvariables: {greeting: salut}\n")

    assert "will recreate app (command)" in cli("up", "s").ok().err


@pytest.mark.slow
def test_new_thresholds_reach_the_record_though_nothing_is_recreated(cli: Cli) -> None:
    cli.template("app")
    cli.stack("s", "template: app\n")
    project = cli("up", "s", "--json").ok().data["project"]
    cli.stack("s", "template: app\nwatchdog: {pids: 100}\n")

    assert cli("up", "s", "--json").ok().data["unchanged"]

    assert cli.record(project)["services"]["web"]["watchdog"]["pids"] == 100


@pytest.mark.slow
def test_a_service_that_left_the_stack_is_removed(cli: Cli) -> None:
    cli.template("two", TWO, TWO_HEAD)
    cli.stack("s", "template: two\n")
    cli("up", "s").ok()
    cli.template("two", TWO.split("  side:", maxsplit=1)[0], TWO_HEAD)

    cli("up", "s").ok()

    assert [c.service for c in cli.containers()] == ["app"]


@pytest.mark.slow
def test_a_changed_file_recreates_the_service_that_mounts_it(cli: Cli) -> None:
    compose = """
services:
  app:
    image: busybox:1.35
    command: [sleep, "600"]
    volumes: ["./files/note:/note"]
"""
    folder = cli.template("filed", compose)
    (folder / "files").mkdir()
    (folder / "files" / "note").write_text("one\n")
    cli.stack("s", "template: filed\n")
    cli("up", "s").ok()
    (folder / "files" / "note").write_text("two\n")

    cli("up", "s").ok()

    assert cli("exec", "-T", "s", "app", "cat", "/note").ok().out == "two\n"


@pytest.mark.slow
def test_an_image_is_built_and_built_anew_only_when_asked(cli: Cli) -> None:
    folder = cli.template("made", "services:\n  app: {build: ./files/app}\n")
    (folder / "files" / "app").mkdir(parents=True)
    dockerfile = folder / "files" / "app" / "Dockerfile"
    dockerfile.write_text('FROM busybox:1.35\nRUN echo one > /made\nCMD ["sleep", "600"]\n')
    cli.stack("made", "template: made\n")
    look = ("exec", "-T", "made", "app", "cat", "/made")
    project = cli("up", "made", "--json").ok().data["project"]
    try:
        assert cli(*look).ok().out == "one\n"
        dockerfile.write_text(dockerfile.read_text().replace("one", "two"))
        cli("up", "made").ok()
        assert cli(*look).ok().out == "one\n"

        built = cli("up", "made", "--build", "--json").ok().data

        assert cli(*look).ok().out == "two\n"
        assert (built["unchanged"], built["changes"]) == (False, {"app": "recreate"})
    finally:
        cli("down", "made").ok()
        subprocess.run(["docker", "image", "rm", f"{project}-app"], check=True, capture_output=True)


@pytest.mark.slow
def test_a_replaced_secret_reaches_who_mounts_it_and_nobody_else(cli: Cli) -> None:
    compose = """
services:
  app:
    image: busybox:1.35
    command: [sleep, "600"]
    environment: {TOKEN_FILE: "{{ token.file }}"}
  side:
    image: busybox:1.35
    command: [sleep, "600"]
"""
    cli.template("kept", compose, "description: a secret\nvariables: {token: {type: secret}}\n")
    secret = cli.checkout / "token"
    secret.write_text("first\n")
    cli.stack("s", f"template: kept\nvariables: {{token: 'file:{secret}'}}\n")
    project = cli("up", "s", "--json").ok().data["project"]
    before = {c.service: c.started for c in cli.containers(project)}
    secret.write_text("second\n")

    cli("up", "s").ok()

    assert cli("exec", "-T", "s", "app", "sh", "-c", 'cat "$TOKEN_FILE"').ok().out.strip() == "second"
    after = {c.service: c.started for c in cli.containers(project)}
    assert after["app"] > before["app"]
    assert after["side"] == before["side"]


def test_a_one_shot_service_may_end_well(cli: Cli) -> None:
    compose = """
services:
  migrate:
    image: busybox:1.35
    command: ["true"]
  app:
    image: busybox:1.35
    command: [sleep, "600"]
    depends_on: {migrate: {condition: service_completed_successfully}}
"""
    cli.template("shot", compose)
    cli.stack("s", "template: shot\n")

    states = {n: s["state"] for n, s in cli("up", "s", "--json").ok().data["services"].items()}

    assert states == {"app": "running", "migrate": "done"}
    assert "already up and unchanged" in cli("up", "s").ok().out
    assert cli("status", "s").code == 0


@pytest.mark.slow
def test_two_instances_and_two_checkouts_run_side_by_side(cli: Cli, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    (other / ".git").mkdir(parents=True)
    for folder in (cli.checkout, other):
        (folder / "stacks").mkdir(exist_ok=True)
        (folder / "stacks" / "web.yaml").write_text("template: hello\n")

    cli("up", "web").ok()
    cli("up", "web", "--instance", "two").ok()
    cli("up", "web", cwd=other).ok()

    urls = {
        cli("url", "web").ok().out,
        cli("url", "web", "--instance", "two").ok().out,
        cli("url", "web", cwd=other).ok().out,
    }
    assert len(urls) == 3
    for url in urls:
        page(url.strip())
    assert len({c.project for c in cli.containers()}) == 3
    cli("down", "web", "--instance", "two").ok()
    assert len({c.project for c in cli.containers()}) == 2


def test_set_beats_the_stack_file(cli: Cli) -> None:
    cli.template("two", TWO, TWO_HEAD)
    cli.stack("s", "template: two\nvariables: {greeting: fromfile}\n")

    cli("up", "s", "--set", "greeting=fromhere").ok()

    assert "fromhere" in cli("logs", "s", "app").ok().out


@pytest.mark.slow
def test_status_shows_usage_against_threshold_and_limit(cli: Cli) -> None:
    cli("up", "hello").ok()

    text = cli("status", "hello").ok().out
    service = cli("status", "hello", "--json").ok().data["services"]["web"]

    assert re.search(r"\d+ / 25 / 32", text)
    assert "51.2 MiB / 64 MiB" in text
    assert service["thresholds"]["pids"] == 25
    assert 0 < service["usage"]["pids"] < 25
    assert 0 < service["usage"]["memory_bytes"] < 64 << 20


@pytest.mark.slow
def test_status_of_what_ended_says_when_why_and_how_to_start_it_again(cli: Cli) -> None:
    cli("up", "hello").ok()
    cli("down", "hello").ok()

    status = cli("status", "hello")

    assert status.code == 1
    assert re.search(r"ended \d{4}-\d\d-\d\d .*by hand.*its data is kept.*stackctl up hello", status.out)


@pytest.mark.slow
def test_a_lifetime_is_kept_by_up_and_renewed_by_extend(cli: Cli) -> None:
    project = cli("up", "hello", "--lifetime", "30m", "--json").ok().data["project"]
    first = cli.record(project)["deadline"]["wall"]

    cli("up", "hello").ok()
    assert cli.record(project)["deadline"]["wall"] == first
    cli("extend", "hello", "2h").ok()

    assert cli.record(project)["deadline"]["wall"] > first + 5000


@pytest.mark.slow
def test_down_works_without_the_stack_file(cli: Cli) -> None:
    path = cli.stack("gone", "template: hello\n")
    cli("up", "gone").ok()
    path.unlink()

    cli("down", "gone").ok()

    assert cli.containers() == ()


@pytest.mark.slow
def test_down_twice_is_fine(cli: Cli) -> None:
    cli("up", "hello").ok()
    cli("down", "hello").ok()

    again = cli("down", "hello").ok()

    assert "nothing was running" in again.out


@pytest.mark.slow
def test_restart_keeps_the_containers_and_the_lifetime(cli: Cli) -> None:
    project = cli("up", "hello", "--json").ok().data["project"]
    (before,) = cli.containers(project)
    deadline = cli.record(project)["deadline"]

    cli("restart", "hello", "web").ok()

    (after,) = cli.containers(project)
    assert after.id == before.id
    assert after.started > before.started
    assert cli.record(project)["deadline"] == deadline


@pytest.mark.slow
def test_list_names_every_environment_with_its_path(cli: Cli) -> None:
    cli.stack("mine", "template: hello\n")
    cli("up", "mine").ok()
    cli("up", "hello").ok()

    text = cli("list").ok().out
    data = cli("list", "--json").ok().data["environments"]

    assert str(cli.checkout) in text
    assert {one["stack"] for one in data} == {"mine", "hello"}


@pytest.mark.slow
def test_what_runs_can_be_driven_by_plain_compose(cli: Cli) -> None:
    project = cli("up", "hello", "--json").ok().data["project"]
    folder = cli.home / "environments" / project
    argv = ["docker", "compose", "--env-file", "placement.env", "-f", "compose.yaml", "ps", "-q"]

    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60)

    assert done.stdout.split() == [c.id for c in cli.containers(project)]
