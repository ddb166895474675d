"""A rendering that would take too much time, memory or output is stopped, and says so."""

from __future__ import annotations

import operator
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shipped import folders, macros, rendered, stack
from stackctl.core.errors import Problem, StackFileError, TemplateError
from stackctl.core.render import render_stack
from stackctl.ops.bounded_call import BoundedCallFailed, call_bounded
from templating import HEAD, render

MULTIPLIES = "{{ 'a'" + "|replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')" * 8 + " }}"
MEMORY = 256 << 20
OUTPUT = 4 << 20
LOOPS = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}"
ENDS = "{% endfor %}{% endfor %}{% endfor %}"
GROWS = (
    "{% macro grow(x, n) %}{% if n %}{{ grow(x + x, n - 1) }}{% endif %}{% endmacro %}{{ grow('aaaa', 40) }}"
)


def bounded(work: Callable[[], Any], seconds: float = 60.0) -> Any:
    return call_bounded(work, seconds=seconds, memory=MEMORY, output=OUTPUT)


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_the_same_as_without_bounds() -> None:
    assert bounded(lambda: rendered("myenv")) == rendered("myenv")


@pytest.mark.parametrize("text", [LOOPS + ENDS, LOOPS + "{% set x = a * b %}" + ENDS])
def test_a_template_that_loops_is_stopped(text: str) -> None:
    began = time.monotonic()
    with pytest.raises(TemplateError, match="did not finish within 1 s") as caught:
        bounded(lambda: render(HEAD + "    # " + text + "\n"), seconds=1.0)
    assert time.monotonic() - began < 10
    assert caught.value.hint


@pytest.mark.parametrize("text", [GROWS, MULTIPLIES])
def test_a_template_that_eats_memory_is_stopped(text: str) -> None:
    with pytest.raises(TemplateError, match="needed more than 256 MiB of memory"):
        bounded(lambda: render(HEAD + "    # " + text + "\n"))


def test_errors_come_back_as_they_were() -> None:
    problem = Problem(path="a.b", message="what", hint="how", source="s.yaml", line=3)

    def fail() -> None:
        raise StackFileError("all", hint="do", problems=(problem,))

    with pytest.raises(StackFileError) as caught:
        bounded(fail)
    assert (caught.value.message, caught.value.hint, caught.value.problems) == ("all", "do", (problem,))
    assert caught.value.exit_code == 2


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(BoundedCallFailed, match="ZeroDivisionError"):
        bounded(lambda: 1 // 0)


@pytest.mark.parametrize(
    ("work", "seconds", "message"),
    [
        (lambda: "x" * (OUTPUT + 1), 60.0, "output is larger than 4 MiB"),
        (lambda: "x" * (MEMORY * 4), 60.0, "needed more than 256 MiB of memory"),
        (lambda: time.sleep(60), 0.3, "did not finish within 0.3 s"),
        (lambda: os.kill(os.getpid(), signal.SIGXCPU), 60.0, "did not finish within 60 s"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), 60.0, "needed more than"),
    ],
)
def test_whatever_it_takes_too_much_of(work: Callable[[], Any], seconds: float, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        bounded(work, seconds=seconds)


def test_nothing_of_the_child_is_left() -> None:
    with pytest.raises(TemplateError):
        bounded(lambda: time.sleep(60), seconds=0.1)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_descriptors_do_not_leak() -> None:
    before = open_files()
    for _ in range(5):
        bounded(lambda: 1)
    assert open_files() == before


def test_the_child_writes_no_file(tmp_path: Any) -> None:
    with pytest.raises(BoundedCallFailed, match="File too large"):
        bounded(lambda: (tmp_path / "x").write_text("x"))


@pytest.fixture
def beside_thread() -> Iterator[None]:
    """Another thread lives: nothing may be forked."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name="beside")
    thread.start()
    yield
    done.set()
    thread.join()


@pytest.mark.usefixtures("beside_thread")
def test_beside_threads_nothing_is_forked_and_a_stack_renders_the_same(monkeypatch: Any) -> None:
    expected = rendered("myenv")
    monkeypatch.setattr(os, "fork", None)
    work = partial(render_stack, stack("myenv"), folders=folders(), macros=macros(), given={}, configured={})
    assert bounded(work) == expected


@pytest.mark.usefixtures("beside_thread")
@pytest.mark.parametrize(
    ("work", "seconds", "message"),
    [
        (partial(operator.mul, "x", OUTPUT + 1), 60.0, "output is larger than 4 MiB"),
        (partial(operator.mul, "x", MEMORY * 4), 60.0, "needed more than 256 MiB of memory"),
        (partial(eval, "[x for x in iter(int, 1) if x]"), 1.0, "did not finish within 1 s"),
        (partial(signal.raise_signal, signal.SIGKILL), 60.0, "needed more than"),
    ],
)
def test_beside_threads_the_same_bounds_hold(work: Callable[[], Any], seconds: float, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        bounded(work, seconds=seconds)


@pytest.mark.usefixtures("beside_thread")
def test_beside_threads_a_bug_keeps_its_traceback_and_no_file_is_written(tmp_path: Path) -> None:
    with pytest.raises(BoundedCallFailed, match="ZeroDivisionError"):
        bounded(partial(operator.floordiv, 1, 0))
    with pytest.raises(BoundedCallFailed, match="File too large"):
        bounded(partial((tmp_path / "x").write_text, "x"))
