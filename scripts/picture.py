"""Draws docs/pictures/hello.svg: what a terminal shows of `stackctl up`, `status` and `down`, run for real.

Needs an engine and the image busybox:1.35. Its environment and state directory are gone afterwards.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "pictures" / "hello.svg"
WIDTH = 114
COMMANDS = ("up hello", "status hello", "down hello")
ERASED = "\x1b[2K"
ERASED_ABOVE = "\x1b[1A\x1b[2K"
CURSOR = re.compile(r"\x1b\[\?25[lh]|\r")
FONT_FROM_ELSEWHERE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""It would be fetched over the network; the reader's own monospaced font does."""


def on_terminal(arguments: list[str], environ: Mapping[str, str], folder: Path) -> str:
    """Run stackctl on a terminal of its own, and return what it wrote there."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, WIDTH, 0, 0))
    command = [sys.executable, "-m", "stackctl", *arguments]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environ, cwd=folder) as process:
        os.close(its)
        written = b"".join(iter(lambda: read(ours), b""))
    os.close(ours)
    if process.returncode:
        sys.exit(
            f"error: `stackctl {' '.join(arguments)}` ended with {process.returncode}:\n{written.decode()}"
        )
    return written.decode()


def read(terminal: int) -> bytes:
    """The next bytes; none when nobody has the terminal open any more, which Linux tells by an error."""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""


def left_on_screen(written: str) -> list[str]:
    """The lines that remain where lines were erased and written again."""
    lines: list[str] = []
    for line in written.replace("\r\n", "\n").split("\n"):
        before, above, after = line.rpartition(ERASED_ABOVE)
        if above:
            del lines[len(lines) - before.count(ERASED_ABOVE) - 1 :]
        lines.append(CURSOR.sub("", after.rpartition(ERASED)[2]))
    return lines


def draw(screens: Mapping[str, str]) -> str:
    """The picture of commands and what each wrote."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for place, (command, written) in enumerate(screens.items()):
        lines = left_on_screen(written)
        shown = "\n".join(["\n" * bool(place) + f"$ stackctl {command}", *lines]).rstrip()
        console.print(Text.from_ansi(shown), soft_wrap=True)
    picture = console.export_svg(title="stackctl", unique_id="hello")
    return "\n".join(line.rstrip() for line in FONT_FROM_ELSEWHERE.sub("", picture).splitlines()) + "\n"


def main() -> None:
    """Run the commands in a state directory of their own, and write the picture."""
    with TemporaryDirectory(prefix="stackctl-picture-") as name:
        folder = Path(name)
        paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
        environ = {
            **{key: value for key, value in os.environ.items() if key != "NO_COLOR"},
            "PYTHONPATH": os.pathsep.join(paths),
            "STACKCTL_HOME": str(folder / "home"),
            "TERM": "xterm-256color",
        }
        try:
            screens = {command: on_terminal(command.split(), environ, folder) for command in COMMANDS}
        finally:
            on_terminal(["purge", "hello", "--yes"], environ, folder)
    picture = draw(screens)
    if name in picture or str(ROOT) in picture:
        sys.exit("error: the picture shows a path of this machine")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(picture)
    print(f"wrote {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
