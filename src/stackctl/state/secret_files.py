"""An environment's secrets: one file each in a folder that only its owner may enter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.errors import Problem, StateError, UsageError
from stackctl.core.units import show_size
from stackctl.state.atomic import read_regular, write_changed
from stackctl.state.failures import check_file_name, encode_text
from stackctl.state.folders import make_folder

if TYPE_CHECKING:
    from stackctl.core.stack import SecretSpec

SECRETS = "secrets"
MOUNTED_MODE = 0o444
"""For secrets that containers mount one by one: an image that runs under its own uid reads no 0600 file."""
ENVIRONMENT_MODE = 0o600
"""For env files, which only compose reads."""

MOST = 64 << 10
_LENGTH = 32
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

Reader = Callable[[str], bytes]
"""Reads a file that the user named: its path -> its content; raises OSError."""


def read_user_file(path: str) -> bytes:
    """The content of a user's file, of at most one byte more than a secret may have.

    Raises:
        OSError: It cannot be read.
    """
    with Path(path).open("rb") as file:
        return file.read(MOST + 1)


def ensure_secrets(
    folder: Path, specs: Sequence[SecretSpec], reader: Reader = read_user_file
) -> Mapping[str, str]:
    """Make sure that every secret has its file.

    Without a user's file a secret is generated once and stays; with one, it follows that file.

    Args:
        folder: The environment's folder.
        specs: Which secrets there must be.
        reader: Reads the users' files.

    Returns:
        Name -> secret, of each one.

    Raises:
        UsageError: Users' files that cannot be secrets, all at once; nothing was written.
        StateError: The file system refused.
    """
    given, problems = _read_given(specs, reader)
    if problems:
        raise UsageError(_summary(problems), hint=problems[0].hint, problems=problems)
    return {spec.name: _ensure(folder, spec, given) for spec in specs}


def _read_given(specs: Sequence[SecretSpec], reader: Reader) -> tuple[dict[str, str], tuple[Problem, ...]]:
    given: dict[str, str] = {}
    problems = []
    for spec in specs:
        if spec.from_file:
            try:
                given[spec.name] = _read_one(spec, reader)
            except ValueError as error:
                problems.append(
                    Problem(
                        path=f"variables.{spec.name}",
                        message=f"the secret cannot be read from `{spec.from_file}`: {error}",
                        hint="put the secret into that file, or name no file to have one generated",
                    )
                )
    return given, tuple(problems)


def _read_one(spec: SecretSpec, reader: Reader) -> str:
    try:
        data = reader(spec.from_file)
    except OSError as error:
        raise ValueError((error.strerror or "it cannot be read").lower()) from error
    if len(data) > MOST:
        raise ValueError(f"it is larger than {show_size(MOST)}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or "\0" in text:
        raise ValueError("it has a NUL in it" if text else "it is empty")
    return text


def _summary(problems: Sequence[Problem]) -> str:
    return str(problems[0]) if len(problems) == 1 else f"{len(problems)} secrets cannot be read"


def _ensure(folder: Path, spec: SecretSpec, given: Mapping[str, str]) -> str:
    text = given.get(spec.name)
    if text is None:
        text = _stored(folder, spec.name) or _generate()
    write_secret_text(folder, spec.name, text)
    return text


def _generate() -> str:
    import secrets

    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def write_secret_text(folder: Path, name: str, text: str) -> Path:
    """Write a text with a secret in it; an unchanged one is not touched, so its mounts stay valid.

    Args:
        folder: The environment's folder.
        name: Its file name; `<service>.env` is for compose alone, all else is for containers to mount.
        text: Its whole content.

    Returns:
        Its path.

    Raises:
        StateError: The name may not be used, or the file system refused.
    """
    path = secret_path(folder, name)
    make_folder(path.parent)
    write_changed(path, encode_text(text, name), ENVIRONMENT_MODE if name.endswith(".env") else MOUNTED_MODE)
    return path


def read_secret(folder: Path, name: str) -> str:
    """A stored secret.

    Raises:
        StateError: It is gone, damaged, or cannot be read.
    """
    text = _stored(folder, name)
    if text is None:
        raise StateError(
            f"the secret `{secret_path(folder, name)}` is gone",
            hint="restore it from a backup; `stackctl up` makes a new one, which old data may not accept",
        )
    return text


def _stored(folder: Path, name: str) -> str | None:
    path = secret_path(folder, name)
    data = read_regular(path, MOST * 4)
    try:
        return data.decode() if data is not None else None
    except UnicodeDecodeError as error:
        raise StateError(f"the secret `{path}` is damaged", hint="restore it from a backup") from error


def secret_stamp(folder: Path, name: str) -> str:
    """What changes when a secret's file is replaced, and tells nothing of the secret; empty without one.

    A container that mounts a replaced file still sees the old one, so what mounts it must be recreated
    when this changes.
    """
    with suppress(OSError):
        found = secret_path(folder, name).lstat()
        return f"{found.st_ino:x}-{found.st_mtime_ns:x}"
    return ""


def secret_path(folder: Path, name: str) -> Path:
    """Where a secret is stored.

    Raises:
        StateError: The name may not be used.
    """
    return folder / SECRETS / check_file_name(name, "secret")
