"""The shipped stacks, rendered, bounded and run by plain `docker compose`: pages answer, data survives."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from shipped import bounded
from stackctl.core.documents import dump
from stackctl.core.holes import data_hole, find_holes, hole_name, port_hole, user_hole
from templating import NASTY, render

if TYPE_CHECKING:
    from stackctl.core.stack import Rendered

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]

PASSWORD = 'p"w\\d $x%'


GREETING = "x\nPAGE\n$(id) `id` ${STACKCTL_FILES:?} '\" \\ <b>"


class Environment:
    """One stack in a folder of its own, its holes filled by hand."""

    def __init__(self, name: str, folder: Path, given: Mapping[str, str] | None = None) -> None:
        self.project = f"st-{name}-{uuid.uuid4().hex[:8]}"
        self.folder = folder
        self.rendered, one = bounded(name, given)
        self.document = one.document
        # A container's user must get at its secrets and data: the folders above are ours, but not closed
        for part in ("files", "secrets", "data"):
            (folder / part).mkdir()
        for path, text in self.rendered.files.items():
            (folder / "files" / path).write_text(text)
        self.values = self._values()
        self._write_secrets(self.rendered)
        (folder / "compose.yaml").write_text(dump(self.document))
        lines = [f"{key}={value}\n" for key, value in self.values.items()]
        (folder / "placement.env").write_text("".join(lines))

    def _values(self) -> dict[str, str]:
        values = {
            name: f"x-{name.lower()}"
            for name, default in find_holes(self.document).items()
            if default is None
        }
        values |= {
            "STACKCTL_PROJECT": self.project,
            "STACKCTL_FILES": str(self.folder / "files"),
            "STACKCTL_SECRETS": str(self.folder / "secrets"),
            "STACKCTL_SUBNET": free_subnet(),
        }
        for name in values:
            if name.startswith("STACKCTL_PORT_"):
                values[name] = str(free_port())
        for data in self.rendered.data:
            path = self.folder / "data" / data.name
            path.mkdir(mode=0o700)
            user = data.uid if os.geteuid() == 0 else os.geteuid()
            if os.geteuid() == 0:
                os.chown(path, user, user)
            values[hole_name(data_hole(data.name))] = str(path)
            values[hole_name(user_hole(data.name))] = f"{user}:{user}"
        return values

    def _write_secrets(self, rendered: Rendered) -> None:
        for secret in rendered.secrets:
            (self.folder / "secrets" / secret.name).write_text(PASSWORD)
        for service, sidecars in rendered.connections.items():
            plans = [plan for plan in rendered.sidecars if plan.name in sidecars]
            lines = [f"{plan.env}='{fill(plan.url, plan.name, plan.port)}'\n" for plan in plans]
            (self.folder / "secrets" / f"{service}.env").write_text("".join(lines))

    def compose(self, *words: str) -> str:
        argv = ["docker", "compose", "-p", self.project, "-f", str(self.folder / "compose.yaml")]
        argv += [
            "--project-directory",
            str(self.folder),
            "--env-file",
            str(self.folder / "placement.env"),
            *words,
        ]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr + self.logs()
        return done.stdout

    def logs(self) -> str:
        argv = ["docker", "compose", "-p", self.project, "logs", "--no-color", "--tail", "30"]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60).stdout

    def get(self, service: str, port: int, path: str = "/") -> str:
        number = self.values[hole_name(port_hole(service, port))]
        with urllib.request.urlopen(f"http://127.0.0.1:{number}{path}", timeout=5) as answer:
            return str(answer.read().decode())


def fill(url: str, host: str, port: int) -> str:
    return re.sub(r"\{secret:[^}]*\}", quote(PASSWORD, safe=""), url.replace("{host}", host)).replace(
        "{port}", str(port)
    )


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def free_subnet() -> str:
    return f"10.{uuid.uuid4().int % 40 + 170}.{uuid.uuid4().int % 256}.0/26"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Environment]]:
    started: list[Environment] = []

    def run(name: str, given: Mapping[str, str] | None = None) -> Environment:
        environment = Environment(name, tmp_path_factory.mktemp(name), given)
        started.append(environment)
        environment.compose("up", "-d", "--wait")
        return environment

    yield run
    for one in started:
        one.compose("down", "--timeout", "5")


@pytest.fixture(scope="module")
def myenv(start: Callable[..., Environment]) -> Environment:
    return start("myenv")


SERVICE = """\
  s{number}:
    image: busybox:1.35
    environment: {{A: '{{{{ v{number} }}}}'}}
    command: [sh, '{{{{ v{number} }}}}']
    labels: {{a: 'x{{{{ v{number} }}}}y'}}
"""


def test_compose_reads_every_value_back(tmp_path: Path) -> None:
    numbered = {f"v{number}": value for number, value in enumerate(NASTY)}
    text = "services:\n" + "".join(SERVICE.format(number=number) for number in range(len(NASTY)))
    made = render(text, {name: {"type": "string"} for name in numbered}, numbered)
    (tmp_path / "compose.yaml").write_text(dump(made.document))
    argv = [
        "docker",
        "compose",
        "-p",
        "x",
        "-f",
        str(tmp_path / "compose.yaml"),
        "config",
        "--format",
        "json",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    for number, value in enumerate(NASTY):
        one = services[f"s{number}"]
        back = (one["environment"]["A"], one["command"][1], one["labels"]["a"])
        # `config` writes what could be run again, so a plain dollar sign is doubled in it
        assert tuple(text.replace("$$", "$") for text in back) == (value, value, f"x{value}y")


def test_hello_shows_its_own_limits_and_keeps_counting(start: Callable[..., Environment]) -> None:
    hello = start("hello", {"greeting": GREETING})
    page = hello.get("web", 8080)
    assert 'id="pids">32<' in page
    assert 'id="memory">64 MiB<' in page
    assert 'id="cpus">0.5<' in page
    assert 'id="visits">1<' in page
    assert f"<h1>{escape(GREETING)}</h1>" in page
    hello.compose("down")
    hello.compose("up", "-d", "--wait")
    assert 'id="visits">2<' in hello.get("web", 8080)


def test_myenv_reaches_its_sidecars_and_keeps_a_row(myenv: Environment) -> None:
    body = json.loads(myenv.get("proxy", 8080))
    assert body["DATABASE_URL"] == {"set": True, "answers": True}
    assert body["REDIS_URL"] == {"set": True, "answers": True}

    def sql(text: str) -> str:
        return myenv.compose("exec", "-T", "db", "psql", "-U", "app", "-d", "myenv", "-Atc", text).strip()

    def redis(*words: str) -> str:
        shell = 'REDISCLI_AUTH="$(cat /run/secrets/cache-password)" exec redis-cli "$@"'
        return myenv.compose("exec", "-T", "cache", "sh", "-c", shell, "sh", *words).strip()

    sql("create table kept (note text); insert into kept values ('a row that stays')")
    assert redis("set", "kept", "a key that stays") == "OK"
    myenv.compose("down")
    myenv.compose("up", "-d", "--wait")
    assert sql("select note from kept") == "a row that stays"
    assert redis("get", "kept") == "a key that stays"


def test_the_password_is_needed_and_stands_nowhere(myenv: Environment) -> None:
    refused = myenv.compose("exec", "-T", "cache", "redis-cli", "get", "kept")
    assert "NOAUTH" in refused
    by_url = "python3 -c 'import os, sys; sys.stdout.write(os.environ[\"DATABASE_URL\"])'"
    url = myenv.compose("exec", "-T", "web", "sh", "-c", by_url)
    assert url == f"postgres://app:{quote(PASSWORD, safe='')}@db:5432/myenv"
    ids = myenv.compose("ps", "-q").split()
    told = subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True, check=True).stdout
    named = {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in json.loads(told)}
    # The one exception: the URL in the environment of the services that connect
    assert "DATABASE_URL" in json.dumps(named.pop("web"))
    assert PASSWORD not in told
    assert quote(PASSWORD, safe="") not in json.dumps(named)
    processes = myenv.compose("top")
    assert PASSWORD.split(maxsplit=1)[0] not in processes


def test_no_service_is_root_or_holds_a_capability(myenv: Environment) -> None:
    for service in myenv.document["services"]:
        status = myenv.compose("exec", "-T", service, "cat", "/proc/1/status")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert "0" not in fields["Uid"].split(), service
        assert int(fields["CapBnd"], 16) == 0, service
        assert fields["NoNewPrivs"] == "1", service
