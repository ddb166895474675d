"""Every block of the pages is run on the real engine, in order, and prints what the page says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pytest
from blocks_not_run import AFTER, BEFORE, CODES, LINTED, NOT_RUN, PAGES, PAGES_NOT_RUN, SAME, UNTIL
from page_shell import POLICY, Shell
from pages import ROOT, Block, Step, alike, blocks, same, steps

GUIDES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs/guides").glob("*.md"))]


def test_every_page_is_run_or_said_not_to_be() -> None:
    assert sorted([*PAGES, *PAGES_NOT_RUN]) == sorted(GUIDES)
    assert all(PAGES_NOT_RUN.values())


def test_the_tables_speak_of_blocks_that_there_are() -> None:
    for page, begins in (*NOT_RUN, *BEFORE, *SAME, *LINTED):
        assert any(block.name.startswith(begins) for block in blocks(page)), begins


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_written_or_said_not_to_be(page: str) -> None:
    for block in blocks(page):
        run = block.kind in ("sh", "console") or block.file or said_of(block, SAME)
        assert run or said_of(block, NOT_RUN), f"{page}:{block.line}"


def test_what_two_pages_show_is_the_same() -> None:
    (short,) = (block for block in blocks("README.md") if block.name == "$ stackctl why loop")
    (long,) = (block for block in blocks("docs/guides/supervisor.md") if block.name == "$ stackctl why loop")
    assert long.text.startswith(short.text)


@pytest.mark.parametrize(
    ("shown", "printed", "holds"),
    [
        (["web is up (web-025910, 1s)"], ["web is up (web-fffff0, 25s)"], True),
        (["a", "…", "z"], ["a", "b", "c", "z"], True),
        (["a", "…"], ["b"], False),
        (["a … z"], ["a b c z"], True),
        (["  web: healthy", "up"], ["up"], True),
        (["up [x]*"], ["up [x]*"], True),
        (["up [x]*"], ["up x"], False),
        (["5 things"], ["6 things"], False),
        (["20261124T105849Z-over-pids-09c2"], ["20261130T010203Z-over-pids-cd32"], True),
        (["20261124T105849Z-over-pids-09c2"], ["20261130T010203Z-oom-cd32"], False),
        ([], ["more"], False),
    ],
)
def test_what_counts_as_the_same(shown: list[str], printed: list[str], holds: bool) -> None:
    assert same(shown, printed) is holds


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(
    page: str, shell: Shell, acme: None, request: pytest.FixtureRequest
) -> None:
    needed = "".join(text for (one, _), text in BEFORE.items() if one == page)
    for name, fixture in (("SMALL", "small"), ("SERVED", "served_release")):
        if f"${name}" in needed:
            shell.given[name] = str(request.getfixturevalue(fixture))
    wrong: list[str] = []
    try:
        for block in blocks(page):
            if not said_of(block, NOT_RUN):
                wrong += follow(block, shell)
    finally:
        shell(f"cd {shell.cli.checkout} && {AFTER.get(page, ':')}")
    assert not wrong, "\n\n".join(wrong)


def follow(block: Block, shell: Shell) -> list[str]:
    """Do what a block shows; what is wrong with it."""
    if before := said_of(block, BEFORE):
        code, printed = shell(before)
        assert code == 0, printed
    if (services := said_of(block, LINTED, None)) is not None:
        return judge(block, services, shell)
    if block.file:
        write(block, shell)
    elif command := said_of(block, SAME):
        code, printed = shell(command)
        if code or not alike(json.loads(block.text), json.loads("\n".join(printed))):
            return [f"{block.page}:{block.line}: `{command}` prints no such object", *printed]
    elif block.kind in ("sh", "console"):
        return [told for step in steps(block) if (told := run(step, shell))]
    return []


def judge(block: Block, services: str, shell: Shell) -> list[str]:
    """Lint a stack file in a folder of its own; what is wrong with it."""
    apart = shell.folder / "apart"
    path = apart / block.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)
    (apart / "dev.env").write_text("A=1\n")
    (apart / "docker-compose.yml").write_text(f"services:\n  {services or 'web: {image: a}'}\n")
    done = shell.cli("lint", path.stem, cwd=apart)
    return [] if done.code == 0 else [f"{block.page}:{block.line}: {done.out}{done.err}"]


def said_of(block: Block, table: Mapping[tuple[str, str], str], nothing: str | None = "") -> str | None:
    """What a table says of a block, `nothing` where it does not speak of it."""
    found = (
        text
        for (page, begins), text in table.items()
        if (block.page, block.name[: len(begins)]) == (page, begins)
    )
    return next(found, nothing)


def write(block: Block, shell: Shell) -> None:
    """Put a file that the page shows where it says."""
    base = shell.cli.home.parent / "config" / "stackctl" if block.file.startswith("~") else shell.cli.checkout
    path = shell.policy if block.file == POLICY else base / block.file.removeprefix("~/.config/stackctl/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)


def run(step: Step, shell: Shell) -> str:
    """Run a command; what is wrong with what the page says of it, empty for nothing."""
    command = re.sub(r"\s*(#.*)?$", "", shell.own_words(step.command))
    if until := UNTIL.get(command):
        code, printed = shell.stay(command, until)
    else:
        code, printed = shell(shell.own_words(step.command))
    where = f"{step.block.page}:{step.block.line}: $ {step.command}"
    said = "\n".join(printed)
    if step.shown is None:
        wanted = CODES.get(command, 0)
        return "" if code == wanted else f"{where}\nended with {code}\n{said}"
    if same(step.shown, printed):
        shell.learn(step.shown, printed)
        return ""
    shown = "\n".join(step.shown)
    return f"{where}\n--- the page says\n{shown}\n--- it printed\n{said}"
