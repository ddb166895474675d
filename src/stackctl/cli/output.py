"""What is printed, and where: data on stdout, everything else on stderr, or one JSON envelope for both."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from stackctl.core.errors import StackctlError

ENVELOPE = 1


class ReaderGone(Exception):
    """Nobody reads our output any more; click would make an exit of its own of the error that says so."""


VALUED = ("--home", "--context")
"""The shared options whose value is a word of its own."""


@dataclass(slots=True, kw_only=True)
class Output:
    """How one command talks.

    Args:
        json: One envelope on stdout instead of text.
        verbosity: -1 errors and data only, 0 normal, 1 each step.
        color: False for NO_COLOR, `--no-color` or a dumb terminal.
    """

    json: bool = False
    verbosity: int = 0
    color: bool = True
    home: str | None = None
    command: str = "stackctl"
    warnings: list[str] = field(default_factory=list)
    envelope: dict[str, Any] = field(default_factory=dict)
    before_printing: Callable[[], None] | None = None

    @classmethod
    def from_arguments(cls, arguments: Sequence[str], environ: Mapping[str, str]) -> Output:
        """Read ahead what errors need to know before click has parsed the line."""
        before = list(arguments)
        if "--" in before:
            before = before[: before.index("--")]
        color = "NO_COLOR" not in environ and environ.get("TERM") != "dumb"
        words = (two for two in zip(before, ["", *before], strict=False) if not two[0].startswith("-"))
        command = next((word for word, earlier in words if earlier not in VALUED), "stackctl")
        return cls(json="--json" in before, color=color, command=command)

    @property
    def interactive(self) -> bool:
        """True when a person looks at stderr."""
        return sys.stderr.isatty() and not self.json and self.verbosity >= 0

    def line(self, text: str = "") -> None:
        """A line of data."""
        if not self.json:
            self._echo(text)

    def note(self, text: str) -> None:
        """A line for the person, not for programs; silent with `-q`."""
        if not self.json and self.verbosity >= 0:
            self._echo(text, err=True)

    def warn(self, text: str) -> None:
        """Something that the user must see although the command goes on."""
        if text in self.warnings:
            return
        self.warnings.append(text)
        if not self.json and self.verbosity >= 0:
            self._echo(f"{self._painted('warning:', 'yellow')} {text}", err=True)

    def result(self, data: Any, *, ok: bool = True) -> None:
        """What the envelope of this command carries; it is printed by `finish`, with every warning."""
        self.envelope = {"ok": ok, "data": data}

    def finish(self) -> None:
        """Print the envelope when `--json` was asked for."""
        if self.json and self.envelope:
            self._envelope(**self.envelope, warnings=self.warnings)

    def error(self, error: StackctlError, code: int) -> None:
        """What happened, where, and what to do next."""
        if self.json:
            self._envelope(ok=False, error=_error_data(error, code), warnings=self.warnings)
            return
        self._echo(f"{self._painted('error:', 'red')} {error.message}", err=True)
        for problem in error.problems:
            if str(problem) != error.message:
                self._echo(f"  {problem}", err=True)
        for detail in error.details:
            self._echo(detail, err=True)
        for hint in error.hints:
            self._echo(f"{self._painted('hint:', 'cyan')} {hint}", err=True)

    def bug(self, message: str, trace: str, report: str, code: int) -> None:
        """A mistake of ours: the traceback, and where to report it."""
        if self.json:
            error = {"kind": "bug", "exit_code": code, "message": message, "hint": report, "traceback": trace}
            self._envelope(ok=False, error=error, warnings=self.warnings)
            return
        self._echo(trace.rstrip(), err=True)
        self._echo(f"error: {message}\nhint: {report}", err=True)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table of data: drawn for a terminal, plain columns without padding at their end for a pipe."""
        if self.before_printing is not None:
            self.before_printing()
        if not sys.stdout.isatty():
            self._columns([headings, *rows])
            return
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
        for heading in headings:
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self._console().print(table)

    def _columns(self, rows: Sequence[Sequence[str]]) -> None:
        """Rich takes longer to import than `list` to run; a pipe needs none of it."""
        lines = [line for row in rows for line in zip_longest(*map(str.splitlines, row), fillvalue="")]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            cells = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
            self._echo("  ".join(cells).rstrip())

    def _console(self) -> Console:
        from rich.console import Console

        return Console(no_color=not self.color, highlight=False, markup=False, emoji=False)

    def _envelope(self, **content: Any) -> None:
        envelope = {"version": ENVELOPE, "command": self.command, **content}
        self._echo(json.dumps(envelope, indent=2, sort_keys=False, default=str))

    def _echo(self, text: str, *, err: bool = False) -> None:
        """Print through click, which copes with odd encodings, after a live line was taken away."""
        import click

        if self.before_printing is not None:
            self.before_printing()
        click.echo(text, err=err)

    def _painted(self, text: str, color: str) -> str:
        import click

        return click.style(text, fg=color, bold=True) if self.color and sys.stderr.isatty() else text


def describe(error: BaseException) -> str:
    """One line for an error of any kind."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _error_data(error: StackctlError, code: int) -> dict[str, Any]:
    return {
        "kind": type(error).__name__,
        "exit_code": code,
        "message": error.message,
        "hint": error.hint or next(iter(error.hints), ""),
        "problems": [
            {
                "path": problem.path,
                "message": problem.message,
                "hint": problem.hint,
                "source": problem.source,
                "line": problem.line,
                "service": problem.service,
                "allow": problem.word,
            }
            for problem in error.problems
        ],
        "details": list(error.details),
    }
