"""Which files below a folder are compose files, and which checkout each belongs to; none is special."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LARGEST = 1 << 20
"""Bytes; nobody writes a compose file that is larger."""
SKIPPED = frozenset({".git", "node_modules", ".venv", "__pycache__"})
_CALLED = re.compile(
    r"(?:docker-)?compose(?:[._-].*)?\.ya?ml|.*[._-](?:docker-)?compose\.ya?ml", re.IGNORECASE
)
_SERVICES = re.compile(r"""^(?:services|"services"|'services')[ \t]*:""", re.MULTILINE)


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A compose file, as a path below the corpus, and the folder that counts as its checkout."""

    file: str
    checkout: str


def find(corpus: Path) -> list[Candidate]:
    """Every compose file below a folder: by its name, or by `services:` at the top of a YAML file."""
    found = []
    for path in _yaml_files(corpus):
        if _CALLED.fullmatch(path.name) or _SERVICES.search(_text(path)):
            relative = path.relative_to(corpus)
            found.append(Candidate(relative.as_posix(), _checkout(corpus, path)))
    return sorted(found)


def _yaml_files(corpus: Path) -> Iterator[Path]:
    for folder, below, names in os.walk(corpus):
        below[:] = sorted(set(below) - SKIPPED)
        for name in names:
            path = Path(folder, name)
            if path.suffix.lower() in (".yml", ".yaml") and path.is_file() and path.stat().st_size <= LARGEST:
                yield path


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _checkout(corpus: Path, path: Path) -> str:
    """The nearest repository that holds the file, else the folder directly below the corpus."""
    for folder in path.parents:
        if folder == corpus:
            break
        if (folder / ".git").exists():
            return folder.relative_to(corpus).as_posix()
    parts = path.relative_to(corpus).parts
    return parts[0] if len(parts) > 1 and not (corpus / ".git").exists() else "."
