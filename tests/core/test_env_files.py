"""The text of an env file, as literals; that Compose reads it back is proven with Compose itself."""

import pytest

from stackctl.core.dotenv import dotenv
from stackctl.core.errors import UsageError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        ("postgres://app@db:5432/app", "postgres://app@db:5432/app"),
        ("two words", "'two words'"),
        ("$HOME", "'$HOME'"),
        ('say "hi"', "'say \"hi\"'"),
        ("a # b", "'a # b'"),
        ("two\nlines", "'two\nlines'"),
        ("it's", '"it\'s"'),
        ("it's $5", '"it\'s \\$5"'),
        ("back\\slash", '"back\\\\slash"'),
        ("end\r\n", '"end\\r\\n"'),
    ],
)
def test_a_value_is_quoted_as_little_as_it_may(value: str, text: str) -> None:
    assert dotenv({"NAME": value}) == f"NAME={text}\n"


def test_names_are_sorted_and_nothing_is_an_empty_file() -> None:
    assert dotenv({"B": "2", "A": "1"}) == "A=1\nB=2\n"
    assert dotenv({}) == ""


@pytest.mark.parametrize("name", ["", "1A", "A B", "A=B", "A\n", "ü", "-A"])
def test_a_name_that_is_no_variable_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of an environment variable"):
        dotenv({name: "x"})


def test_a_value_with_a_nul_is_refused_without_being_shown() -> None:
    with pytest.raises(UsageError, match="`TOKEN` has a NUL") as caught:
        dotenv({"TOKEN": "canary\0"})
    assert "canary" not in caught.value.message
