"""Reads a page of the documentation as a program: files that it shows, commands, and what they print."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(
    r"(?:# yaml-language-server: .*\n)?"
    r"# ((?:~/\.config/stackctl/|/etc/stackctl/|stacks/|templates/)\S+|(?:docker-)?compose\.ya?ml|tasks\.\w+)"
)
_PROGRESS = re.compile(r"^  [a-z0-9-]+: (?:starting|running|healthy|created|pulled|recreated)")
_DIFFERS = (
    (re.compile(r"\b([a-z0-9-]+?)-[0-9a-f]{6}\b"), r"\1-HASH"),
    (re.compile(r"inst-[0-9a-f]{12}|\b[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"://([^:@/\s]*):[^@\s]+@"), r"://\1:***@"),
    (re.compile(r"(127\.0\.0\.1|host\.docker\.internal):\d+"), r"\1:PORT"),
    (re.compile(r"\b\d{8}T\d{6}Z-([a-z-]+)-[0-9a-f]{4}\b"), r"INCIDENT-\1"),
    (re.compile(r"\d+(?:\.\d+)? (?:B|KiB|MiB|GiB)\b"), "SIZE"),
    (re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d"), "DATE"),
    (re.compile(r"\b(?:less than )?(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+\b"), "TIME"),
    (re.compile(r"(?<=data kept) within TIME"), ""),
    (re.compile(r"\bpid \d+"), "pid N"),
    (re.compile(r"\d+\.\d\d /"), "CPU /"),
    (re.compile(r" \d+ / (\d+ / \d+)"), r" N / \1"),
    (re.compile(r"[ \t]+"), " "),
)
"""What differs from run to run, and what stands for it."""


@dataclass(frozen=True)
class Block:
    """One block of a page.

    Args:
        kind: What follows the backticks.
        line: Where it begins, 1-based.
    """

    page: str
    kind: str
    text: str
    line: int

    @property
    def name(self) -> str:
        """How the tables name it: its first line."""
        return self.text.splitlines()[0]

    @property
    def file(self) -> str:
        """The file that it shows, relative to the checkout, below ~ or in /etc; empty for none."""
        found = _FILE.match(self.text)
        return found[1] if found else ""


@dataclass(frozen=True)
class Step:
    """A command, and what the page says that it prints; None where it says nothing."""

    command: str
    shown: tuple[str, ...] | None
    block: Block


def blocks(page: str) -> list[Block]:
    """Every block of a page, in order."""
    text = (ROOT / page).read_text()
    return [
        Block(page, match[1], match[2], text.count("\n", 0, match.start()) + 1)
        for match in _BLOCK.finditer(text)
    ]


def steps(block: Block) -> Iterator[Step]:
    """The commands of a block, with their output where it is a console."""
    lines = block.text.splitlines()
    if block.kind == "sh":
        for line in block.text.replace("\\\n", "").splitlines():
            if line.strip() and not line.startswith("#"):
                yield Step(line, None, block)
        return
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start in starts:
        shown = takewhile(lambda line: not line.startswith("$ "), lines[start + 1 :])
        yield Step(lines[start][2:], tuple(shown), block)


def normal(lines: Sequence[str]) -> list[str]:
    """Lines without progress, and with a word for each thing that differs from run to run."""
    found = []
    for line in lines:
        if _PROGRESS.match(line) or not line.strip():
            continue
        kept = line.rstrip()
        for pattern, word in _DIFFERS:
            kept = pattern.sub(word, kept)
        found.append(kept)
    return found


def same(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether a page tells the truth; `…` alone stands for any lines, within a line for any text."""
    wanted, actual = normal(shown), normal(printed)
    return _matches(wanted, actual)


def alike(shown: Any, printed: Any) -> bool:
    """Whether an object with the shown one's keys, and values of their kinds, is somewhere in it."""
    if isinstance(printed, list):
        return any(alike(shown, one) for one in printed)
    if not isinstance(printed, dict):
        return False
    found = all(isinstance(printed.get(key), type(value)) for key, value in shown.items())
    return found or any(alike(shown, one) for one in printed.values())


def _matches(wanted: list[str], actual: list[str]) -> bool:
    if not wanted:
        return not actual
    if wanted[0].strip() == "…":
        return any(_matches(wanted[1:], actual[skip:]) for skip in range(len(actual) + 1))
    if not actual or not fnmatchcase(actual[0], _glob(wanted[0])):
        return False
    return _matches(wanted[1:], actual[1:])


def _glob(line: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", line).replace("…", "*")
