"""Fetches the script of a newer release, checks it against the sums beside it, and lets it install itself."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stackctl.core.errors import StackctlError, UsageError
from stackctl.engine.endpoint import find_program
from stackctl.engine.process import run
from stackctl.ops.fetching import fetch
from stackctl.ops.installing import COMPLETIONS

if TYPE_CHECKING:
    from stackctl.engine.process import Completed
    from stackctl.state.installation import Installation

_LONGEST = 1800.0
_MOST = 1 << 20
_LOOPBACK = ("127.0.0.1", "localhost")


def release_folder(base_url: str, installed: str, wanted: str) -> str:
    """Where the script of a release is: beside the installed one's own folder, or in the place itself.

    Args:
        base_url: Where the installed version came from; a folder that is called after a version is left.
        installed: The installed version.
        wanted: The version to find, empty for the newest.

    Raises:
        UsageError: The place is none that can be trusted.
    """
    base = base_url.rstrip("/").removesuffix(f"/{installed}")
    parts = urlsplit(base)
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not base:
        raise UsageError("nothing says where releases are: it came from files", hint="give --base-url URL")
    if parts.username == "***":
        raise UsageError(f"the password for `{base}` was not kept", hint="give --base-url URL")
    if parts.scheme not in ("https", "file") and not local:
        raise UsageError(f"`{base}` is not https", hint="give an https:// or file:// URL")
    return f"{base}/{wanted}" if wanted else base


def fetch_script(folder: str, wanted: str = "") -> bytes:
    """The script of a release, as SHA256SUMS beside it says that it is.

    Args:
        folder: Where it is.
        wanted: The version that was asked for by name, after which the folder is called; empty for none.

    Raises:
        StackctlError: It cannot be fetched, or is another one.
    """
    try:
        sums = fetch(f"{folder}/SHA256SUMS", most=_MOST).decode(errors="replace")
    except StackctlError as error:
        if wanted:
            newest = f"{folder.removesuffix(f'/{wanted}')}/install.sh"
            error.hint = f"is there a {wanted}? `{newest}` is the newest, others have folders beside it"
        raise
    script = fetch(f"{folder}/install.sh", most=_MOST)
    if f"{hashlib.sha256(script).hexdigest()}  install.sh" not in sums.splitlines():
        raise StackctlError(
            f"`{folder}/install.sh` is not what SHA256SUMS beside it says; nothing was changed",
            hint="try again; if it stays so, do not trust the place",
        )
    return script


def version_of(script: bytes) -> str:
    """The version that a script installs.

    Raises:
        StackctlError: It says none.
    """
    found = re.search(rb"^ *VERSION='([0-9A-Za-z.+-]+)'$", script, re.MULTILINE)
    if found is None:
        raise StackctlError("what was fetched is no install.sh of a release")
    return found[1].decode()


def choices(installation: Installation, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The options of install.sh that keep what was chosen when the version in use was installed.

    A Python that PATH leads to is not among them: the new version may need another one.
    """
    facts = installation.facts(installation.version_at("current"))
    options = ["--no-modify-path"]
    if not any(one.endswith(tuple(COMPLETIONS.values())) for one in installation.receipt.every("file")):
        options.append("--no-completions")
    if facts.get("method") == "venv":
        options += ["--method", "venv"]
    python = facts.get("python", "")
    named = find_program(Path(python).name, environ) != python
    return (*options, "--python", python) if named and os.access(python, os.X_OK) else tuple(options)


def run_script(path: Path, installation: Installation, folder: str, environ: Mapping[str, str]) -> Completed:
    """Let a checked script install its release where this one is and as this one was; how it ended.

    Raises:
        TimedOut: It took more than half an hour.
    """
    where = ["--prefix", str(installation.prefix), "--bin-dir", str(installation.launcher.parent)]
    source = ["--base-url", folder, *(["--insecure-test"] if folder.startswith("http:") else [])]
    argv = ["sh", str(path), *where, *source, "--yes", *choices(installation, environ)]
    return run(argv, timeout=_LONGEST, env=environ)
