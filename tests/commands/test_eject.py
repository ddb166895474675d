"""`eject`: what it writes runs by plain Compose on the real engine, bounded, and on the same data."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import Cli

from stackctl.core.facts import Container
from stackctl.engine.docker import DockerEngine

SLEEPER = "trap 'exit 0' TERM; while :; do sleep 1 & wait; done"
FILE = f"""
services:
  web:
    image: busybox:1.35
    command: [sh, -c, "date >> /keep/dates; {SLEEPER}"]
    restart: on-failure:2
    mem_limit: 64m
    volumes: [keep:/keep, "./html:/html:ro"]
    ports: ["80"]
    labels: {{mine: "1"}}
volumes: {{keep: }}
"""


class Folder:
    """An ejected folder, driven by Compose alone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, *words: str) -> str:
        environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        done = subprocess.run(
            ["docker", "compose", *words],
            cwd=self.path,
            env=environ | {name: os.environ[name] for name in ("HOME", "DOCKER_HOST") if name in os.environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def up(self) -> dict[str, Container]:
        """Service -> its container, once all run."""
        self("up", "-d", "--wait")
        found = DockerEngine().inspect(self("ps", "-aq").split())
        return {one.service: one for one in found}


@pytest.fixture
def folder(cli: Cli) -> Iterator[Folder]:
    """The folder that `eject shop` writes; taken down after the test by its own project, volumes too."""
    found = Folder(cli.checkout / "shop-ejected")
    yield found
    if found.path.is_dir():
        found("down", "-v", "-t", "1")


@pytest.fixture
def shop(cli: Cli) -> None:
    """A stack of a compose file with a database beside it."""
    (cli.checkout / "docker-compose.yml").write_text(FILE)
    (cli.checkout / "html").mkdir()
    (cli.checkout / "html" / "page").write_text("hello\n")
    cli.stack(
        "shop",
        "compose: ../docker-compose.yml\nlimits: {memory: 300m, pids: 100}\n"
        "sidecars: {db: {template: postgres, variables: {version: '15'}, reach: [host]}}\n",
    )


def sql(text: str) -> tuple[str, ...]:
    return ("psql", "-U", "app", "-tAc", text)


@pytest.mark.slow
@pytest.mark.engine
def test_it_runs_without_stackctl_bounded_and_on_the_same_data(cli: Cli, shop: None, folder: Folder) -> None:
    up = cli("up", "shop", "--json").ok().data
    cli("exec", "shop", "db", "--", *sql("create table t (a int); insert into t values (7)")).ok()
    refused = cli("eject", "shop")
    assert refused.code == 7
    assert "`stackctl down shop` first" in refused.err
    assert not folder.path.exists()
    cli("down", "shop").ok()

    done = cli("eject", "shop", "--json").ok().data
    assert done["folder"] == str(folder.path)
    assert done["project"] == up["project"]
    assert done["restarts"] == {"web": "on-failure:2"}
    assert "stackctl." not in (folder.path / "compose.yaml").read_text()
    modes = {name: (folder.path / name).stat().st_mode & 0o777 for name in (".env", "compose.yaml", ".")}
    assert modes == {".env": 0o600, "compose.yaml": 0o600, ".": 0o700}

    kept = cli.home / "environments" / up["project"] / "secrets" / "db-password"
    assert (folder.path / "secrets" / "db-password").read_text() == kept.read_text()
    found = folder.up()
    assert set(found) == {"web", "db"}
    limits = {name: (one.limits.memory, one.limits.pids) for name, one in found.items()}
    assert limits == {"web": (64 << 20, 100), "db": (300 << 20, 100)}
    assert found["web"].restart_policy == "on-failure"
    assert found["web"].labels["mine"] == "1"
    labels = [*found["web"].labels, *found["db"].labels]
    (network,) = DockerEngine().networks({"com.docker.compose.project": up["project"]})
    ours = {name for name in (*labels, *network.labels) if name.startswith("stackctl.")}
    assert not {name for name in ours if not name.startswith("stackctl.image.")}  # the images' own
    assert folder("exec", "db", *sql("select a from t")).strip() == "7"
    assert len(folder("exec", "web", "cat", "/keep/dates").splitlines()) == 2
    assert folder("exec", "web", "cat", "/html/page") == "hello\n"
    ports = {one.service: [p.host_port for p in one.ports if p.host_port] for one in found.values()}
    record = cli.record(up["project"])["placement"]
    assert ports["db"] == [int(record["STACKCTL_PORT_DB_5432"])]

    cli("reap").ok()
    other = cli("up", "shop")
    assert other.code == 5  # it is not ours any more, and never shares the data
    assert f"`docker compose -p {up['project']} down` ends what was started without stackctl" in other.err
    assert "adopt" not in other.err
    assert {one.id for one in folder.up().values()} == {one.id for one in found.values()}
    folder("down")
    cli("up", "shop").ok()
    assert cli("exec", "shop", "db", "--", *sql("select a from t")).ok().out.strip() == "7"
    cli("down", "shop").ok()


@pytest.mark.slow
@pytest.mark.engine
def test_what_never_ran_is_ejected_with_data_and_secrets_of_its_own(
    cli: Cli, shop: None, folder: Folder
) -> None:
    done = cli("eject", "shop", "--json").ok().data
    assert done["data"] == {"db": "./data/db"}
    assert (folder.path / "data" / "db").is_dir()
    secret = folder.path / "secrets" / "db-password"
    assert len(secret.read_text()) >= 20
    notes = (folder.path / "NOTES.md").read_text()
    assert f"docker compose -p {done['project']} up -d" in notes
    assert "`./data/db`" in notes
    assert f"`{done['project']}_keep`" in notes
    assert not (cli.home / "environments" / done["project"]).exists()
    folder.up()
    assert folder("exec", "db", *sql("select 1")).strip() == "1"
    assert "postgres" in folder("exec", "web", "env")  # the sidecar's URL is carried to it


@pytest.mark.engine
def test_an_ejected_lock_stays_pinned_and_rendered_files_come_along(cli: Cli) -> None:
    cli.stack("hi", "template: hello\n")
    cli("lock", "hi").ok()
    cli("eject", "hi", "--to", "out").ok()
    text = (cli.checkout / "out" / "compose.yaml").read_text()
    assert "image: busybox:1.35@sha256:" in text
    folder = Folder(cli.checkout / "out")
    try:
        (only,) = folder.up().values()
        assert only.state == "running"
        mounted = {one.name for one in (folder.path / "files").rglob("*") if one.is_file()}
        assert mounted == {"page.sh", "start.sh"}
    finally:
        folder("down", "-v", "-t", "1")


@pytest.mark.engine
@pytest.mark.parametrize("kind", ["full", "file", "link", "orphan"])
def test_nothing_that_is_there_is_ever_replaced(cli: Cli, kind: str) -> None:
    cli.template("t")
    cli.stack("s", "template: t\n")
    target = cli.checkout / ("no/such/out" if kind == "orphan" else "out")
    other = cli.checkout / "other"
    other.mkdir()
    if kind == "full":
        target.mkdir()
        (target / "mine").write_text("mine")
    elif kind == "file":
        target.write_text("mine")
    elif kind == "link":
        target.symlink_to(other)
    before = sorted(str(one) for one in cli.checkout.rglob("*"))
    done = cli("eject", "s", "--to", str(target), "--json")
    assert done.code == 2
    assert json.loads(done.out)["error"]["hint"]
    assert "Traceback" not in done.err
    assert sorted(str(one) for one in cli.checkout.rglob("*")) == before


@pytest.mark.engine
def test_an_empty_folder_is_taken_and_a_failure_leaves_nothing(cli: Cli) -> None:
    cli.template("t")
    cli.stack("s", "template: t\n")
    (cli.checkout / "out").mkdir()
    cli("eject", "s", "--to", "out").ok()
    assert sorted(one.name for one in (cli.checkout / "out").iterdir()) == [
        ".env",
        "NOTES.md",
        "compose.yaml",
    ]
    head = "description: x\nvariables: {pw: {type: secret}}\n"
    cli.template("u", "services: {web: {image: 'busybox:1.35', secrets: [pw]}}\n", head)
    cli.stack("u", "template: u\nvariables: {pw: 'file:/nonexistent/secret'}\n")
    done = cli("eject", "u")
    assert done.code == 2
    assert "/nonexistent/secret" in done.err
    assert not [one.name for one in cli.checkout.iterdir() if "tmp" in one.name or "ejected" in one.name]
