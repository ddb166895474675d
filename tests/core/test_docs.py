"""The documentation cannot lie: what is generated is current, commands have help, links and examples hold."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import shipped
from stackctl.cli.main import COMMANDS, SECTIONS, stackctl
from stackctl.core.batchfile import parse_batch
from stackctl.core.configuration import parse_configuration, parse_machine_policy
from stackctl.core.render import render_stack
from stackctl.core.stack import TemplateFolder
from stackctl.core.stackfile import parse_stack
from stackctl.core.templatefile import parse_template

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(?:\w+::)?(\w+)`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What a shell reads as the end of a command, or as a substitution around one
AROUND = re.compile(r"&&|\|\||[|;>#]|\$\(|\)\"")
PARSERS = {
    "stacks/": lambda text: parse_stack(text, name="example", source="example.yaml"),
    "template.yaml": lambda text: parse_template(text, name="example", source="template.yaml"),
    "config.yaml": lambda text: parse_configuration(text, source="config.yaml"),
    "tasks.yaml": lambda text: parse_batch(text, source="tasks.yaml", form="yaml"),
    "policy.yaml": lambda text: parse_machine_policy(text, source="policy.yaml"),
}


def test_what_is_generated_is_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "docs.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    command = stackctl.get_command(click.Context(stackctl), name)
    assert command is not None
    assert command.help
    assert COMMANDS[name][1].endswith(".")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name}"


def test_every_command_stands_in_a_section() -> None:
    assert {name for names in SECTIONS.values() for name in names} == set(COMMANDS) - {"ps"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link, anchor in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        target = page.parent / link if link else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), f"{link}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_stand_as_evidence_are_there(page: Path) -> None:
    for file, name in NAMED_TEST.findall(page.read_text()):
        path = ROOT / file
        assert path.is_file(), file
        assert re.search(rf"^(?:async )?def {name}\(|^    def {name}\(", path.read_text(), re.MULTILINE), name


def anchors(page: Path) -> set[str]:
    """The headings of a page as a link names them."""
    return {
        re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
        for heading in HEADING.findall(page.read_text())
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_yaml_examples_can_be_read_by_us(page: Path) -> None:
    """An example begins with a comment that names its file."""
    for text in blocks(page, "yaml"):
        first = next(line for line in text.splitlines() if "yaml-language-server" not in line)
        parsers = [parse for word, parse in PARSERS.items() if word in first]
        assert len(parsers) == 1, f"which file is this? {first}"
        parsers[0](text)


def blocks(page: Path, *kinds: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text()) if kind in kinds]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_shown_can_be_typed(page: Path) -> None:
    """Each `stackctl …` in a shell's block names a command, with options that it has."""
    for words in typed(page):
        name, *arguments = words
        group = click.Context(stackctl, **stackctl.context_settings)
        command = stackctl.get_command(group, name)
        assert command is not None, name
        context = click.Context(command, group, info_name=name, **command.context_settings)
        command.make_parser(context).parse_args(arguments)


def typed(page: Path) -> Iterator[list[str]]:
    lines = "\n".join(blocks(page, "sh")).splitlines()
    lines += [line[2:] for line in "\n".join(blocks(page, "console")).splitlines() if line.startswith("$ ")]
    for line in lines:
        for part in AROUND.split(re.sub(r"'[^']*'", "QUOTED", line)):
            words = part.split()
            if words and words[0].endswith("stackctl") and words[1:]:
                yield words[1:]


def test_commands_shown_are_found() -> None:
    """The test above looks at what it should."""
    found = [" ".join(words) for page in PAGES for words in typed(page)]
    assert "exec myenv db psql -U app -d myenv -c QUOTED" in found
    assert "env myenv" in found
    assert "lint -v hello" in found


def test_the_template_shown_renders() -> None:
    texts = blocks(ROOT / "docs" / "reference" / "template-file.md", "yaml", "text")
    shop, compose, start, search, its_compose = texts
    own = {"template.yaml": shop, "compose.yaml.j2": compose, "files/start.sh": start}
    sidecar = {"template.yaml": search, "compose.yaml.j2": its_compose}
    folders = {
        "shop": TemplateFolder(name="shop", source="shop", files=own),
        "sidecars/search": TemplateFolder(name="sidecars/search", source="search", files=sidecar),
        **shipped.folders(),
    }
    text = "template: shop\nsidecars: {search: search}\n"
    rendered = render_stack(
        parse_stack(text, name="shop", source="shop.yaml"),
        folders=folders,
        macros=shipped.macros(),
        given={"title": "My Shop", "mode": "production"},
        configured={},
    )
    assert "title='My Shop'" in rendered.files["start.sh"]
    assert rendered.document["services"]["web"]["read_only"] is True
    assert rendered.document["services"]["search"]["image"] == "acme/search:2"
    assert rendered.connections == {"web": ("db", "search")}
