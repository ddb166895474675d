"""Puts a stack's parts together: the template's services, the sidecars, the secrets, what connects them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stackctl.core.attachments import fingerprint, secret_names, secret_source
from stackctl.core.connections import clashes, connect
from stackctl.core.documents import MAX_BYTES, dump, refusal
from stackctl.core.errors import Problem, TemplateError
from stackctl.core.folder import COMPOSE, Workshop, render_document, render_files
from stackctl.core.sidecars import FOLDER, Sidecar, only_service, plan, settle, written_out
from stackctl.core.stack import (
    DataFolder,
    Rendered,
    SecretSpec,
    SidecarPlan,
    Stack,
    Template,
    TemplateFolder,
)

if TYPE_CHECKING:
    from stackctl.core.values import Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A stack with everything that it is made of, checked and ready to be put together.

    Args:
        template: None when the stack brings compose files of its own.
        values: Of the template's variables.
        folders: The template folders in use, by name.
        macros: Shipped macros, by path below `macros/`.
    """

    stack: Stack
    template: Template | None
    values: Values
    sidecars: tuple[Sidecar, ...]
    folders: Mapping[str, TemplateFolder]
    macros: Mapping[str, str]


def assemble(parts: Parts, document: Mapping[str, Any]) -> Rendered:
    """Render every part and put them together.

    Args:
        parts: What the stack is made of.
        document: What its own compose files say, when it has no template.

    Raises:
        StackFileError: The parts do not fit together.
        TemplateError: A template could not be rendered.
    """
    plans = tuple(_planned(sidecar, parts) for sidecar in parts.sidecars)
    rest, services, files = _own(parts, document)
    beside = {sidecar.name: _sidecar(sidecar, parts, files) for sidecar in parts.sidecars}
    connections = _connections(parts, services, plans)
    _check(parts, services, plans)
    checked = {name: _has_check(service) for name, service in beside.items()}
    for name, receives in connections.items():
        wanted = [one for one in plans if one.name in receives]
        services[name] = connect(services[name], name, wanted, checked)
    together = dict(sorted({**services, **beside}.items()))
    return Rendered(
        document=_bounded(_with_secrets({**rest, "services": together}), parts),
        files=dict(sorted(files.items())),
        secrets=_secrets(parts),
        sidecars=plans,
        data=_data(parts),
        connections=connections,
        templates={name: fingerprint(folder.files) for name, folder in parts.folders.items()},
    )


def _own(parts: Parts, document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """The stack's own document without its services, the services, and the files."""
    files: dict[str, str] = {}
    if parts.template:
        shop = Workshop(
            folder=parts.folders[parts.template.name],
            macros=parts.macros,
            values=parts.values,
            extra={},
            data=tuple(folder.name for folder in parts.template.data),
        )
        document, files = render_document(shop), render_files(shop)
    rest = {key: value for key, value in document.items() if key != "services"}
    return rest, dict(document.get("services") or {}), files


def _sidecar(sidecar: Sidecar, parts: Parts, files: dict[str, str]) -> dict[str, Any]:
    """A sidecar's service; its files are added to those of the stack."""
    if sidecar.template is None:
        return settle(written_out(sidecar), sidecar)
    folder = parts.folders[f"{FOLDER}{sidecar.spec.template}"]
    shop = Workshop(
        folder=folder,
        macros=parts.macros,
        values=sidecar.values,
        extra={"sidecar": sidecar.given()},
        data=tuple(one.name for one in sidecar.data_folders()),
        prefix=f"{sidecar.name}/",
    )
    own = render_files(shop)
    if taken := sorted(own.keys() & files.keys()):
        raise TemplateError(f"`{taken[0]}` is a file of the template and of the sidecar `{sidecar.name}`")
    files.update(own)
    return settle(only_service(render_document(shop), sidecar, f"{folder.source}/{COMPOSE}"), sidecar)


def _planned(sidecar: Sidecar, parts: Parts) -> SidecarPlan:
    try:
        return plan(sidecar)
    except ValueError as error:
        raise refusal(
            parts.stack.source, (_problem(parts, f"sidecars.{sidecar.name}", str(error)),)
        ) from None


def _connections(
    parts: Parts, services: Mapping[str, Any], plans: tuple[SidecarPlan, ...]
) -> dict[str, tuple[str, ...]]:
    named = parts.template.connects if parts.template else None
    receivers = sorted(services if named is None else services.keys() & set(named))
    receives = tuple(one.name for one in plans)
    return dict.fromkeys(receivers, receives) if plans else {}


def _check(parts: Parts, services: Mapping[str, Any], plans: tuple[SidecarPlan, ...]) -> None:
    problems = [_problem(parts, "sidecars", text) for text in clashes(plans)]
    for name in sorted(services.keys() & {one.name for one in plans}):
        text = f"the stack already has a service `{name}`; give the sidecar another name"
        problems.append(_problem(parts, f"sidecars.{name}", text))
    template = parts.template
    for name in sorted(set((template and template.connects) or ()) - services.keys()):
        text = f"`connects` names `{name}`, which is no service of the template"
        problems.append(Problem(source=template.source if template else "", path="connects", message=text))
    if problems:
        raise refusal(parts.stack.source, tuple(problems))


def _has_check(service: Mapping[str, Any]) -> bool:
    check = service.get("healthcheck")
    return isinstance(check, dict) and bool(check.get("test")) and not check.get("disable")


def _with_secrets(document: dict[str, Any]) -> dict[str, Any]:
    """The document with a top-level entry for each secret that a service lists and that has none."""
    listed = {name for service in document["services"].values() for name in secret_names(service)}
    said = document.get("secrets") or {}
    entries = {**{name: secret_source(name) for name in sorted(listed)}, **said}
    return {**document, "secrets": entries} if entries else document


def _secrets(parts: Parts) -> tuple[SecretSpec, ...]:
    found = list(parts.values.secrets.values())
    for sidecar in parts.sidecars:
        found += sidecar.values.secrets.values()
    return tuple(sorted(found, key=lambda spec: spec.name))


def _data(parts: Parts) -> tuple[DataFolder, ...]:
    found = list(parts.template.data) if parts.template else []
    for sidecar in parts.sidecars:
        found += sidecar.data_folders()
    names = [folder.name for folder in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        text = f"two parts of the stack have a data folder `{twice[0]}`; give the sidecar another name"
        raise refusal(parts.stack.source, (_problem(parts, "sidecars", text),))
    return tuple(sorted(found, key=lambda folder: folder.name))


def _bounded(document: dict[str, Any], parts: Parts) -> dict[str, Any]:
    size = len(dump(document).encode())
    if size > MAX_BYTES:
        raise TemplateError(
            f"`{parts.stack.source}` renders to {size} bytes, more than the {MAX_BYTES} allowed",
            hint="print fewer services, or shorter values",
        )
    return document


def _problem(parts: Parts, path: str, message: str) -> Problem:
    stack = parts.stack
    return Problem(source=stack.source, line=stack.lines.get(path, 0), path=path, message=message)
