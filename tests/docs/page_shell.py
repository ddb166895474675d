"""A shell for a page: what a command changes of it, the next one finds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from commandline import Cli
from pages import ROOT

DEADLINE_S = 150
POLICY = "/etc/stackctl/policy.yaml"
_PROJECT = re.compile(r"\b[a-z0-9-]+?-[0-9a-f]{6}\b")


@dataclass
class Shell:
    """One bash for a page: what a command changes of it, the next one finds."""

    cli: Cli
    folder: Path

    last: int = 0
    given: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.program("stackctl", f'exec "{sys.executable}" -m stackctl "$@"')
        self.program("pytest", "echo 1 passed")
        self.policy = self.folder / "policy.yaml"
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
        done = subprocess.run(
            # it ends what the line started too, and the code is 124
            ["timeout", "--kill-after=5", str(DEADLINE_S), "bash", "-c", script],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S + 30,
            check=False,
        )
        self.last = done.returncode
        return done.returncode, done.stdout.replace(str(self.policy), POLICY).splitlines()

    def stay(self, command: str, until: str) -> tuple[int, list[str]]:
        """Run a line in the foreground of its own until another one succeeds, then ask it to end."""
        child = subprocess.Popen(
            ["bash", "-c", f". {self.kept}\nexec {command}"],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            deadline = time.monotonic() + DEADLINE_S
            while self(until)[0] and child.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            reached = self.last == 0
            child.terminate()
            printed = child.communicate(timeout=DEADLINE_S)[0].splitlines()
        finally:
            child.kill()
        return (child.returncode if reached else -1), printed

    def environment(self) -> dict[str, str]:
        """What a page's commands find: home and programs of their own, and the policy that it showed."""
        own = {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.folder), "ROOT": str(ROOT)}
        policy = {"STACKCTL_POLICY": str(self.policy)} if self.policy.exists() else {}
        return self.cli.environment(**own, **policy, **self.given, STACKCTL_SUPERVISOR="auto")

    def learn(self, shown: Sequence[str], printed: Sequence[str]) -> None:
        """Remember which project of ours a project of the page is."""
        theirs, ours = (_PROJECT.findall("\n".join(lines)) for lines in (shown, printed))
        if len(theirs) == len(ours):
            self.names.update(zip(theirs, ours, strict=True))

    def own_words(self, command: str) -> str:
        """A command with our projects for the page's."""
        return _PROJECT.sub(lambda match: self.names.get(match[0], match[0]), command)
