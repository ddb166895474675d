"""The entry point of the `stackctl` command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line, or answer a press of TAB, and leave with its exit code."""
    if "_STACKCTL_COMPLETE" in os.environ:
        from stackctl.cli.tab import answer

        sys.exit(answer(os.environ))
    from stackctl.cli.door import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
