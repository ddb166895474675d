"""`lock` on the real engine and a real registry: what is locked runs, whatever the registry says later."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from commandline import Cli, Done
from shelf import Shelf, docker, open_shelf

NOWHERE = "unix:///nonexistent/docker.sock"
SLEEPER = "command: [sh, -c, \"trap 'exit 0' TERM; while :; do sleep 1 & wait; done\"]"
STACK = """
compose: ../docker-compose.yml
"""
FILE = f"""
include: [more.yml]
services:
  web:
    image: "busybox:${{TAG:-1.35}}"
    environment:
      WORD: "${{WORD:-none}}"
      DB_PASSWORD: "${{DB_PASSWORD:-}}"
      SAID: "it-${{DB_PASSWORD:-}}"
      AT: "${{DB_URL:-}}"
    {SLEEPER}
"""
MORE = f"""
services:
  more: {{image: "busybox:1.35", env_file: more.env, {SLEEPER}}}
"""


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    """A registry of this test's own."""
    with open_shelf() as found:
        yield found


@pytest.fixture
def shop(cli: Cli) -> Path:
    """A checkout with a stack `shop` of compose files, and its variables; the lock's path."""
    return furnish(cli.checkout)


def furnish(checkout: Path) -> Path:
    (checkout / "stacks").mkdir(parents=True)
    (checkout / "stacks" / "shop.yaml").write_text(STACK)
    (checkout / "docker-compose.yml").write_text(FILE)
    (checkout / "more.yml").write_text(MORE)
    (checkout / "more.env").write_text("MORE=1\nMORE_TOKEN=t\n")
    (checkout / ".env").write_text("WORD=hello\nDB_PASSWORD=weak\nDB_URL=db://me:weak@h/x\n")
    return checkout / "stacks" / "shop.lock.yaml"


def stale(done: Done) -> set[str]:
    """What `lock --check --json` found, as `kind name`."""
    assert done.code == 1, done.out + done.err
    return {f"{one['kind']} {one['name']}" for one in done.data["stale"]}


@pytest.mark.engine
def test_a_lock_has_digests_and_hashes_and_a_second_one_is_the_same_bytes(cli: Cli, shop: Path) -> None:
    first = cli("lock", "shop", "--json").ok().data
    assert first["written"] is True
    assert first["lock"] == "stacks/shop.lock.yaml"
    text = shop.read_bytes()
    found = yaml.safe_load(text)
    (digest,) = {one["digest"] for one in found["images"].values()}
    assert f"busybox@{digest}" in docker("image", "inspect", "-f", "{{.RepoDigests}}", "busybox:1.35")
    assert set(found["files"]) == {
        "docker-compose.yml",
        "more.env",
        "more.yml",
        "stacks/shop.yaml",
    }
    assert set(found["variables"]) == {"WORD", "DB_URL"}
    assert found["secrets"] == ["DB_PASSWORD"]
    assert text.startswith(b"# The lock of shop.yaml")

    again = cli("lock", "shop").ok()
    assert "nothing has changed" in again.out
    assert shop.read_bytes() == text
    assert cli("lock", "shop", "--json").ok().data["asked"] == []
    assert "holds" in cli("lock", "shop", "--check").ok().out
    assert shop.stat().st_mode & 0o777 == 0o644


@pytest.mark.engine
def test_what_is_locked_runs_by_digest_and_nothing_seems_changed(cli: Cli, shop: Path) -> None:
    assert "busybox:1.35\n" in cli("render", "shop").ok().out
    cli("lock", "shop").ok()
    (digest,) = {one["digest"] for one in yaml.safe_load(shop.read_text())["images"].values()}
    rendered = cli("render", "shop").ok().out
    assert rendered.count(f"image: busybox:1.35@{digest}\n") == 2

    project = cli("up", "shop", "--frozen", "--json").ok().data["project"]
    assert {one.image for one in cli.containers(project)} == {f"busybox:1.35@{digest}"}
    assert cli("diff", "shop").ok().out.splitlines() == ["keep more", "keep web"]
    assert "unchanged" in cli("up", "shop", "--frozen").ok().out
    names = docker("ps", "--filter", f"label=stackctl.project={project}", "--format", "{{.Image}}")
    assert names.split() == ["busybox:1.35", "busybox:1.35"]


@pytest.mark.slow
@pytest.mark.engine
def test_a_registry_that_moved_changes_nothing_until_it_is_asked(shelf: Shelf, cli: Cli) -> None:
    cli.template("t", f"services:\n  web: {{image: '{shelf.tag}', {SLEEPER}}}\n")
    cli.stack("s", "template: t\n")
    first = shelf.put("first")
    cli("lock", "s").ok()
    second = shelf.put("second")
    assert first != second

    cli("up", "s", "--frozen").ok()  # the engine has neither: it pulls by digest
    assert cli("exec", "s", "web", "cat", "/word").ok().out == "first\n"
    cli("lock", "s").ok()
    assert cli("lock", "s", "--check").code == 0
    cli("up", "s", "--pull").ok()
    assert cli("exec", "s", "web", "cat", "/word").ok().out == "first\n"

    asked = cli("lock", "s", "--update", shelf.repository, "--json").ok().data
    assert asked["images"][shelf.tag] == {"digest": second, "from": "registry"}
    assert cli("diff", "s").code == 1
    cli("up", "s", "--frozen").ok()
    assert cli("exec", "s", "web", "cat", "/word").ok().out == "second\n"


@pytest.mark.slow
@pytest.mark.engine
def test_update_asks_for_what_it_names_alone(shelf: Shelf, cli: Cli) -> None:
    shelf.put("one")
    compose = f"services:\n  web: {{image: '{shelf.tag}'}}\n  other: {{image: 'busybox:1.35'}}\n"
    cli.template("t", compose)
    path = cli.stack("s", "template: t\n").with_suffix(".lock.yaml")
    cli("lock", "s").ok()
    old = yaml.safe_load(path.read_text())["images"]
    shelf.put("two")

    for word in ("busybox:1.35", "busybox"):
        assert cli("lock", "s", "--update", word, "--json").ok().data["asked"] == ["busybox:1.35"]
        assert yaml.safe_load(path.read_text())["images"] == old
    unknown = cli("lock", "s", "--update", "busybax")
    assert unknown.code == 2
    assert "no image `busybax`" in unknown.err
    assert "busybox:1.35" in unknown.err
    assert set(cli("lock", "s", "--update", "--json").ok().data["asked"]) == {shelf.tag, "busybox:1.35"}
    assert yaml.safe_load(path.read_text())["images"] != old


@pytest.mark.slow
@pytest.mark.engine
def test_the_engine_knows_a_digest_that_its_registry_lost(shelf: Shelf, cli: Cli) -> None:
    digest = shelf.put("first")
    cli.template("t", f"services:\n  web: {{image: '{shelf.tag}'}}\n")
    cli.stack("s", "template: t\n")
    docker("pull", "-q", shelf.tag)
    shelf.tags.clear()
    done = cli("lock", "s", "--json").ok()
    assert done.data["images"] == {shelf.tag: {"digest": digest, "from": "engine"}}
    (warning,) = json.loads(done.out)["warnings"]
    assert "the engine's own" in warning

    shelf.clear()
    cli("lock", "s").ok()  # what stands in the lock is not asked for
    neither = cli("lock", "s", "--update")
    assert neither.code == 5
    assert "has no digest" in neither.err


@pytest.mark.slow
@pytest.mark.engine
def test_a_registry_that_is_not_there_leaves_no_half_lock(cli: Cli) -> None:
    compose = "services:\n" + "".join(
        f"  s{number}: {{image: '{image}'}}\n"
        for number, image in enumerate(("busybox:1.35", "127.0.0.1:9/none:1", "127.0.0.1:9/none:2"))
    )
    cli.template("t", compose)
    path = cli.stack("s", "template: t\n").with_suffix(".lock.yaml")
    done = cli("lock", "s")
    assert done.code == 5
    assert "2 images have no digest" in done.err
    assert "127.0.0.1:9/none:2" in done.err
    assert "hint: pull or push it" in done.err
    assert not path.exists()

    cli.template("t", "services:\n  s0: {image: 'busybox:1.35'}\n")
    cli("lock", "s").ok()
    text = path.read_bytes()
    cli.template("t", compose)
    assert cli("lock", "s").code == 5
    assert path.read_bytes() == text
    assert sorted(one.name for one in path.parent.iterdir()) == ["s.lock.yaml", "s.yaml"]


@pytest.mark.slow
@pytest.mark.engine
def test_each_stale_thing_is_named_and_up_goes_on_with_what_is_pinned(cli: Cli, shop: Path) -> None:
    missing = cli("lock", "shop", "--check", "--json")
    assert (missing.code, missing.data["missing"]) == (1, True)
    frozen = cli("up", "shop", "--frozen")
    assert frozen.code == 3
    assert "stacks/shop.lock.yaml is missing" in frozen.err
    assert "`stackctl lock shop`" in frozen.err

    cli("lock", "shop").ok()
    text = shop.read_text()
    (cli.checkout / ".env").write_text("WORD=other\nDB_PASSWORD=weak\nDB_URL=db://me:weak@h/x\n")
    assert stale(cli("lock", "shop", "--check", "--json")) == {"variable WORD"}
    cli("lock", "shop", "--check", WORD="hello").ok()  # Compose has it so: the shell before `.env`
    (cli.checkout / "more.env").write_text("MORE=2\n")
    (cli.checkout / "more.yml").write_text(MORE.replace("1.35", "1.35.0"))
    found = cli("lock", "shop", "--check", "--json", TAG="latest")
    assert stale(found) == {
        *("image busybox:1.35", "image busybox:1.35.0", "image busybox:latest", "variable TAG"),
        *("file more.env", "file more.yml", "variable WORD"),
    }
    (cli.checkout / "more.yml").write_text(MORE)

    frozen = cli("up", "shop", "--frozen")
    assert frozen.code == 3
    assert "the file more.env has changed" in frozen.err
    assert "the variable `WORD` has another value" in frozen.err
    assert cli.containers() == ()
    up = cli("up", "shop").ok()
    assert "stacks/shop.lock.yaml is stale" in up.err
    assert "`WORD` has another value" in up.err
    assert all("@sha256:" in one.image for one in cli.containers())
    assert shop.read_text() == text  # only `lock` writes it
    cli("lock", "shop").ok()
    cli("up", "shop", "--frozen").ok()


@pytest.mark.engine
def test_limits_make_another_document_and_a_lock_of_it_is_stale(cli: Cli, shop: Path) -> None:
    cli("lock", "shop").ok()
    done = cli("up", "shop", "--frozen", "--limit", "memory=32m")
    assert done.code == 3
    assert "the document comes out differently: limits" in done.err


@pytest.mark.slow
@pytest.mark.engine
def test_a_secret_is_in_a_lock_by_its_name_alone(cli: Cli, shop: Path) -> None:
    cli("lock", "shop").ok()
    text = shop.read_bytes()
    (cli.checkout / ".env").write_text("WORD=hello\nDB_PASSWORD=another\nDB_URL=db://me:another@h/x\n")
    (cli.checkout / "more.env").write_text("MORE=1\nMORE_TOKEN=another\n")
    assert "another" in cli("render", "shop").ok().out
    cli("lock", "shop", "--check").ok()
    assert "nothing has changed" in cli("lock", "shop").ok().out
    assert shop.read_bytes() == text


@pytest.mark.slow
@pytest.mark.engine
def test_two_machines_with_one_lock_run_the_same_bytes(cli: Cli, shop: Path, tmp_path: Path) -> None:
    cli("lock", "shop").ok()
    other = Cli(home=tmp_path / "elsewhere" / "home", checkout=tmp_path / "elsewhere" / "renamed")
    shutil.copytree(cli.checkout, other.checkout)
    try:
        other("lock", "shop", "--check").ok()
        (other.checkout / ".env").rename(other.checkout / "unread")
        other("lock", "shop", "--check", WORD="hello", DB_PASSWORD="another one", DB_URL="db://y:z@h/x").ok()
        assert "variable WORD" in stale(other("lock", "shop", "--check", "--json"))
        (other.checkout / "unread").rename(other.checkout / ".env")
        assert other("render", "shop").ok().out == cli("render", "shop").ok().out
        cli("up", "shop", "--frozen").ok()
        other("up", "shop", "--frozen").ok()
        here, there = ({one.image_id for one in each.containers()} for each in (cli, other))
        assert here == there != set()
        assert "nothing has changed" in other("lock", "shop").ok().out
    finally:
        other.end_all()


@pytest.mark.slow
@pytest.mark.engine
def test_compose_files_without_a_stack_file_have_a_lock_beside_them(
    cli: Cli, shop: Path, tmp_path: Path
) -> None:
    shutil.rmtree(shop.parent)
    path = cli.checkout / "docker-compose.lock.yaml"
    done = cli("lock").ok()
    assert "wrote docker-compose.lock.yaml" in done.out
    assert "of: docker-compose.yml" in path.read_text()
    cli("lock", "--update", "busybox:1.35").ok()
    cli("lock", "-f", "docker-compose.yml", "--update", "busybox").ok()
    cli("up", "--frozen").ok()
    assert all("@sha256:" in one.image for one in cli.containers())
    cli("lock", "checkout", "--check").ok()
    (cli.checkout / "third.yml").write_text("services: {web: {environment: {THIRD: '3'}}}\n")
    words = ("lock", "-f", "docker-compose.yml", "-f", "third.yml", "--check", "--json")
    assert stale(cli(*words)) == {"file third.yml"}
    other = Cli(home=tmp_path / "home2", checkout=tmp_path / "called-otherwise")
    shutil.copytree(cli.checkout, other.checkout)
    other("lock", "--check").ok()


@pytest.mark.engine
def test_what_is_built_here_is_known_by_its_build_section(cli: Cli) -> None:
    (cli.checkout / "compose.yaml").write_text(
        "services:\n  web: {image: mine, build: {context: ., args: {A: '1'}}}\n  db: {image: 'redis:7.0'}\n"
    )
    (cli.checkout / "Dockerfile").write_text("FROM busybox:1.35\n")
    done = cli("lock", "--json").ok().data
    assert set(done["built"]) == {"web"}
    assert set(done["images"]) == {"redis:7.0"}
    text = (cli.checkout / "compose.yaml").read_text()
    (cli.checkout / "compose.yaml").write_text(text.replace("'1'", "'2'"))
    assert stale(cli("lock", "--check", "--json")) == {"build web", "file compose.yaml"}


def bare(cli: Cli) -> Path:
    cli.template("t")
    return cli.stack("s", "template: t\n").with_suffix(".lock.yaml")


@pytest.mark.parametrize("words", [("lock", "s"), ("lock", "s", "--check"), ("render", "s"), ("up", "s")])
@pytest.mark.parametrize("kind", ["folder", "loop", "dangling", "pipe", "damaged", "binary", "large"])
def test_a_lock_that_cannot_be_read_is_an_error_of_its_own(
    tmp_path: Path, kind: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "checkout" / ".git").mkdir(parents=True)
    cli = Cli(home=tmp_path / "home", checkout=tmp_path / "checkout")
    path = bare(cli)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind in ("loop", "dangling"):
        path.symlink_to(path.name if kind == "loop" else "nothing")
    else:
        path.write_bytes({"damaged": b"a: [", "binary": b"\xff\xfe\0", "large": b"#" * (3 << 20)}[kind])
    done = cli(*words, timeout=25, DOCKER_HOST=NOWHERE)
    assert done.code == 2, done.err
    assert "stacks/s.lock.yaml" in done.err
    assert "hint: " in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


@pytest.mark.engine
def test_the_lock_of_another_stack_is_refused(cli: Cli) -> None:
    path = bare(cli)
    cli("lock", "s").ok()
    cli.stack("other", "template: t\n")
    shutil.copy(path, path.with_name("other.lock.yaml"))
    for words in (("up", "other"), ("lock", "other"), ("render", "other")):
        done = cli(*words)
        assert done.code == 2
        assert "is the lock of s.yaml, not of other.yaml" in done.err
    assert "other.lock" not in cli("list", "--stacks").ok().out
