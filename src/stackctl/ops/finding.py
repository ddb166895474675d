"""Where stacks and templates are found: the checkout, the user's configuration, the wheel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stackctl.core.errors import StackFileError, UnknownName
from stackctl.core.names import check_name, nearest
from stackctl.core.stack import TemplateFolder
from stackctl.ops import listing

MAX_TEMPLATE_FILES = 200
COMPILED = "__pycache__"
"""Installers compile every Python file of a package, those that templates carry too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folders that are searched, the nearest first; each may hold `stacks/` and `templates/`.

    Args:
        checkout: The working directory and each parent up to the repository root, real paths.
        configured: The user's configuration directory.
        shipped: The folder in the wheel (or the source tree) with the shipped stacks and templates.
        home: The state root: the identity of shipped and configured stacks.
    """

    checkout: tuple[Path, ...]
    configured: Path
    shipped: Path
    home: Path

    def all(self) -> tuple[Path, ...]:
        """Every folder, in the order of the search."""
        return (*self.checkout, self.configured, self.shipped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A stack file that was found.

    Args:
        source: The file as messages show it.
        base: The folder that holds `stacks/`; its `templates/` are searched first.
        root: Real path that the project name is made from.
        shipped: True for a stack that came with stackctl.
        path: The file itself; None for a stack that stands in no file.
    """

    name: str
    source: str
    text: str
    base: Path
    root: str
    shipped: bool
    path: Path | None = None


def stack_files(places: Places) -> dict[str, Path]:
    """Every stack that can be found: name -> its file, the nearest where several have one name."""
    return listing.stack_files(places.all())


def template_names(places: Places) -> dict[str, Path]:
    """Every template that can be found: name (`webapp`, `sidecars/postgres`) -> its folder."""
    return listing.template_folders(places.all())


def find_stack(name: str, places: Places) -> Found:
    """Find a stack by name.

    Raises:
        UsageError: The word cannot be a name.
        UnknownName: There is no such stack; the hint has the nearest names and where it was looked for.
        StackFileError: The file cannot be read.
    """
    check_name(name)
    for base in places.all():
        for path in _candidates(base / "stacks", name):
            if path.is_file():
                return _found(name, path, base, places)
    near = nearest(name, stack_files(places))
    looked = ", ".join(str(_shown(base / "stacks")) for base in places.all())
    meant = f"did you mean {' or '.join(f'`{word}`' for word in near)}? " if near else ""
    raise UnknownName(
        f"there is no stack `{name}`",
        hint=f"{meant}looked in {looked}; `stackctl list --stacks` shows every one",
    )


def _found(name: str, path: Path, base: Path, places: Places) -> Found:
    in_checkout = base in places.checkout
    return Found(
        name=name,
        source=str(_shown(path)),
        text=read_text(path),
        base=base,
        root=str(base.resolve() if in_checkout else places.home.resolve()),
        shipped=base == places.shipped and not in_checkout,
        path=path.absolute(),
    )


def _candidates(folder: Path, name: str) -> tuple[Path, ...]:
    return (
        folder / f"{name}.yaml",
        folder / f"{name}.yml",
        folder / name / "stack.yaml",
        folder / name / "stack.yml",
    )


def find_template(name: str, places: Places, *, first: Path) -> TemplateFolder:
    """Read a template's folder as a mapping, the one beside the stack first.

    Raises:
        UnknownName: There is no such template.
        StackFileError: A file cannot be read, is too large, or is a link out of the folder.
    """
    from stackctl.core.sidecars import FOLDER

    for part in name.split("/"):
        check_name(part, "template")
    for base in dict.fromkeys((first, *places.all())):
        folder = base / "templates" / name
        if (folder / "template.yaml").is_file():
            return TemplateFolder(
                name=name,
                source=str(_shown(folder)),
                files=read_folder(folder),
                shipped=base == places.shipped,
            )
    known = template_names(places)
    if name.startswith(FOLDER):
        named = sorted(one.removeprefix(FOLDER) for one in known if one.startswith(FOLDER))
        word = name.removeprefix(FOLDER)
        raise UnknownName(f"there is no sidecar template `{word}`", hint=f"there are: {', '.join(named)}")
    near = nearest(name, known) or tuple(sorted(known))
    raise UnknownName(f"there is no template `{name}`", hint=f"there are: {', '.join(near)}")


def read_macros(places: Places) -> dict[str, str]:
    """The shipped macros that every template may import, by file name."""
    folder = places.shipped / "templates" / "macros"
    return read_folder(folder) if folder.is_dir() else {}


def read_folder(folder: Path) -> dict[str, str]:
    """Every file below a folder as text, by relative path, compiled Python left out.

    A link that leads out of the folder is refused.

    Raises:
        StackFileError: A file cannot be read or decoded, is too large, or leads out of the folder.
    """
    root = folder.resolve()
    files: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or COMPILED in path.parts:
            continue
        if not path.resolve().is_relative_to(root):
            raise StackFileError(
                f"{_shown(path)} is a link that leads out of its template",
                hint="put the file itself into the template's folder",
            )
        if len(files) == MAX_TEMPLATE_FILES:
            raise StackFileError(f"{_shown(folder)} has more than {MAX_TEMPLATE_FILES} files")
        files[path.relative_to(folder).as_posix()] = read_text(path)
    return files


def read_text(path: Path) -> str:
    """A file's text, bounded in size.

    Raises:
        StackFileError: It cannot be read, is larger than a document may be, or is not UTF-8.
    """
    from stackctl.core.documents import MAX_BYTES  # and with it YAML, which names alone do not need

    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise StackFileError(f"{_shown(path)} cannot be read: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise StackFileError(f"{_shown(path)} is larger than {MAX_BYTES >> 20} MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StackFileError(
            f"{_shown(path)} is not UTF-8 text: byte {error.start} cannot be read"
        ) from error


def _shown(path: Path) -> Path:
    """The path as a person would write it: relative to the working directory where it lies below it."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
