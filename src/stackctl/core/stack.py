"""What a user writes, once read (stacks, templates, configuration), and what rendering makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from stackctl.core.limits import Layer, Setting

Scalar = str | int | float | bool
VariableType = Literal[
    "string", "integer", "number", "boolean", "size", "duration", "image", "port", "choice", "secret"
]
Reach = Literal["host", "isolated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One variable that a template declares.

    Args:
        default: What it is when nobody sets it; None makes it required. A secret without a value is
            generated, a port without one is chosen at placement.
        pattern: Regular expression that a string value must match whole, or empty.
        choices: The words that a choice may have.
    """

    name: str
    type: VariableType = "string"
    default: Scalar | None = None
    help: str = ""
    pattern: str = ""
    choices: tuple[Scalar, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarFacts:
    """What a sidecar template declares of its service beside the compose text.

    Args:
        port: Container port that it serves on.
        data: Path in the container under which its data lives, empty when it keeps none.
        uid: Numeric user that it runs as and that owns its data where the caller is root; never 0.
        url: Pattern with {host}, {port} and the template's variables in braces.
        env: Environment variable that carries the URL to other services.
        limits: What holds for it where nobody else asks for limits.
    """

    port: int
    data: str = ""
    uid: int = 1000
    url: str = "http://{host}:{port}"
    env: str = ""
    limits: Layer = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFolder:
    """A folder of the environment that outlives every container; `uid` owns it where the caller is root."""

    name: str
    uid: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What `template.yaml` says.

    Args:
        sidecar: Set for templates below `templates/sidecars/`.
        data: Folders that the compose text mounts as `./data/<name>`.
        connects: Services that receive the sidecars' URLs; None for every service that is no sidecar.
        sidecars: Sidecars that the template brings along by default, name -> how.
    """

    name: str
    source: str
    description: str = ""
    variables: Mapping[str, Variable] = field(default_factory=dict)
    sidecar: SidecarFacts | None = None
    data: tuple[DataFolder, ...] = ()
    connects: tuple[str, ...] | None = None
    sidecars: Mapping[str, SidecarSpec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFolder:
    """A template as the shell hands it to the core: every file below its folder, by relative path.

    Args:
        shipped: True when it came with stackctl, so that it must also drop every capability.
    """

    name: str
    source: str
    files: Mapping[str, str]
    shipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarSpec:
    """A sidecar in a stack file: by template, or written out.

    Args:
        template: Name below `templates/sidecars/`; empty when it is written out.
        image, port, data, health, url, env: As in HOUSE's example; empty or 0 when a template says it.
        reach: From where beside its network it is reached.
    """

    template: str = ""
    variables: Mapping[str, Setting] = field(default_factory=dict)
    image: str = ""
    port: int = 0
    data: str = ""
    health: str = ""
    url: str = ""
    env: str = ""
    reach: tuple[Reach, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Which orphan processes of a service are swept: patterns, and the age in seconds that they must have."""

    patterns: tuple[str, ...]
    after: Literal["exec", "never"] = "exec"
    older_than: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What a stack file says of one service.

    Args:
        replicas: On Swarm, how many there are of it; None for what its document says.
        placement: On Swarm, which nodes it may run on, as constraints.
        publish: On Swarm, where its open ports are: on every node, or on those that run it.
    """

    limits: Layer = field(default_factory=dict)
    watchdog: Mapping[str, Setting] = field(default_factory=dict)
    guard: Guard | None = None
    replicas: int | None = None
    placement: tuple[str, ...] = ()
    publish: Literal["ingress", "host"] = "ingress"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition:
    """A named task of a stack; `lifetime` in seconds, 0 for the stack's; its own limits beat the stack's."""

    image: str
    command: tuple[str, ...] = ()
    lifetime: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Layer = field(default_factory=dict)
    guard: Guard | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A stack file, read and checked in itself (not yet against its template).

    Args:
        name: Name of the stack, from the file's name.
        source: The file, as messages show it.
        template: Name of the template; empty when `compose` names files.
        compose: Existing compose files as written, relative to the stack file.
        variables: Variable name -> value and where it stands.
        watchdog: `Watchdog` field name -> parsed value and where it stands.
        allow: Service -> words that policy would else refuse.
        use_volumes_of: Project of Compose's whose named volumes it goes on with, empty for none.
        lines: Dotted path -> line in `source`, for later messages.
    """

    name: str
    source: str
    description: str = ""
    template: str = ""
    compose: tuple[str, ...] = ()
    variables: Mapping[str, Setting] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    env_file: tuple[str, ...] = ()
    sidecars: Mapping[str, SidecarSpec] = field(default_factory=dict)
    limits: Layer = field(default_factory=dict)
    watchdog: Mapping[str, Setting] = field(default_factory=dict)
    services: Mapping[str, ServiceSettings] = field(default_factory=dict)
    tasks: Mapping[str, TaskDefinition] = field(default_factory=dict)
    allow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    use_volumes_of: str = ""
    engine: Literal["local", "swarm"] = "local"
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The user's `config.yaml`.

    Args:
        ports: First and last host port that may be given out; the default lies below the ephemeral range.
        subnets: The range that environments' networks are cut from, in CIDR notation.
        on_incident: A command that gets each incident as JSON on its standard input.
        host_pressure: What the supervisor does when the host runs out of memory: report it, or end the
            environment of ours that uses the most.
        variables: Template variables for every stack of the user.
        remote_folder: The folder on another machine's engine below which files and data are kept there.
    """

    limits: Layer = field(default_factory=dict)
    watchdog: Mapping[str, Setting] = field(default_factory=dict)
    supervisor: Literal["auto", "manual"] = "auto"
    ports: tuple[int, int] = (20000, 29999)
    subnets: str = "10.208.0.0/13"
    on_incident: tuple[str, ...] = ()
    host_pressure: Literal["report", "act"] = "report"
    variables: Mapping[str, Setting] = field(default_factory=dict)
    remote_folder: str = "/var/lib/stackctl"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePolicy:
    """The machine's `policy.yaml`: ceilings for everyone, and the words that no `allow:` may name."""

    source: str = ""
    ceilings: Layer = field(default_factory=dict)
    forbidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSpec:
    """A secret that an environment keeps in a file of its own.

    Args:
        name: File name below `secrets/` and name in the compose document, `<sidecar>-<variable>` or
            `<variable>`.
        from_file: Where the user keeps it; empty when it is generated once per environment.
    """

    name: str
    from_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarPlan:
    """A sidecar of a rendered stack.

    Args:
        name: Service name.
        url: Pattern with only {host} and {port} and `{secret:<name>}` left in braces; other text is final,
            percent-encoded where it came from a value.
        env: Environment variable for other services; ends in `_FILE` when the URL goes by file.
        data: True when it has a data folder of its own name.
        limits: What holds for it where nobody else asks for limits.
    """

    name: str
    port: int
    url: str
    env: str = ""
    data: bool = False
    uid: int = 1000
    reach: tuple[Reach, ...] = ()
    limits: Layer = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A stack as a compose document, before policy.

    Args:
        document: The compose document; what belongs to a host stands in it as `${STACKCTL_…:?}`.
        files: Relative path -> text of each file rendered beside the document.
        secrets: What must exist below `secrets/` before `up`.
        data: Folders that must exist below `data/`, sidecars' included.
        connections: Service -> names of the sidecars whose URLs it receives.
        templates: Template name -> sha256 of its folder, for the record.
    """

    document: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[SecretSpec, ...] = ()
    sidecars: tuple[SidecarPlan, ...] = ()
    data: tuple[DataFolder, ...] = ()
    connections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)
