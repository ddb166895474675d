"""The block that puts a folder on PATH in a start-up file; taken out again, the file is what it was."""

from __future__ import annotations

import re

BEGIN = "# >>> stackctl >>>"
JOINED = "# >>> stackctl, on a line of its own >>>"
"""Begins the block in a file whose last line had no end."""
END = "# <<< stackctl <<<"
_BLOCK = re.compile(
    rf"\n{re.escape(JOINED)}\n.*?{re.escape(END)}\n|^{re.escape(BEGIN)}\n.*?{re.escape(END)}\n",
    re.DOTALL | re.MULTILINE,
)


def path_lines(shell: str, folder: str) -> str:
    """What puts a folder in front of PATH unless it is there, in the shell's own language."""
    quoted = "'" + folder.replace("'", "'\\''" if shell != "fish" else "\\'") + "'"
    if shell == "fish":
        return f"contains -- {quoted} $PATH; or set -gx PATH {quoted} $PATH\n"
    return f'case ":$PATH:" in *:{quoted}:*) ;; *) export PATH={quoted}":$PATH" ;; esac\n'


def with_block(text: str, lines: str) -> str:
    """The text with one block of these lines; a block that is there already is replaced."""
    rest = without_block(text)
    joined = bool(rest) and not rest.endswith("\n")
    return rest + (f"\n{JOINED}\n" if joined else f"{BEGIN}\n") + f"{lines}{END}\n"


def without_block(text: str) -> str:
    """The text without our block; all else as it was."""
    return _BLOCK.sub("", text)
