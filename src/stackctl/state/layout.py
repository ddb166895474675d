"""Where state, configuration and policy lie, whether or not they are there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

POLICY_FILE = Path("/etc/stackctl/policy.yaml")
ENVIRONMENTS = "environments"
TASKS = "tasks"
LIVE_TASKS = "live-tasks"
RECORD = "record.json"
_APPLICATION = "stackctl"


def home_path(argument: str | None, environ: Mapping[str, str]) -> Path:
    """Where the state directory is: `--home`, else `STACKCTL_HOME`, else the user's data directory.

    Args:
        argument: What `--home` was given, None without it.
        environ: The environment of the command.
    """
    chosen = argument or environ.get("STACKCTL_HOME")
    if chosen:
        return Path(os.path.abspath(chosen))  # noqa: PTH100 -- Path.absolute keeps `..`
    import platformdirs

    return Path(platformdirs.user_data_dir(_APPLICATION, appauthor=False))


def config_folder() -> Path:
    """The user's configuration directory, with `config.yaml`, `stacks/` and `templates/`."""
    import platformdirs

    return Path(platformdirs.user_config_dir(_APPLICATION, appauthor=False))


def config_file() -> Path:
    """The user's configuration file, whether or not it is there."""
    return config_folder() / "config.yaml"


def policy_file(environ: Mapping[str, str], default: Path = POLICY_FILE) -> Path | None:
    """The machine's policy file: `STACKCTL_POLICY`, there or not, else the one in /etc; None without one.

    Args:
        environ: The environment of the command.
        default: Where the machine's administrator keeps it.
    """
    chosen = environ.get("STACKCTL_POLICY")
    if chosen:
        return Path(chosen)
    return default if os.path.lexists(default) else None
