"""What a compose file mentions: the variables that it interpolates, and the files that it reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

_VARIABLE = re.compile(r"\$\$|\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_SPEAKS = re.compile(r"include|extends|env_file|label_file|\\")
"""A text without any of it names no file: only a backslash could spell such a key otherwise."""
_ELSEWHERE = ("://", "git@", "oci:")


@dataclass(frozen=True, slots=True)
class Mentioned:
    """Files that a compose file reads, as written: other compose files, and env files."""

    compose: tuple[str, ...] = ()
    env: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One place where a compose file names files that Compose reads with it.

    Args:
        kind: `file` has variables or labels for the service.
        path: Where it is named (`services.web.env_file`).
        files: As written; none where a service extends one of the same file.
        service: Whom it is for; empty for an `include`.
        target: The service that is extended.
        folder: What relative paths in an included file start from; empty for the file's own folder.
        env: What an included file is interpolated with, beside its folder's own `.env`.
    """

    kind: Literal["include", "extends", "file"]
    path: str
    files: tuple[str, ...]
    service: str = ""
    target: str = ""
    folder: str = ""
    env: tuple[str, ...] = ()


def variables_in(text: str) -> frozenset[str]:
    """Names of the variables that a text interpolates, those in comments too."""
    return frozenset(match[1] for match in _VARIABLE.finditer(text) if match[1])


def read_plain(text: str, *, whole: bool = False) -> tuple[dict[str, Any], ...] | None:
    """The documents of a compose file, Compose's tags left out; None where it is unreadable.

    Unless it is wanted whole, there are none where it names no file, which is told much sooner.
    """
    from stackctl.core.yaml_graph import read_graphs

    if not whole and not _SPEAKS.search(text):
        return ()
    found = read_graphs(text)
    return None if found is None else tuple(one for one in found if isinstance(one, dict))


def named_by(document: dict[str, Any], service: str) -> Iterator[Named]:
    """The files that one service of a compose file names."""
    section = _services(document).get(service)
    if not isinstance(section, dict):
        return
    at = f"services.{service}"
    for key in ("env_file", "label_file"):
        files = tuple(_texts(section.get(key), "path"))
        if files:
            yield Named(kind="file", path=f"{at}.{key}", files=files, service=service)
    extends = section.get("extends")
    section = {"service": extends} if isinstance(extends, str) else extends
    if isinstance(section, dict):
        files, target = tuple(_texts(section.get("file"), "")), str(section.get("service", ""))
        yield Named(kind="extends", path=f"{at}.extends", files=files, service=service, target=target)


def named_included(document: dict[str, Any]) -> Iterator[Named]:
    """The files that a compose file includes."""
    for place, entry in enumerate(_listed(document.get("include"))):
        section = entry if isinstance(entry, dict) else {"path": entry}
        folder = section.get("project_directory")
        yield Named(
            kind="include",
            path=f"include[{place}]",
            files=tuple(_texts(section.get("path"), "")),
            folder=folder if isinstance(folder, str) else "",
            env=tuple(_texts(section.get("env_file"), "")),
        )


def service_names(document: dict[str, Any]) -> tuple[str, ...]:
    """The services that a compose file itself has."""
    return tuple(map(str, _services(document)))


def files_in(text: str) -> Mentioned:
    """The files that a compose file includes, extends or takes variables from.

    Those whose path is interpolated or lies elsewhere than in a file system are left out.
    """
    documents = read_plain(text) or ()
    services = [one for each in documents for name in service_names(each) for one in named_by(each, name)]
    included = [one for each in documents for one in named_included(each)]
    compose = [*included, *(one for one in services if one.kind == "extends")]
    env = [path for one in services if one.kind == "file" for path in one.files]
    return Mentioned(
        _plain([path for one in compose for path in one.files]),
        _plain([*env, *(path for one in included for path in one.env)]),
    )


def _services(document: dict[str, Any]) -> dict[str, Any]:
    services = document.get("services")
    return services if isinstance(services, dict) else {}


def _texts(value: Any, key: str) -> Iterator[str]:
    """The texts of a list or of one alone, and those below a key of what is a mapping there."""
    for entry in _listed(value):
        inner = _listed(entry.get(key)) if key and isinstance(entry, dict) else [entry]
        yield from (one for one in inner if isinstance(one, str))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _plain(paths: list[str]) -> tuple[str, ...]:
    kept = (one for one in paths if "$" not in one and not any(mark in one for mark in _ELSEWHERE))
    return tuple(dict.fromkeys(kept))
