"""Reads `template.yaml`: the variables that a template declares, and what it says of its services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

from stackctl.core.documents import load
from stackctl.core.fields import Fields, Report, kind, text, words
from stackctl.core.names import check_name, check_service, check_variable
from stackctl.core.patterns import check_pattern
from stackctl.core.settings import (
    container_path,
    environment_name,
    port,
    read_limits,
    read_sidecars,
    scalar,
    url_pattern,
    whole,
)
from stackctl.core.stack import DataFolder, Scalar, SidecarFacts, Template, Variable, VariableType
from stackctl.core.variables import TYPES, value_for

__all__ = ["parse_template", "value_for"]

KEYS = ("description", "variables", "sidecar", "data", "connects", "sidecars")
VARIABLE_KEYS = ("type", "default", "help", "pattern", "choices")
FACT_KEYS = ("port", "data", "uid", "url", "env", "limits")
_RESERVED = frozenset(
    ("and", "else", "false", "for", "from", "if", "in", "is", "loop", "none", "not", "or", "self", "true")
)
_MOST_UID = (1 << 31) - 1


def parse_template(text: str, *, name: str, source: str) -> Template:
    """Read a `template.yaml`.

    Args:
        text: The file's text.
        name: Name of the template's folder.
        source: The file, as messages show it.

    Raises:
        StackFileError: With every problem, each with file, line and path.
        UsageError: The name cannot be one.
    """
    check_name(name, "template")
    loaded = load(text, source=source)
    report = Report(loaded)
    sheet = Fields(report, loaded.data, "", KEYS)
    variables = _variables(sheet)
    template = Template(
        name=name,
        source=source,
        description=sheet.text("description"),
        variables=variables,
        sidecar=_sidecar(sheet, tuple(variables)) if "sidecar" in sheet else None,
        data=_data(sheet),
        connects=sheet.read("connects", _services, None),
        sidecars=read_sidecars(sheet),
    )
    report.finish()
    return template


def _services(raw: Any) -> tuple[str, ...]:
    return tuple(check_service(word) for word in words(raw))


def _variables(template: Fields) -> Mapping[str, Variable]:
    sheet = template.inner("variables")
    sheet.check_keys(_variable_name)
    return {name: _variable(sheet, name, raw) for name, raw in sheet.entries().items()}


def _variable_name(name: str) -> str:
    if name.lower() in _RESERVED:
        raise ValueError(f"`{name}` means something else in a template")
    return check_variable(name)


def _variable(variables: Fields, name: str, raw: Any) -> Variable:
    if not isinstance(raw, dict):
        return _short(variables, name)
    sheet = variables.inner(name, VARIABLE_KEYS)
    default = sheet.read("default", scalar, None)
    choices = sheet.read("choices", _choices, cast("tuple[Scalar, ...]", ()))
    variable = Variable(
        name=name,
        type=cast("VariableType", sheet.one_of("type", TYPES, _inferred(default, choices))),
        help=sheet.text("help"),
        pattern=sheet.read("pattern", _pattern, ""),
        choices=choices,
    )
    _check_variable(sheet, variable)
    if default is None:
        return variable
    return replace(variable, default=_default(sheet.report, sheet.at("default"), variable, default))


def _short(variables: Fields, name: str) -> Variable:
    variable = Variable(name=name)
    default = variables.read(name, scalar, None)
    if default is None:
        return variable
    variable = replace(variable, type=_inferred(default, ()))
    return replace(variable, default=_default(variables.report, variables.at(name), variable, default))


def _default(report: Report, path: str, variable: Variable, default: Scalar) -> Scalar:
    if variable.type == "secret":
        hint = "leave it out: a secret is generated once for each environment"
        report.wrong(path, "a secret has no default", hint)
        return default
    if variable.type == "choice" and not variable.choices:
        return default
    return report.attempt(path, partial(value_for, variable, default), default)


def _inferred(default: Scalar | None, choices: tuple[Scalar, ...]) -> VariableType:
    if choices:
        return "choice"
    if isinstance(default, bool):
        return "boolean"
    if isinstance(default, int):
        return "integer"
    return "number" if isinstance(default, float) else "string"


def _pattern(raw: Any) -> str:
    return check_pattern(text(raw))


def _choices(raw: Any) -> tuple[Scalar, ...]:
    if not isinstance(raw, list) or not raw:
        raise ValueError(f"must be a list of at least one value, not {'empty' if raw == [] else kind(raw)}")
    found = tuple(scalar(one) for one in raw)
    if len({str(one) for one in found}) < len(found):
        raise ValueError("has the same choice twice")
    return found


def _check_variable(sheet: Fields, variable: Variable) -> None:
    if variable.type == "choice" and not variable.choices and "choices" not in sheet:
        sheet.lacking("a choice needs `choices`, the list of what it may be")
    if variable.type != "choice" and variable.choices:
        sheet.wrong("choices", f"only type choice has them, not {variable.type}", "write `type: choice`")
    if variable.type != "string" and variable.pattern:
        sheet.wrong("pattern", f"only type string has one, not {variable.type}")


def _sidecar(template: Fields, names: tuple[str, ...]) -> SidecarFacts:
    sheet = template.inner("sidecar", FACT_KEYS)
    if "port" not in sheet:
        sheet.lacking("a sidecar needs its `port`")
    return SidecarFacts(
        port=sheet.read("port", port, 1),
        data=sheet.read("data", container_path, ""),
        uid=sheet.read("uid", _uid, 1000),
        url=sheet.read("url", partial(url_pattern, names=names), "http://{host}:{port}"),
        env=sheet.read("env", environment_name, ""),
        limits=read_limits(sheet),
    )


def _uid(raw: Any) -> int:
    if raw in (0, "0", "root") and not isinstance(raw, bool):
        raise ValueError("a service never runs as root; name the uid that its image documents")
    return whole(raw, 1, _MOST_UID, "a numeric user id")


def _data(template: Fields) -> tuple[DataFolder, ...]:
    raw = template.raw.get("data")
    if isinstance(raw, list):
        return template.read("data", _folders, ())
    sheet = template.inner("data")
    sheet.check_keys(partial(check_name, what="data folder"))
    return tuple(_folder(sheet, name) for name in sheet.entries())


def _folders(raw: Any) -> tuple[DataFolder, ...]:
    return tuple(DataFolder(name=check_name(word, "data folder")) for word in words(raw))


def _folder(data: Fields, name: str) -> DataFolder:
    return DataFolder(name=name, uid=data.inner(name, ("uid",)).read("uid", _uid, 1000))
