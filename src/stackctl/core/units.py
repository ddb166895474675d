"""How people write quantities ("8g", "1.5", "12h") and the numbers behind them."""

from __future__ import annotations

import re

from stackctl.core.names import shorten

_SIZE = re.compile(r"(\d{1,19})(?:\.(\d{1,9}))?\s*(b|k|kb|m|mb|g|gb|t|tb)?", re.IGNORECASE | re.ASCII)
_SIZE_FACTORS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_MOST_BYTES = (1 << 63) - 1
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", re.ASCII)
_DURATION_FACTORS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_MOST_SECONDS = 100 * 365 * 86400.0


def _shown(raw: object) -> str:
    return "nothing" if raw is None else repr(shorten(str(raw)))


def parse_size(text: str | int) -> int:
    """Read a size in bytes, with the binary factors that Docker uses ("8g" is 8 * 2**30).

    Args:
        text: A positive whole number of bytes, or a number with b, k, m, g or t (kb, mb … as well).

    Raises:
        ValueError: With one sentence that says what is wrong.
    """
    match = None if isinstance(text, bool) else _SIZE.fullmatch(str(text).strip())
    if not match or (match[2] and not match[3]):
        raise ValueError(f"a size such as 512m or 8g was expected, not {_shown(text)}")
    whole, fraction, unit = match[1], match[2] or "", (match[3] or "").lower()
    size = int(whole + fraction) * _SIZE_FACTORS[unit[:1]] // int(10 ** len(fraction))
    if not 0 < size <= _MOST_BYTES:
        raise ValueError(f"a size must be above zero and below 8 EiB, not {_shown(text)}")
    return size


def format_size(size: int) -> str:
    """Write bytes as Docker reads them, exactly: the largest unit that divides them ("1536m")."""
    for unit in ("t", "g", "m", "k"):
        if size and size % _SIZE_FACTORS[unit] == 0:
            return f"{size // _SIZE_FACTORS[unit]}{unit}"
    return f"{size}b"


def show_size(size: float) -> str:
    """Write bytes for a person, rounded to three figures ("1.5 GiB", "1023 MiB")."""
    unit = "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if size >= 100 else f"{size:.3g} {unit}"


def parse_duration(text: str | int | float) -> float:
    """Read a duration in seconds: "90s", "1h30m", "2d", or a number of seconds.

    Raises:
        ValueError: With one sentence that says what is wrong.
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        seconds = float(text)
    else:
        word = str(text).strip().lower()
        if not _DURATION.fullmatch(word):
            raise ValueError(f"a duration such as 30s, 20m or 12h was expected, not {_shown(text)}")
        seconds = sum(float(n) * _DURATION_FACTORS[unit] for n, unit in _DURATION_PART.findall(word))
    if not 0 < seconds <= _MOST_SECONDS:
        raise ValueError(f"a duration must be above zero and below 100 years, not {_shown(text)}")
    return seconds


def format_duration(seconds: float) -> str:
    """Write seconds as Compose reads them, exact to the millisecond ("36h", "1m30s", "250ms")."""
    left, text = max(round(seconds * 1000), 1), ""
    for unit, factor in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, factor)
        text += f"{count}{unit}" if count else ""
    return text


def show_duration(seconds: float) -> str:
    """Write seconds for a person, with at most two units ("1h30m", "45s")."""
    left = int(seconds)
    if left <= 0:
        return "0s"
    parts = []
    for unit, factor in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, factor)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])


def parse_cpus(text: str | int | float) -> float:
    """Read a number of processors, fractions allowed, down to the engine's own minimum of 0.01.

    Raises:
        ValueError: With one sentence that says what is wrong.
    """
    try:
        cpus = float(text) if not isinstance(text, bool) else float("nan")
    except (TypeError, ValueError, OverflowError):
        cpus = float("nan")
    if 0 < cpus < 0.01:
        raise ValueError(f"the engine takes no less than 0.01 cpus, not {_shown(text)}")
    if not 0.01 <= cpus < 1e6:
        raise ValueError(f"a number of cpus such as 0.5 or 2 was expected, not {_shown(text)}")
    return cpus


def parse_count(text: str | int) -> int:
    """Read a whole number above zero; "unlimited", -1 and 0 are refused.

    Raises:
        ValueError: With one sentence that says what is wrong.
    """
    word = str(text).strip()
    if isinstance(text, bool) or not re.fullmatch(r"[0-9]{1,9}", word) or int(word) == 0:
        raise ValueError(f"a whole number above zero was expected, not {_shown(text)}")
    return int(word)


def parse_share(text: str | int | float) -> float:
    """Read a share of a limit, "80%", as a fraction above 0 and below 1.

    Raises:
        ValueError: With one sentence that says what is wrong.
    """
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?)\s*%", str(text).strip())
    if not match or not 0 < float(match[1]) < 100:
        raise ValueError(f"a share above 0% and below 100% was expected, such as 80%, not {_shown(text)}")
    return float(match[1]) / 100
