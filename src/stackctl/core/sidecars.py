"""The sidecars of a stack: which there are, each one's service, and the URL by which others reach it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from string import Formatter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from stackctl.core.attachments import bind
from stackctl.core.errors import Problem, TemplateError
from stackctl.core.holes import data_hole, user_hole
from stackctl.core.ports import on_gateway
from stackctl.core.stack import (
    DataFolder,
    Reach,
    SecretSpec,
    SidecarFacts,
    SidecarPlan,
    SidecarSpec,
    Template,
)
from stackctl.core.tokens import Given, escape, show

if TYPE_CHECKING:
    from stackctl.core.values import Values

FOLDER = "sidecars/"
FILE_SUFFIX = "_FILE"
"""An environment variable with this ending carries the path of a file that holds the URL."""

_HEALTH = {"interval": "2s", "timeout": "3s", "retries": 30}
"""A minute to become healthy; the first look after 2 s, since engines before 25 know no quicker start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A sidecar with what its template says of it.

    Args:
        template: None when the stack file writes it out.
        values: Of its template's variables.
    """

    name: str
    spec: SidecarSpec
    template: Template | None
    values: Values

    @property
    def facts(self) -> SidecarFacts:
        """Port, data, URL and the like, the stack file's word before the template's."""
        said = (self.template and self.template.sidecar) or SidecarFacts(port=self.spec.port)
        spec = self.spec
        return replace(
            said,
            port=spec.port or said.port,
            data=spec.data or said.data,
            url=spec.url or said.url,
            env=spec.env or said.env,
        )

    @property
    def reach(self) -> tuple[Reach, ...]:
        """From where it is reached beside its network; `isolated` is `host` and more.

        Unless somebody says otherwise, a template's sidecar is on a loopback port too, where `stackctl url`
        points; one that is written out is not, since nobody knows whether it asks for a password.
        """
        return self.spec.reach or (("host",) if self.template else ())

    def data_folders(self) -> tuple[DataFolder, ...]:
        """Its own folder, named like it, when it keeps data, and those that its template declares."""
        more = self.template.data if self.template else ()
        own = (DataFolder(name=self.name, uid=self.facts.uid),) if self.facts.data else ()
        return (*own, *more)

    def given(self) -> Given:
        """What its template's texts can read as `sidecar`."""
        facts = self.facts
        fields = {"name": self.name, "port": facts.port, "data": facts.data, "uid": facts.uid}
        return Given("`sidecar` is not text; print `sidecar.name`, `.port`, `.data` or `.uid`", fields)


def merged_specs(
    written: Mapping[str, SidecarSpec], brought: Mapping[str, SidecarSpec]
) -> dict[str, SidecarSpec]:
    """The sidecars of a stack, by name: those of its template, changed or replaced by the stack file's."""
    merged = dict(brought)
    for name, spec in written.items():
        below = brought.get(name)
        replaces = below is None or spec.image or spec.template not in ("", below.template)
        merged[name] = spec if below is None or replaces else _merge(spec, below)
    return dict(sorted(merged.items()))


def written_out(sidecar: Sidecar) -> dict[str, Any]:
    """The service of a sidecar that has no template."""
    return {"image": escape(sidecar.spec.image), "cap_drop": ["ALL"]}


def only_service(document: Mapping[str, Any], sidecar: Sidecar, source: str) -> dict[str, Any]:
    """The one service in a sidecar template's document.

    Raises:
        TemplateError: There is another service, or anything beside services.
    """
    services = document["services"]
    if set(document) != {"services"} or set(services) != {sidecar.name}:
        problem = Problem(
            source=source,
            message="a sidecar's template renders one service, named `{{ sidecar.name }}`, and no more",
        )
        raise TemplateError(str(problem), problems=(problem,))
    return dict(services[sidecar.name])


def settle(service: Mapping[str, Any], sidecar: Sidecar) -> dict[str, Any]:
    """The service with what every sidecar gets: health check, data folder and its owner, a host port."""
    settled = {key: value for key, value in service.items() if key != "ports"}
    if sidecar.spec.health:
        settled["healthcheck"] = {"test": ["CMD-SHELL", escape(sidecar.spec.health)], **_HEALTH}
    if sidecar.facts.data:
        settled["user"] = service.get("user", user_hole(sidecar.name))
        settled["volumes"] = _volumes(service, sidecar)
    if sidecar.reach:
        settled["ports"] = _ports(service, sidecar.facts.port, sidecar.reach)
    return settled


def _volumes(service: Mapping[str, Any], sidecar: Sidecar) -> list[Any]:
    mounts = list(service.get("volumes") or [])
    source = data_hole(sidecar.name)
    if any(isinstance(one, dict) and one.get("source") == source for one in mounts):
        return mounts
    return [*mounts, bind(source, escape(sidecar.facts.data))]


def _ports(service: Mapping[str, Any], port: int, reach: tuple[Reach, ...]) -> list[Any]:
    """The ports with its own among them; for `isolated` on the engine's bridge too, by the same host port."""
    ports = list(service.get("ports") or [])
    if not any(_target(one) == port for one in ports):
        ports.append({"target": port})
    own = [on_gateway(one) for one in ports if _target(one) == port] if "isolated" in reach else []
    return [*ports, *(one for one in own if one)]


def plan(sidecar: Sidecar) -> SidecarPlan:
    """What the shell needs to know of it.

    Raises:
        ValueError: The URL's pattern names a variable that there is not.
    """
    facts = sidecar.facts
    return SidecarPlan(
        name=sidecar.name,
        port=facts.port,
        url=_url(facts.url, sidecar.values),
        env=facts.env,
        data=bool(facts.data),
        uid=facts.uid,
        reach=sidecar.reach,
        limits=facts.limits,
    )


def url_secret(name: str) -> str:
    """The secret that holds a sidecar's URL, for services that take it by file; the shell writes it."""
    return f"{name}-url"


def _merge(spec: SidecarSpec, below: SidecarSpec) -> SidecarSpec:
    said = {
        name: getattr(spec, name)
        for name in ("port", "data", "health", "url", "env", "reach")
        if getattr(spec, name)
    }
    return replace(below, variables={**below.variables, **spec.variables}, **said)


def _target(port: Any) -> int:
    text = str(port["target"] if isinstance(port, dict) and "target" in port else port)
    number = text.rpartition(":")[2].partition("/")[0]
    return int(number) if number.isdigit() else 0


def _url(pattern: str, values: Values) -> str:
    """The pattern with all filled in that is known here; braces of its own become percent-encoded."""
    found = ""
    for text, name, _, _ in Formatter().parse(pattern):
        found += text.replace("{", "%7B").replace("}", "%7D")
        found += "" if name is None else _url_part(name, values)
    return found


def _url_part(name: str, values: Values) -> str:
    if name in ("host", "port"):
        return f"{{{name}}}"
    secret: SecretSpec | None = values.secrets.get(name)
    if secret:
        return f"{{secret:{secret.name}}}"
    if name not in values.plain:
        raise ValueError(f"its `url` names `{{{name}}}`, which is no variable")
    return quote(show(values.plain[name]), safe="")
