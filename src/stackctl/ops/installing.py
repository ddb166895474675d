"""Makes an installed version from verified wheels, tries it, and puts it in place of the one before.

Runs from the wheel itself, on the machine's own Python, where no other package is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.errors import StackctlError
from stackctl.engine.process import run

if TYPE_CHECKING:
    from stackctl.engine.process import Completed
    from stackctl.state.installation import Installation

PATIENCE = 300.0
"""Seconds that another installer may take; twenty times what it takes on a slow machine."""
LONGEST = 900.0
"""Seconds for pip, which may have to fetch packages over a slow line."""
_TRY = 60.0
_HANDOVER = 90.0
COMPLETIONS = {
    "bash": "bash-completion/completions/stackctl",
    "zsh": "zsh/site-functions/_stackctl",
    "fish": "fish/vendor_completions.d/stackctl.fish",
}
"""Shell -> where it looks for completions below the user's data folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What is to be installed.

    Args:
        version: As the installed command has to say it.
        wheel_sha256: Of our own wheel.
        wheels: The folder with the wheels that were checked.
        pins: The name of the file with every package and its hashes, in that folder.
        pip: The name of pip's own wheel in that folder.
        bundled: Every package is in that folder, so no index is asked.
        base_url: Where it came from.
        method: "uv" or "venv".
        python: The interpreter to build on.
    """

    version: str
    wheel_sha256: str
    wheels: Path
    pins: str
    pip: str
    bundled: bool
    base_url: str
    method: str
    python: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """What was done: the version's folder name, the one before it, and those that were removed."""

    name: str
    before: str
    removed: tuple[str, ...]


def is_current(
    installation: Installation, release: Release, launcher: Path, environ: Mapping[str, str]
) -> bool:
    """Whether just this release is in use already, is linked where it is wanted, and runs."""
    facts = installation.facts(installation.version_at("current"))
    if facts.get("wheel") != release.wheel_sha256 or not installation.owns(launcher):
        return False
    with suppress(StackctlError):
        check_runs(launcher, release.version, environ)
        return True
    return False


def install(
    installation: Installation,
    release: Release,
    launcher: Path,
    environ: Mapping[str, str],
    step: Callable[[str], None],
) -> Put:
    """Make a version, try it, and let the links lead to it; whoever kills it leaves the old one working.

    Args:
        installation: Where; its lock is held.
        launcher: The link in the user's folder of commands.
        environ: What pip and uv run with.
        step: Called with each thing that is about to be done.

    Raises:
        StackctlError: pip or uv failed, or what was installed does not run.
        StateError: The file system refused.
    """
    name = installation.new_name(release.version)
    target = installation.prepare(name)
    try:
        step(f"make {target} with {release.method}")
        _checked(_environment(release, target), environ, target)
        step(f"install the packages into {target}")
        _checked(_packages(release, target), environ, target)
        step(f"try {target}/bin/stackctl")
        check_runs(target / "bin" / "stackctl", release.version, environ)
    except BaseException:
        with suppress(StackctlError):
            installation.discard(name)
        raise
    installation.seal(name, _facts(release))
    step(f"link {launcher}")
    installation.place(launcher)
    step(f"use {name}")
    before = installation.use(name)
    step("remove what is older than the version before")
    return Put(name=name, before=before, removed=installation.forget_old())


def _facts(release: Release) -> dict[str, str]:
    return {
        "version": release.version,
        "method": release.method,
        "python": release.python,
        "base_url": release.base_url,
        "wheel": release.wheel_sha256,
    }


def _environment(release: Release, target: Path) -> list[str]:
    if release.method == "uv":
        return ["uv", "--no-config", "venv", "--quiet", "--python", release.python, str(target)]
    return [release.python, "-I", "-m", "venv", "--without-pip", str(target)]


def _packages(release: Release, target: Path) -> list[str]:
    """The wheel of pip is run as it is, so that Debian's Python without ensurepip will do."""
    python = str(target / "bin" / "python")
    wanted = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--find-links", str(release.wheels)]
    wanted += ["--no-index"] if release.bundled else []
    wanted += ["-r", str(release.wheels / release.pins)]
    if release.method == "uv":
        alone = ["--no-config", "--offline"] if release.bundled else []
        return ["uv", *alone, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *wanted]
    alone = ["--isolated"] if release.bundled else []
    pip = [python, str(release.wheels / release.pip / "pip"), *alone, "--no-input"]
    pip += ["--disable-pip-version-check"]
    return [*pip, "install", "--quiet", "--no-cache-dir", "--no-warn-script-location", *wanted]


def _checked(argv: list[str], environ: Mapping[str, str], target: Path) -> None:
    done = run(argv, timeout=LONGEST, env={**environ, "UV_PYTHON_DOWNLOADS": "never"})
    if done.code != 0:
        raise _failure(f"the environment `{target}` could not be made", done)


def check_runs(program: Path, version: str, environ: Mapping[str, str]) -> None:
    """Try an installed command before a link leads to it.

    Raises:
        StackctlError: It does not run, or is another version.
    """
    done = run([str(program), "--version"], timeout=_TRY, env=environ)
    if done.code != 0 or done.stdout.strip() != f"stackctl {version}":
        raise _failure(f"`{program}` does not run as stackctl {version}", done)


def hand_over(installation: Installation, environ: Mapping[str, str], *options: str) -> str:
    """Let the version in use put its supervisor in the place of the one that runs; why that failed, if so.

    Args:
        options: Of the command, such as `--home DIR`.
    """
    argv = [str(installation.program), *options, "self", "handover"]
    try:
        done = run(argv, timeout=_HANDOVER, env=environ)
    except StackctlError as error:
        return error.message
    return done.stderr.strip() or f"it ended with {done.code}" if done.code else ""


def _failure(message: str, done: Completed) -> StackctlError:
    error = StackctlError(message, hint="the reason stands above; nothing has changed")
    error.details = tuple((done.stderr or done.stdout).strip().splitlines()[-8:])
    return error


def write_completions(installation: Installation, data: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Write the completion files of bash, zsh and fish where those look for them; those that were written.

    What cannot be written, or is somebody else's, is left out: completion is a comfort.

    Args:
        data: The user's data folder (XDG_DATA_HOME).
    """
    written = []
    for shell, place in COMPLETIONS.items():
        with suppress(StackctlError):
            done = run([str(installation.program), "completion", shell], timeout=_TRY, env=environ)
            if done.code == 0 and installation.write(data / place, done.stdout):
                written.append(data / place)
    return tuple(written)
