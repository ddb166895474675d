"""What a stack was made from, hashed: its files, the values of its variables, the names of its secrets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.composefiles import PLACE, ComposeSources
from stackctl.core.documents import dump
from stackctl.core.lockfile import Inputs, hashed
from stackctl.core.masking import is_secret, masked, masked_env_file
from stackctl.core.mentions import files_in, variables_in
from stackctl.ops.finding import read_text

if TYPE_CHECKING:
    from stackctl.core.composefiles import Reader
    from stackctl.core.stack import Configuration
    from stackctl.ops.preparing import Prepared

MOST_FILES = 500
"""Compose files and env files that are followed; a lock of more would help nobody."""


def read_inputs(prepared: Prepared, configuration: Configuration, compose: Reader | None) -> Inputs:
    """Hash everything that a stack's document is made from, as far as it can be known.

    Args:
        compose: Reads compose files; None where the stack has none of its own.

    Raises:
        StackFileError: A file cannot be read.
        EngineRefused: Compose does not accept an env file.
    """
    if prepared.stack.compose and compose is not None:
        return _of_compose(prepared, configuration, compose)
    return _of_templates(prepared, configuration)


def _of_templates(prepared: Prepared, configuration: Configuration) -> Inputs:
    from stackctl.core.render import stack_values

    sources = prepared.sources
    plain, secrets = stack_values(
        prepared.stack,
        folders=sources.folders,
        given=prepared.given,
        configured=configuration.variables,
    )
    variables = {name: hashed(dump(masked(value, ()))) for name, value in plain.items()}
    return Inputs(
        files={**_own_file(prepared), **_template_files(prepared)}, variables=variables, secrets=secrets
    )


def _own_file(prepared: Prepared) -> dict[str, str]:
    """The stack file; compose files that have none are among the files that Compose reads."""
    found = prepared.found
    if found.path is None or not found.text:
        return {}
    return {_named(found.path, found.base): hashed(found.text)}


def _template_files(prepared: Prepared) -> dict[str, str]:
    used, sources = prepared.rendered.templates, prepared.sources
    files = {
        f"templates/{name}/{path}": hashed(text)
        for name in used
        for path, text in sources.folders[name].files.items()
    }
    if used:
        files |= {f"templates/macros/{name}": hashed(text) for name, text in sources.macros.items()}
    return files


def _of_compose(prepared: Prepared, configuration: Configuration, compose: Reader) -> Inputs:
    from stackctl.ops.composing import sources_of

    asked = sources_of(prepared.found, prepared.stack, prepared.given)
    texts, env_texts = _texts(asked)
    names = {name for text in texts.values() for name in variables_in(text)}
    given = {name for name in asked.variables if name.isascii() and name.isidentifier()}
    values = _values(sorted(names | given), asked, compose)
    rest = _of_templates(prepared, configuration) if prepared.stack.sidecars else Inputs()
    base = prepared.found.base
    hidden = frozenset(text for name, text in values.items() if is_secret(name))
    return Inputs(
        files={
            **_own_file(prepared),
            **rest.files,
            **{_named(path, base): hashed(text) for path, text in texts.items()},
            **{_named(path, base): hashed(masked_env_file(text)) for path, text in env_texts.items()},
        },
        variables={
            **rest.variables,
            **{name: hashed(masked(text, hidden)) for name, text in values.items() if not is_secret(name)},
        },
        secrets=tuple(sorted({*rest.secrets, *(name for name in values if is_secret(name))})),
        hidden=hidden,
    )


def _texts(asked: ComposeSources) -> tuple[dict[Path, str], dict[Path, str]]:
    """Every compose file with those that it includes and extends, and services' env files, by path.

    The env files that are only interpolated from are left out: each value that they give is hashed by itself,
    and another machine may have it from elsewhere.
    """
    directory = Path(asked.directory)
    waiting = [(Path(one), directory) for one in asked.files]
    env: list[Path] = []
    texts: dict[Path, str] = {}
    while waiting and len(texts) < MOST_FILES:
        path, base = waiting.pop(0)
        path = path.resolve()
        if path in texts or not path.is_file():
            continue  # Compose says what is missing
        texts[path] = read_text(path)
        mentioned = files_in(texts[path])
        further = [(base / one).resolve() for one in mentioned.compose]
        waiting += [(one, one.parent) for one in further]
        env += [base / one for one in mentioned.env]
    return texts, {path: read_text(path) for path in _files(env)}


def _files(paths: Iterable[Path]) -> list[Path]:
    resolved = dict.fromkeys(path.resolve() for path in paths)
    return [path for path in resolved if path.is_file()][:MOST_FILES]


def _values(names: Iterable[str], asked: ComposeSources, compose: Reader) -> dict[str, str]:
    """What each variable comes to where Compose interpolates it; those that are set nowhere are left out."""
    wanted = {name: f"${{{name}+:}}${{{name}-}}" for name in names}
    if not wanted:
        return {}
    question = ComposeSources(
        files=("-",),
        directory=asked.directory,
        env_files=asked.env_files,
        variables=asked.variables,
        text=dump({"services": {"probe": {"image": "probe", "environment": wanted}}}),
    )
    found: Mapping[str, str] = compose(question, PLACE)["services"]["probe"]["environment"]
    return {name: text[1:].replace("$$", "$") for name, text in found.items() if text}


def _named(path: Path, base: Path) -> str:
    """A file as locks name it: from the stack's own root, with `/`."""
    return Path(os.path.relpath(path.resolve(), base.resolve())).as_posix()
