"""A shell for a page: what a command changes of it, the next one finds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from commandline import Cli

DEADLINE_S = 150
_PROJECT = re.compile(r"\b[a-z0-9-]+?-[0-9a-f]{6}\b")


@dataclass
class Shell:
    """One bash for a page: what a command changes of it, the next one finds."""

    cli: Cli
    folder: Path

    last: int = 0
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.program("stackctl", f'exec "{sys.executable}" -m stackctl "$@"')
        self.program("pytest", "echo 1 passed")
        self.kept = self.folder / "kept"
        self.kept.write_text(f"cd {self.cli.checkout}\n")

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def __call__(self, command: str) -> tuple[int, list[str]]:
        """Run a line; its exit code, and what it printed on both streams, in order."""
        script = (
            f". {self.kept}\n(exit {self.last})\n{command}\ncode=$?\n"
            f"{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > {self.kept}.new\n"
            f"mv {self.kept}.new {self.kept}\n"
            "exit $code\n"
        )
        env = self.cli.environment(
            PATH=f"{self.bin}:{os.environ['PATH']}", HOME=str(self.folder), STACKCTL_SUPERVISOR="auto"
        )
        done = subprocess.run(
            ["bash", "-c", script],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        self.last = done.returncode
        return done.returncode, done.stdout.splitlines()

    def learn(self, shown: Sequence[str], printed: Sequence[str]) -> None:
        """Remember which project of ours a project of the page is."""
        theirs, ours = (_PROJECT.findall("\n".join(lines)) for lines in (shown, printed))
        if len(theirs) == len(ours):
            self.names.update(zip(theirs, ours, strict=True))

    def own_words(self, command: str) -> str:
        """A command with our projects for the page's."""
        return _PROJECT.sub(lambda match: self.names.get(match[0], match[0]), command)
