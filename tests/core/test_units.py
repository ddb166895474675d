"""Quantities as people write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.core.units import (
    format_duration,
    format_size,
    parse_count,
    parse_cpus,
    parse_duration,
    parse_share,
    parse_size,
    show_duration,
    show_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8g", 8 << 30),
        ("8G", 8 << 30),
        ("8gb", 8 << 30),
        ("512m", 512 << 20),
        (" 512 m ", 512 << 20),
        ("1.5g", 1536 << 20),
        ("0.001k", 1),
        ("1t", 1 << 40),
        ("7b", 7),
        ("7", 7),
        (7, 7),
        ("9007199254740993b", 9007199254740993),
        ("9223372036854775807", (1 << 63) - 1),
    ],
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "a size such as 512m or 8g was expected, not ''"),
        ("8x", "not '8x'"),
        ("-8g", "not '-8g'"),
        ("1.5", "not '1.5'"),
        (1.5, "not '1.5'"),
        ("1e9", "not '1e9'"),
        ("unlimited", "not 'unlimited'"),
        ("\uff18g", "a size such as"),
        ("8\u212a", "a size such as"),
        (True, "not 'True'"),
        (None, "not nothing"),
        ([], "a size such as"),
        ("0", "a size must be above zero"),
        ("0.0000001k", "a size must be above zero"),
        ("0g", "a size must be above zero"),
        ("8388608t", "below 8 EiB"),
        ("9" * 5000 + "t", "a size such as"),
        ("9" * 19 + "t", "below 8 EiB"),
    ],
)
def test_what_is_no_size(raw: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_size(raw)

    assert message in str(caught.value)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("20m", 1200.0),
        ("12h", 43200.0),
        ("1h30m", 5400.0),
        ("2d", 172800.0),
        ("1w", 604800.0),
        ("250ms", 0.25),
        ("0.5h", 1800.0),
        (" 12H ", 43200.0),
        (30, 30.0),
        (0.5, 0.5),
    ],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "a duration such as 30s, 20m or 12h was expected, not ''"),
        ("5", "not '5'"),
        ("5 m", "not '5 m'"),
        ("forever", "not 'forever'"),
        ("-5m", "not '-5m'"),
        ("5y", "not '5y'"),
        (True, "not 'True'"),
        (None, "not nothing"),
        (0, "a duration must be above zero"),
        (-1, "a duration must be above zero"),
        ("0h", "a duration must be above zero"),
        (float("nan"), "a duration must be above zero"),
        (float("inf"), "below 100 years"),
        ("36501d", "below 100 years"),
        ("9" * 5000 + "h", "below 100 years"),
    ],
)
def test_what_is_no_duration(raw: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_duration(raw)

    assert message in str(caught.value)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(("raw", "cpus"), [("0.5", 0.5), (2, 2.0), ("2", 2.0), (0.01, 0.01), (1.5, 1.5)])
def test_cpus(raw: Any, cpus: float) -> None:
    assert parse_cpus(raw) == cpus


@pytest.mark.parametrize(
    "raw", [0, -1, "0", "-1", 0.009, "two", "", True, None, [1], "nan", "inf", float("nan"), 10**400, 1e7]
)
def test_what_is_no_number_of_cpus(raw: Any) -> None:
    with pytest.raises(
        ValueError, match=r"a number of cpus such as 0\.5 or 2 was expected|no less than 0\.01 cpus"
    ):
        parse_cpus(raw)


@pytest.mark.parametrize(("raw", "count"), [(1, 1), ("256", 256), (" 7 ", 7), (999999999, 999999999)])
def test_counts(raw: Any, count: int) -> None:
    assert parse_count(raw) == count


@pytest.mark.parametrize("raw", [0, -1, "0", "-1", "unlimited", 1.0, "1.5", True, None, "", 10**9, "१"])
def test_what_is_no_count(raw: Any) -> None:
    with pytest.raises(ValueError, match="a whole number above zero was expected"):
        parse_count(raw)


@pytest.mark.parametrize(("raw", "share"), [("80%", 0.8), ("0.5%", 0.005), (" 99.9 % ", 0.999)])
def test_shares(raw: str, share: float) -> None:
    assert parse_share(raw) == pytest.approx(share)


@pytest.mark.parametrize(
    "raw", ["0%", "100%", "101%", "-5%", "80", 0.8, "%", "99.99999999999999999999%", None]
)
def test_what_is_no_share(raw: Any) -> None:
    with pytest.raises(ValueError, match="a share above 0% and below 100% was expected"):
        parse_share(raw)


@pytest.mark.parametrize(
    ("size", "text"),
    [(1, "1b"), (1024, "1k"), (1536 << 20, "1536m"), (8 << 30, "8g"), (1 << 40, "1t"), (0, "0b")],
)
def test_sizes_are_written_exactly(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (1 << 30, "1 GiB"),
        (1023 << 20, "1023 MiB"),
        (5000 << 40, "5000 TiB"),
        (3 << 40, "3 TiB"),
    ],
)
def test_sizes_for_people(size: float, text: str) -> None:
    assert show_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-5, "0s"),
        (0.4, "0s"),
        (45, "45s"),
        (90, "1m30s"),
        (5400, "1h30m"),
        (43200, "12h"),
        (90061, "1d1h"),
        (86460, "1d1m"),
    ],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(90, "1m30s"), (172800, "48h"), (0.25, "250ms"), (3661.5, "1h1m1s500ms"), (0.0001, "1ms")],
)
def test_durations_for_compose(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@settings(max_examples=60, deadline=None)
@given(st.integers(1, (1 << 63) - 1))
def test_a_size_that_is_written_reads_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**12))
def test_a_duration_that_is_written_reads_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(
        milliseconds / 1000, abs=1e-4
    )


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([parse_size, parse_duration, parse_cpus, parse_count, parse_share]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.text("0123456789.gmhs%- "),
)
def test_anything_is_a_positive_number_or_a_value_error(parse: Callable[[Any], float], raw: Any) -> None:
    try:
        value = parse(raw)
    except ValueError:
        return

    assert 0 < value < float("inf")
