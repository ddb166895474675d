"""What every face of stackctl works in: where stacks are looked for, the user's settings, the machine's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackctl.core.stack import Configuration, MachinePolicy
    from stackctl.ops.finding import Places


def find_places(folder: Path, home: Path) -> Places:
    """Where stacks and templates are looked for.

    Args:
        folder: The working directory.
        home: The state directory.
    """
    import stackctl
    from stackctl.ops.finding import Places
    from stackctl.ops.listing import checkout_folders, shipped_folder
    from stackctl.state.layout import config_folder

    return Places(
        checkout=checkout_folders(folder),
        configured=config_folder(),
        shipped=shipped_folder(Path(stackctl.__file__).parent),
        home=home.resolve(),
    )


def read_configuration() -> Configuration:
    """The user's `config.yaml`, or the defaults where there is none.

    Raises:
        StackFileError: It cannot be read.
    """
    from stackctl.core.stack import Configuration
    from stackctl.state.layout import config_file

    path = config_file()
    if not path.is_file():
        return Configuration()
    from stackctl.core.configuration import parse_configuration
    from stackctl.ops.finding import read_text

    return parse_configuration(read_text(path), source=str(path))


def read_machine_policy(environ: Mapping[str, str]) -> MachinePolicy:
    """The machine's policy, which may be none.

    Raises:
        StackFileError: It cannot be read.
    """
    from stackctl.core.stack import MachinePolicy
    from stackctl.state.layout import policy_file

    path = policy_file(environ)
    if path is None:
        return MachinePolicy()
    from stackctl.core.configuration import parse_machine_policy
    from stackctl.ops.finding import read_text

    return parse_machine_policy(read_text(path), source=str(path))
