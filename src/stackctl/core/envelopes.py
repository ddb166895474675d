"""What stands in the envelope of `--json`: the shape of each command's `data`, and the schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stackctl.core import errors

if TYPE_CHECKING:
    from stackctl.core.schema_values import Schema

VERSION = 1
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
ANY: Schema = {}


def maybe(schema: Schema) -> Schema:
    """That, or null where it is not known."""
    return {"anyOf": [schema, {"type": "null"}]}


def each(item: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": item}


def table(value: Schema) -> Schema:
    """A mapping from names."""
    return {"type": "object", "additionalProperties": value}


def shape(**keys: Schema) -> Schema:
    """A mapping that has at least these keys; a later version may add others."""
    return {"type": "object", "properties": keys, "required": list(keys)}


WORDS = each(TEXT)
_RECORD = {
    "project": TEXT,
    "stack": TEXT,
    "instance": TEXT,
    "phase": TEXT,
    "root": TEXT,
    "stack_file": TEXT,
    "generation": TEXT,
    "engine": TEXT,
    "engine_host": TEXT,
    "orchestrator": maybe(TEXT),
    "created": NUMBER,
    "lifetime_seconds": NUMBER,
    "left_seconds": NUMBER,
    "limits_verified": TEXT,
    "ended": maybe(shape(reason=TEXT, at=NUMBER, incident=maybe(TEXT))),
    "restarts": table(WHOLE),
    "halted": WORDS,
    "warnings": WORDS,
}
_ADDRESS = shape(
    port=WHOLE,
    host_ip=TEXT,
    host_port=WHOLE,
    host=TEXT,
    container=TEXT,
    isolated=TEXT,
    tunnelled=FLAG,
)
_REACH = shape(host=maybe(TEXT), container_host=maybe(TEXT), port=maybe(WHOLE), container_port=WHOLE)
_SERVICE = shape(
    state=TEXT,
    standing=TEXT,
    sidecar=FLAG,
    limits=shape(pids=WHOLE, memory_bytes=WHOLE, swap_bytes=WHOLE, cpus=NUMBER),
    thresholds=table({"type": ["number", "string"]}),
    usage=shape(pids=maybe(WHOLE), memory_bytes=maybe(WHOLE), cpus=maybe(NUMBER)),
    peak=shape(pids=maybe(WHOLE), memory_bytes=maybe(WHOLE)),
    containers=WORDS,
    addresses=each(_ADDRESS),
    ports=each(shape(container_port=WHOLE, protocol=TEXT, host_ip=TEXT, host_port=WHOLE)),
    urls=WORDS,
    reach=maybe(_REACH),
)
_ENVIRONMENT = shape(**_RECORD, healthy=FLAG, services=table(_SERVICE), strangers=WORDS, tunnel=TEXT)
_TEMPLATE = shape(**{"name": TEXT, "from": TEXT, "path": TEXT})
_CHECK = shape(check=TEXT, state={"enum": ["passed", "warning", "failed"]}, message=TEXT, remedy=TEXT)
_LIMIT = shape(service=TEXT, name=TEXT, value=TEXT, threshold=TEXT, origin=TEXT, sentence=TEXT)


def any_of(*schemas: Schema) -> Schema:
    """One of several shapes, as the options decide."""
    return {"anyOf": list(schemas)}


DATA: Mapping[str, Schema] = {
    "up": _ENVIRONMENT,
    "status": any_of(_ENVIRONMENT, each(_ENVIRONMENT)),
    "ps": any_of(_ENVIRONMENT, each(_ENVIRONMENT)),
    "list": any_of(shape(environments=each(shape(**_RECORD)), others=table(ANY)), table(TEXT)),
    "down": each(shape(project=TEXT, containers=WHOLE, networks=WHOLE)),
    "restart": shape(project=TEXT, restarted=WORDS),
    "with": shape(project=TEXT, exit_code=WHOLE, kept=FLAG),
    "extend": shape(project=TEXT, left_seconds=NUMBER, until=NUMBER),
    "move": shape(**{"from": TEXT, "to": TEXT}),
    "purge": shape(project=TEXT, deleted_bytes=WHOLE),
    "url": shape(**{"service": TEXT, "from": TEXT, "url": TEXT, **_REACH["properties"]}),
    "env": table(TEXT),
    "render": any_of(shape(document=table(ANY)), shape(file=TEXT)),
    "diff": shape(changes=table(TEXT), diff=TEXT),
    "lint": any_of(
        shape(source=TEXT, changes=each(shape(path=TEXT, what=TEXT, reason=TEXT))),
        shape(file=TEXT, added=table(WORDS)),
    ),
    "limits": any_of(each(_LIMIT), shape(services=each(shape(service=TEXT)))),
    "templates": any_of(_TEMPLATE, each(_TEMPLATE)),
    "new": shape(stack=TEXT, path=TEXT, replaced=FLAG),
    "init": shape(folder=TEXT, written=WORDS, kept=WORDS, present=WORDS, stack=TEXT, dry=FLAG),
    "make": shape(
        path=TEXT, state={"enum": ["missing", "current", "stale", "edited"]}, prefix=TEXT, stack=TEXT
    ),
    "doctor": shape(healthy=FLAG, counts=table(WHOLE), checks=each(_CHECK)),
    "why": shape(project=TEXT, phase=TEXT, ended=ANY, incident=ANY),
    "incidents": each(table(ANY)),
    "completion": shape(shell=TEXT, script=TEXT),
    "schema": any_of(table(ANY), table(TEXT)),
}
"""Command -> the shape of its `data`; one that is not here may have any."""


def envelope_schema() -> Schema:
    """The schema of every envelope, with the `data` of each command that DATA knows."""
    return {
        "type": "object",
        "properties": {
            "version": {"const": VERSION},
            "command": TEXT,
            "ok": FLAG,
            "data": ANY,
            "error": _error(),
            "warnings": WORDS,
        },
        "required": ["version", "command", "ok", "warnings"],
        "additionalProperties": False,
        "oneOf": [{"required": ["data"]}, {"required": ["error"], "properties": {"ok": {"const": False}}}],
        "allOf": [_when(command, data) for command, data in DATA.items()],
    }


def _when(command: str, data: Schema) -> Schema:
    typed: dict[str, Any] = {"properties": {"command": {"const": command}}, "required": ["data"]}
    return {"if": typed, "then": {"properties": {"data": data}}}


def _error() -> Schema:
    named = vars(errors).values()
    kinds = [one.__name__ for one in named if isinstance(one, type) and issubclass(one, errors.StackctlError)]
    problem = shape(path=TEXT, message=TEXT, hint=TEXT, source=TEXT, line=WHOLE, service=TEXT, allow=TEXT)
    common = shape(kind={"enum": [*kinds, "bug"]}, exit_code=WHOLE, message=TEXT, hint=TEXT)
    told = shape(problems=each(problem), details=WORDS)
    return {
        **common,
        "if": {"properties": {"kind": {"const": "bug"}}},
        "then": shape(traceback=TEXT),
        "else": told,
    }
