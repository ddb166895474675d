"""Draws the terminals in docs/pictures: what one shows of a few commands that are run for real.

Needs an engine and the images of `scripts/images.sh --test`. Names of pictures as arguments draw those alone.
What was started, and its state directory, is gone afterwards.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "pictures"
DEADLINE = 60.0
ERASED = "\x1b[2K"
ERASED_ABOVE = "\x1b[1A\x1b[2K"
CURSOR = re.compile(r"\x1b\[\?25[lh]|\r")
FONT_FROM_ELSEWHERE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""It would be fetched over the network; the reader's own monospaced font does."""


@dataclass(frozen=True)
class Picture:
    """A terminal.

    Args:
        name: Of the file.
        environment: What the commands start.
        commands: What is typed, in order.
        scene: A folder with stacks and templates to run them in.
        ended: Wait for the watchdog to end the environment, before the last command.
        width: Columns of the terminal.
    """

    name: str
    environment: str
    commands: tuple[str, ...]
    scene: str = ""
    ended: bool = False
    width: int = 114


PICTURES = (
    Picture("hello", "hello", ("up hello", "status hello", "down hello")),
    Picture("myenv", "myenv", ("up myenv", "status myenv"), width=140),
    Picture("why", "loop", ("up loop", "why loop"), scene="tests/docs/scenes/loop", ended=True),
)


def on_terminal(arguments: list[str], environ: Mapping[str, str], folder: Path, width: int = 80) -> str:
    """Run stackctl on a terminal of its own, and return what it wrote there."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
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


def draw(name: str, width: int, screens: Mapping[str, str]) -> str:
    """The picture of commands and what each wrote."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    for place, (command, written) in enumerate(screens.items()):
        lines = left_on_screen(written)
        shown = "\n".join(["\n" * bool(place) + f"$ stackctl {command}", *lines]).rstrip()
        console.print(Text.from_ansi(shown), soft_wrap=True)
    picture = console.export_svg(title="stackctl", unique_id=name)
    return "\n".join(line.rstrip() for line in FONT_FROM_ELSEWHERE.sub("", picture).splitlines()) + "\n"


@contextmanager
def place(picture: Picture) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder and an environment to run its commands in; what they started is ended."""
    with TemporaryDirectory(prefix="stackctl-picture-") as name:
        folder = Path(name) / "shop"
        shutil.copytree(ROOT / picture.scene, folder) if picture.scene else folder.mkdir()
        paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
        environ = {
            **{key: value for key, value in os.environ.items() if key != "NO_COLOR"},
            "PYTHONPATH": os.pathsep.join(paths),
            "STACKCTL_HOME": f"{name}/home",
            "TERM": "xterm-256color",
        }
        try:
            yield folder, environ
        finally:
            on_terminal(["purge", picture.environment, "--yes"], environ, folder)
            on_terminal(["supervise", "--stop"], environ, folder)


def wait_until_ended(environment: str, environ: Mapping[str, str], folder: Path) -> None:
    """Wait until the watchdog has ended an environment."""
    argv = [sys.executable, "-m", "stackctl", "status", environment, "--json"]
    until = time.monotonic() + DEADLINE
    while b'"killed"' not in subprocess.run(argv, env=environ, cwd=folder, capture_output=True).stdout:
        if time.monotonic() > until:
            sys.exit(f"error: `{environment}` was not ended within {DEADLINE:g} s")
        time.sleep(0.2)


def make(picture: Picture) -> str:
    """Run its commands, and return the picture."""
    screens = {}
    with place(picture) as (folder, environ):
        for command in picture.commands:
            if picture.ended and command == picture.commands[-1]:
                wait_until_ended(picture.environment, environ, folder)
            screens[command] = on_terminal(command.split(), environ, folder, picture.width)
    drawn = draw(picture.name, picture.width, screens)
    if str(folder.parent) in drawn or str(ROOT) in drawn:
        sys.exit("error: the picture shows a path of this machine")
    return drawn


def main() -> None:
    """Draw the pictures that are named, or all."""
    wanted = sys.argv[1:] or [one.name for one in PICTURES]
    for picture in PICTURES:
        if picture.name in wanted:
            path = FOLDER / f"{picture.name}.svg"
            path.write_text(make(picture))
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
