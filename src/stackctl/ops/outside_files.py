"""Which files from outside a stack's own root Compose reads for it, and for which services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackctl.core.composefiles import PLACE, ComposeSources
from stackctl.core.documents import dump
from stackctl.core.errors import StackctlError
from stackctl.core.mentions import Named, named_by, named_included, read_plain, service_names
from stackctl.core.rules import OutsideFile
from stackctl.ops.finding import read_text

if TYPE_CHECKING:
    from stackctl.core.composefiles import Reader

MOST_VISITS = 2000
"""Files, and services that are extended in one; what is made of more counts as unreadable."""


def outside_files(asked: ComposeSources, base: Path, compose: Reader) -> tuple[OutsideFile, ...]:
    """What compose files include, extend or take variables from outside a folder, links followed.

    The files that the caller named himself are his own to choose, wherever they lie.

    Args:
        asked: Files that Compose has accepted.
        base: What counts as the stack's own root.
        compose: Fills in the variables of such a path.
    """
    walk = _Walk(base.resolve(), compose)
    for file in asked.files:
        walk.visit(Path(file), asked)
    return tuple(walk.found)


class _Walk:
    def __init__(self, base: Path, compose: Reader) -> None:
        self._base, self._compose = base, compose
        self._seen: set[tuple[Path, str, str, str]] = set()
        self._read: dict[tuple[Path, bool], tuple[dict[str, Any], ...]] = {}
        self.found: dict[OutsideFile, None] = {}

    def visit(self, file: Path, asked: ComposeSources, *, only: str = "", owner: str = "") -> None:
        """Follow a file; or one service of it, which another one extends.

        Args:
            asked: What is interpolated there, and the folder that relative paths start from.
            owner: The service that gets what is found; empty for each its own.
        """
        key = (file, only, owner, asked.directory)
        if key in self._seen:
            return
        self._seen.add(key)
        if len(self._seen) > MOST_VISITS:
            self._cannot_tell(owner, file)
            return
        documents = self._documents(file, owner)
        named: list[Named] = []
        for document in documents:
            for name in [only] if only else service_names(document):
                named += named_by(document, name)
            named += [] if only else named_included(document)
        for one in self._filled(named, asked):
            if one.kind == "include":
                self._include(one, asked)
            else:
                self._serve(one, file, asked, owner or one.service)

    def _documents(self, file: Path, owner: str, *, whole: bool = False) -> tuple[dict[str, Any], ...]:
        if (file, whole) not in self._read:
            data: tuple[dict[str, Any], ...] | None = ()
            if file.is_file():
                try:
                    data = read_plain(read_text(file), whole=whole)
                except StackctlError:
                    data = None
            if data is None:
                self._cannot_tell(owner, file)
            self._read[file, whole] = data or ()
        return self._read[file, whole]

    def _serve(self, one: Named, file: Path, asked: ComposeSources, owner: str) -> None:
        paths = [_real(asked.directory, path) for path in one.files]
        for path in paths:
            self._note(owner, one.path if owner == one.service else f"services.{owner}", path)
        if one.kind == "extends":
            for path in paths or [file]:
                there = replace(asked, directory=str(path.parent)) if paths else asked
                self.visit(path, there, only=one.target, owner=owner)

    def _include(self, one: Named, asked: ComposeSources) -> None:
        paths = [_real(asked.directory, path) for path in one.files]
        if not paths:
            return
        folder = _real(asked.directory, one.folder) if one.folder else paths[0].parent
        env = [_real(asked.directory, path) for path in one.env]
        there = replace(
            asked,
            directory=str(folder),
            env_files=tuple(map(str, [*_env_files(env, folder), *_own_env_files(asked)])),
        )
        for path in paths:
            outside = [each for each in (path, *env) if not self._inside(each)]
            documents = self._documents(path, "", whole=True) if outside else ()
            names = [name for document in documents for name in service_names(document)]
            for name in names or ("",):
                for each in outside:
                    self._note(name, f"services.{name}" if name else one.path, each)
            self.visit(path, there)

    def _inside(self, file: Path) -> bool:
        return file.is_relative_to(self._base)

    def _note(self, service: str, path: str, file: Path) -> None:
        if not self._inside(file):
            self.found.setdefault(OutsideFile(service=service, path=path, file=str(file)))

    def _cannot_tell(self, service: str, file: Path) -> None:
        path = f"services.{service}" if service else "services"
        self.found.setdefault(OutsideFile(service=service, path=path, file=str(file), readable=False))

    def _filled(self, named: Sequence[Named], asked: ComposeSources) -> list[Named]:
        """The same with every variable filled in, as Compose does it."""
        texts = {
            text for one in named for text in (*one.files, *one.env, one.folder, one.target) if "$" in text
        }
        if not texts:
            return list(named)
        said = _interpolated(sorted(texts), asked, self._compose)
        return [
            replace(
                one,
                files=tuple(said.get(text, text) for text in one.files),
                env=tuple(said.get(text, text) for text in one.env),
                folder=said.get(one.folder, one.folder),
                target=said.get(one.target, one.target),
            )
            for one in named
        ]


def _interpolated(texts: Sequence[str], asked: ComposeSources, compose: Reader) -> Mapping[str, str]:
    question = replace(
        asked,
        files=("-",),
        profiles=(),
        text=dump(
            {
                "services": {
                    "probe": {
                        "image": "probe",
                        "environment": {f"T{place}": text for place, text in enumerate(texts)},
                    }
                }
            }
        ),
    )
    answer = compose(question, PLACE)["services"]["probe"]["environment"]
    return {text: str(answer[f"T{place}"]).replace("$$", "$") for place, text in enumerate(texts)}


def _own_env_files(asked: ComposeSources) -> Iterable[Path]:
    return _env_files([Path(one) for one in asked.env_files], Path(asked.directory))


def _env_files(named: Sequence[Path], folder: Path) -> Iterable[Path]:
    """What is interpolated from: the files that are named, else the `.env` of the folder."""
    own = folder / ".env"
    return named or ([own] if own.is_file() else [])


def _real(directory: str, path: str) -> Path:
    return (Path(directory) / Path(path).expanduser()).resolve()
