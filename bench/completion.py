"""How long a press of TAB takes: the whole process that a shell asks for words, against importing click."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from pairs import Row, compare, report, timed
from startup import ENVIRONMENTS, fill

PAIRS = 15
WORDS = (("commands", ""), ("stacks", "up "), ("environments", "down "), ("services", "logs {one} "))


def pressed(shell: str, words: str, home: Path) -> float:
    """Seconds until the words are there; the working directory has no stacks."""
    env = {
        **os.environ,
        "STACKCTL_HOME": str(home),
        "_STACKCTL_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": f"stackctl {words}",
        "COMP_CWORD": "" if shell == "fish" else str(len(words.split(" "))),
    }
    return timed([str(Path(sys.executable).with_name("stackctl"))], env=env, cwd=home.parent)


def row(shell: str, what: str, words: str, home: Path) -> Row:
    click = [sys.executable, "-c", "import click"]
    name = f"{what} in {shell}"
    return compare(name, lambda: pressed(shell, words, home), lambda: timed(click), bound=2.0, pairs=PAIRS)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        fill(home)
        one = sorted(path.name for path in (home / "environments").iterdir())[0]
        asked = [("bash", *each) for each in WORDS] + [(shell, *WORDS[3]) for shell in ("zsh", "fish")]
        rows = [row(shell, what, words.format(one=one), home) for shell, what, words in asked]
    return report(
        f"A press of TAB with {ENVIRONMENTS} environments, against `python -c 'import click'`", rows
    )


if __name__ == "__main__":
    sys.exit(main())
