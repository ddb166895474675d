"""Podman behind its Docker-compatible socket: what holds there, and what does not and is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from commandline import Cli
from house import end_process, heartbeat
from waiting import until

from podman import PodmanService
from stackctl.engine.docker import DockerEngine

pytestmark = [pytest.mark.slow, pytest.mark.engine]

FILE = """
services:
  web:
    image: busybox:1.35
    stop_grace_period: 1s
    command: [sh, -c, "echo here; mkdir -p /www; echo hello > /www/index.html; exec httpd -f -p 80 -h /www"]
    ports: ["80"]
    volumes: ["kept:/kept"]
volumes: {kept: {}}
"""
ROGUES = """
services:
  web: {image: busybox:1.35, command: [sleep, infinity], init: true}
  hog: {image: busybox:1.35, command: [sh, -c, "sleep 2; tail /dev/zero"], mem_limit: 64m}
  loop:
    image: busybox:1.35
    command: [sh, -c, "n=0; while [ $$n -lt 52 ]; do sleep 600 & n=$$((n+1)); done; wait"]
    pids_limit: 60
"""


@pytest.fixture(scope="module")
def service() -> Iterator[PodmanService]:
    podman = PodmanService()
    try:
        podman.load()
        yield podman
    finally:
        podman.end()


@pytest.fixture
def podman(service: PodmanService, monkeypatch: pytest.MonkeyPatch) -> PodmanService:
    """It is the engine for all that the test runs."""
    monkeypatch.setenv("DOCKER_HOST", service.host)
    return service


@pytest.fixture
def cli(podman: PodmanService, tmp_path: Path) -> Iterator[Cli]:
    checkout = tmp_path / "shop"
    checkout.mkdir()
    made = Cli(home=tmp_path / "home", checkout=checkout)
    yield made
    made.end_all()


def test_it_is_one_engine_to_us_though_it_makes_up_an_id_for_each_answer(podman: PodmanService) -> None:
    first, second = DockerEngine().facts(), DockerEngine().facts()
    assert first.id == second.id != ""
    assert first.local


def test_the_doctor_finds_nothing_wrong(cli: Cli) -> None:
    cli("doctor", "--json").ok()


def test_an_environment_is_bounded_used_taken_down_and_keeps_its_volume(cli: Cli) -> None:
    (cli.checkout / "compose.yaml").write_text(FILE)
    assert "limits proven in the kernel" in cli("up").ok().out
    url = cli("url", "shop", "web").ok().out.strip()
    with urlopen(url) as answer:
        assert answer.read() == b"hello\n"
    cli("exec", "shop", "web", "--", "sh", "-c", "echo mine > /kept/note").ok()
    assert "here" in cli("logs", "shop").ok().out
    cli("restart", "shop").ok()
    assert cli("up", "--json").ok().data["unchanged"] is True
    cli("extend", "shop", "3h").ok()
    cli("down").ok()
    assert (cli.containers(), cli.networks()) == ((), [])

    cli("up").ok()
    assert cli("exec", "shop", "web", "--", "cat", "/kept/note").ok().out == "mine\n"
    cli("down").ok()


def test_the_supervisor_ends_what_nears_its_limit_and_tells_what_the_kernel_ended(cli: Cli) -> None:
    (cli.checkout / "compose.yaml").write_text(ROGUES)
    supervisor = cli.start("supervise")
    until(lambda: heartbeat(cli.home), 20, "a supervisor")
    cli("up").ok()

    def rules() -> set[str]:
        return {one["rule"] for one in cli("incidents", "shop", "--json").ok().data}

    until(lambda: "over_pids" in rules(), 40, "an incident of processes")
    assert "loop" in cli("why", "shop").ok().out
    code, err = end_process(supervisor)
    assert (code, "Traceback" in err) == (0, False), err


def test_a_task_has_its_exit_code_and_leaves_nothing(cli: Cli) -> None:
    done = cli("run", "busybox:1.35", "--", "sh", "-c", "echo at work; exit 3")
    assert (done.code, done.out) == (3, "at work\n")
    (task,) = cli("tasks", "--all", "--json").ok().data
    assert (task["phase"], task["exit_code"]) == ("failed", 3)
    assert cli.containers() == ()


def test_the_work_of_an_up_that_was_killed_is_finished_or_undone(cli: Cli) -> None:
    (cli.checkout / "compose.yaml").write_text(FILE)
    kill = {"STACKCTL_TEST": "1", "STACKCTL_FAILPOINT": "compose-up#1:after:kill9"}
    assert cli("up", **kill).code == -9
    assert "its work was finished" in cli("reap").ok().out
    assert "limits: proven in the kernel" in cli("status", "shop").ok().out
    cli("down").ok()

    kill["STACKCTL_FAILPOINT"] = "compose-up#1:before:kill9"
    assert cli("up", **kill).code == -9
    cli("reap").ok()
    assert (cli.containers(), cli.networks()) == ((), [])


def test_health_checks_need_systemd_and_up_says_that_it_waited_in_vain(cli: Cli) -> None:
    """Podman has systemd's timers run them; where none runs, nobody does."""
    checked = FILE.replace("    ports:", "    healthcheck: {test: [CMD, 'true'], interval: 1s}\n    ports:")
    (cli.checkout / "compose.yaml").write_text(checked)
    if Path("/run/systemd/private").exists():
        assert "healthy" in cli("up").ok().out
        return
    done = cli("up", "--wait-timeout", "5s")
    assert done.code == 6, done
    assert "web" in done.err
    assert cli.containers() == ()
    (one,) = cli("list", "--json").ok().data["environments"]
    assert one["phase"] == "failed"
