"""What install.sh runs from the verified wheel, before any package is there: only the standard library."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.errors import Interrupted, StackctlError

if TYPE_CHECKING:
    from types import FrameType

    from stackctl.ops.installing import Put
    from stackctl.state.installation import Installation

_CHECK = 30.0
_ANSWERS = {"y": True, "yes": True, "": True, "n": False, "no": False}


@dataclass(slots=True)
class _Voice:
    verbosity: int

    def say(self, text: str) -> None:
        if self.verbosity >= 0:
            sys.stderr.write(f"{text}\n")

    def step(self, text: str) -> None:
        if self.verbosity > 0:
            sys.stderr.write(f"+ {text}\n")
            sys.stderr.flush()

    def warn(self, text: str, hint: str = "") -> None:
        self.say(f"warning: {text}" + (f"\nhint: {hint}" if hint else ""))


def main(arguments: Sequence[str]) -> int:
    """Install what `NAME=VALUE` arguments say; the exit code."""
    given = dict(one.partition("=")[::2] for one in arguments)
    voice = _Voice(int(given.get("verbosity", "0")))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stopped)
    try:
        _install(given, voice)
    except KeyboardInterrupt:
        return 130
    except StackctlError as error:
        lines = [*error.details, f"error: {error.message}", *(f"hint: {hint}" for hint in error.hints)]
        sys.stderr.write("\n".join(lines) + "\n")
        return error.exit_code if isinstance(error, Interrupted) else 1
    return 0


def _stopped(number: int, frame: FrameType | None) -> None:
    raise Interrupted("stopped by a signal", exit_code=128 + number)


def _install(given: Mapping[str, str], voice: _Voice) -> None:
    from stackctl.ops.installing import PATIENCE, Release, install, is_current, write_completions
    from stackctl.state.installation import Installation

    installation, launcher = Installation(Path(given["prefix"])), Path(given["bin_dir"]) / "stackctl"
    release = Release(
        version=given["version"],
        wheel_sha256=given["wheel_sha256"],
        wheels=Path(given["wheels"]),
        pins=given["pins"],
        pip=given["pip"],
        bundled=given["bundled"] == "yes",
        base_url=given["base_url"],
        method=given["method"],
        python=given["python"],
    )
    with installation.locked(PATIENCE):
        if not given["force"] and is_current(installation, release, launcher, os.environ):
            voice.say(f"stackctl {release.version} is already installed: {launcher}")
            return
        try:
            done = install(installation, release, launcher, os.environ, voice.step)
        except BaseException:
            _undo_first(installation)
            raise
        if given["completions"]:
            voice.step("write completions")
            written = write_completions(installation, _data_folder(given["home"]), os.environ)
            if not done.before:
                _tell_zsh(written, voice)
        _look_after_path(installation, launcher, given, voice)
    _hand_over(installation, done, voice)
    _report(launcher, release.version, release.wheels.parent / "state", voice)


def _undo_first(installation: Installation) -> None:
    """Where nothing was installed before, nothing of a failed installation stays."""
    from stackctl.ops.uninstalling import uninstall

    if not installation.version_at("current"):
        with suppress(StackctlError):
            uninstall(installation)


def _tell_zsh(written: Sequence[Path], voice: _Voice) -> None:
    """Bash and fish look into a folder of the user's data by themselves, zsh into none."""
    import shlex

    folder = next((str(path.parent) for path in written if path.name == "_stackctl"), "")
    if folder and Path(os.environ.get("SHELL", "")).name == "zsh":
        voice.say(f"for completion in zsh, in .zshrc before compinit: fpath=({shlex.quote(folder)} $fpath)")


def _data_folder(home: str) -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path(home) / ".local" / "share")


def _look_after_path(
    installation: Installation, launcher: Path, given: Mapping[str, str], voice: _Voice
) -> None:
    from stackctl.ops.command_path import on_path, put_on_path, shadowing, startup_file

    other = shadowing(launcher, os.environ)
    if other is not None:
        voice.warn(f"`{other}` comes before `{launcher}` on PATH", "remove it, or call ours by its path")
    if on_path(launcher.parent, os.environ):
        return
    _tell_actions(launcher.parent, given["path"])
    file = startup_file(launcher.parent, os.environ, Path(given["home"]))
    if file is not None and _consents(f"Put {launcher.parent} on PATH in {file.path}?", given["path"]):
        if put_on_path(installation, file):
            voice.say(f"{file.path} puts {launcher.parent} on PATH for new shells")
            return
        voice.warn(f"`{file.path}` may not be written, and stays as it is")
    if given["path"] != "no":
        where = f" to {file.path}" if file is not None else ""
        lines = file.lines if file is not None else f'export PATH="{launcher.parent}:$PATH"\n'
        voice.say(f"{launcher.parent} is not on PATH. Add{where}:\n  {lines.rstrip()}")


def _tell_actions(folder: Path, choice: str) -> None:
    """GitHub's runners read a file for the PATH of later steps."""
    told = os.environ.get("GITHUB_PATH", "")
    if told and choice != "no" and os.access(told, os.W_OK):
        with Path(told).open("a") as file:
            file.write(f"{folder}\n")


def _consents(question: str, choice: str) -> bool:
    """Ask at the terminal, where there is one that can be opened; without one, the answer is no."""
    if choice != "ask":
        return choice == "yes"
    try:
        with Path("/dev/tty").open("w") as screen, Path("/dev/tty").open() as keys:
            while True:
                screen.write(f"{question} [Y/n] ")
                screen.flush()
                answer = keys.readline()
                if not answer or answer.strip().lower() in _ANSWERS:
                    return bool(answer) and _ANSWERS[answer.strip().lower()]
    except OSError:
        return False


def _hand_over(installation: Installation, done: Put, voice: _Voice) -> None:
    """Let the new version's supervisor take over from the old one's."""
    from stackctl.ops.installing import hand_over

    if not done.before:
        return
    voice.step("hand the supervisor over")
    failed = hand_over(installation, os.environ)
    if failed:
        hint = "`stackctl supervise --stop`; the next `stackctl up` starts the new one"
        voice.warn(f"the supervisor was not handed over: {failed}", hint)


def _report(launcher: Path, version: str, state: Path, voice: _Voice) -> None:
    import shlex

    from stackctl.ops.command_path import on_path, shadowing

    by_name = on_path(launcher.parent, os.environ) and shadowing(launcher, os.environ) is None
    name = "stackctl" if by_name else shlex.quote(str(launcher))
    _look_at_docker(launcher, state, voice)
    voice.say(f"stackctl {version} is installed: {launcher}")
    voice.say(f"next: {name} up hello")
    voice.say(f"undo: {name} self uninstall")


def _look_at_docker(launcher: Path, state: Path, voice: _Voice) -> None:
    """What `doctor` finds wrong is said and changes nothing: Docker is the user's own.

    Args:
        state: A state directory for it that is thrown away, so that none is made before the first `up`.
    """
    import json

    from stackctl.engine.process import run

    if voice.verbosity < 0:
        return
    voice.step("look at docker")
    try:
        told = run([str(launcher), "doctor", "--json", "--home", str(state)], timeout=_CHECK, env=os.environ)
        checks = json.loads(told.stdout)["data"]["checks"]
    except (StackctlError, ValueError, KeyError):
        return
    for check in checks:
        if check["state"] == "failed":
            voice.warn(f"{check['check']}: {check['message']}", check["remedy"])
