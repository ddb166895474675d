"""`templates`, `new`, `init`: what is written works, nothing is overwritten, no engine is needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commandline import Cli

from stackctl.core.errors import UsageError
from stackctl.core.stackfile import parse_stack
from stackctl.ops.authoring import write_new

REQUIRED = """
description: One that needs something
variables:
  image: {type: image, help: What it runs}
  mode: {choices: [fast, slow], default: fast, help: How it runs}
  key: {type: secret}
data: [pictures]
"""


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    return Cli(home=tmp_path / "home", checkout=checkout)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_templates_are_listed_with_where_they_are_from(cli: Cli) -> None:
    cli.template("house", head=REQUIRED)
    found = {one["name"]: one for one in cli("templates", "--json").ok().data}
    names = list(found)
    assert names[:3] == ["hello", "house", "webapp"]
    assert names[3:] == sorted(names[3:])
    assert {"sidecars/postgres", "sidecars/redis"} <= set(names[3:])
    assert found["house"]["from"] == "this checkout"
    assert found["house"]["description"] == "One that needs something"
    assert found["sidecars/postgres"]["from"] == "shipped"
    assert "sidecars/redis" in cli("templates").ok().out


def test_a_users_own_templates_are_found(cli: Cli) -> None:
    folder = cli.home.parent / "config" / "stackctl" / "templates" / "mine"
    folder.mkdir(parents=True)
    (folder / "template.yaml").write_text("description: my own\n")
    found = {one["name"]: one["from"] for one in cli("templates", "--json").ok().data}
    assert found["mine"] == "your configuration"


def test_a_template_is_shown_with_all_that_it_declares(cli: Cli) -> None:
    cli.template("house", head=REQUIRED)
    data = cli("templates", "house", "--json").ok().data
    image, mode, key = data["variables"]
    assert (image["required"], image["type"], image["help"]) == (True, "image", "What it runs")
    assert (mode["required"], mode["default"], mode["choices"]) == (False, "fast", ["fast", "slow"])
    assert (key["required"], key["default"]) == (False, None)
    assert data["data"] == ["pictures"]
    shown = cli("templates", "house").ok().out
    for words in ("(required)", "fast | slow", "(generated)", "What it runs", "data: pictures"):
        assert words in shown


@pytest.mark.parametrize("name", ["sidecars/postgres", "postgres"])
def test_a_sidecar_template_is_shown_with_its_facts(cli: Cli, name: str) -> None:
    data = cli("templates", name, "--json").ok().data
    assert data["name"] == "sidecars/postgres"
    assert data["sidecar"]["data"] == "/var/lib/postgresql/data"
    assert "DATABASE_URL" in cli("templates", name).ok().out


def test_a_template_names_its_sidecars(cli: Cli) -> None:
    assert "sidecars: db (postgres), cache (redis)" in cli("templates", "webapp").ok().out


def test_an_unknown_template_names_the_nearest(cli: Cli) -> None:
    done = cli("templates", "weebapp")
    assert done.code == 2
    assert "hint: there are: webapp" in done.err


def test_a_broken_template_spoils_only_its_own_line(cli: Cli) -> None:
    cli.template("house", head="variables: [1]\n")
    done = cli("templates").ok()
    assert "(broken)" in done.out
    assert "warning:" in done.err
    one = cli("templates", "house")
    assert (one.code, "template.yaml:1" in one.err) == (2, True)


def test_new_writes_a_stack_that_passes_lint(cli: Cli) -> None:
    done = cli("new", "shop", "--template", "webapp", "--set", "db.version=16", "--set", "port=9000").ok()
    assert done.out.strip() == "stacks/shop.yaml"
    assert "next: stackctl up shop" in done.err
    text = (cli.checkout / "stacks" / "shop.yaml").read_text()
    stack = parse_stack(text, name="shop", source="s")
    assert stack.template == "webapp"
    assert stack.variables["port"].value == 9000
    assert stack.sidecars["db"].variables["version"].value == "16"
    cli("lint", "shop").ok()
    assert "postgres:16" in cli("render", "shop").ok().out


@pytest.mark.parametrize("template", ["hello", "webapp"])
def test_every_shipped_template_makes_a_stack(cli: Cli, template: str) -> None:
    cli("new", "mine", "--template", template).ok()
    cli("lint", "mine").ok()


def test_new_goes_to_the_nearest_stacks_folder(cli: Cli) -> None:
    below = cli.checkout / "app" / "src"
    below.mkdir(parents=True)
    cli("new", "one", "--template", "hello", cwd=below).ok()
    assert (below / "stacks" / "one.yaml").is_file()
    (cli.checkout / "app" / "stacks").mkdir()
    (cli.checkout / "stacks").mkdir()
    other = cli.checkout / "app" / "lib"
    other.mkdir()
    done = cli("new", "two", "--template", "hello", "--json", cwd=other).ok()
    assert done.data["path"] == str(cli.checkout / "app" / "stacks" / "two.yaml")


def test_new_never_overwrites(cli: Cli) -> None:
    path = cli.stack("shop", "template: hello # mine\n")
    done = cli("new", "shop", "--template", "hello")
    assert (done.code, path.read_text()) == (2, "template: hello # mine\n")
    assert "--force" in done.err
    assert cli("new", "shop", "--template", "hello", "--force", "--json").ok().data["replaced"] is True
    assert "greeting" in path.read_text()


def test_new_refuses_a_name_that_another_form_of_file_has(cli: Cli) -> None:
    folder = cli.checkout / "stacks" / "shop"
    folder.mkdir(parents=True)
    (folder / "stack.yaml").write_text("template: hello\n")
    done = cli("new", "shop", "--template", "hello", "--force")
    assert (done.code, "is this stack already" in done.err) == (2, True)
    assert not (cli.checkout / "stacks" / "shop.yaml").exists()


def test_new_does_not_follow_a_link(cli: Cli) -> None:
    target = cli.home.parent / "elsewhere.yaml"
    (cli.checkout / "stacks").mkdir()
    (cli.checkout / "stacks" / "shop.yaml").symlink_to(target)
    assert cli("new", "shop", "--template", "hello").code == 2
    assert not target.exists()


def test_a_file_that_came_to_be_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        write_new(path, "new")
    assert path.read_text() == "mine"


def test_new_without_a_template_lists_them(cli: Cli) -> None:
    done = cli("new", "shop")
    assert (done.code, "there are: hello, webapp" in done.err) == (2, True)
    assert cli("new", "shop", "--template", "sidecars/postgres").code == 2
    assert cli("new", "shop", "--template", "helo").err.endswith("hint: there are: hello\n")


def test_new_says_what_a_template_needs(cli: Cli) -> None:
    cli.template("house", head=REQUIRED)
    done = cli("new", "shop", "--template", "house", "--set", "mode=warp", "--set", "nope=1")
    assert done.code == 2
    for words in ("image: needs a value: What it runs", "mode: 'warp' is none of fast, slow", "nope: "):
        assert words in done.err
    assert not (cli.checkout / "stacks").exists()
    cli("new", "shop", "--template", "house", "--set", "image=busybox:1.35").ok()


def test_new_leaves_nothing_when_policy_refuses_the_stack(cli: Cli) -> None:
    cli.template("bad", compose="services: {web: {image: busybox, privileged: true}}\n")
    done = cli("new", "shop", "--template", "bad")
    assert (done.code, "privileged" in done.err) == (3, True)
    assert not (cli.checkout / "stacks").exists()


@pytest.mark.parametrize("name", ["../up", "UP", "a/b", "", "a b"])
def test_new_refuses_names(cli: Cli, name: str) -> None:
    assert cli("new", name, "--template", "hello").code == 2
    assert not (cli.checkout / "stacks").exists()


def test_new_says_which_stack_it_hides(cli: Cli) -> None:
    done = cli("new", "hello", "--template", "hello").ok()
    assert "warning: `hello` now means this file and no longer" in done.err


def test_a_folder_that_cannot_be_written_is_an_error(cli: Cli) -> None:
    (cli.checkout / "stacks").write_text("a file")
    done = cli("new", "shop", "--template", "hello")
    assert (done.code, "stacks` is no folder" in done.err) == (2, True)
    assert cli("init").code == 2


def test_none_of_it_needs_docker_or_a_state_directory(cli: Cli) -> None:
    environment = {"PATH": os.devnull, "STACKCTL_HOME": "/proc/nothing"}
    cli("templates", **environment).ok()
    cli("new", "shop", "--template", "hello", **environment).ok()
    cli("init", **environment).ok()
