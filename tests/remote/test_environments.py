"""Environments on a remote engine: files, secrets and data are brought there, addresses name that host."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path

import pytest
from far_command import FarCli

from stackctl.core.labels import PREFIX, Stamp

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SHOP = """
template: shop
sidecars:
  cache: {template: redis}
services:
  web: {guard: {patterns: [pytest]}}
"""
TEMPLATE = """
services:
  web:
    image: busybox:1.35
    command: [sh, -c, "sleep 1000"]
"""
PUBLIC = """
compose: ../public.yaml
allow: {web: [public-ports]}
limits: {memory: 64m}
"""
PUBLIC_FILE = """
services:
  web:
    image: busybox:1.35
    command: [sh, -c, "mkdir /w && echo far away > /w/index.html && exec httpd -f -p 80 -h /w"]
    ports: ["0.0.0.0:28080:80"]
    healthcheck: {test: [CMD, wget, -q, -O, /dev/null, "http://127.0.0.1/"], interval: 1s}
"""
GIVEN = """
services:
  web:
    image: busybox:1.35
    command: sh -c 'cat /run/secrets/own /app.conf && exec sleep 1000'
    volumes: [kept:/kept]
    secrets: [own]
    configs: [{source: conf, target: /app.conf}]
secrets: {own: {file: ./own.txt}}
configs: {conf: {file: ./app.conf}}
volumes: {kept: {}}
"""


def test_files_limits_address_and_data_of_a_stack_are_on_that_host(remote: FarCli) -> None:
    up = remote("up", "hello", "--json").ok().data
    port = up["services"]["web"]["addresses"][0]["host_port"]
    machine = remote.far.address

    there = remote.far.files()
    (folder,) = {path.partition("/")[0] for path in there}
    assert there[f"{folder}/files/page.sh"] == "0 444"
    assert there[f"{folder}/data/visits"] == "1000 700"
    assert not (remote.home / "environments" / up["project"] / "data").exists()
    (container,) = up["services"]["web"]["containers"]
    limits = remote.inspect(container)["HostConfig"]
    assert (limits["Memory"], limits["PidsLimit"]) == (64 << 20, 32)  # type: ignore[index]
    hardened = tuple(limits[name] for name in ("CapDrop", "SecurityOpt", "ReadonlyRootfs"))  # type: ignore[index]
    assert hardened == (["ALL"], ["no-new-privileges:true"], True)
    assert up["limits_verified"].startswith("unverified")
    assert up["engine_host"] == remote.far.host
    assert up["services"]["web"]["addresses"][0]["tunnelled"]
    assert up["tunnel"] == f"ssh -N -L {port}:127.0.0.1:{port} {machine}"
    assert "Hello from" in remote.far.run("wget", "-q", "-O", "-", f"http://127.0.0.1:{port}/")

    shown = remote("status", "hello").ok()
    assert re.search(r"iB / 51\.2 MiB / 64 MiB +\d+ / 25 / 32", shown.out)
    assert f"`{up['tunnel']}`" in shown.out
    assert remote("diff", "hello").ok().code == 0
    assert remote("up", "hello", "--json").ok().data["unchanged"]
    assert remote("exec", "-T", "hello", "web", "cat", "/var/visits/count").ok().out.strip() == "."
    assert remote("url", "hello").ok().out.strip() == f"http://127.0.0.1:{port}"


def test_the_other_engine_is_refused_and_both_are_named(remote: FarCli, tmp_path: Path) -> None:
    project = remote("up", "hello", "--json").ok().data["project"]
    (folder,) = {path.partition("/")[0] for path in remote.far.files() if project in path}

    for verb in ("down", "up"):
        done = remote.here(verb, "hello")
        assert done.code == 5, verb
        assert f"was made on the engine at {remote.far.host}" in done.err
        assert "docker.sock is another one" in done.err

    remote("down", "hello").ok()
    for words in (("up", "hello"), ("purge", "hello", "--yes")):
        done = remote.here(*words)
        assert done.code == 5, words
        assert f"the data of `{project}` is on the engine at {remote.far.host}" in done.err
    ejected = remote("eject", "hello", "--to", str(tmp_path / "out"))
    assert ejected.code == 2
    assert "has none of this machine" in ejected.err
    moved = remote("move", "hello", "--instance", "two", "--from", project)
    assert moved.code == 2
    assert "is not moved there" in moved.err
    assert remote.far.files()[f"{folder}/data/visits"] == "1000 700"
    remote("purge", "hello", "--yes").ok()
    assert not [path for path in remote.far.files() if path.startswith(folder)]


def test_a_sidecars_secret_is_brought_and_its_data_survives(remote: FarCli) -> None:
    remote.template("shop", TEMPLATE)
    remote.stack("shop", SHOP)
    up = remote("up", "shop", "--json").ok()
    assert "nobody sweeps by the guard of `web`" in str(json.loads(up.out)["warnings"])
    project = up.data["project"]
    there = remote.far.files()
    assert {owner for path, owner in there.items() if path.endswith("/data/cache")} == {"999 700"}
    assert {owner for path, owner in there.items() if path.endswith("/secrets/cache-password")} == {"0 444"}
    assert not any(path.endswith(".env") for path in there)
    password = (remote.home / "environments" / project / "secrets" / "cache-password").read_text()
    says = ("exec", "-T", "shop", "cache", "redis-cli", "--no-auth-warning", "-a", password)
    assert remote(*says, "set", "kept", "yes").ok().out.strip() == "OK"
    assert f":{password}@cache:6379" in remote("exec", "-T", "shop", "web", "env").ok().out

    remote("down", "shop").ok()
    remote("up", "shop").ok()

    assert remote(*says, "get", "kept").ok().out.strip() == "yes"
    remote("purge", "shop", "--yes").ok()


def test_what_is_published_everywhere_is_reached_by_the_hosts_name(remote: FarCli) -> None:
    remote.write("public.yaml", PUBLIC_FILE)
    remote.stack("public", PUBLIC)

    up = remote("up", "public", "--json").ok().data

    (url,) = up["services"]["web"]["urls"]
    assert url == f"http://{remote.far.address}:28080"
    assert up["tunnel"] == ""
    with urllib.request.urlopen(url, timeout=10) as page:
        assert page.read() == b"far away\n"
    remote.write("public.yaml", f"{PUBLIC_FILE}  broken: {{image: busybox:1.35, command: 'false'}}\n")
    assert remote("up", "public", "--wait-timeout", "20s").code == 1
    with urllib.request.urlopen(url, timeout=10) as page:
        assert page.read() == b"far away\n", "what ran goes on"
    taken = remote("up", "public", "--instance", "two")
    assert taken.code == 5
    assert "port 28080 is taken by the environment `public-" in taken.err


def test_a_compose_files_secrets_are_brought_and_its_working_folder_is_refused(remote: FarCli) -> None:
    remote.write("own.txt", "a secret\n")
    remote.write("app.conf", "a config\n")
    remote.write("compose.yaml", GIVEN)
    remote.write("src/main.py", "")

    remote("up").ok()
    assert remote("logs", "--tail", "5").ok().out.count("a secret") == 1
    assert "a config" in remote("logs").ok().out
    remote("down").ok()

    remote.write("compose.yaml", GIVEN.replace("[kept:/kept]", "[./src:/src]"))
    done = remote("up", "--json")
    assert done.code == 3
    (problem,) = json.loads(done.out)["error"]["problems"]
    assert problem["path"] == "services.web.volumes"
    assert all(word in problem["hint"] for word in ("image", "named volume", "absolute path of that host"))
    assert remote.far.engine.containers({"com.docker.compose.service": "web"}) == ()


def test_an_up_that_was_killed_while_it_brought_files_is_cleaned_up_after(remote: FarCli) -> None:
    killed = remote("up", "hello", STACKCTL_TEST="1", STACKCTL_FAILPOINT="bring#1:before:kill9")
    assert killed.code == -9
    (project,) = (one.name for one in (remote.home / "environments").iterdir())
    record = remote.record(project)
    fields = ("project", "stack", "instance", "generation", "home", "user", "engine")
    labels = Stamp(**{name: record[name] for name in fields}).labels()
    order = {"Image": "busybox:1.35", "Entrypoint": ["-"], "Labels": labels}
    remote.far.engine.create_container("stackctl-bring-left", order)  # what a kill in the midst leaves

    remote("up", "hello").ok()

    names = {one.name for one in remote.far.engine.containers({f"{PREFIX}project": project})}
    assert names == {f"{project}-web-1"}
    remote("purge", "hello", "--yes").ok()
