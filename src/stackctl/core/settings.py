"""Reads what several files say in the same way: limits, the watchdog, variables, sidecars."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import fields
from functools import partial
from string import Formatter
from typing import Any, cast

from stackctl.core.fields import Fields, Report, choice, kind, text, words
from stackctl.core.limits import ON_VIOLATION, Layer, Setting, Threshold, parse_layer, parse_threshold
from stackctl.core.names import check_image, check_name, check_variable, shorten
from stackctl.core.stack import Reach, Scalar, SidecarSpec
from stackctl.core.units import format_size, parse_count, parse_duration, parse_size

REACHES = ("host", "isolated")
WATCHDOG_KEYS = ("pids", "memory", "sustain", "urgent", "on_violation")
BUDGET = "budget"
_TEMPLATE_SAYS = ("image", "port", "data", "health")
SIDECAR_KEYS = tuple(field.name for field in fields(SidecarSpec))


def read_limits(parent: Fields) -> Layer:
    """The limits that a `limits:` mapping sets."""
    return read_layer(parent.inner("limits"))


def read_layer(sheet: Fields) -> Layer:
    """The limits that a mapping sets."""
    layer, wrong = parse_layer(sheet.entries(), sheet.origins())
    for name, sentence in wrong.items():
        sheet.wrong(name, sentence)
    if {"memory", "swap"} <= layer.keys() and layer["swap"].value < layer["memory"].value:
        sheet.wrong("swap", "counts memory and swap together, so it cannot be below memory")
    return layer


def read_watchdog(parent: Fields, *, whole: bool = False) -> Mapping[str, Setting]:
    """The fields of `Watchdog` that a `watchdog:` mapping sets; `sustain` sets both of its kind.

    Args:
        whole: It is a stack's, which may set a budget for the sum over its services.
    """
    sheet = parent.inner("watchdog", (*WATCHDOG_KEYS, BUDGET) if whole else WATCHDOG_KEYS)
    budget = sheet.inner(BUDGET, ("pids", "memory")) if whole else None
    urgent = sheet.inner("urgent", ("pids", "memory"))
    found = {}
    for name in ("pids", "memory"):
        parse = partial(parse_threshold, size=name == "memory")
        found[name] = _setting(sheet, name, parse)
        found[f"urgent_{name}"] = _setting(urgent, name, parse)
    found["sustain_pids"] = found["sustain_memory"] = _setting(sheet, "sustain", parse_duration)
    found["on_violation"] = _setting(sheet, "on_violation", partial(choice, known=ON_VIOLATION))
    if budget is not None:
        found["budget_pids"] = _setting(budget, "pids", parse_count)
        found["budget_memory"] = _setting(budget, "memory", parse_size)
    return {name: setting for name, setting in found.items() if setting is not None}


def _setting(sheet: Fields, key: str, parse: Callable[[Any], Any]) -> Setting | None:
    value = sheet.read(key, parse, None)
    return None if value is None else Setting(value, sheet.report.origin(sheet.at(key)))


def mark_problems(limits: Layer, watchdog: Mapping[str, Setting]) -> Iterator[tuple[str, str]]:
    """Thresholds that cannot stand beside the limits and levels known here: watchdog field, sentence."""
    for name in ("pids", "memory"):
        limit, mark, urgent = limits.get(name), watchdog.get(name), watchdog.get(f"urgent_{name}")
        for field, level in ((name, mark), (f"urgent_{name}", urgent)):
            if limit and level and level.value.absolute >= max(limit.value, 2):
                shown = _level(name, level)
                yield field, f"the {name} threshold {shown} must be below the limit {_limit(name, limit)}"
        if mark and urgent and _above(mark.value, urgent.value, limit):
            shown = _level(name, mark)
            yield (
                name,
                f"the {name} threshold {shown} must not be above the urgent one, {_level(name, urgent)}",
            )


def mark_path(path: str, field: str) -> str:
    """Where a file says a field of `Watchdog`: `urgent_pids` is `watchdog.urgent.pids` below `path`."""
    name = field.replace("urgent_", "urgent.")
    return f"{path}.watchdog.{name}" if path else f"watchdog.{name}"


def _above(mark: Threshold, urgent: Threshold, limit: Setting | None) -> bool:
    if bool(mark.absolute) == bool(urgent.absolute):
        return (mark.share, mark.absolute) > (urgent.share, urgent.absolute)
    return limit is not None and mark.at(limit.value) > urgent.at(limit.value)


def _level(name: str, setting: Setting) -> str:
    absolute = setting.value.absolute
    shown = format_size(absolute) if absolute and name == "memory" else str(setting.value)
    return f"{shown} ({setting.origin})"


def _limit(name: str, setting: Setting) -> str:
    shown = format_size(setting.value) if name == "memory" else str(setting.value)
    return f"{shown} ({setting.origin})"


def read_variables(parent: Fields) -> Mapping[str, Setting]:
    """Variable name -> value, whose YAML type it keeps, and where it stands."""
    sheet = parent.inner("variables")
    sheet.check_keys(check_variable)
    origins, nothing = sheet.origins(), cast("Scalar", "")
    return {
        name: Setting(sheet.report.attempt(sheet.at(name), partial(scalar, raw), nothing), origins[name])
        for name, raw in sheet.entries().items()
    }


def scalar(raw: Any) -> Scalar:
    """One value.

    Raises:
        ValueError: It is nothing, a list or a mapping.
    """
    if raw is None:
        raise ValueError('has no value; write "" for empty text, or leave the line out')
    if not isinstance(raw, (str, int, float, bool)):
        raise ValueError(f"must be one value, not {kind(raw)}")
    return raw


def read_sidecars(parent: Fields) -> Mapping[str, SidecarSpec]:
    """Sidecars by template (`db: postgres` for short) or written out, by name."""
    sheet = parent.inner("sidecars")
    sheet.check_keys(partial(check_name, what="sidecar"))
    return {name: _sidecar(sheet.report, raw, sheet.at(name)) for name, raw in sheet.entries().items()}


def _sidecar(report: Report, raw: Any, path: str) -> SidecarSpec:
    sheet = Fields(report, {"template": raw} if isinstance(raw, str) else raw, path, SIDECAR_KEYS)
    _check_sidecar(sheet)
    return SidecarSpec(
        template=sheet.read("template", template_name, ""),
        variables=read_variables(sheet),
        image=sheet.read("image", image, ""),
        port=sheet.read("port", port, 0),
        data=sheet.read("data", container_path, ""),
        health=sheet.text("health"),
        url=sheet.read("url", partial(url_pattern, names=None if "template" in sheet else ()), ""),
        env=sheet.read("env", environment_name, ""),
        reach=sheet.read("reach", _reach, ()),
    )


def _check_sidecar(sheet: Fields) -> None:
    if "template" in sheet:
        for key in _TEMPLATE_SAYS:
            if key in sheet:
                hint = "leave it out, or write the sidecar out without `template`"
                sheet.wrong(key, "its template says this", hint)
        return
    if "variables" in sheet:
        sheet.wrong("variables", "only a template has variables")
    missing = [key for key in ("image", "port") if key not in sheet]
    if missing:
        hint = "name a `template`, or write it out with `image` and `port`"
        sheet.lacking(f"the sidecar lacks {' and '.join(f'`{key}`' for key in missing)}", hint)


def _reach(raw: Any) -> tuple[Reach, ...]:
    return tuple(cast("Reach", choice(word, known=REACHES)) for word in words(raw))


def template_name(raw: Any) -> str:
    """The name of a template.

    Raises:
        ValueError: It is no text.
        UsageError: It cannot be a name.
    """
    return check_name(text(raw), "template")


def image(raw: Any) -> str:
    """An image reference.

    Raises:
        ValueError: It is none.
    """
    return check_image(text(raw))


def environment_name(raw: Any) -> str:
    """The name of an environment variable.

    Raises:
        ValueError: It cannot be one.
    """
    return check_variable(text(raw))


def port(raw: Any) -> int:
    """A port, 1 to 65535.

    Raises:
        ValueError: It is none.
    """
    return whole(raw, 1, 65535, "a port")


def whole(raw: Any, least: int, most: int, what: str) -> int:
    """A whole number from `least` to `most`, also as text.

    Raises:
        ValueError: It is none, or outside.
    """
    word = str(raw)
    digits = word.isascii() and word.isdigit() and len(word) <= 12 and isinstance(raw, (int, str))
    if not digits or not least <= int(word) <= most:
        shown = shorten(word) if isinstance(raw, (str, int, float)) else kind(raw)
        raise ValueError(f"{what} from {least} to {most} was expected, not {shown}")
    return int(word)


def container_path(raw: Any) -> str:
    """An absolute path of a folder in a container, without a slash at its end.

    Raises:
        ValueError: It is none, or the root.
    """
    path = text(raw).rstrip("/")
    odd = any(part in ("", ".", "..") for part in path.split("/")[1:])
    if not path.startswith("/") or odd or not path.isprintable() or ":" in path or len(path) > 1024:
        raise ValueError(f"an absolute path in the container was expected, not {shorten(path)!a}")
    return path


def url_pattern(raw: Any, names: Collection[str] | None) -> str:
    """A URL in which {host}, {port} and `names` stand in braces; any name where `names` is None.

    Raises:
        ValueError: Its braces hold something else, or it has white space.
    """
    pattern = text(raw)
    if any(character.isspace() or not character.isprintable() for character in pattern):
        raise ValueError("a URL cannot have white space")
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError:
        raise ValueError("its braces do not match; write a brace of its own as {{ or }}") from None
    known = ("host", "port", *(names or ()))
    for _, name, format_, conversion in parts:
        if name is None:
            continue
        if format_ or conversion or not name.isidentifier() or (names is not None and name not in known):
            shown = ", ".join(f"{{{one}}}" for one in known)
            raise ValueError(f"{{{shorten(name)}}} is not known here; there are {shown}")
    return pattern
