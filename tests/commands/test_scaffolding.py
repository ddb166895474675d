"""`init`: what it writes into a repository, once, and never over anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from commandline import Cli

ALL = [".gitignore", "stackctl.mk", "stacks/example.yaml"]
COMPOSE = "services:\n  web: {image: 'busybox:1.35', command: [sleep, '60']}\n"


def files(folder: Path) -> dict[str, str]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in found}


def test_it_writes_all_of_it_once(cli: Cli) -> None:
    below = cli.checkout / "deep"
    below.mkdir()
    done = cli("init", cwd=below).ok()
    assert done.out.splitlines() == [f"wrote {cli.checkout / one}" for one in reversed(ALL)][:3]
    assert done.err.splitlines()[-1] == "next: stackctl up example"
    cli("lint", "example").ok()
    cli("make", "--check").ok()
    before = files(cli.checkout)
    assert list(before) == ALL
    again = cli("init").ok()
    assert again.out.splitlines() == [
        "kept stackctl.mk: it is there already",
        "kept .gitignore: it is there already",
        "kept stacks: it has example",
    ]
    assert files(cli.checkout) == before


def test_a_dry_run_writes_nothing_and_says_the_same(cli: Cli) -> None:
    done = cli("init", "--dry-run").ok()
    assert files(cli.checkout) == {}
    assert done.out.replace("would write", "wrote") == cli("init").ok().out


def test_what_is_there_stays(cli: Cli) -> None:
    mine = {".gitignore": "*.pyc", "stackctl.mk": "mine:\n", "stacks/mine.yaml": "template: hello\n"}
    for name, text in mine.items():
        (cli.checkout / name).parent.mkdir(exist_ok=True)
        (cli.checkout / name).write_text(text)
    data = cli("init", "--json").ok().data
    assert data["written"] == [str(cli.checkout / ".gitignore")]
    assert (data["kept"], data["present"]) == ([str(cli.checkout / "stackctl.mk")], ["mine"])
    now = files(cli.checkout)
    assert now.pop(".gitignore").startswith("*.pyc\n\n# stackctl")
    assert now == {name: text for name, text in mine.items() if name != ".gitignore"}


def test_git_ignores_what_it_says(cli: Cli) -> None:
    (cli.checkout / ".git").rmdir()
    subprocess.run(["git", "init", "-q"], cwd=cli.checkout, check=True)
    cli("init").ok()
    for name in ("tasks.jsonl.results.jsonl", ".stackctl/records", "deep/x.results.jsonl"):
        subprocess.run(["git", "check-ignore", "-q", name], cwd=cli.checkout, check=True)


def test_outside_a_repository_it_writes_here_and_nothing_of_git(cli: Cli, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    cli("init", cwd=plain).ok()
    assert list(files(plain)) == ["stackctl.mk", "stacks/example.yaml"]


def test_it_tells_of_a_compose_file(cli: Cli) -> None:
    (cli.checkout / "compose.yaml").write_text(COMPOSE)
    assert "for the compose file here: stackctl new NAME --from compose.yaml\n" in cli("init").ok().err


@pytest.mark.parametrize("place", ["stacks", ".gitignore"])
def test_what_is_in_the_way_is_an_error(cli: Cli, place: str) -> None:
    if place == "stacks":
        (cli.checkout / place).write_text("a file")
    else:
        (cli.checkout / place).mkdir()
    done = cli("init")
    assert (done.code, "hint: move it out of the way" in done.err) == (2, True)


@pytest.mark.slow
@pytest.mark.engine
def test_from_a_compose_file_it_is_the_stack_of_new(cli: Cli) -> None:
    (cli.checkout / "docker-compose.yml").write_text(f"name: shop\n{COMPOSE}")
    done = cli("init", "--from", "docker-compose.yml").ok()
    assert done.out.splitlines()[0] == "wrote stacks/shop.yaml"
    text = (cli.checkout / "stacks" / "shop.yaml").read_text()
    assert "\nSTACK ?= shop\n" in (cli.checkout / "stackctl.mk").read_text()
    again = cli("init", "--from", "docker-compose.yml").ok()
    assert again.out.splitlines()[-1] == "kept stacks: it has shop"
    cli("new", "shop", "--from", "docker-compose.yml", "--force").ok()
    assert (cli.checkout / "stacks" / "shop.yaml").read_text() == text
    assert cli("init", "--from", "nope.yml").code == 2
