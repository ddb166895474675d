"""How services learn of the sidecars: the URL by environment file or secret file, and what they wait for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stackctl.core.attachments import attach_secrets, secret_path
from stackctl.core.holes import SECRETS
from stackctl.core.sidecars import FILE_SUFFIX, url_secret

if TYPE_CHECKING:
    from stackctl.core.stack import SidecarPlan


def connect(
    service: Mapping[str, Any], name: str, plans: Sequence[SidecarPlan], checked: Mapping[str, bool]
) -> dict[str, Any]:
    """The service with the URLs of these sidecars, and waiting for them.

    URLs hold passwords, so none stands in the document: the shell writes `<service>.env` with one line for
    each sidecar, or, where the variable ends in `_FILE`, a secret with the URL.

    Args:
        service: A service that is no sidecar.
        name: Its name.
        plans: The sidecars that it is connected to.
        checked: Sidecar -> whether it has a health check to wait for.
    """
    by_file = [plan for plan in plans if plan.env.endswith(FILE_SUFFIX)]
    by_environment = [plan for plan in plans if plan.env and plan not in by_file]
    connected = attach_secrets(service, [url_secret(plan.name) for plan in by_file])
    if by_file:
        paths = {plan.env: secret_path(url_secret(plan.name)) for plan in by_file}
        connected["environment"] = _environment(service, paths)
    if by_environment:
        connected["env_file"] = [*_listed(service.get("env_file")), f"{SECRETS}/{name}.env"]
    if plans:
        connected["depends_on"] = _waiting(service, plans, checked)
    return connected


def clashes(plans: Sequence[SidecarPlan]) -> list[str]:
    """One sentence for each environment variable that two sidecars want."""
    found: dict[str, str] = {}
    problems = []
    for plan in plans:
        if plan.env and plan.env in found:
            problems.append(f"the sidecars `{found[plan.env]}` and `{plan.name}` both set `{plan.env}`")
        found.setdefault(plan.env, plan.name)
    return problems


def _environment(service: Mapping[str, Any], paths: Mapping[str, str]) -> Any:
    """The paths, unless the service sets the variable itself."""
    said = service.get("environment") or {}
    if isinstance(said, list):
        named = {str(entry).partition("=")[0] for entry in said}
        return [*said, *(f"{env}={path}" for env, path in sorted(paths.items()) if env not in named)]
    return {**paths, **said}


def _listed(entry: Any) -> list[Any]:
    return list(entry) if isinstance(entry, list) else [entry] if entry else []


def _waiting(
    service: Mapping[str, Any], plans: Sequence[SidecarPlan], checked: Mapping[str, bool]
) -> dict[str, Any]:
    said = service.get("depends_on") or {}
    if isinstance(said, list):
        said = {name: {"condition": "service_started"} for name in said}
    waits = {
        plan.name: {"condition": "service_healthy" if checked[plan.name] else "service_started"}
        for plan in plans
    }
    return {**waits, **said}
