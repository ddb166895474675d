"""Secrets that were replaced while services run: Compose sees only paths, so their holders are restarted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stackctl.core.facts import Container
    from stackctl.ops.context import Context


def secret_stamps(context: Context, project: str, document: Mapping[str, Any]) -> dict[str, str]:
    """For each secret of a document what changes when its file is replaced; tells nothing of the secret."""
    return {name: context.store.secret_stamp(project, name) for name in document.get("secrets", {})}


def mounting(document: Mapping[str, Any], secrets: set[str]) -> set[str]:
    """The services of a bounded document that mount one of the secrets."""
    return {
        name
        for name, service in document.get("services", {}).items()
        for entry in service.get("secrets", ())
        if (entry if isinstance(entry, str) else entry.get("source")) in secrets
    }


def restart_holders(
    context: Context, document: Mapping[str, Any], secrets: set[str], containers: Iterable[Container]
) -> None:
    """Restart containers that were started before a secret of theirs was replaced.

    Args:
        secrets: Names of the secrets whose file is another one now.
        containers: Those that ran before and still do; new ones have the new file.
    """
    services = mounting(document, secrets)
    holders = [container for container in containers if container.service in services]
    if holders:
        names = ", ".join(sorted({container.service for container in holders}))
        context.progress.step(f"restarting {names}, whose secret was replaced")
        context.engine.restart([container.id for container in holders])
