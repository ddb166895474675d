"""Takes away what the receipt of an installation says, and nothing else; goes back to the version before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.errors import StateError
from stackctl.core.records import LIVE
from stackctl.ops.installing import check_runs
from stackctl.state.startup_files import remove_block, remove_file

if TYPE_CHECKING:
    from stackctl.ops.protocols import Store
    from stackctl.state.installation import Installation


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """What an installation made, in the order in which it goes.

    Args:
        blocks: Start-up files with our block.
        files: Files that are removed whole, our link first.
        versions: Names of versions.
        folders: Folders that go when nothing is left in them, deepest first.
    """

    blocks: tuple[Path, ...]
    files: tuple[Path, ...]
    versions: tuple[str, ...]
    folders: tuple[Path, ...]


def live_environments(store: Store) -> tuple[str, ...]:
    """Projects that run now, and would lose what watches them."""
    return tuple(record.project for record in store.records() if record.phase in LIVE)


def belongings(installation: Installation) -> Belongings:
    """What the receipt says that is still there.

    Raises:
        StateError: The receipt cannot be read.
    """
    receipt = installation.receipt
    links = [Path(one) for one in receipt.every("link") if installation.owns(Path(one))]
    blocks = tuple(Path(one) for one in receipt.every("block"))
    files = [Path(one) for one in (*receipt.every("file"), *receipt.every("backup"))]
    folders = sorted({Path(one) for one in receipt.every("folder")}, key=lambda one: -len(one.parts))
    return Belongings(
        blocks=blocks,
        files=(*links, *(one for one in files if one not in blocks and one.is_file())),
        versions=tuple(one for one in receipt.every("version") if installation.folder_of(one).is_dir()),
        folders=tuple(folders),
    )


def uninstall(installation: Installation) -> tuple[str, ...]:
    """Remove it all; sentences about what could not be removed.

    Raises:
        StateError: The receipt cannot be read, or a version cannot be removed.
    """
    made = belongings(installation)
    created = installation.receipt.every("file")
    kept = [path for path in made.blocks if not remove_block(path)]
    emptied = [path for path in made.blocks if str(path) in created and _is_empty(path)]
    kept += [path for path in (*emptied, *made.files) if not remove_file(path)]
    for name in made.versions:
        installation.discard(name)
    installation.remove_own_files()
    for folder in made.folders:
        installation.remove_empty(folder)
    return tuple(f"`{path}` could not be changed: remove it, or our block in it, by hand" for path in kept)


def _is_empty(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


def name_before(installation: Installation) -> str:
    """The name of the version before the one in use.

    Raises:
        StateError: There is none.
    """
    name = installation.version_at("previous")
    if not name or not installation.facts(name):
        raise StateError("there is no version before this one", hint="`stackctl self update --version X`")
    return name


def roll_back(installation: Installation, environ: Mapping[str, str]) -> tuple[str, str]:
    """Use the version before once more; the versions' names, then and now.

    Raises:
        StackctlError: There is none, or it does not run.
    """
    name = name_before(installation)
    version = installation.facts(name)["version"]
    check_runs(installation.folder_of(name) / "bin" / "stackctl", version, environ)
    return installation.use(name), name
