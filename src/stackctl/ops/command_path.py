"""Whether a shell finds the command by its name, and how a user's start-up file makes it so."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.path_block import path_lines
from stackctl.state.startup_files import add_block

if TYPE_CHECKING:
    from stackctl.state.installation import Installation


@dataclass(frozen=True, slots=True)
class StartupFile:
    """The start-up file of a user's shell, and the lines that put a folder on PATH there."""

    shell: str
    path: Path
    lines: str


def on_path(folder: Path, environ: Mapping[str, str]) -> bool:
    """Whether PATH has the folder, whatever it is called there."""
    wanted = os.path.realpath(folder)
    return any(os.path.realpath(one) == wanted for one in _folders(environ))


def shadowing(launcher: Path, environ: Mapping[str, str]) -> Path | None:
    """Another `stackctl` that PATH finds before ours; None without one."""
    for folder in _folders(environ):
        found = Path(folder) / "stackctl"
        if os.path.realpath(folder) == os.path.realpath(launcher.parent):
            return None
        if os.access(found, os.X_OK) and not found.is_dir():
            return None if os.path.realpath(found) == os.path.realpath(launcher) else found
    return None


def startup_file(folder: Path, environ: Mapping[str, str], home: Path) -> StartupFile | None:
    """Which file of the user's shell has to say it; None for a shell that we do not know."""
    shell = Path(environ.get("SHELL", "")).name
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    bash = ".bash_profile" if sys.platform == "darwin" else ".bashrc"
    files = {
        "bash": home / bash,
        "zsh": Path(environ.get("ZDOTDIR") or home) / ".zshrc",
        "fish": config / "fish" / "conf.d" / "stackctl.fish",
    }
    if shell not in files:
        return None
    return StartupFile(shell, files[shell], path_lines(shell, str(folder)))


def put_on_path(installation: Installation, file: StartupFile) -> bool:
    """Write our block into the start-up file; False where it may not be written.

    Raises:
        StateError: The receipt could not be written.
    """
    return add_block(installation, file.path, file.lines)


def _folders(environ: Mapping[str, str]) -> list[str]:
    return [one for one in environ.get("PATH", "").split(":") if one]
