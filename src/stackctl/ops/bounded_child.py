"""The child of `call_bounded` that is begun anew: a pickled function in, what came of it out."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stackctl.ops.bounded_call import answer


def main(arguments: Sequence[str]) -> None:
    """Answer once: seconds, bytes of memory, bytes of output."""
    seconds, memory, output = float(arguments[0]), int(arguments[1]), int(arguments[2])
    told = answer(sys.stdin.buffer.read(), seconds=seconds, memory=memory, output=output)
    sys.stdout.buffer.write(told)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
