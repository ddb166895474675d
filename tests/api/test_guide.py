"""The guide's programs pass the strict check, and do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import Cli

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "python-api.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
NAMES = ["run", "task", "environment", "orchestrator", "errors"]


def test_all_of_them_were_found() -> None:
    assert len(PROGRAMS) == len(NAMES)


def test_they_pass_the_strict_check(tmp_path: Path) -> None:
    for name, program in zip(NAMES, PROGRAMS, strict=True):
        (tmp_path / f"{name}.py").write_text(program)
    files = [f"{name}.py" for name in NAMES]
    argv = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "cache", *files]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout


@pytest.mark.engine
@pytest.mark.parametrize("program", PROGRAMS, ids=NAMES)
def test_they_do_what_they_say(cli: Cli, program: str) -> None:
    argv = [sys.executable, "-W", "error", "-c", program]
    environ, folder = cli.environment(), cli.checkout
    done = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    assert cli.containers() == ()
