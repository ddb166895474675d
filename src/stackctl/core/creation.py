"""A bounded service as the engine's own order for one container, for what is made without Compose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stackctl.core.holes import HOLE
from stackctl.core.units import parse_cpus, parse_duration, parse_size

COMPOSE = "com.docker.compose."
_NANO = 1_000_000_000


def fill(text: str, values: Mapping[str, str]) -> str:
    """A text of a bounded document with its holes filled and its dollar signs plain, as Compose reads it.

    Raises:
        KeyError: A hole without a default has no value.
    """
    parts, at = [], 0
    for match in HOLE.finditer(text):
        parts.append(text[at : match.start()].replace("$$", "$"))
        name, sign, default = match.groups()
        parts.append(values[name] if sign == ":?" else values.get(name) or default)
        at = match.end()
    return "".join([*parts, text[at:].replace("$$", "$")])


def container_order(
    service: Mapping[str, Any],
    *,
    values: Mapping[str, str],
    environment: Mapping[str, str],
    secrets: Mapping[str, str],
    network: str,
    project: str,
    name: str,
) -> dict[str, Any]:
    """The body of `POST /containers/create`.

    Args:
        service: A service of a bounded document, in the keys that tasks use.
        values: Hole's variable -> text.
        environment: Further variables, as they are.
        secrets: Name of a secret -> absolute path of its file on the host, for the service's `secrets`.
        network: What it is attached to first: a network's id, `none`, or `bridge`.
        project, name: For Compose's labels, so that its tools find the container.

    Raises:
        ValueError: The service has a key that this cannot express; nothing is left out in silence.
    """
    order: dict[str, Any] = {
        "Image": "",
        "Env": [],
        "Labels": {
            f"{COMPOSE}project": project,
            f"{COMPOSE}service": name,
            f"{COMPOSE}container-number": "1",
            f"{COMPOSE}oneoff": "False",
        },
        "HostConfig": {"NetworkMode": network, "Mounts": []},
    }
    full = filled(service, values)
    for key in sorted(full):
        lay = _LAY.get(key)
        if lay is None:
            raise ValueError(f"a container cannot be ordered with the key `{key}`")
        lay(order, full[key])
    order["Env"] = [*order["Env"], *(f"{name}={value}" for name, value in sorted(environment.items()))]
    for secret in full.get("secrets") or ():
        order["HostConfig"]["Mounts"].append(_secret(str(secret), secrets))
    return order


def filled(node: Any, values: Mapping[str, str]) -> Any:
    """A part of a document with the holes of its texts filled."""
    if isinstance(node, str):
        return fill(node, values)
    if isinstance(node, Mapping):
        return {key: filled(value, values) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [filled(value, values) for value in node]
    return node


def _secret(name: str, secrets: Mapping[str, str]) -> dict[str, Any]:
    return {"Type": "bind", "Source": secrets[name], "Target": f"/run/secrets/{name}", "ReadOnly": True}


Lay = Callable[[dict[str, Any], Any], None]


def _top(key: str, read: Callable[[Any], Any] = lambda value: value) -> Lay:
    def lay(order: dict[str, Any], value: Any) -> None:
        order[key] = read(value)

    return lay


def _host(key: str, read: Callable[[Any], Any] = lambda value: value) -> Lay:
    def lay(order: dict[str, Any], value: Any) -> None:
        order["HostConfig"][key] = read(value)

    return lay


def _nothing(order: dict[str, Any], value: Any) -> None:
    """What is said elsewhere: networks by their ids, secrets as mounts, dependencies by having waited."""


def _environment(order: dict[str, Any], value: Mapping[str, Any]) -> None:
    order["Env"] = [f"{name}={text}" for name, text in sorted(value.items())]


def _labels(order: dict[str, Any], value: Mapping[str, Any]) -> None:
    order["Labels"] = {**order["Labels"], **{str(name): str(text) for name, text in value.items()}}


def _logging(order: dict[str, Any], value: Mapping[str, Any]) -> None:
    options = {name: str(text) for name, text in (value.get("options") or {}).items()}
    order["HostConfig"]["LogConfig"] = {"Type": value.get("driver", ""), "Config": options}


def _volumes(order: dict[str, Any], value: Sequence[Mapping[str, Any]]) -> None:
    for mount in value:
        if mount.get("type") != "bind":
            raise ValueError(f"a container cannot be ordered with a mount of type `{mount.get('type')}`")
        order["HostConfig"]["Mounts"].append(
            {
                "Type": "bind",
                "Source": mount["source"],
                "Target": mount["target"],
                "ReadOnly": mount.get("read_only") is True,
            }
        )


def _terminal(order: dict[str, Any], value: bool) -> None:
    order["Tty"] = bool(value)


def _stdin(order: dict[str, Any], value: bool) -> None:
    order.update(OpenStdin=bool(value), StdinOnce=bool(value), AttachStdin=bool(value))


_LAY: Mapping[str, Lay] = {
    "image": _top("Image"),
    "command": _top("Cmd", list),
    "environment": _environment,
    "env_file": _nothing,
    "working_dir": _top("WorkingDir"),
    "user": _top("User", str),
    "labels": _labels,
    "tty": _terminal,
    "stdin_open": _stdin,
    "stop_grace_period": _top("StopTimeout", lambda value: round(parse_duration(str(value)))),
    "mem_limit": _host("Memory", lambda value: parse_size(str(value))),
    "memswap_limit": _host("MemorySwap", lambda value: parse_size(str(value))),
    "pids_limit": _host("PidsLimit", int),
    "cpus": _host("NanoCpus", lambda value: round(parse_cpus(str(value)) * _NANO)),
    "init": _host("Init", bool),
    "restart": _host("RestartPolicy", lambda value: {"Name": str(value)}),
    "security_opt": _host("SecurityOpt", list),
    "cap_drop": _host("CapDrop", list),
    "cap_add": _host("CapAdd", list),
    "extra_hosts": _host("ExtraHosts", list),
    "logging": _logging,
    "volumes": _volumes,
    "networks": _nothing,
    "network_mode": _nothing,
    "secrets": _nothing,
    "depends_on": _nothing,
}
