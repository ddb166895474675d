"""What stands beside the services of a document: networks, volumes, secrets and configs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stackctl.core.holes import PROJECT, subnet_hole
from stackctl.core.mounts import judge_source_file, judge_volume_options
from stackctl.core.paths import step
from stackctl.core.references import services_of
from stackctl.core.rules import Case, Findings, entries, needs, says_no
from stackctl.core.stamping import own_labels, stamp

TOP: Mapping[str, str] = {
    "name": "written as the project's own name",
    "version": "left out: Compose has no use for it",
    "services": "bounded, each by its own row",
    "networks": "labelled, each with a subnet of its own",
    "volumes": "labelled, their drivers judged as mounts",
    "secrets": "their files judged as mounts",
    "configs": "their files judged as mounts",
}
"""What is done with each key at the top of a document; `include` and `models` are refused below."""
REFUSED_AT_TOP: Mapping[str, str] = {
    "include": "`include` is refused: it decides what other files mean, and a bounded document stands alone",
    "models": "`models` is refused: it starts programs outside every container and limit",
}
_NETWORK = frozenset(
    (
        *("name", "driver", "driver_opts", "ipam", "external", "internal"),
        *("attachable", "enable_ipv4", "enable_ipv6", "labels"),
    )
)
_VOLUME = frozenset({"name", "driver", "driver_opts", "external", "labels"})
_SOURCE = frozenset(
    (
        *("name", "file", "environment", "content", "external", "labels"),
        *("driver", "driver_opts", "template_driver"),
    )
)
_DRIVERS = frozenset({"", "bridge", "overlay"})


def check_top(findings: Findings, document: Mapping[str, Any]) -> None:
    """Refuse keys at the top of a document that Compose does not have, or that policy refuses."""
    for key, value in document.items():
        if key in REFUSED_AT_TOP:
            if value:
                findings.refuse(key, REFUSED_AT_TOP[key])
        elif key not in TOP and not key.startswith("x-"):
            findings.refuse(
                key, f"Compose has no key `{key}` at the top", "check its spelling and indentation"
            )


def sections(findings: Findings, document: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """The entries under `networks`, `volumes`, … as mappings, empty ones too."""
    section = document.get(key)
    if section is None:
        return {}
    if not isinstance(section, dict):
        findings.refuse(key, f"`{key}` must be a mapping of names")
        return {}
    found = {}
    for name, entry in section.items():
        if entry is not None and not isinstance(entry, dict):
            findings.refuse(step(key, name), "it must be a mapping, or empty")
        else:
            found[name] = dict(entry or {})
    return found


def _check_keys(findings: Findings, path: str, section: Mapping[str, Any], known: frozenset[str]) -> None:
    for key in section:
        if key not in known and not key.startswith("x-"):
            findings.refuse(
                step(path, key), f"Compose has no key `{key}` here", "check its spelling and indentation"
            )


def _check_name(findings: Findings, path: str, section: Mapping[str, Any]) -> None:
    """A name of its own is shared by every environment of the stack."""
    name = section.get("name")
    if name is None or PROJECT in str(name):
        return
    reason = f"`{name}` would be shared by every environment of the stack"
    if findings.rules.hardened:
        findings.refuse(f"{path}.name", reason, "leave the name out, so that each environment has its own")
    else:
        findings.change(f"{path}.name", "kept", reason)


def joins(service: Any, network: str) -> bool:
    """Whether a service is attached to a network."""
    if not isinstance(service, dict) or service.get("network_mode"):
        return False
    networks = service.get("networks")
    if not networks:
        return network == "default"
    return network in networks if isinstance(networks, (list, dict)) else False


def lay_networks(findings: Findings, document: Mapping[str, Any]) -> dict[str, Any]:
    """The networks of a document, its own default among them, labelled and with subnets of their own."""
    services = services_of(document)
    declared = sections(findings, document, "networks")
    if any(joins(service, "default") for service in services.values()):
        declared.setdefault("default", {})
    return {
        name: _lay_network(findings, name, section, [s for s, one in services.items() if joins(one, name)])
        for name, section in declared.items()
    }


def _lay_network(findings: Findings, name: str, section: dict[str, Any], users: list[str]) -> dict[str, Any]:
    path = step("networks", name)
    _check_keys(findings, path, section, _NETWORK)
    called = str(section.get("name") or name)
    if called == "host" or (not says_no(section.get("external")) and "$" in called):
        _ask(findings, users, "host-network", path, f"the network `{called}` may be the host's own")
    if not says_no(section.get("external")):
        findings.change(path, "kept", "an external network is somebody else's; stackctl never removes it")
        return section
    _check_name(findings, path, section)
    if str(section.get("driver") or "") not in _DRIVERS:
        message = f"the network driver `{section['driver']}` reaches the host's own network"
        _ask(findings, users, "host-network", f"{path}.driver", message)
    section["labels"] = {
        **own_labels(findings, f"{path}.labels", section.get("labels")),
        **stamp(findings.rules),
    }
    _lay_subnet(findings, name, section)
    return section


def _ask(findings: Findings, users: Iterable[str], word: str, path: str, message: str) -> None:
    for service in users:
        needs(findings, service, word, path, message)
    if not users:
        findings.refuse(path, message, "no service uses it, so leave it out")


def _lay_subnet(findings: Findings, name: str, section: dict[str, Any]) -> None:
    path = f"{step('networks', name)}.ipam"
    ipam = section.get("ipam") or {}
    if not isinstance(ipam, dict) or not isinstance(ipam.get("config") or [], list):
        findings.refuse(path, "`ipam` must be a mapping with a list under `config`")
        return
    pools = [pool for _, pool in entries(ipam.get("config")) if isinstance(pool, dict) and pool.get("subnet")]
    if pools or ipam.get("driver") not in (None, "", "default"):
        return
    section["ipam"] = {**ipam, "config": [{"subnet": subnet_hole(name)}]}
    findings.change(path, "given a subnet by placement", "the engine's own pool of subnets runs out")


def check_addresses(findings: Findings, document: Mapping[str, Any], networks: Mapping[str, Any]) -> None:
    """An address by number has no place in a subnet that placement chooses."""
    for service, section in services_of(document).items():
        joined = section.get("networks") if isinstance(section, dict) else None
        for name, entry in joined.items() if isinstance(joined, dict) else ():
            ours = networks.get(name, {}).get("ipam", {}).get("config") == [{"subnet": subnet_hole(name)}]
            if ours and isinstance(entry, dict) and entry.get("ipv4_address"):
                path = f"{step('services', service)}.networks.{name}.ipv4_address"
                message = f"the subnet of `{name}` is chosen by placement, so no address in it can be named"
                findings.refuse(path, message, f"leave it out, or write `ipam` with a subnet for `{name}`")


def lay_volumes(
    findings: Findings, document: Mapping[str, Any], bounded: Mapping[str, Any]
) -> dict[str, Any]:
    """The named volumes of a document, labelled, their drivers judged for each service that uses them.

    Args:
        bounded: Service -> its bounded form, mounts in long form.
    """
    laid = {}
    for name, section in sections(findings, document, "volumes").items():
        path = step("volumes", name)
        _check_keys(findings, path, section, _VOLUME)
        if not says_no(section.get("external")):
            findings.change(path, "kept", "an external volume is somebody else's; stackctl never removes it")
            laid[name] = section
            continue
        _check_name(findings, path, section)
        for service in (one for one, entry in bounded.items() if _uses_volume(entry, name)):
            judge_volume_options(Case(findings, service, document), name, section)
        labels = own_labels(findings, f"{path}.labels", section.get("labels"))
        laid[name] = {**section, "labels": {**labels, **stamp(findings.rules)}}
    return laid


def _uses_volume(service: Mapping[str, Any], name: str) -> bool:
    mounts = service.get("volumes") or ()
    return any(mount["type"] == "volume" and mount.get("source") == name for mount in mounts)


def judge_sources(findings: Findings, document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The `secrets` or `configs` of a document; a file is judged for each service that it is given to."""
    found = sections(findings, document, key)
    for name, section in found.items():
        path = step(key, name)
        _check_keys(findings, path, section, _SOURCE)
        own_labels(findings, f"{path}.labels", section.get("labels"))
        if findings.rules.hardened and section.get("environment") is not None:
            message = "what it holds would depend on the caller's environment"
            findings.refuse(f"{path}.environment", message, "use `file:`")
        if section.get("file") is None:
            continue
        for service in _granted_to(document, key, name):
            judge_source_file(findings, service, f"{path}.file", section["file"])
    return found


def _granted_to(document: Mapping[str, Any], key: str, name: str) -> list[str]:
    found = []
    for service, section in services_of(document).items():
        given = [entry for _, entry in entries(section.get(key) if isinstance(section, dict) else None)]
        if name in [entry.get("source") if isinstance(entry, dict) else entry for entry in given]:
            found.append(service)
    return found
