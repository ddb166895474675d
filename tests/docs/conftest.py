"""A place where a page is run: a checkout, a home, and a shell whose state lives from block to block."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import Cli
from installer import served
from page_shell import Shell
from releases import real, shelf, small

__all__ = ["real", "shelf", "small"]
ACME = "acme/web:1.4"
"""An image that pages speak of: Python, and a pytest that always passes."""


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A page's place; what it started is ended, its supervisor too."""
    checkout = tmp_path / "shop"
    checkout.mkdir()
    made = [["git", "init", "-q"], ["git", "commit", "-q", "--allow-empty", "-m", "first"]]
    who = {f"GIT_{role}_{what}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for argv in made:
        subprocess.run(argv, cwd=checkout, check=True, env={**os.environ, **who})
    cli = Cli(home=tmp_path / "home", checkout=checkout)
    yield Shell(cli, tmp_path)
    cli("supervise", "--stop")
    cli.end_all()
    shutil.rmtree(checkout, ignore_errors=True)


@pytest.fixture
def served_release(real: Path) -> Iterator[str]:
    """Where this checkout's own release is served."""
    with served(real) as server:
        yield server.url


@pytest.fixture(scope="session")
def acme() -> Iterator[None]:
    """The image that pages speak of, unless somebody has one."""
    there = subprocess.run(["docker", "image", "inspect", ACME], capture_output=True, check=False)
    if there.returncode == 0:
        yield
        return
    text = "FROM python:3.11\nRUN printf '#!/bin/sh\\necho 1 passed\\n' > /usr/local/bin/pytest && "
    text += "chmod 755 /usr/local/bin/pytest\n"
    subprocess.run(["docker", "build", "-q", "-t", ACME, "-"], input=text, text=True, check=True)
    yield
    subprocess.run(["docker", "rmi", ACME], capture_output=True, check=False)
