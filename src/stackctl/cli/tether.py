"""The process behind `with` that stays when its command is killed, and ends what belonged to it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stackctl.cli.output import Output
from stackctl.cli.session import Session
from stackctl.core.errors import StackctlError


def main(arguments: Sequence[str]) -> int:
    """Watch one environment: state root, project, generation."""
    from stackctl.ops.tied import outlive

    home, project, generation = arguments
    session = Session(Output(home=home, verbosity=-1))
    try:
        outlive(session.context, project, generation)
    except StackctlError as error:
        session.store.write_log(project, "tether", f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
