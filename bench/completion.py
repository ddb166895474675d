"""How long a press of TAB takes: the whole process that a shell asks for words, against importing click.

Processor time is compared, which a busy machine hardly changes, and the time that passes.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from pairs import Row, compare, report, spent, timed
from startup import ENVIRONMENTS, fill

from stackctl.state.home import open_home
from stackctl.state.store import FileStore

PAIRS = 15
STACK = "template: hello\ntasks:\n  test: {image: busybox}\n  tidy: {image: busybox}\n"
WORDS = (
    ("commands", ""),
    ("stacks", "up "),
    ("templates", "templates "),
    ("environments", "down "),
    ("services", "logs {one} "),
    ("tasks", "wait "),
    ("tasks of a stack", "run --in {one} "),
    ("options", "up --"),
)
Measure = Callable[..., float]


def pressed(measure: Measure, shell: str, words: str, home: Path) -> float:
    """Seconds until the words are there; the working directory has no stacks."""
    env = {
        **os.environ,
        "STACKCTL_HOME": str(home),
        "_STACKCTL_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": f"stackctl {words}",
        "COMP_CWORD": "" if shell == "fish" else str(len(words.split(" "))),
    }
    return measure([str(Path(sys.executable).with_name("stackctl"))], env=env, cwd=home.parent)


def row(measure: Measure, shell: str, what: str, words: str, home: Path) -> Row:
    click = [sys.executable, "-c", "import click"]
    ask = partial(pressed, measure, shell, words, home)
    return compare(f"{what} in {shell}", ask, lambda: measure(click), bound=1.5, pairs=PAIRS)


def main() -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        fill(home)
        store = FileStore(open_home(home))
        first = min(store.records(), key=lambda one: one.project)
        (home.parent / "stack.yaml").write_text(STACK)
        store.write(replace(first, stack_file=str(home.parent / "stack.yaml")))
        asked = [("bash", *each) for each in WORDS] + [(shell, *WORDS[4]) for shell in ("zsh", "fish")]
        for measure, what in ((spent, "processor time"), (timed, "time that passes")):
            rows = [
                row(measure, shell, which, words.format(one=first.project), home)
                for shell, which, words in asked
            ]
            title = (
                f"A press of TAB with {ENVIRONMENTS} environments, {what}, against `python -c 'import click'`"
            )
            failed |= report(title, rows)
    return failed


if __name__ == "__main__":
    sys.exit(main())
