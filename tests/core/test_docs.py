"""The documentation cannot lie: what is generated is current, commands have help, links and examples hold."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from stackctl.cli.main import COMMANDS, SECTIONS, stackctl
from stackctl.core.configuration import parse_configuration, parse_machine_policy
from stackctl.core.stackfile import parse_stack
from stackctl.core.templatefile import parse_template

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
PARSERS = {
    "stacks/": lambda text: parse_stack(text, name="example", source="example.yaml"),
    "template.yaml": lambda text: parse_template(text, name="example", source="template.yaml"),
    "config.yaml": lambda text: parse_configuration(text, source="config.yaml"),
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
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_yaml_examples_can_be_read_by_us(page: Path) -> None:
    """An example begins with a comment that names its file."""
    for text in BLOCK.findall(page.read_text()):
        first = text.splitlines()[0]
        parsers = [parse for word, parse in PARSERS.items() if word in first]
        assert len(parsers) == 1, f"which file is this? {first}"
        parsers[0](text)
