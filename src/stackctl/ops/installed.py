"""How stackctl came onto this machine, and whether an installation by install.sh is whole."""

from __future__ import annotations

import base64
import csv
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.checkup_facts import Finding
from stackctl.ops.command_path import on_path, shadowing

if TYPE_CHECKING:
    from stackctl.state.installation import Installation

_MANY = 5


def advice(environment: Path, package: Path, action: str) -> str:
    """The command of the tool that installed this one.

    Args:
        environment: The Python environment's folder.
        package: The folder of our own package.
        action: "update", "rollback", "uninstall" or "doctor".
    """
    verb = "uninstall" if action == "uninstall" else "upgrade"
    if (environment / "uv-receipt.toml").is_file():
        return f"uv tool {verb} stackctl-compose"
    if environment.parent.name == "venvs" and environment.parent.parent.name == "pipx":
        return f"pipx {verb} stackctl-compose"
    if package.parent.name == "src":
        return f"git -C {package.parent.parent} pull" if verb == "upgrade" else f"remove {environment}"
    pip = f"{environment}/bin/python -m pip"
    return f"{pip} uninstall stackctl-compose" if verb == "uninstall" else f"{pip} install --upgrade WHEEL"


def examine(installation: Installation, environ: Mapping[str, str]) -> tuple[Finding, ...]:
    """Everything that has to hold; changes nothing."""
    current = installation.version_at("current")
    return (
        _links(installation, current),
        _python(installation, current),
        _files(installation, current),
        _launcher(installation),
        _path(installation, environ),
    )


def _links(installation: Installation, current: str) -> Finding:
    facts = installation.facts(current)
    if not current or not facts:
        return Finding("version", "failed", "`current` leads to no whole version", "run install.sh --force")
    before = installation.version_at("previous")
    kept = f", {before} is kept for `stackctl self rollback`" if before and before != current else ""
    return Finding("version", "passed", f"{facts['version']} by {facts['method']}{kept}")


def _python(installation: Installation, current: str) -> Finding:
    python = installation.folder_of(current) / "bin" / "python"
    if not python.exists():
        remedy = "install it again, or run install.sh --force for another one"
        return Finding("python", "failed", f"`{python}` leads to no Python", remedy)
    return Finding("python", "passed", f"{python.resolve()}")


def _files(installation: Installation, current: str) -> Finding:
    folder = installation.folder_of(current)
    wrong, count = [], 0
    for path, digest in _recorded(folder):
        count += 1
        if _digest(path) != digest:
            wrong.append(str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path))
    if wrong:
        names = ", ".join(wrong[:_MANY]) + (f" and {len(wrong) - _MANY} more" if len(wrong) > _MANY else "")
        return Finding("files", "failed", f"changed or missing: {names}", "run install.sh --force")
    if not count:
        return Finding("files", "failed", f"no package is in `{folder}`", "run install.sh --force")
    return Finding("files", "passed", f"{count} files are as they were installed")


def _recorded(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file that the environment's packages brought, with its hash (PEP 376)."""
    for record in sorted(folder.glob("lib/python3*/site-packages/*.dist-info/RECORD")):
        with record.open(newline="") as file:
            for name, digest, *_ in csv.reader(file):
                if digest.startswith("sha256="):
                    yield (record.parent.parent / name).resolve(), digest.removeprefix("sha256=")


def _digest(path: Path) -> str:
    try:
        raw = hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return ""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _launcher(installation: Installation) -> Finding:
    launcher = installation.launcher
    if installation.owns(launcher):
        return Finding("command", "passed", f"{launcher}")
    remedy = f"ln -s {installation.program} {launcher}"
    return Finding("command", "failed", f"`{launcher}` is not our link", remedy)


def _path(installation: Installation, environ: Mapping[str, str]) -> Finding:
    launcher = installation.launcher
    other = shadowing(launcher, environ)
    if other is not None:
        return Finding("PATH", "warning", f"`{other}` comes before `{launcher}`", f"remove {other}")
    if not on_path(launcher.parent, environ):
        remedy = f'add it: export PATH="{launcher.parent}:$PATH"'
        return Finding("PATH", "warning", f"`{launcher.parent}` is not on PATH", remedy)
    return Finding("PATH", "passed", f"finds {launcher}")
