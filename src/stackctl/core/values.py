"""Which value each of a template's variables has, where it came from, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stackctl.core.errors import Problem
from stackctl.core.limits import Setting
from stackctl.core.names import nearest
from stackctl.core.stack import Scalar, SecretSpec, Template, Variable
from stackctl.core.tokens import refused_characters
from stackctl.core.variables import AUTO, value_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Where values come from, the strongest first; the template's defaults lie below all three.

    Args:
        given: From the command line; variable name -> text.
        written: From the stack file, or from a template that brings the sidecar along.
        configured: From the user's configuration, for all stacks; names that a template lacks are no error.
        prefix: `<sidecar>.` in names as the user types them, or empty.
    """

    given: Mapping[str, Setting]
    written: Mapping[str, Setting]
    configured: Mapping[str, Setting]
    prefix: str = ""

    def find(self, name: str) -> Setting | None:
        """The strongest setting of a variable, or None when only its default is left."""
        return self.given.get(name) or self.written.get(name) or self.configured.get(name)

    def unknown(self, known: Mapping[str, Variable]) -> Iterator[tuple[str, Setting]]:
        """Settings that name no variable and were meant for this template."""
        for layer in (self.given, self.written):
            yield from ((name, setting) for name, setting in layer.items() if name not in known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The values of one template.

    Args:
        plain: Variable name -> value; a port that placement chooses is 0.
        secrets: Variable name -> the secret behind it.
    """

    plain: Mapping[str, Scalar]
    secrets: Mapping[str, SecretSpec]


def split_given(given: Mapping[str, str]) -> dict[str, dict[str, Setting]]:
    """The `--set` words by sidecar name; those of the template itself stand below the empty name."""
    found: dict[str, dict[str, Setting]] = {}
    for word, text in given.items():
        sidecar, _, name = word.rpartition(".")
        found.setdefault(sidecar, {})[name] = Setting(text, f"--set {word}")
    return found


def values_of(template: Template, layers: Layers, *, owner: str = "") -> tuple[Values, list[Problem]]:
    """Find the value of every variable that the template declares.

    Args:
        template: The template.
        layers: Where values come from.
        owner: Name of the sidecar, which its secrets' names begin with; empty for the stack's template.

    Returns:
        The values, and everything that is wrong: unknown names, missing and unfit values.
    """
    problems = [
        _unknown(name, setting, template, layers) for name, setting in layers.unknown(template.variables)
    ]
    plain: dict[str, Scalar] = {}
    secrets: dict[str, SecretSpec] = {}
    for name, variable in template.variables.items():
        setting = layers.find(name)
        try:
            if variable.type == "secret":
                secret = f"{owner}-{name}" if owner else name
                secrets[name] = SecretSpec(name=secret, from_file=_secret_file(variable, setting))
            elif (value := _value(variable, setting)) is None:
                problems.append(_missing(variable, template, layers))
            else:
                plain[name] = value
        except ValueError as error:
            problems.append(_unfit(variable, setting, layers, str(error)))
    return Values(plain=plain, secrets=secrets), problems


def place_of(origin: str) -> tuple[str, int]:
    """The file and line in an origin ("stacks/myenv.yaml:12"); the line is 0 where it has none."""
    source, _, line = origin.rpartition(":")
    return (source, int(line)) if source and line.isdigit() else (origin, 0)


def _value(variable: Variable, setting: Setting | None) -> Scalar | None:
    raw = setting.value if setting else variable.default
    if raw is None:
        return AUTO if variable.type == "port" else None
    value = value_for(variable, raw)
    if isinstance(value, str) and (reason := refused_characters(value)):
        raise ValueError(reason)
    return value


def _secret_file(variable: Variable, setting: Setting | None) -> str:
    raw = setting.value if setting else variable.default
    return "" if raw is None else str(value_for(variable, raw)).removeprefix("file:")


def _unknown(name: str, setting: Setting, template: Template, layers: Layers) -> Problem:
    source, line = place_of(setting.origin)
    near = nearest(name, template.variables)
    known = ", ".join(f"`{one}`" for one in sorted(template.variables)) or "none"
    hint = f"did you mean `{layers.prefix}{near[0]}`?" if near else f"its variables are: {known}"
    message = f"the template `{template.name}` has no variable `{name}`"
    return Problem(source=source, line=line, path=f"{layers.prefix}{name}", message=message, hint=hint)


def _missing(variable: Variable, template: Template, layers: Layers) -> Problem:
    what = f": {variable.help.strip().rstrip('.')}" if variable.help else ""
    word = f"{layers.prefix}{variable.name}"
    message = f"the template `{template.name}` needs a value{what}"
    return Problem(path=word, message=message, hint=f"say `{word}` in the stack file or by `--set {word}=…`")


def _unfit(variable: Variable, setting: Setting | None, layers: Layers, reason: str) -> Problem:
    source, line = place_of(setting.origin) if setting else ("the template's own default", 0)
    what = f" ({variable.help.strip().rstrip('.')})" if variable.help else ""
    return Problem(
        source=source, line=line, path=f"{layers.prefix}{variable.name}", message=f"{reason}{what}"
    )
