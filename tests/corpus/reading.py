"""Compose's own reading of files, with what a checkout lacks filled in, the same way for every file."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

PROJECT = "stackctl-project-goes-here"
SECONDS = 60.0
DUMMY = "7"
"""What a required variable is given: a number, a word, a folder and a tag all in one."""
MOST_REPAIRS = 40
OURS = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
_REQUIRED = re.compile(r"required variable (\w+) is missing a value")
_ENV_FILE = re.compile(
    r"env file (/.*?) not found: stat|(?:stat|open) (/\S*\.env[^/\s:]*|/\S*/env): no such file"
)


@dataclass(slots=True)
class Read:
    """What Compose makes of files: a document, or what it says instead."""

    document: dict[str, Any] | None
    said: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    created: int = 0
    as_yaml: bool = False


def config(files: Sequence[Path], folder: Path, variables: Mapping[str, str], *, bare: bool = False) -> Read:
    """Run `docker compose config`, every profile active; no daemon is asked anything.

    Args:
        bare: Without the `.env` beside the files: every variable is in `variables`.
    """
    argv = ["docker", "compose", "--project-name", PROJECT, "--project-directory", str(folder)]
    argv += [word for file in files for word in ("--file", str(file))]
    argv += ["--env-file", os.devnull] if bare else []
    argv += ["--profile", "*", "config"]
    environ = {**OURS, **variables}
    ended = _run([*argv, "--format", "json"], environ)
    if not ended.returncode:
        return Read(json.loads(ended.stdout), variables=dict(variables))
    if ended.stderr.splitlines()[-1:] and ended.stderr.splitlines()[-1].startswith("json: "):
        return Read(yaml.safe_load(_run(argv, environ).stdout), variables=dict(variables), as_yaml=True)
    return Read(None, ended.stderr, dict(variables))


def _run(argv: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv, capture_output=True, text=True, env=environ, timeout=SECONDS, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 124, "", f"not done after {SECONDS:g} s")


def repaired(file: Path, scratch: Path) -> Read:
    """Read one file; required variables get a value, env files that are not there are made empty."""
    variables: dict[str, str] = {}
    created = 0
    read = Read(None)
    for _ in range(MOST_REPAIRS):
        read = config([file], file.parent, variables)
        if read.document is not None:
            break
        if match := _REQUIRED.search(read.said):
            variables[match[1]] = DUMMY
        elif (match := _ENV_FILE.search(read.said)) and _make(Path(match[1] or match[2]), scratch):
            created += 1
        else:
            break
    return replace(read, variables=variables, created=created)


def _make(path: Path, scratch: Path) -> bool:
    path = Path(os.path.normpath(path))
    if not path.is_relative_to(scratch):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()  # another file of the checkout may have asked for it at the same time
    return True
