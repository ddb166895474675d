"""Has Compose read files that nobody vouches for: bounded in time, memory and output, off the network."""

from __future__ import annotations

import json
import re
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stackctl.core.documents import load
from stackctl.core.errors import EngineRefused, StackFileError, TimedOut
from stackctl.core.mentions import files_in
from stackctl.engine import process
from stackctl.engine.errors import explain

MEMORY = 1 << 30
"""Bytes that Compose may take; for 10,000 services it takes a third of that."""
LARGEST = 8 << 20
"""Bytes of one compose file; one of 10,000 services has a tenth of it."""
MOST_FILES = 100
"""Files in which the place of an error is looked for."""
OFFLINE = {"COMPOSE_EXPERIMENTAL_GIT_REMOTE": "false", "COMPOSE_EXPERIMENTAL_OCI_REMOTE": "false"}
"""What keeps Compose from fetching an `include` or `extends`; a `.env` cannot win over it."""

_DOING = "`docker compose config`"
_SSH_KEYS = "MarshalJSON for type types.SSHKey"
_NO_MEMORY = re.compile(r"^fatal error:.*(?:out of memory|cannot allocate)", re.MULTILINE)
_WARNING = re.compile(r'time="')
_REMOTE = re.compile(r"^(?!\s*(?:#|image:)).*(?:(?:https?|ssh|git|oci)://|\bgit@|github\.com[/:])")
_LONGEST = 500


def read(
    argv: Sequence[str], files: Sequence[Path], *, env: Mapping[str, str], text: str, timeout: float
) -> dict[str, Any]:
    """The document that Compose makes of files.

    It is asked for JSON, which says what is text and what a number, and loses nothing; its YAML drops the
    newline that a text begins with. Measured on 328 files both take as long.

    Args:
        argv: `docker compose` with its options, without `config`.
        files: The files that it names.
        env: The child's environment.
        text: What the file `-` says.
        timeout: Seconds for all of it.

    Raises:
        StackFileError: A file is none that can be read, or too large.
        EngineRefused: Compose does not accept the files, or needs too much memory for them.
        TimedOut: It took longer.
    """
    for file in files:
        _check(file)

    def config(*options: str, output: str = "json") -> process.Completed:
        words = [*argv, *options, "config", "--format", output]
        try:
            return process.run(
                words, timeout=timeout, env={**env, **OFFLINE}, input=text.encode(), memory=MEMORY
            )
        except TimedOut as error:
            hint = "aliases that grow without end, or a file that never ends, keep Compose busy for ever"
            raise TimedOut(f"{error.message} on {_names(files)}", hint=hint) from None

    ended = config()
    return _document(ended, files) if _SSH_KEYS not in ended.stderr else _with_ssh_keys(config, files)


def _with_ssh_keys(config: Callable[..., process.Completed], files: Sequence[Path]) -> dict[str, Any]:
    """The document of files with keys of ssh, which Compose cannot write as JSON: they come from its YAML."""
    keys = _ssh_keys(load(_succeeded(config(output="yaml"), files).stdout, source=_names(files)).data)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as without:
        reset = [f"  {json.dumps(name)}: {{build: {{ssh: !reset null}}}}\n" for name in keys]
        without.write("services:\n" + "".join(reset))
        without.flush()
        document = _document(config("--file", without.name), files)
    for name, given in keys.items():
        document["services"][name]["build"]["ssh"] = given
    return document


def _check(file: Path) -> None:
    """Refuse what Compose would read for ever."""
    if str(file) == "-":
        return
    try:
        found = file.stat()
    except OSError as error:
        raise StackFileError(f"the compose file {file} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise StackFileError(f"the compose file {file} is no regular file")
    if found.st_size > LARGEST:
        raise StackFileError(f"the compose file {file} is larger than {LARGEST >> 20} MiB")


def _document(ended: process.Completed, files: Sequence[Path]) -> dict[str, Any]:
    return dict(json.loads(_succeeded(ended, files).stdout))


def _succeeded(ended: process.Completed, files: Sequence[Path]) -> process.Completed:
    if not ended.code:
        return ended
    if _NO_MEMORY.search(ended.stderr):
        raise EngineRefused(
            f"Compose needs more than {MEMORY >> 30} GiB of memory for {_names(files)}",
            hint="aliases that grow without end, or a file that never ends, would take any amount",
        )
    if "remote resource is disabled" in ended.stderr:
        raise EngineRefused(
            f"{_where_remote(files)} includes or extends what is fetched from elsewhere, and nothing is",
            hint="keep a copy of it beside the file, and name that",
        )
    error = explain(ended.stderr, doing=_DOING)
    if type(error) is EngineRefused and error.message.startswith(_DOING):
        lines = [line.strip() for line in ended.stderr.splitlines() if not _WARNING.match(line)]
        said = " ".join(line for line in lines if line).rstrip(".")[:_LONGEST]
        raise EngineRefused(f"{_DOING} failed on {_names(files)}: {said or 'it said nothing'}")
    raise error


def _where_remote(files: Sequence[Path]) -> str:
    """The file and line that names something on the network, in these or in what they include and extend."""
    waiting = [one for one in files if str(one) != "-"]
    for file in waiting:
        text = _text(file)
        for number, line in enumerate(text.splitlines(), 1):
            if _REMOTE.search(line):
                return f"{file}:{number}"
        further = ((file.parent / name).resolve() for name in files_in(text).compose)
        waiting += [one for one in further if one not in waiting][: MOST_FILES - len(waiting)]
    return _names(files)


def _text(file: Path) -> str:
    """What stands in a file; nothing where it is none that Compose would read to its end."""
    try:
        _check(file)
        return file.read_text(errors="replace")
    except (StackFileError, OSError):
        return ""


def _names(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files))


def _ssh_keys(document: Any) -> dict[str, Any]:
    """Service -> the ssh keys of its build."""
    found = {}
    for name, service in document["services"].items():
        build = service.get("build") or {}
        if build.get("ssh"):
            found[name] = build["ssh"]
    return found
