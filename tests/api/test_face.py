"""What `import stackctl` gives, costs and leaves alone."""

from __future__ import annotations

import subprocess
import sys
from inspect import getmembers, isclass
from pathlib import Path

import pytest

import stackctl
from stackctl import Limits, UsageError
from stackctl.core import errors

SLOW = (
    "click",
    "jinja2",
    "yaml",
    "python_on_whales",
    "pydantic",
    "rich",
    "psutil",
    "platformdirs",
    "asyncio",
)
ROOT = Path(__file__).parents[2]


def python(text: str) -> str:
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_word_for_the_supervisor_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'auo'") as caught:
        stackctl.Client(tmp_path / "home", supervisor="auo")  # type: ignore[arg-type]
    assert "manual" in caught.value.hint


def test_importing_the_client_loads_nothing_slow() -> None:
    text = "import sys; from stackctl import Client, Limits, Outcome; print(*sys.modules)"
    loaded = {name.partition(".")[0] for name in python(text).split()}
    assert "stackctl" in loaded
    assert not loaded & set(SLOW)


@pytest.mark.parametrize("name", stackctl.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(stackctl, name) is not None
    assert name in dir(stackctl)


def test_what_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = stackctl.Nonsense  # type: ignore[attr-defined] # the point of it


def test_every_error_that_can_be_raised_is_public() -> None:
    every = {name for name, one in getmembers(errors, isclass) if issubclass(one, errors.StackctlError)}
    assert every <= set(stackctl.__all__)


def test_every_public_class_and_method_says_what_it_does() -> None:
    for name in stackctl.__all__:
        one = getattr(stackctl, name)
        if not isclass(one):
            continue
        assert one.__doc__, name
        for method in (word for word in vars(one) if not word.startswith("_")):
            found = getattr(one, method)
            if callable(found) or isinstance(found, property):
                assert found.__doc__, f"{name}.{method}"


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"memory": "banana"}, "memory"),
        ({"pids": 0}, "pids"),
        ({"cpus": -1}, "cpus"),
        ({"lifetime": "soon"}, "lifetime"),
        ({"swap": "unlimited"}, "swap"),
    ],
)
def test_a_limit_that_cannot_be_read_is_told_where_it_is_written(said: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        Limits(**said)  # type: ignore[arg-type] # as a user's mistake
    assert caught.value.hint
    assert caught.value.exit_code == 2
