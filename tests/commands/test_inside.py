"""What people do with an environment that runs: addresses, variables, commands inside, data, secrets."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import Cli
from test_up_failures import until

from stackctl.engine.docker import DockerEngine

pytestmark = pytest.mark.engine

DATABASE = """
services:
  app:
    image: busybox:1.35
    command: [sleep, "600"]
"""
DATABASE_HEAD = "description: with a database\nsidecars: {db: {template: postgres}}\n"


@pytest.fixture
def database(cli: Cli) -> Cli:
    cli.template("data", DATABASE, DATABASE_HEAD)
    cli.stack("data", "template: data\nlimits: {memory: 512m}\n")
    return cli


def password(cli: Cli, project: str) -> str:
    return (cli.home / "environments" / project / "secrets" / "db-password").read_text()


@pytest.mark.slow
def test_a_row_survives_down_and_up_and_purge_deletes_it(database: Cli) -> None:
    cli = database
    project = cli("up", "data", "--json").ok().data["project"]
    psql = ("exec", "-T", "data", "db", "psql", "-U", "app", "-tAc")
    cli(*psql, "create table t(x int); insert into t values (4711)").ok()

    cli("down", "data").ok()
    cli("up", "data").ok()

    assert cli(*psql, "select x from t").ok().out.strip() == "4711"
    refused = cli("purge", "data")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    cli("purge", "data", "--yes").ok()
    assert not (cli.home / "environments" / project).exists()
    assert cli.containers() == ()
    cli("up", "data").ok()
    assert cli(*psql, "select count(*) from pg_tables where tablename = 't'").ok().out.strip() == "0"


@pytest.mark.slow
def test_a_secret_stands_nowhere_but_in_its_file_url_and_env(database: Cli) -> None:
    cli = database
    child = cli.start("up", "data", "-v")
    seen = set()
    while child.poll() is None:
        seen.add(subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout)
    out, err = child.communicate()
    assert child.returncode == 0, err
    project = cli("status", "data", "--json").ok().data["project"]
    secret = password(cli, project)

    said = [
        cli(*words).out + cli(*words).err
        for words in (
            ("status", "data"),
            ("status", "data", "--json"),
            ("list", "--json"),
            ("render", "data"),
            ("logs", "data"),
            ("diff", "data"),
            ("up", "data", "--json"),
            ("limits", "data", "--json"),
        )
    ]
    folder = cli.home / "environments" / project
    files = [p for p in folder.rglob("*") if p.is_file() and "data" not in p.relative_to(folder).parts]
    holders = {p.relative_to(folder).as_posix() for p in files if secret in p.read_text(errors="replace")}
    inspected = subprocess.run(
        ["docker", "inspect", *(c.id for c in cli.containers(project) if c.service == "db")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    config = subprocess.run(
        [
            "docker",
            "compose",
            "-f",
            "compose.yaml",
            "--env-file",
            "placement.env",
            "config",
            "--no-interpolate",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert len(secret) >= 32
    for text in (out, err, *seen, *said, inspected, config):
        assert secret not in text
    assert holders == {"secrets/db-password", "secrets/app.env"}
    assert secret in cli("url", "data", "db").ok().out
    assert secret in cli("env", "data").ok().out
    assert (folder / "secrets").stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_the_url_goes_by_file_where_the_variable_says_so(cli: Cli) -> None:
    cli.template("data", DATABASE, DATABASE_HEAD)
    cli.stack("data", "template: data\nsidecars: {db: {template: postgres, env: DATABASE_URL_FILE}}\n")
    project = cli("up", "data", "--json").ok().data["project"]

    inside = cli("exec", "-T", "data", "app", "sh", "-c", 'cat "$DATABASE_URL_FILE"').ok().out
    inspected = subprocess.run(
        ["docker", "inspect", *(c.id for c in cli.containers(project))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert inside.strip() == cli("url", "data", "db", "--from", "container").ok().out.strip()
    assert password(cli, project) not in inspected


def test_services_and_the_host_reach_the_database_by_its_url(database: Cli) -> None:
    cli = database
    cli("up", "data").ok()

    inside = cli("exec", "-T", "data", "app", "sh", "-c", "echo $DATABASE_URL").ok().out.strip()
    outside = cli("url", "data", "db").ok().out.strip()

    assert re.fullmatch(r"postgres://app:\w+@db:5432/app", inside)
    assert inside == cli("url", "data", "db", "--from", "container").ok().out.strip()
    assert re.fullmatch(r"postgres://app:\w+@127\.0\.0\.1:\d+/app", outside)
    port = int(re.findall(r":(\d+)/", outside)[0])
    import socket

    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")  # the protocol's question for TLS
        assert connection.recv(1) in (b"N", b"S")


def test_env_can_be_evaluated_by_a_shell_and_read_as_json(database: Cli) -> None:
    cli = database
    cli("up", "data").ok()
    command = shlex.join(cli.argv("env", "data"))

    value = subprocess.run(
        ["sh", "-c", f'eval "$({command})"; printf %s "$DATABASE_URL"'],
        cwd=cli.checkout,
        env=cli.environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert value == json.loads(cli("env", "data", "--format", "json").ok().out)["DATABASE_URL"]
    assert value == cli("url", "data", "db").ok().out.strip()
    assert "DATABASE_URL" in cli("env", "data", "--format", "dotenv").ok().out


def test_exec_passes_code_user_workdir_and_variables(cli: Cli) -> None:
    cli("up", "hello").ok()

    assert cli("exec", "-T", "hello", "web", "--", "sh", "-c", "exit 7").code == 7
    words = ("exec", "-T", "-u", "65534", "-w", "/tmp", "-e", "A=x y", "hello", "web")
    done = cli(*words, "sh", "-c", "id -u; pwd; echo $A").ok()
    assert done.out.split("\n")[:3] == ["65534", "/tmp", "x y"]


def test_logs_can_be_cut_and_followed(cli: Cli) -> None:
    cli.template(
        "t", "services:\n  app: {image: 'busybox:1.35', command: [sh, -c, 'seq 1 9; exec sleep 600']}\n"
    )
    cli.stack("s", "template: t\n")
    cli("up", "s").ok()

    until(lambda: "9" in cli("logs", "s").out)
    assert cli("logs", "s").ok().out.splitlines() == [f"app-1  | {number}" for number in range(1, 10)]
    assert "| 1\n" not in cli("logs", "s", "--tail", "2").ok().out
    child = cli.start("logs", "s", "-f")
    assert child.stdout is not None
    assert "app" in child.stdout.readline()
    os.killpg(child.pid, signal.SIGINT)
    child.communicate(timeout=20)


def test_with_runs_a_command_with_the_variables_and_leaves_nothing(database: Cli) -> None:
    cli = database

    done = cli("with", "data", "--", "sh", "-c", 'echo "$DATABASE_URL"; exit 3')

    assert done.code == 3
    assert "postgres://app:" in done.out
    assert cli.containers() == ()
    assert cli.networks() == []


@pytest.mark.slow
def test_with_does_not_end_what_was_up_before(cli: Cli) -> None:
    cli("up", "hello").ok()

    done = cli("with", "hello", "--", "true").ok()

    assert "stays up" in done.err
    assert len(cli.containers()) == 1


@pytest.mark.parametrize("group", [True, False])
def test_a_killed_with_leaves_nothing(cli: Cli, group: bool) -> None:
    child = cli.start("with", "hello", "--", "sh", "-c", "echo up; exec sleep 300")
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "up"

    (os.killpg if group else os.kill)(child.pid, signal.SIGKILL)
    child.wait(timeout=10)

    until(lambda: not cli.containers() and not cli.networks(), 60)
    until(lambda: cli("status", "hello", "--json").data["phase"] == "stopped")
    child.communicate(timeout=30)


@pytest.mark.slow
def test_a_with_that_is_killed_while_it_comes_up_leaves_nothing(cli: Cli) -> None:
    slow = "services:\n  app:\n    image: busybox:1.35\n    command: [sleep, '600']\n"
    cli.template("t", slow + "    healthcheck: {test: [CMD, 'false'], interval: 1s, retries: 300}\n")
    cli.stack("s", "template: t\n")
    child = cli.start("with", "s", "--", "true")
    until(cli.containers)

    os.killpg(child.pid, signal.SIGKILL)
    child.communicate(timeout=10)

    until(lambda: not cli.containers() and not cli.networks(), 60)


@pytest.mark.slow
def test_a_moved_repository_takes_its_data_along(cli: Cli) -> None:
    cli.stack("web", "template: hello\n")
    cli("up", "web").ok()
    url = cli("url", "web").ok().out.strip()
    import urllib.request

    urllib.request.urlopen(url, timeout=10).read()
    moved = cli.checkout.rename(cli.checkout.parent / "moved")
    there = Cli(home=cli.home, checkout=moved)

    told = there("up", "web").ok()
    there("purge", "web", "--yes").ok()
    there("move", "web").ok()
    there("up", "web").ok()
    cli.checkout.mkdir()

    assert "stackctl move web" in told.err
    url = there("url", "web").ok().out.strip()
    assert 'id="visits">2<' in urllib.request.urlopen(url, timeout=10).read().decode()
    assert [one["root"] for one in there("list", "--json").data["environments"]] == [str(moved)]


@pytest.mark.slow
def test_purge_deletes_what_containers_wrote_under_other_uids(tmp_path: Path) -> None:
    """As an ordinary user, who cannot delete it without help."""
    for parent in (one for one in tmp_path.parents if "pytest-of-" in str(one)):
        parent.chmod(0o755)
    tmp_path.chmod(0o777)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    os.chown(home, 65534, 65534)
    group = Path("/var/run/docker.sock").stat().st_gid
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--groups", str(group)]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "STACKCTL_HOME": str(home), "HOME": str(home), "DOCKER_CONFIG": str(home)}
        argv = [*user, sys.executable, "-m", "stackctl", *words]
        return subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120)

    assert run("up", "hello").returncode == 0, run("up", "hello").stderr
    (project,) = [one.name for one in (home / "environments").iterdir()]
    inner = home / "environments" / project / "data" / "visits" / "of-root"
    inner.mkdir()
    (inner / "file").write_text("x")

    done = run("purge", "hello", "--yes")

    assert done.returncode == 0, done.stderr
    assert not (home / "environments" / project).exists()
    assert list((home / "trash").iterdir()) == []


def test_a_stranger_with_our_labels_is_never_touched(cli: Cli) -> None:
    project = cli("up", "hello", "--json").ok().data["project"]
    (mine,) = cli.containers(project)
    labels = {**mine.labels, "stackctl.generation": "00000000-0000-0000-0000-000000000000"}
    flags = [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]
    stranger = subprocess.run(
        ["docker", "run", "-d", "--init", *flags, "busybox:1.35", "sleep", "300"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    try:
        told = cli("status", "hello")
        cli("down", "hello").ok()
        assert [c.id for c in cli.containers(project)] == [stranger]
        assert "is not this environment's" in told.err
    finally:
        DockerEngine().kill([stranger])
        DockerEngine().remove_containers([stranger])
