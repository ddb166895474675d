"""Runs stackctl on every compose file below a folder, and prints what came of it: `python -m corpus DIR`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path

from corpus import candidates, checkouts
from corpus.judging import Verdict, judge
from corpus.tables import report

EVERY = 100


def main(words: Sequence[str]) -> int:
    """The exit code: 0 when everything holds, 1 when something does not, 2 without anything to run on."""
    parser = argparse.ArgumentParser(prog="corpus", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=min(4, (os.cpu_count() or 2) + 1))
    asked = parser.parse_args(words)
    if not asked.folder.is_dir():
        return _refuse(f"there is no folder {asked.folder}")
    corpus = asked.folder.resolve()
    found = candidates.find(corpus)
    if not found:
        return _refuse(f"there is no compose file below {asked.folder}")
    with tempfile.TemporaryDirectory(prefix="stackctl-corpus-") as name:
        scratch = Path(name).resolve()
        checkouts.copy(corpus, sorted({one.checkout for one in found}), scratch)
        with Pool(asked.workers) as pool:
            work = pool.imap_unordered(partial(judge, scratch=scratch), found, chunksize=4)
            verdicts = sorted(_told(work, len(found)), key=lambda verdict: verdict.file)
    print(report(verdicts))
    return 1 if any(verdict.failures for verdict in verdicts) else 0


def _refuse(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    print("hint: make corpus CORPUS=DIR, a folder of checkouts that have compose files", file=sys.stderr)
    return 2


def _told(work: Iterable[Verdict], total: int) -> Iterator[Verdict]:
    """The same, with a line of progress now and then, and each failure when it is found."""
    started = time.monotonic()
    for number, verdict in enumerate(work, 1):
        for failure in verdict.failures:
            print(f"FAILED {verdict.file}: {failure}", flush=True)
        if not number % EVERY or number == total:
            print(f"{number} of {total} files, {time.monotonic() - started:.0f} s", flush=True)
        yield verdict


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
