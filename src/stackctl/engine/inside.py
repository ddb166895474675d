"""Deleting what containers wrote under other users' ids: by root in a short-lived, bounded container."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from stackctl.core.errors import EngineRefused
from stackctl.engine import process

SECONDS = 300.0
PLACE = "/trash"
EMPTY = f'cd {PLACE}; for one in * .[!.]* ..?*; do rm -rf -- "$one"; done'

ONE = f'cd {PLACE}; rm -rf -- "./$1"'


def delete_inside(folder: PurePath, image: str, environ: Mapping[str, str], *, only: str = "") -> None:
    """Empty a folder of ours by `rm -rf` as root in a container; the folder itself stays.

    The container has no network, only the capability to pass over file permissions, and the usual limits. It
    follows no link: `rm` removes links as what they are.

    Args:
        folder: An absolute path on the engine's host.
        image: Any image that has a shell; its entrypoint is not run.
        environ: The scrubbed environment with the engine pinned.
        only: The one entry that is deleted; empty for all.

    Raises:
        EngineRefused: It failed; the message has its last words.
    """
    limits = ["--memory", "256m", "--memory-swap", "256m", "--pids-limit", "32", "--cpus", "1"]
    rights = ["--user", "0:0", "--cap-drop", "ALL", "--cap-add", "DAC_OVERRIDE", "--cap-add", "FOWNER"]
    mount = f"type=bind,source={folder},target={PLACE}"
    argv = ["docker", "run", "--rm", "--pull", "never", "--network", "none", *limits, *rights]
    argv += [
        "--security-opt",
        "no-new-privileges",
        "--mount",
        mount,
        "--entrypoint",
        "sh",
        image,
        "-ec",
        *((ONE, "sh", only) if only else (EMPTY,)),
    ]
    done = process.run(argv, timeout=SECONDS, env=environ)
    if done.code:
        words = (done.stderr.strip().splitlines() or [f"exit code {done.code}"])[-1]
        raise EngineRefused(f"{folder} could not be emptied by a container of {image}: {words}")
