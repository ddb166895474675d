"""How people write quantities ("8g", "1.5", "12h") and the numbers behind them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>b|k|kb|m|mb|g|gb|t|tb)?", re.IGNORECASE)
_SIZE_FACTORS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_DURATION_FACTORS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse_size(text: str | int) -> int:
    """Read a size in bytes, with the binary factors that Docker uses ("8g" is 8 * 2**30).

    Args:
        text: A positive whole number of bytes, or a number with b, k, m, g or t (kb, mb … as well).

    Raises:
        ValueError: With one sentence that says what is wrong.
    """
    if isinstance(text, bool):
        raise ValueError(f"a size such as 512m or 8g was expected, not {text!r}")
    match = _SIZE.fullmatch(str(text).strip())
    if not match:
        raise ValueError(f"a size such as 512m or 8g was expected, not {str(text)!r}")
    unit = (match["unit"] or "").lower()
    size = int(float(match["number"]) * _SIZE_FACTORS[unit[:1]])
    if size <= 0:
        raise ValueError(f"a size must be above zero, not {str(text)!r}")
    return size


def format_size(size: int) -> str:
    """Write bytes as Docker reads them, exactly: the largest unit that divides them ("1536m")."""
    for unit in ("t", "g", "m", "k"):
        if size and size % _SIZE_FACTORS[unit] == 0:
            return f"{size // _SIZE_FACTORS[unit]}{unit}"
    return f"{size}b"


def show_size(size: float) -> str:
    """Write bytes for a person, rounded to three figures ("1.50 GiB")."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} TiB"


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
            raise ValueError(f"a duration such as 30s, 20m or 12h was expected, not {str(text)!r}")
        seconds = sum(float(n) * _DURATION_FACTORS[unit] for n, unit in _DURATION_PART.findall(word))
    if not 0 < seconds < float("inf"):
        raise ValueError(f"a duration must be above zero, not {str(text)!r}")
    return seconds


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
    except (TypeError, ValueError):
        cpus = float("nan")
    if not 0.01 <= cpus < 1e6:
        raise ValueError(f"a number of cpus such as 0.5 or 2 was expected, not {text!r}")
    return cpus


def parse_count(text: str | int) -> int:
    """Read a whole number above zero; "unlimited", -1 and 0 are refused.

    Raises:
        ValueError: With one sentence that says what is wrong.
    """
    word = str(text).strip()
    if isinstance(text, bool) or not re.fullmatch(r"\d{1,9}", word) or int(word) == 0:
        raise ValueError(f"a whole number above zero was expected, not {str(text)!r}")
    return int(word)


def parse_share(text: str | int | float) -> float:
    """Read a share of a limit, "80%", as a fraction above 0 and below 1.

    Raises:
        ValueError: With one sentence that says what is wrong.
    """
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)\s*%", str(text).strip())
    if not match or not 0 < float(match[1]) < 100:
        raise ValueError(f"a share above 0% and below 100% was expected, such as 80%, not {str(text)!r}")
    return float(match[1]) / 100
