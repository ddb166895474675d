"""Makes a small picture, half of each line, of every picture in the inbox."""

import time
from pathlib import Path


def shrink(picture):
    lines = [line[: len(line) // 2] for line in picture.read_text().splitlines()]
    small = Path("pictures", f".{picture.name}.part")
    small.write_text("\n".join(lines))
    small.rename(Path("pictures", picture.name))
    picture.unlink()


if __name__ == "__main__":
    while True:
        for picture in sorted(Path("inbox").glob("[!.]*")):
            shrink(picture)
        time.sleep(0.2)
