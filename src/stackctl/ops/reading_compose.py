"""Compose as the reader of people's own files: with `.env` and the caller's variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stackctl.core.composefiles import ComposeSources, Reader
    from stackctl.ops.protocols import Engine

STEERING = ("COMPOSE_", "DOCKER_", "STACKCTL_", "BUILDKIT_")
"""Variables that choose files, projects and engines begin so; those are ours to choose."""


def reader(engine: Callable[[], Engine], environ: Mapping[str, str]) -> Reader:
    """Has Compose read files.

    Args:
        engine: Asked for when there is something to read; that needs no daemon.
        environ: The caller's environment: what is interpolated, over `.env`.
    """
    ours = {name: value for name, value in environ.items() if not name.startswith(STEERING)}

    def read(sources: ComposeSources, project: str) -> Mapping[str, Any]:
        return engine().config(
            [Path(one) for one in sources.files],
            project=project,
            directory=Path(sources.directory),
            variables={**ours, **sources.variables},
            env_files=[Path(one) for one in sources.env_files],
            profiles=sources.profiles,
            dotenv=True,
            text=sources.text,
        )

    return read
