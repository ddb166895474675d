"""JSON Schemas of the files that people write, made from the tables of the parsers.

A schema helps an editor; the parsers judge. What it refuses they refuse, and they say more: whether a
template has that variable, whether a threshold is below its limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stackctl.core.allow import ALLOW
from stackctl.core.configuration import KEYS as CONFIGURATION_KEYS
from stackctl.core.configuration import POLICY_KEYS
from stackctl.core.deploys import MOST_REPLICAS
from stackctl.core.envelopes import envelope_schema
from stackctl.core.schema_values import (
    COMMAND,
    COUNT,
    DURATION,
    IMAGE,
    LIMITS,
    MARKS,
    PATH,
    PORT,
    SCALAR,
    SERVICE_NAME,
    SIZE,
    STACK_NAME,
    VARIABLE_NAME,
    VARIABLES,
    VIOLATIONS,
    Schema,
    by_name,
    either,
    listed,
    mapping,
    named,
    one_of,
    text,
    told,
)
from stackctl.core.settings import BUDGET, REACHES, SIDECAR_KEYS, WATCHDOG_KEYS
from stackctl.core.stackfile import (
    ENGINES,
    GUARD_KEYS,
    KEYS,
    PLACEMENT,
    PUBLISH,
    SERVICE_KEYS,
    SWEPT,
    TASK_KEYS,
)
from stackctl.core.templatefile import FACT_KEYS, VARIABLE_KEYS
from stackctl.core.templatefile import KEYS as TEMPLATE_KEYS
from stackctl.core.variables import TYPES

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LIMITS_OF_ALL = "What the kernel enforces for every service, and how long the environment lives"


def stack_schema() -> Schema:
    """Of a stack file."""
    schema = mapping(
        KEYS,
        {
            "description": text("For people"),
            "template": named(STACK_NAME, "The template: a folder below templates/"),
            "compose": listed(text(), "Existing compose files, relative to this file"),
            "variables": told(VARIABLES, "Values of the template's variables, or of the compose files'"),
            "profiles": listed(text(), "Profiles of the compose files"),
            "env_file": listed(text(), "Files with variables for the compose files"),
            "sidecars": _sidecars("Services beside it that keep data"),
            "limits": told(LIMITS, _LIMITS_OF_ALL),
            "watchdog": _watchdog(whole=True),
            "services": by_name(SERVICE_NAME, _service(), "What holds for one service"),
            "tasks": by_name(STACK_NAME, _task(), "Commands that `stackctl run --in` runs"),
            "allow": by_name(SERVICE_NAME, _allowed(), "What policy refuses unless it is named here"),
            "use_volumes_of": text("A Compose project whose named volumes it goes on with"),
            "engine": one_of(ENGINES, "Where it runs"),
        },
    )
    schema["type"] = "object"
    return {**schema, "oneOf": [{"required": ["template"]}, {"required": ["compose"]}]}


def template_schema() -> Schema:
    """Of a template.yaml."""
    folder = mapping(("uid",), {"uid": either(named("[0-9]+"), {"type": "integer", "minimum": 1})})
    return mapping(
        TEMPLATE_KEYS,
        {
            "description": text("For people"),
            "variables": by_name(VARIABLE_NAME, _variable(), "What a stack may set"),
            "sidecar": _facts(),
            "data": either(
                listed(named(STACK_NAME)),
                by_name(STACK_NAME, folder),
                about="Folders that outlive every container, mounted as ./data/NAME",
            ),
            "connects": listed(named(SERVICE_NAME), "Services that get the sidecars' URLs"),
            "sidecars": _sidecars("Sidecars that come along unless the stack says otherwise"),
        },
    )


def configuration_schema() -> Schema:
    """Of the user's config.yaml."""
    range_ = either(
        named(r"\s*[0-9]{1,5}\s*-\s*[0-9]{1,5}\s*"),
        {"type": "array", "items": PORT, "minItems": 2, "maxItems": 2},
        about="The range that free ports are chosen from",
    )
    return mapping(
        CONFIGURATION_KEYS,
        {
            "limits": told(LIMITS, "Limits for every stack, below the stack file's"),
            "watchdog": _watchdog(whole=False),
            "supervisor": one_of(("auto", "manual"), "Whether `up` starts a supervisor"),
            "ports": range_,
            "subnets": text("The private IPv4 range that networks are cut from"),
            "on_incident": told(COMMAND, "A command that gets each incident as JSON"),
            "remote_folder": text(
                "The folder on another machine's engine that files and data are kept below"
            ),
            "host_pressure": one_of(("report", "act"), "What is done when the host's memory runs out"),
            "variables": told(VARIABLES, "Values of variables for every stack"),
        },
    )


def policy_schema() -> Schema:
    """Of the machine's policy.yaml."""
    return mapping(
        POLICY_KEYS,
        {
            "ceilings": told(LIMITS, "Limits that nobody may exceed"),
            "forbid": told(_allowed(), "Words that no `allow:` may grant"),
        },
    )


def _sidecars(about: str) -> Schema:
    by_template = named(STACK_NAME, "Its template, below templates/sidecars/")
    written_out = mapping(
        SIDECAR_KEYS,
        {
            "template": by_template,
            "variables": told(VARIABLES, "Values of its template's variables"),
            "image": told(IMAGE, "Its image, where it has no template"),
            "port": told(PORT, "The port that it serves on, where it has no template"),
            "data": told(PATH, "The path in the container that outlives it"),
            "health": text("A shell command that tells whether it is healthy"),
            "url": text("Its URL, with {host} and {port}"),
            "env": named(VARIABLE_NAME, "The variable that carries its URL to other services"),
            "reach": listed(one_of(REACHES), "From where beside its network it is reached"),
        },
    )
    written_out["type"] = "object"
    written_out["anyOf"] = [{"required": ["template"]}, {"required": ["image", "port"]}]
    return by_name(STACK_NAME, either(by_template, written_out), about)


def _watchdog(*, whole: bool) -> Schema:
    marks = {key: told(MARKS[key], f"The {key} at which the watchdog acts when it stays") for key in MARKS}
    own: dict[str, Schema] = {
        **marks,
        "sustain": told(DURATION, "How long a threshold must be exceeded"),
        "urgent": mapping(tuple(MARKS), MARKS, "The marks at which it acts at once"),
        "on_violation": VIOLATIONS,
    }
    if whole:
        budget = {"pids": COUNT, "memory": SIZE}
        own[BUDGET] = mapping(tuple(budget), budget, "For the sum over all services")
    about = "Marks below the limits at which the supervisor acts"
    return mapping((*WATCHDOG_KEYS, BUDGET) if whole else WATCHDOG_KEYS, own, about)


def _service() -> Schema:
    own = {
        "limits": LIMITS,
        "watchdog": _watchdog(whole=False),
        "guard": _guard(),
        "replicas": {
            "description": "On Swarm: how many there are of it",
            "type": "integer",
            "minimum": 0,
            "maximum": MOST_REPLICAS,
        },
        "placement": listed(named(PLACEMENT), "On Swarm: which nodes it may run on"),
        "publish": one_of(PUBLISH, "On Swarm: its open ports are on every node, or on those that run it"),
    }
    return mapping(SERVICE_KEYS, own)


def _guard() -> Schema:
    return mapping(
        GUARD_KEYS,
        {
            "patterns": listed(text(), "What the command lines of orphans to be swept match"),
            "after": one_of(SWEPT, "Whether also after each `stackctl exec`"),
            "older_than": told(DURATION, "How old an orphan must be"),
        },
        "The orphan processes that are swept",
        needed=("patterns",),
    )


def _task() -> Schema:
    environment = either(
        by_name(VARIABLE_NAME, SCALAR), listed(named(rf"{VARIABLE_NAME}=[\s\S]*")), about="Its variables"
    )
    return mapping(
        TASK_KEYS,
        {
            "image": told(IMAGE, "Its image"),
            "command": told(COMMAND, "What it runs"),
            "lifetime": told(DURATION, "After which it is ended"),
            "environment": environment,
            "limits": LIMITS,
            "guard": _guard(),
        },
        needed=("image",),
    )


def _allowed() -> Schema:
    words = [{"const": word, "description": f"lets a service {what}"} for word, what in ALLOW.items()]
    return listed({"oneOf": words})


def _variable() -> Schema:
    written_out = mapping(
        VARIABLE_KEYS,
        {
            "type": one_of(TYPES, "What it may be"),
            "default": told(SCALAR, "What it is unless a stack says otherwise"),
            "help": text("What it does, for people"),
            "pattern": text("A regular expression that all of it matches"),
            "choices": {"type": "array", "minItems": 1, "items": SCALAR},
        },
    )
    return either(SCALAR, written_out)


def _facts() -> Schema:
    return mapping(
        FACT_KEYS,
        {
            "port": told(PORT, "The port that it serves on"),
            "data": told(PATH, "The path in the container that outlives it"),
            "uid": either(named("[0-9]+"), {"type": "integer", "minimum": 1}, about="Its user"),
            "url": text("Its URL, with {host}, {port} and variables in braces"),
            "env": named(VARIABLE_NAME, "The variable that carries its URL to other services"),
            "limits": LIMITS,
        },
        "In a template below templates/sidecars/: what is known of its service",
        needed=("port",),
    )


_KINDS: Mapping[str, tuple[str, Callable[[], Schema]]] = {
    "stack": ("A stack file of stackctl: stacks/NAME.yaml", stack_schema),
    "template": ("A template of stackctl: templates/NAME/template.yaml", template_schema),
    "config": ("The user's configuration of stackctl: config.yaml", configuration_schema),
    "policy": ("The machine's policy for stackctl: /etc/stackctl/policy.yaml", policy_schema),
    "json": ("What `stackctl … --json` prints", envelope_schema),
}
KINDS = tuple(_KINDS)


def schema(kind: str) -> Schema:
    """The schema of one of KINDS, draft 2020-12."""
    title, make = _KINDS[kind]
    return {"$schema": DIALECT, "$id": f"urn:stackctl:schema:{kind}", "title": title, **make()}
