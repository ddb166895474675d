"""A bounded document that runs without stackctl, and what its new owner must know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stackctl.core.labels import PREFIX

_LABELLED = ("services", "networks", "volumes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """What an ejected document works with on this host.

    Args:
        data: Data folder -> its path, as its variable in `.env` has it.
        volumes: Names of the engine's named volumes, found by the project's name.
        external: Those that are found by their own name, whatever the project is called.
        secrets: Names of the files below `secrets/`.
        restarts: Service -> its restart policy, which the engine carries out from now on.
        built: Services whose images are built, from folders of the checkout.
        root: The checkout that the document refers to, empty where it does not.
    """

    data: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    external: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    restarts: Mapping[str, str] = field(default_factory=dict)
    built: tuple[str, ...] = ()
    root: str = ""


def ejected(document: Mapping[str, Any], original: Mapping[str, Any]) -> dict[str, Any]:
    """A bounded document without stackctl's labels, and with the restart policies that were asked for.

    Without the labels nothing of it belongs to stackctl any more, so that nothing here ever ends it.

    Args:
        document: The bounded one.
        original: What it was made from, before policy.
    """
    found = dict(document)
    for section in _LABELLED:
        if section in found:
            found[section] = {name: _unlabelled(one) for name, one in (found[section] or {}).items()}
    asked = original.get("services", {})
    found["services"] = {name: _restarted(one, asked.get(name)) for name, one in found["services"].items()}
    return found


def _unlabelled(section: Any) -> Any:
    if not isinstance(section, Mapping) or "labels" not in section:
        return section
    labels = {name: text for name, text in section["labels"].items() if not name.startswith(PREFIX)}
    rest = {key: value for key, value in section.items() if key != "labels"}
    return {**rest, "labels": labels} if labels else rest


def _restarted(service: Mapping[str, Any], original: Any) -> dict[str, Any]:
    found = {key: value for key, value in service.items() if key != "restart"}
    asked = original if isinstance(original, Mapping) else {}
    if asked.get("restart") is not None:
        found["restart"] = asked["restart"]
    deploy = asked.get("deploy")
    policy = deploy.get("restart_policy") if isinstance(deploy, Mapping) else None
    if policy is not None:
        found["deploy"] = {**(found.get("deploy") or {}), "restart_policy": policy}
    return found


def restarts(document: Mapping[str, Any]) -> dict[str, str]:
    """Service -> the restart policy that it has in a document, those without one left out."""
    found = {}
    for name, service in document["services"].items():
        policy = (service.get("deploy") or {}).get("restart_policy")
        text = str(service.get("restart") or (policy or {}).get("condition", "any" if policy else ""))
        if text not in ("", "no", "none", "False"):
            found[name] = text
    return found


def notes(stack: str, project: str, has: Belongings) -> str:
    """The text of NOTES.md: how to run it, where its data lies, what is lost without stackctl."""
    parts = [_start(stack, project), _data(project, has), _secrets(has), _lost(has), _back(stack)]
    return "\n".join(part for part in parts if part)


def _start(stack: str, project: str) -> str:
    return f"""\
# {stack}, without stackctl

Written by `stackctl eject`. The folder needs Docker and Compose alone; every limit stands in `compose.yaml`.

```sh
docker compose -p {project} up -d      # in this folder
docker compose -p {project} ps
docker compose -p {project} down       # without -v: that would delete its named volumes
```

`.env` has what belongs to this host: ports, subnets, paths, users. Change it there;
Compose reads it by itself.
"""


def _data(project: str, has: Belongings) -> str:
    lines = ["## Data", ""]
    if has.data:
        lines += ["| data | where it lies | variable in `.env` |", "| --- | --- | --- |"]
        lines += [f"| {name} | `{path}` | `{variable}` |" for name, path, variable in _rows(has)]
        lines += [
            "",
            "To move a folder: `docker compose down`, `sudo cp -a OLD NEW`, then name NEW in `.env`.",
            "Its owner must stay who it is.",
            "",
        ]
    if has.volumes:
        named = ", ".join(f"`{name}`" for name in has.volumes)
        lines += [f"Named volumes of the engine, found by the project's name `{project}`: {named}.", ""]
    if has.external:
        named = ", ".join(f"`{name}`" for name in has.external)
        lines += [f"External volumes, which were there before and which `down -v` leaves: {named}.", ""]
    if has.root:
        lines += [f"What it mounts or builds from the checkout lies in `{has.root}` (`STACKCTL_ROOT`).", ""]
    if has.built:
        lines += [f"Built from there by `docker compose build`: {', '.join(has.built)}.", ""]
    if len(lines) == 2:
        lines += ["It keeps none.", ""]
    return "\n".join(lines)


def _rows(has: Belongings) -> list[tuple[str, str, str]]:
    from stackctl.core.holes import data_hole, hole_name

    return [(name, path, hole_name(data_hole(name))) for name, path in sorted(has.data.items())]


def _secrets(has: Belongings) -> str:
    if not has.secrets:
        return ""
    named = ", ".join(f"`{name}`" for name in has.secrets)
    return f"""\
## Secrets

Below `secrets/`, a folder that only its owner enters: {named}. Data that was made
with them may accept no others. Do not commit this folder.
"""


def _lost(has: Belongings) -> str:
    words = ", ".join(f"{name} ({policy})" for name, policy in sorted(has.restarts.items()))
    restarted = f"the engine restarts what asks for it, without end: {words}" if words else "nobody restarts"
    return f"""\
## What is lost

- The watchdog: a limit of the kernel still holds, but nobody acts below it, and nobody writes down why.
- The lifetime: it runs until somebody ends it.
- Bounded restarts: {restarted}.
- Clean-up after a crash, `stackctl status`, `url`, `env`, `logs` and the like.
- Proof after each `up` that every limit is in force in the kernel.
"""


def _back(stack: str) -> str:
    return f"""\
## Back again

`docker compose down` here, then `stackctl up {stack}` there: both use the same data, never at once. As
long as data lies in stackctl's folders, `stackctl purge {stack}` deletes it.
"""
