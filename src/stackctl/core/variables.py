"""What a value of a template's variable must be, and the one way in which each type is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast, get_args

from stackctl.core.fields import kind
from stackctl.core.names import check_image, shorten
from stackctl.core.patterns import matches
from stackctl.core.scalars import read_scalar
from stackctl.core.settings import whole
from stackctl.core.stack import Scalar, Variable, VariableType
from stackctl.core.units import format_duration, format_size, parse_duration, parse_size

TYPES: tuple[VariableType, ...] = get_args(VariableType)
AUTO = 0
"""The port that placement chooses."""
MAX_VALUE = 64 << 10
"""Characters of one value; the kernel takes 128 KiB for one environment variable."""

_FROM_FILE = "file:"
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


def value_for(variable: Variable, raw: object) -> Scalar:
    """Check one value for a variable, and write it in the one way that its type has.

    Sizes and durations become text that Compose reads ("512m", "1h30m"), a port that may be any becomes 0.
    A value that was returned is accepted again and stays as it is.

    Args:
        variable: The declaration.
        raw: As the stack file's YAML has it, or the text of `--set name=value`.

    Raises:
        ValueError: With one sentence that says what is wrong.
    """
    if not isinstance(raw, (str, int, float, bool)):
        raise ValueError(f"must be one value, not {kind(raw)}")
    if isinstance(raw, str):
        _check_text(raw, lines=variable.type == "string")
    value = _READERS[variable.type](variable, raw)
    if variable.pattern and not matches(variable.pattern, str(value)):
        raise ValueError(f"{_shown(raw)} does not match the pattern `{variable.pattern}`")
    return value


def _check_text(text: str, *, lines: bool) -> None:
    if len(text) > MAX_VALUE:
        raise ValueError(f"has {len(text)} characters, more than the {MAX_VALUE} allowed")
    if not lines and "\n" in text:
        raise ValueError("must be one line")
    if any(character < " " and character not in "\n\t" for character in text) or "\x7f" in text:
        raise ValueError("must not have control characters")


def _shown(raw: Scalar) -> str:
    return str(raw).lower() if isinstance(raw, bool) else f"{shorten(str(raw))!r}"


def _string(_: Variable, raw: Scalar) -> Scalar:
    if isinstance(raw, (bool, float)):
        raise ValueError(f"must be text, not {kind(raw)}; put it in quotes")
    return str(raw)


def _integer(_: Variable, raw: Scalar) -> Scalar:
    value = _plain(raw)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"a whole number was expected, not {_shown(raw)}")
    return value


def _number(_: Variable, raw: Scalar) -> Scalar:
    value = _plain(raw)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < float("inf"):
        raise ValueError(f"a number was expected, not {_shown(raw)}")
    return value


def _plain(raw: Scalar) -> Scalar | None:
    return read_scalar(raw.strip()) if isinstance(raw, str) else raw


def _boolean(_: Variable, raw: Scalar) -> Scalar:
    value = _BOOLEANS.get(raw.strip().lower()) if isinstance(raw, str) else raw
    if not isinstance(value, bool):
        raise ValueError(f"true or false was expected, not {_shown(raw)}")
    return value


def _size(_: Variable, raw: Scalar) -> Scalar:
    return format_size(parse_size(cast("str", raw)))


def _duration(_: Variable, raw: Scalar) -> Scalar:
    return format_duration(parse_duration(raw))


def _image(_: Variable, raw: Scalar) -> Scalar:
    return check_image(str(raw).strip())


def _port(_: Variable, raw: Scalar) -> Scalar:
    if raw == "auto" or (raw == AUTO and type(raw) is int):
        return AUTO
    try:
        return whole(raw, 1, 65535, "a port")
    except ValueError as error:
        raise ValueError(f"{error}; `auto` lets stackctl choose") from None


def _choice(variable: Variable, raw: Scalar) -> Scalar:
    exact = [one for one in variable.choices if type(one) is type(raw) and one == raw]
    for one in exact or [one for one in variable.choices if _word(one) == _word(raw)]:
        return one
    raise ValueError(f"{_shown(raw)} is none of {', '.join(map(_word, variable.choices))}")


def _word(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _secret(_: Variable, raw: Scalar) -> Scalar:
    # The value itself is never repeated: it may be the secret.
    path = raw.removeprefix(_FROM_FILE) if isinstance(raw, str) and raw.startswith(_FROM_FILE) else ""
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError(
            "a secret is generated, or read from a file: write file:/path/to/it, never the secret"
        )
    return _FROM_FILE + path


_READERS: Mapping[VariableType, Callable[[Variable, Scalar], Scalar]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "size": _size,
    "duration": _duration,
    "image": _image,
    "port": _port,
    "choice": _choice,
    "secret": _secret,
}
