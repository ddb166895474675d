"""The files of one installation: versions side by side, the link to the one in use, the receipt, the lock.

A version is in use from one rename(2) to the next; what no link leads to does not count.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stackctl.core.errors import Busy, StateError
from stackctl.core.receipts import Receipt, parse_receipt, receipt_line

CURRENT, PREVIOUS, VERSIONS, RELEASE = "current", "previous", "versions", "release"
_LOCK, _RECEIPT = "install.lock", "receipt"
_LOOK = 0.2


@contextmanager
def _allowed(action: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        hint = "choose folders that you may write, with --prefix and --bin-dir"
        raise StateError(f"cannot {action} `{path}`: {reason}", hint=hint) from error


@dataclass(frozen=True, slots=True)
class Installation:
    """What install.sh made below a prefix.

    Every method raises StateError where the file system refuses.
    """

    prefix: Path

    @property
    def program(self) -> Path:
        """The command of the version in use."""
        return self.prefix / CURRENT / "bin" / "stackctl"

    @property
    def receipt(self) -> Receipt:
        """What was written down; empty without a receipt."""
        path = self.prefix / _RECEIPT
        with _allowed("read", path), suppress(FileNotFoundError):
            return parse_receipt(path.read_text(errors="surrogateescape"))
        return Receipt()

    @property
    def launcher(self) -> Path:
        """The link in the user's folder of commands."""
        return Path(self.receipt.last("bin_dir")) / "stackctl"

    def version_at(self, link: str) -> str:
        """The name of the version that `current` or `previous` leads to; empty without one."""
        try:
            name = Path(os.readlink(self.prefix / link))  # noqa: PTH115 -- also where nothing is behind it
        except OSError:
            return ""
        return name.name if name.parent == Path(VERSIONS) else ""

    def folder_of(self, name: str) -> Path:
        """Where a version is."""
        return self.prefix / VERSIONS / name

    def facts(self, name: str) -> dict[str, str]:
        """What was written down of a version when it was complete; empty where it never was."""
        try:
            lines = (self.folder_of(name) / RELEASE).read_text().splitlines()
        except OSError:
            return {}
        return {key: value for key, _, value in (line.partition(" ") for line in lines)}

    def seal(self, name: str, facts: dict[str, str]) -> None:
        """Write down what a complete version is."""
        path = self.folder_of(name) / RELEASE
        with _allowed("write", path):
            path.write_text("".join(f"{key} {value}\n" for key, value in facts.items()))

    @contextmanager
    def locked(self, wait: float) -> Iterator[None]:
        """Hold the installation's lock; it belongs to the open file, so a killed holder lets go of it.

        Args:
            wait: Seconds to wait for another holder.

        Raises:
            Busy: It was held all that time.
        """
        path, until = self.prefix / _LOCK, time.monotonic() + wait
        while True:
            self.make_folder(self.prefix)
            with _allowed("write", path):
                file = path.open("a")
            with file:
                if _taken(file.fileno(), path):
                    yield
                    return
            if time.monotonic() >= until:
                raise Busy(f"another installer is at work in `{self.prefix}`", hint="wait for it to end")
            time.sleep(_LOOK)

    def record(self, kind: str, value: str | Path) -> None:
        """Write an entry into the receipt, before the thing is made."""
        known = (self.receipt.last(kind),) if kind == "bin_dir" else self.receipt.every(kind)
        if str(value) in known:
            return
        path = self.prefix / _RECEIPT
        with _allowed("write", path), path.open("a", errors="surrogateescape") as file:
            file.write(receipt_line(kind, str(value)))

    def make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, and write down which were not there."""
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        with _allowed("make the folder", folder):
            for one in reversed(missing):
                one.mkdir(mode=0o755, exist_ok=True)
        for one in reversed(missing):
            self.record("folder", one)

    def new_name(self, version: str) -> str:
        """A name for a version that no link leads to."""
        taken, number, name = {self.version_at(CURRENT), self.version_at(PREVIOUS)}, 1, version
        while name in taken:
            number += 1
            name = f"{version}.{number}"
        return name

    def prepare(self, name: str) -> Path:
        """An empty place for a version; what a killed run left there goes."""
        self.make_folder(self.prefix / VERSIONS)
        self.record("version", name)
        self.discard(name)
        return self.folder_of(name)

    def discard(self, name: str) -> None:
        """Remove a version."""
        with _allowed("remove", self.folder_of(name)), suppress(FileNotFoundError):
            shutil.rmtree(self.folder_of(name))

    def use(self, name: str) -> str:
        """Let `current` lead to a version and `previous` to the one before; the name of that, if any."""
        before = self.version_at(CURRENT)
        if before and before != name:
            self._point(PREVIOUS, before)
        self._point(CURRENT, name)
        return before

    def _point(self, link: str, name: str) -> None:
        temporary = self.prefix / f"{link}.new"
        with _allowed("link", self.prefix / link):
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(Path(VERSIONS) / name)
            temporary.replace(self.prefix / link)

    def place(self, launcher: Path) -> None:
        """Link the command into the user's folder.

        Raises:
            StateError: Somebody else's file is in its place.
        """
        self.record("bin_dir", launcher.parent)
        self.make_folder(launcher.parent)
        if self.owns(launcher):
            return
        if os.path.lexists(launcher):
            hint = "move it away, or choose another --bin-dir"
            raise StateError(f"`{launcher}` is there and is not ours", hint=hint)
        self.record("link", launcher)
        with _allowed("link", launcher):
            launcher.symlink_to(self.program)

    def owns(self, launcher: Path) -> bool:
        """Whether a path is the link that we made."""
        try:
            return os.readlink(launcher) == str(self.program)  # noqa: PTH115 -- a text is compared
        except OSError:
            return False

    def write(self, path: Path, text: str) -> bool:
        """Write a file of ours; False where somebody else's is there, which stays."""
        if os.path.lexists(path) and str(path) not in self.receipt.every("file"):
            return False
        self.make_folder(path.parent)
        self.record("file", path)
        with _allowed("write", path):
            path.write_text(text)
        return True

    def remove_own_files(self) -> None:
        """Remove links, lock and receipt."""
        for name in (CURRENT, PREVIOUS, f"{CURRENT}.new", f"{PREVIOUS}.new", _LOCK, _RECEIPT):
            with _allowed("remove", self.prefix / name):
                (self.prefix / name).unlink(missing_ok=True)

    def remove_empty(self, folder: Path) -> None:
        """Remove a folder of ours unless something is in it."""
        with suppress(OSError):
            folder.rmdir()

    def forget_old(self) -> tuple[str, ...]:
        """Remove every version but the one in use and the one before; their names."""
        kept = {self.version_at(CURRENT), self.version_at(PREVIOUS)}
        names = [one.name for one in sorted((self.prefix / VERSIONS).iterdir()) if one.name not in kept]
        for name in names:
            self.discard(name)
        return tuple(names)


def _taken(descriptor: int, path: Path) -> bool:
    """Whether the lock is ours now, and still the file that others will find."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def installation_of(environment: Path) -> Installation | None:
    """The installation that a Python environment is a version of; None where install.sh did not make it.

    Args:
        environment: The environment's folder, as `sys.prefix` says it.
    """
    prefix = environment.parent.parent
    if environment.parent.name == VERSIONS and (environment / RELEASE).is_file():
        return Installation(prefix) if (prefix / _RECEIPT).is_file() else None
    return None
