"""Every block of the pages is run on the real engine, in order, and prints what the page says."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from blocks_not_run import BEFORE, CODES, NOT_RUN, PAGES, PAGES_NOT_RUN
from page_shell import Shell
from pages import ROOT, Block, Step, blocks, same, steps

GUIDES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs/guides").glob("*.md"))]


def test_every_page_is_run_or_said_not_to_be() -> None:
    assert sorted([*PAGES, *PAGES_NOT_RUN]) == sorted(GUIDES)
    assert all(PAGES_NOT_RUN.values())


def test_the_tables_speak_of_blocks_that_there_are() -> None:
    for page, begins in (*NOT_RUN, *BEFORE):
        assert any(block.name.startswith(begins) for block in blocks(page)), begins


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
        ([], ["more"], False),
    ],
)
def test_what_counts_as_the_same(shown: list[str], printed: list[str], holds: bool) -> None:
    assert same(shown, printed) is holds


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page: str, shell: Shell, acme: None) -> None:
    wrong: list[str] = []
    for block in blocks(page):
        if said_of(block, NOT_RUN):
            continue
        if block.file:
            write(block, shell)
        elif block.kind in ("sh", "console"):
            if before := said_of(block, BEFORE):
                code, printed = shell(before)
                assert code == 0, printed
            wrong += (told for step in steps(block) if (told := run(step, shell)))
    assert not wrong, "\n\n".join(wrong)


def said_of(block: Block, table: Mapping[tuple[str, str], str]) -> str:
    """What a table says of a block, empty for nothing."""
    found = (
        text
        for (page, begins), text in table.items()
        if (block.page, block.name[: len(begins)]) == (page, begins)
    )
    return next(found, "")


def write(block: Block, shell: Shell) -> None:
    """Put a file that the page shows where it says."""
    base = shell.cli.home.parent / "config" / "stackctl" if block.file.startswith("~") else shell.cli.checkout
    path = base / block.file.removeprefix("~/.config/stackctl/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)


def run(step: Step, shell: Shell) -> str:
    """Run a command; what is wrong with what the page says of it, empty for nothing."""
    code, printed = shell(shell.own_words(step.command))
    where = f"{step.block.page}:{step.block.line}: $ {step.command}"
    said = "\n".join(printed)
    if step.shown is None:
        wanted = CODES.get(re.sub(r"\s*(#.*)?$", "", step.command), 0)
        return "" if code == wanted else f"{where}\nended with {code}\n{said}"
    if same(step.shown, printed):
        shell.learn(step.shown, printed)
        return ""
    shown = "\n".join(step.shown)
    return f"{where}\n--- the page says\n{shown}\n--- it printed\n{said}"
