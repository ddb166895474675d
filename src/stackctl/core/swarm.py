"""From a bounded document to one that Swarm enforces the same of; what Swarm cannot do is refused or told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stackctl.core import holes
from stackctl.core.errors import PolicyError, Problem
from stackctl.core.holes import HOLE, hole_name, show_cpus, user_hole
from stackctl.core.names import short_hash
from stackctl.core.swarm_facts import ATTEMPTS
from stackctl.core.swarm_mounts import FALLBACK_UID, Mounts
from stackctl.core.swarm_pins import Pin, data_label
from stackctl.core.swarm_watch import watch_label

if TYPE_CHECKING:
    from stackctl.core.labels import Stamp
    from stackctl.core.records import ServiceRecord
    from stackctl.core.stack import DataFolder, ServiceSettings

VERSION = "3.9"
"""The format that Docker 20.10's `stack deploy` reads; the first with a limit on processes."""
WINDOW = "120s"
PAUSE = "2s"
MONITOR = "3s"
"""How long a changed task is watched before the next one is changed."""

NO_SWAP = "Swarm has no such limit, a node's agent sets it (see the guide on Swarm)"

ENV_SUFFIX = ".swarm.env"
_OWNERS = f"{holes.PREFIX}USER_"

_KEPT = frozenset(
    (
        *("image", "command", "entrypoint", "working_dir", "hostname", "healthcheck", "init", "sysctls"),
        *("cap_add", "cap_drop", "read_only", "stop_signal", "stop_grace_period", "ulimits", "tty"),
        *("stdin_open", "dns", "dns_search", "extra_hosts", "logging", "user", "env_file", "environment"),
        *("labels", "secrets"),
    )
)
_TRANSLATED = frozenset(
    (
        *("cpus", "mem_limit", "memswap_limit", "pids_limit", "restart", "deploy", "scale", "ports"),
        *("volumes", "tmpfs", "shm_size", "networks", "security_opt", "depends_on", "mem_swappiness"),
    )
)
_DROPPED = frozenset({"container_name", "expose", "pull_policy", "attach", "profiles", "oom_score_adj"})
_DEPLOY = frozenset(
    {"endpoint_mode", "replicas", "placement", "resources", "labels", "update_config", "rollback_config"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmInputs:
    """What belongs to this deployment and stands in no bounded document.

    Args:
        stamp: The labels of every object; its engine is the cluster's id.
        services: What was asked for each service.
        settings: What the stack file says of each service, its replicas and placement among it.
        files: Relative path -> text of each rendered file.
        folder: Absolute path of the environment's folder here, where secrets' files lie.
        data: The folders that outlive containers.
        secrets: Name of a secret's file -> what changes when it is replaced; never the secret.
        ports: Variable of a port's hole -> the port that is its own for its life.
    """

    stamp: Stamp
    services: Mapping[str, ServiceRecord]
    settings: Mapping[str, ServiceSettings] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    folder: str
    data: tuple[DataFolder, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmDocument:
    """What `docker stack deploy` is given.

    Args:
        document: Without holes; dollar signs of values are doubled, as `stack deploy` reads them.
        pins: Data folders, each of which ties its service to one node.
        notes: What Swarm does not do, and what is done instead; sentences without a full stop.
    """

    document: Mapping[str, Any]
    pins: tuple[Pin, ...] = ()
    notes: tuple[str, ...] = ()


def swarm_document(document: Mapping[str, Any], inputs: SwarmInputs) -> SwarmDocument:
    """Translate a bounded document for `docker stack deploy`.

    Raises:
        PolicyError: It asks for what Swarm does not do, all problems at once.
    """
    translation = _Translation(document, inputs)
    found = translation.whole()
    if translation.problems:
        raise PolicyError(
            f"`{inputs.stamp.stack}` asks for what Swarm does not do", problems=tuple(translation.problems)
        )
    return found


class _Translation:
    def __init__(self, document: Mapping[str, Any], inputs: SwarmInputs) -> None:
        self.source, self.inputs = document, inputs
        self.problems: list[Problem] = []
        self.notes: dict[str, None] = {}
        self.mounts = Mounts(inputs.stamp.project, inputs.files, inputs.data, self.refuse)
        self.values = _values(inputs)

    def refuse(self, path: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(path=path, message=message, hint=hint))

    def note(self, sentence: str) -> None:
        self.notes[sentence] = None

    def whole(self) -> SwarmDocument:
        labels = self.inputs.stamp.labels()
        services = {
            name: self._service(name, raw) for name, raw in sorted(self.source.get("services", {}).items())
        }
        whole: dict[str, Any] = {
            "version": VERSION,
            "services": services,
            "networks": self._networks(labels),
            "configs": {
                key: self._config(key, name, labels) for key, name in sorted(self.mounts.configs.items())
            },
            "secrets": {key: self._secret(key, labels) for key in sorted(self.source.get("secrets") or {})},
        }
        self._volumes()
        self._told()
        filled = _filled({key: part for key, part in whole.items() if part}, self._value)
        return SwarmDocument(
            document=filled,
            pins=tuple(self.mounts.pins),
            notes=tuple(self.notes),
        )

    def _value(self, name: str, default: str) -> str:
        if name.startswith(_OWNERS) and name not in self.values:
            return f"{FALLBACK_UID}:{FALLBACK_UID}"
        if name not in self.values and not default:
            self.refuse("", f"`{name}` is of this machine, and Swarm starts services on any node")
        return self.values.get(name, default)

    def _told(self) -> None:
        if any("depends_on" in raw for raw in self.source.get("services", {}).values()):
            self.note("`up` starts services in their order; after the loss of a node Swarm keeps none")
        if any("security_opt" in raw for raw in self.source.get("services", {}).values()):
            self.note("Swarm sets no `no-new-privileges`; capabilities are dropped all the same")
        if self.mounts.pins:
            names = ", ".join(f"`{pin.service}`" for pin in self.mounts.pins)
            self.note(f"{names} stays on the node that holds its data, and is down while that node is")

    def _networks(self, labels: Mapping[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, raw in sorted((self.source.get("networks") or {"default": {}}).items()):
            if (raw or {}).get("external"):
                self.refuse(
                    f"networks.{key}", "a network of somebody else's is no part of a Swarm deployment"
                )
            found[key] = {"driver": "overlay", "labels": dict(labels)}
            if (raw or {}).get("internal"):
                found[key]["internal"] = True
        return found

    def _config(self, key: str, name: str, labels: Mapping[str, str]) -> dict[str, Any]:
        path = f"{self.inputs.folder}/files/{self.mounts.texts[key]}"
        return {"file": path, "name": name, "labels": dict(labels)}

    def _secret(self, key: str, labels: Mapping[str, str]) -> dict[str, Any]:
        raw = self.source["secrets"][key] or {}
        file = str(raw.get("file", ""))
        name = file.rsplit("/", 1)[-1]
        if not file.startswith("${STACKCTL_SECRETS:?}/") or name not in self.inputs.secrets:
            hint = "declare it as a variable of type secret, with `from_file`"
            self.refuse(f"secrets.{key}", "only secrets that stackctl keeps become Swarm secrets", hint)
        stamp = short_hash(f"{self.inputs.stamp.generation}\0{self.inputs.secrets.get(name, '')}", 10)
        return {
            "file": f"{self.inputs.folder}/secrets/{name}",
            "name": f"{self.inputs.stamp.project}-{key}-{stamp}",
            "labels": dict(labels),
        }

    def _volumes(self) -> None:
        for key in self.source.get("volumes") or {}:
            self.refuse(
                f"volumes.{key}",
                "a named volume is another one on each node, so that a moved service would lose its data",
                "use a sidecar with `data`, which stays on its node",
            )

    # --- one service ---------------------------------------------------------

    def _service(self, name: str, raw: Mapping[str, Any]) -> dict[str, Any]:
        at = f"services.{name}"
        for key in raw:
            if key not in _KEPT | _TRANSLATED | _DROPPED and not str(key).startswith("x-"):
                hint = "remove it, or bring the stack up on the local engine"
                self.refuse(f"{at}.{key}", f"Swarm has no `{key}`", hint)
        found = {key: raw[key] for key in sorted(_KEPT) if raw.get(key) is not None}
        found["labels"] = {**_label_map(found.get("labels")), **watch_label(self.inputs.services[name])}
        if "environment" in found:
            found["environment"] = _texts(found["environment"])
        if "env_file" in found:
            found["env_file"] = [self._env_file(at, entry) for entry in _list(found["env_file"])]
        volumes, configs, pinned = self.mounts.of(name, raw)
        found |= {key: part for key, part in (("volumes", volumes), ("configs", configs)) if part}
        if ports := self._ports(name, raw.get("ports") or ()):
            found["ports"] = ports
        if networks := raw.get("networks"):
            found["networks"] = self._own_networks(at, networks)
        found["deploy"] = {**self._deploy(name, raw, pinned), **_endpoint(raw, ports)}
        return found

    def _env_file(self, at: str, entry: Any) -> str:
        """The file with the sidecars' URLs, in the form that `stack deploy` reads; there is no other."""
        path = str(entry.get("path", "") if isinstance(entry, Mapping) else entry)
        if not path.startswith(f"{holes.SECRETS}/") or not path.endswith(".env"):
            self.refuse(f"{at}.env_file", f"`{path}` lies on this machine", "use `environment`")
        return f"{path.removesuffix('.env')}{ENV_SUFFIX}"

    def _ports(self, name: str, ports: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What is open to other machines by name; Swarm has no port on loopback."""
        settings = self.inputs.settings.get(name)
        mode = settings.publish if settings else "ingress"
        found = []
        for port in ports:
            if port.get("host_ip", "") not in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, never bound
                self.note(
                    f"`{name}` port {port['target']} is not published: Swarm publishes on every interface of "
                    f"every node, which `allow: {{{name}: [public-ports]}}` asks for"
                )
                continue
            published = _filled(str(port.get("published", "")), self.inputs.ports.get)
            one = {"target": port["target"], "protocol": port.get("protocol", "tcp"), "mode": mode}
            if published.isdecimal():
                one["published"] = int(published)
            found.append(one)
        return found

    def _own_networks(self, at: str, networks: Any) -> Any:
        if not isinstance(networks, Mapping):
            return networks
        found = {}
        for key, raw in networks.items():
            extra = sorted(set(raw or {}) - {"aliases"})
            if extra:
                self.refuse(f"{at}.networks.{key}.{extra[0]}", f"Swarm has no `{extra[0]}` for a network")
            found[key] = {"aliases": raw["aliases"]} if (raw or {}).get("aliases") else None
        return found

    def _deploy(self, name: str, raw: Mapping[str, Any], pinned: tuple[str, ...]) -> dict[str, Any]:
        asked, at = self.inputs.services[name], f"services.{name}"
        deploy = raw.get("deploy") or {}
        for key in sorted(set(deploy) - _DEPLOY):
            if not (key == "mode" and deploy[key] == "replicated"):
                self.refuse(f"{at}.deploy.{key}", f"`deploy.{key}` is not taken to Swarm", "remove it")
        settings = self.inputs.settings.get(name)
        replicas = settings.replicas if settings and settings.replicas is not None else asked.replicas
        if pinned and replicas > 1:
            self.refuse(f"{at}.replicas", f"{replicas} replicas cannot share one data folder", "ask for one")
        own = (deploy.get("placement") or {}).get("constraints") or ()
        labels = [f"node.labels.{data_label(self.inputs.stamp.project, one)} == true" for one in pinned]
        constraints = [*own, *(settings.placement if settings else ()), *labels]
        return {
            "mode": "replicated",
            "replicas": replicas,
            "labels": dict(self.inputs.stamp.labels()),
            "resources": {"limits": _limits(asked)},
            "restart_policy": _restart(asked),
            "update_config": _update("rollback"),
            "rollback_config": _update("pause"),
            **({"placement": {"constraints": list(dict.fromkeys(constraints))}} if constraints else {}),
        }


def _endpoint(raw: Mapping[str, Any], ports: list[dict[str, Any]]) -> dict[str, str]:
    """A name means its containers' addresses, as on one machine, unless it is open on every node."""
    asked = (raw.get("deploy") or {}).get("endpoint_mode")
    open_everywhere = any(port["mode"] == "ingress" for port in ports)
    return {"endpoint_mode": asked or ("vip" if open_everywhere else "dnsrr")}


def _limits(asked: ServiceRecord) -> dict[str, Any]:
    return {"cpus": show_cpus(asked.cpus), "memory": str(asked.memory), "pids": asked.pids}


def _restart(asked: ServiceRecord) -> dict[str, Any]:
    """One-shots run once; whatever serves is started anew within bounds, also when its node is lost."""
    if asked.one_shot:
        return {"condition": "none"}
    return {"condition": "any", "delay": PAUSE, "max_attempts": ATTEMPTS, "window": WINDOW}


def _update(on_failure: str) -> dict[str, Any]:
    return {"parallelism": 1, "order": "stop-first", "monitor": MONITOR, "failure_action": on_failure}


def _values(inputs: SwarmInputs) -> dict[str, str]:
    """Hole's variable -> its value."""
    owners = {
        user_hole(one.name): f"{one.uid or FALLBACK_UID}:{one.uid or FALLBACK_UID}" for one in inputs.data
    }
    own = {holes.SECRETS: f"{inputs.folder}/secrets", **owners}
    return {**stamp_values(inputs.stamp), **{hole_name(hole): value for hole, value in own.items()}}


def stamp_values(stamp: Stamp) -> dict[str, str]:
    """Variable of a hole that stands for a part of the labels -> its value."""
    values = {
        holes.PROJECT: stamp.project,
        holes.INSTANCE: stamp.instance,
        holes.GENERATION: stamp.generation,
        holes.HOME: stamp.home,
        holes.USER: str(stamp.user),
        holes.ENGINE: stamp.engine,
    }
    return {hole_name(hole): value for hole, value in values.items()}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _label_map(labels: Any) -> dict[str, Any]:
    if isinstance(labels, Mapping):
        return dict(labels)
    return {word.partition("=")[0]: word.partition("=")[2] for word in map(str, labels or ())}


def _texts(environment: Any) -> Any:
    if not isinstance(environment, Mapping):
        return environment
    words = {True: "true", False: "false"}
    return {
        key: value if value is None else words[value] if isinstance(value, bool) else str(value)
        for key, value in environment.items()
    }


def _filled(node: Any, value: Callable[[str, str], Any]) -> Any:
    """The document with every hole filled."""
    if isinstance(node, str):
        return HOLE.sub(lambda match: value(match[1], match[3]).replace("$", "$$"), node)
    if isinstance(node, dict):
        return {key: _filled(entry, value) for key, entry in node.items()}
    if isinstance(node, (list, tuple)):
        return [_filled(entry, value) for entry in node]
    return node
