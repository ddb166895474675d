"""Everything that stackctl may lay over what Compose makes of a file: names and values, literally; no more.

`expected` takes Compose's own canonical form of a file and gives the canonical form that the bounded document
must have. Nothing of stackctl is used here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

PROJECT = "stackctl-project-goes-here"
PORT, SUBNET = "20000", "10.209.0.0/26"
PLACED: Mapping[str, str] = {
    "STACKCTL_PROJECT": PROJECT,
    "STACKCTL_INSTANCE": "",
    "STACKCTL_GENERATION": "a-generation",
    "STACKCTL_HOME_ID": "a-home",
    "STACKCTL_USER_ID": "1000",
    "STACKCTL_ENGINE_ID": "an-engine",
}
"""What the harness fills the holes with that every document has; ports, subnets and the root beside them."""

ABSENT: Any = object()
PIDS, MEMORY, CPUS = 256, 8 << 30, 2
LOGS = {"max-size": "10m", "max-file": "3"}
MOST_LOGS = 1 << 30
LOOPBACK = ("127.", "::1")
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True, slots=True)
class Run:
    """What one look was made with.

    Args:
        stack: What the stack is called.
        words: Service -> the words of `allow:` that `--allow-all` gave it.
    """

    stack: str
    words: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row is applied: the run, the document, and the name below `services`, `networks`, `volumes`."""

    run: Run
    document: Mapping[str, Any]
    name: str

    @property
    def service(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document["services"][self.name]
        return found

    def allowed(self, word: str) -> bool:
        return word in self.run.words.get(self.name, ())


Rule = Callable[[Any, Place], Any]
"""Takes the value as Compose has it (ABSENT where there is none); returns the one that must stand."""


def _stamp(given: Any, place: Place) -> Any:
    own = {} if given is ABSENT else {name: text for name, text in given.items() if name}
    return {
        **own,
        "stackctl.project": PROJECT,
        "stackctl.stack": place.run.stack,
        "stackctl.instance": "",
        "stackctl.generation": "a-generation",
        "stackctl.home": "a-home",
        "stackctl.user": "1000",
        "stackctl.engine": "an-engine",
        "stackctl.schema": "1",
    }


def _own_stamp(section: str) -> Rule:
    """The labels of a network or volume, unless it is somebody else's."""

    def rule(given: Any, place: Place) -> Any:
        return given if place.document[section][place.name].get("external") else _stamp(given, place)

    return rule


def _init(given: Any, place: Place) -> Any:
    return given if place.allowed("own-init") else True


def _restart(given: Any, place: Place) -> Any:
    return "no"


def _deploy(given: Any, place: Place) -> Any:
    """The restart policy is the supervisor's; a section with nothing else in it is left out."""
    if given is ABSENT:
        return ABSENT
    kept = {key: value for key, value in given.items() if key != "restart_policy"}
    return kept or ABSENT


def _logging(given: Any, place: Place) -> Any:
    section = {} if given is ABSENT else given
    if section.get("driver", "json-file") not in ("json-file", "local"):
        return given
    options = section.get("options") or {}
    try:
        bounded = _bytes(options["max-size"]) * int(options["max-file"]) <= MOST_LOGS
    except (KeyError, ValueError):
        bounded = False
    return {"driver": "json-file", **section, "options": options if bounded else {**options, **LOGS}}


def _bytes(text: str) -> int:
    text = text.lower().removesuffix("b")
    return int(text[:-1]) * _UNITS[text[-1]] if text[-1:] in _UNITS else int(text)


def _security(given: Any, place: Place) -> Any:
    own = [] if given is ABSENT else given
    if place.allowed("new-privileges"):
        return given
    return [*(one for one in own if not one.startswith("no-new-privileges")), "no-new-privileges:true"]


def _deployed(place: Place) -> bool:
    """Whether the service speaks the dialect of `deploy`: Compose refuses to have limits in both."""
    resources = (place.service.get("deploy") or {}).get("resources") or {}
    return resources.get("limits") is not None


def _asked(place: Place, key: str) -> Any:
    if not _deployed(place):
        return place.service.get({"pids": "pids_limit", "memory": "mem_limit"}.get(key, key))
    return place.service["deploy"]["resources"]["limits"].get(key)


def _beside(rule: Rule) -> Rule:
    """A limit that stands at the service, unless the service has its limits below `deploy`."""

    def chosen(given: Any, place: Place) -> Any:
        return ABSENT if _deployed(place) else rule(given, place)

    return chosen


def _below(rule: Rule) -> Rule:
    """A limit that stands below `deploy`, where the service has any there."""

    def chosen(given: Any, place: Place) -> Any:
        return rule(given, place) if _deployed(place) else ABSENT

    return chosen


def _pids(given: Any, place: Place) -> Any:
    asked = _asked(place, "pids") or place.service.get("pids_limit")
    return asked if isinstance(asked, int) and asked > 0 else PIDS


def _memory(given: Any, place: Place) -> Any:
    asked = _asked(place, "memory") or place.service.get("mem_limit")
    return str(asked) if asked and int(asked) > 0 else str(MEMORY)


def _swap(given: Any, place: Place) -> Any:
    return given if given is not ABSENT and int(given) > 0 else _memory(given, place)


def _cpus(given: Any, place: Place) -> Any:
    asked = _asked(place, "cpus") or place.service.get("cpus")
    quota, period = place.service.get("cpu_quota"), place.service.get("cpu_period")
    if quota:
        asked = int(quota) / int(period or 100_000)
    return float(asked) if asked else float(CPUS)


def _gone(given: Any, place: Place) -> Any:
    return ABSENT


def _replicas(place: Place) -> int:
    return int(place.service.get("scale", (place.service.get("deploy") or {}).get("replicas", 1)))


def _ports(given: Any, place: Place) -> Any:
    """On loopback; where no host port is asked for one is placed, but one of several replicas' own."""
    if given is ABSENT:
        return ABSENT
    laid: list[Any] = []
    for one in given:
        port = dict(one)
        if not str(port.get("host_ip", "")).startswith(LOOPBACK):
            port["host_ip"] = "127.0.0.1"
        if port.get("published", "0") in ("", "0"):
            port.pop("published", None)
            if _replicas(place) == 1:
                port["published"] = PORT
        if port not in laid:
            laid.append(port)
    return laid


def _container_name(given: Any, place: Place) -> Any:
    return given if given is ABSENT or place.allowed("container-name") or PROJECT in given else ABSENT


def _networks(given: Any, place: Place) -> Any:
    """The container's name becomes a name on each of its networks."""
    name = place.service.get("container_name", ABSENT)
    if name is ABSENT or _container_name(name, place) is not ABSENT or given is ABSENT:
        return given
    return {key: _with_alias(one, name) for key, one in given.items()}


def _with_alias(network: Any, name: str) -> dict[str, Any]:
    aliases = list((network or {}).get("aliases") or [])
    return {**(network or {}), "aliases": aliases if name in aliases else [*aliases, name]}


def _pool(given: Any, place: Place) -> Any:
    """A subnet of its own for a network that has none."""
    network = place.document["networks"][place.name]
    own = [one for one in (network.get("ipam") or {}).get("config") or [] if one.get("subnet")]
    if network.get("external") or own or (network.get("ipam") or {}).get("driver", "default") != "default":
        return given
    return [{"subnet": SUBNET}]


def _volume_name(given: Any, place: Place) -> Any:
    """A volume whose name is blank is called as Compose calls one that says nothing of its name."""
    if given is not ABSENT:
        return given
    return place.name if place.document["volumes"][place.name].get("external") else f"{PROJECT}_{place.name}"


def _dockerfile(given: Any, place: Place) -> Any:
    """The same for the file of a build."""
    build = place.service.get("build")
    return "Dockerfile" if given is ABSENT and build and "dockerfile_inline" not in build else given


ROWS: tuple[tuple[str, Rule], ...] = (
    ("services.*.ports", _ports),
    ("services.*.networks", _networks),
    ("services.*.container_name", _container_name),
    ("services.*.extends", _gone),
    ("services.*.init", _init),
    ("services.*.restart", _restart),
    ("services.*.logging", _logging),
    ("services.*.security_opt", _security),
    ("services.*.labels", _stamp),
    ("services.*.pids_limit", _beside(_pids)),
    ("services.*.mem_limit", _beside(_memory)),
    ("services.*.cpus", _beside(_cpus)),
    ("services.*.memswap_limit", _swap),
    ("services.*.cpu_quota", _gone),
    ("services.*.cpu_period", _gone),
    ("services.*.deploy.resources.limits.pids", _below(_pids)),
    ("services.*.deploy.resources.limits.memory", _below(_memory)),
    ("services.*.deploy.resources.limits.cpus", _below(_cpus)),
    ("services.*.deploy", _deploy),
    ("services.*.build.dockerfile", _dockerfile),
    ("networks.*.labels", _own_stamp("networks")),
    ("networks.*.ipam.config", _pool),
    ("volumes.*.name", _volume_name),
    ("volumes.*.labels", _own_stamp("volumes")),
)
"""Where something is laid over -> what must stand there; every other path stays as Compose has it."""


def expected(original: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """What the bounded document must come to."""
    result = deepcopy(dict(original))
    for path, rule in ROWS:
        section, _, *rest = path.split(".")
        for name, one in (result.get(section) or {}).items():
            place = Place(run, original, name)
            node = original[section][name] if rest != ["deploy"] else one
            for key in rest:
                node = node.get(key, ABSENT) if isinstance(node, dict) else ABSENT
            _put(one, rest, rule(node, place))
    return result


def _put(node: dict[str, Any], keys: list[str], value: Any) -> None:
    *above, last = keys
    for key in above:
        if value is ABSENT and not isinstance(node.get(key), dict):
            return
        node[key] = node.get(key) or {}
        node = node[key]
    if value is ABSENT:
        node.pop(last, None)
    else:
        node[last] = value


def bounds_missing(service: Mapping[str, Any]) -> list[str]:
    """Which of the limits that stand in a document a canonical service lacks."""
    limits = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    memory = int(service.get("mem_limit", limits.get("memory", 0)))
    held = {
        "pids": int(service.get("pids_limit", limits.get("pids", 0))) > 0,
        "memory": memory > 0,
        "swap": int(service.get("memswap_limit", 0)) >= memory > 0,
        "cpus": float(service.get("cpus", limits.get("cpus", 0))) > 0,
    }
    return [name for name, holds in held.items() if not holds]
