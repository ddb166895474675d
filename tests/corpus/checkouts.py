"""Copies of checkouts in a scratch folder, where what is missing may be made; the corpus is only read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from corpus.candidates import LARGEST, SKIPPED


def copy(corpus: Path, checkouts: Iterable[str], scratch: Path) -> None:
    """Copy what Compose may read of each checkout: small regular files. Each counts as a repository."""
    for name in checkouts:
        source, target = corpus / name, scratch / name
        for folder, below, names in os.walk(source):
            below[:] = sorted(set(below) - SKIPPED)
            here = target / Path(folder).relative_to(source)
            here.mkdir(parents=True, exist_ok=True)
            for one in names:
                _copy(Path(folder, one), here / one)
        (target / ".git").mkdir(exist_ok=True)


def _copy(source: Path, target: Path) -> None:
    if source.is_symlink() or (source.is_file() and source.stat().st_size <= LARGEST):
        shutil.copyfile(source, target, follow_symlinks=False)
