"""Which stacks and templates there are, by the names of their files alone: nothing is read, little loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

DEFAULT_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""What Compose looks for in a folder, in its order."""


def checkout_folders(start: Path) -> tuple[Path, ...]:
    """The working directory and its parents up to the repository root; only itself outside a repository."""
    here = start.resolve()
    chain = [here, *here.parents]
    for index, folder in enumerate(chain):
        if (folder / ".git").exists():
            return tuple(chain[: index + 1])
    return (here,)


def shipped_folder(package: Path) -> Path:
    """The folder with the shipped `stacks/` and `templates/`: in the wheel, else in the source tree."""
    inside = package / "shipped"
    return inside if inside.is_dir() else package.parent.parent


def stack_files(bases: Iterable[Path]) -> dict[str, Path]:
    """Stacks by name, each with its file.

    Args:
        bases: The folders that hold `stacks/`; the nearest first, where several have one name.
    """
    found: dict[str, Path] = {}
    for base in bases:
        for name, path in _stacks_in(base / "stacks"):
            found.setdefault(name, path)
    return found


def stacks_at(base: Path) -> tuple[str, ...]:
    """Names of the stacks of one folder's own `stacks/`, sorted."""
    return tuple(sorted({name for name, _ in _stacks_in(base / "stacks")}))


def _stacks_in(folder: Path) -> Iterator[tuple[str, Path]]:
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir()):
        if entry.suffix in (".yaml", ".yml") and entry.is_file() and not entry.stem.endswith(".lock"):
            yield entry.stem, entry
        elif entry.is_dir():
            inside = [entry / "stack.yaml", entry / "stack.yml"]
            yield from ((entry.name, path) for path in inside if path.is_file())


def template_folders(bases: Iterable[Path]) -> dict[str, Path]:
    """Templates by name (`webapp`, `sidecars/postgres`), each with its folder; bases as for `stack_files`."""
    found: dict[str, Path] = {}
    for base in bases:
        for path in sorted((base / "templates").glob("**/template.yaml")):
            name = path.parent.relative_to(base / "templates").as_posix()
            if name.count("/") <= 1:
                found.setdefault(name, path.parent)
    return found
