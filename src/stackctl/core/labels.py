"""Which docker objects are ours, and of which generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

PREFIX = "stackctl."
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What stands on every container, network and volume of an environment or task.

    Labels say what is ours; until when is the record's business. Both must agree on `generation` before
    anything is destroyed.

    Args:
        project: Compose project name of the environment, `<stack>-<6 hex>`.
        stack: Name of the stack.
        instance: Name of the instance, empty for the first one.
        generation: A uuid, constant from the first `up` to `down`.
        home: 12 hex digits of the hash of the state root's real path.
        user: Numeric id of the user who owns the environment.
        engine: Id of the engine that it was made on.
        schema: Version of this set of labels.
    """

    project: str
    stack: str
    instance: str = ""
    generation: str
    home: str
    user: int
    engine: str
    schema: int = SCHEMA

    def labels(self) -> dict[str, str]:
        """The stamp as docker labels, every value a string."""
        return {f"{PREFIX}{f.name}": str(getattr(self, f.name)) for f in fields(self)}


def read_stamp(labels: Mapping[str, str]) -> Stamp | None:
    """The stamp that labels carry, or None when they are not ours or cannot be understood."""
    values = {f.name: labels.get(f"{PREFIX}{f.name}") for f in fields(Stamp)}
    if any(value is None for value in values.values()):
        return None
    user, schema = str(values.pop("user")), str(values.pop("schema"))
    if not user.isdigit() or not schema.isdigit():
        return None
    words = {name: str(value) for name, value in values.items()}
    return Stamp(user=int(user), schema=int(schema), **words)
