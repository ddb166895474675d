"""What values look like in JSON Schema: the words of the parsers, as patterns that an editor understands."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from stackctl.core.limits import ON_VIOLATION, PARSERS, SENTENCES
from stackctl.core.names import SERVICE, STACK, VARIABLE

Schema = dict[str, Any]
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_UNIT = r"(?:[bB]|[kKmMgGtT][bB]?)"
_SIZE = rf"(?:[0-9]+|{_NUMBER} *{_UNIT})"
_SHARE = r"[0-9]{1,2}(?:\.[0-9]+)? *%"
_COUNT = r"0*[1-9][0-9]{0,8}"


def text(about: str = "", **more: Any) -> Schema:
    """Text that is not empty."""
    return told({"type": "string", "minLength": 1, **more}, about)


def told(schema: Schema, about: str) -> Schema:
    """A schema with the sentence that an editor shows."""
    return {"description": about, **schema} if about else schema


def named(pattern: str, about: str = "") -> Schema:
    """Text that matches all of a pattern."""
    return told({"type": "string", "pattern": f"^(?:{pattern})$"}, about)


def one_of(words: Collection[str], about: str = "") -> Schema:
    """One of some words."""
    return told({"enum": list(words)}, about)


def either(*schemas: Schema, about: str = "") -> Schema:
    """What one of several schemas takes."""
    return told({"anyOf": list(schemas)}, about)


def listed(item: Schema, about: str = "") -> Schema:
    """A list, or one item for short."""
    return told({"anyOf": [item, {"type": "array", "items": item}]}, about)


def mapping(
    keys: Sequence[str], schemas: Mapping[str, Schema], about: str = "", needed: Sequence[str] = ()
) -> Schema:
    """A mapping that has these keys and no other; a parser's own table says which.

    Raises:
        KeyError: A key has no schema, or a schema no key: one of the two tables is behind the other.
    """
    if odd := set(schemas) - set(keys):
        raise KeyError(f"the parser has no {', '.join(sorted(odd))}")
    found: Schema = {
        "type": "object" if needed else ["object", "null"],
        "additionalProperties": False,
        "properties": {key: schemas[key] for key in keys},
    }
    return told({**found, "required": list(needed)} if needed else found, about)


def by_name(pattern: str, value: Schema, about: str = "") -> Schema:
    """A mapping from names of a kind."""
    names = {"pattern": f"^(?:{pattern})$"}
    return told({"type": ["object", "null"], "propertyNames": names, "additionalProperties": value}, about)


SCALAR: Schema = {"type": ["string", "number", "boolean"]}
STACK_NAME = STACK.pattern
VARIABLE_NAME = VARIABLE.pattern
SERVICE_NAME = SERVICE.pattern
SIZE = either(named(_SIZE), {"type": "integer", "minimum": 1})
COUNT = either(named(_COUNT), {"type": "integer", "minimum": 1, "maximum": 999_999_999})
DURATION = either(named(rf"(?:{_NUMBER}(?:ms|[smhdwSMHDW]))+"), {"type": "number", "exclusiveMinimum": 0})
CPUS = either(named(_NUMBER), {"type": "number", "minimum": 0.01, "exclusiveMaximum": 1_000_000})
PORT = either(named("[0-9]{1,5}"), {"type": "integer", "minimum": 1, "maximum": 65535})
PATH = named(r"/.*[^/].*")
IMAGE = text()
COMMAND = either(text(), {"type": "array", "minItems": 1, "items": {"type": ["string", "integer"]}})
_LIMITS = {"pids": COUNT, "memory": SIZE, "swap": SIZE, "cpus": CPUS, "lifetime": DURATION}
LIMITS = mapping(tuple(PARSERS), {key: told(_LIMITS[key], SENTENCES[key]) for key in PARSERS})
VARIABLES = by_name(VARIABLE_NAME, SCALAR)
MARKS = {
    "pids": either(named(f"{_SHARE}|{_COUNT}"), {"type": "integer", "minimum": 1}),
    "memory": either(named(f"{_SHARE}|{_SIZE}"), {"type": "integer", "minimum": 1}),
}
VIOLATIONS = one_of(ON_VIOLATION, "What a violation ends, or that it is only reported")
