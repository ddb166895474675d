"""Runs a pure function in a child process that cannot take more time, memory or output than it was given."""

from __future__ import annotations

import math
import os
import pickle
import resource
import selectors
import signal
import sys
import threading
import time
import traceback
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

from stackctl.core.errors import StackctlError, TemplateError, TimedOut
from stackctl.core.units import show_size

Result = TypeVar("Result")

BEGINNING = 10.0
"""Seconds beyond its own for a new interpreter to begin, on a machine that is busy."""
_CHUNK = 1 << 16
_HINT = "look for loops without end, and for text that grows with every step"


class BoundedCallFailed(Exception):
    """The function itself is wrong: its traceback, from the child, is the message."""


def call_bounded(
    function: Callable[[], Result],
    *,
    seconds: float,
    memory: int,
    output: int,
    meanwhile: Callable[[], None] | None = None,
) -> Result:
    """Call a function in a child process of its own and return what it returns.

    The child shares nothing back but its result, so the function must be pure. Forked, it takes about 6 ms
    more than a plain call. Beside other threads it is begun anew instead, which takes about 300 ms, since a
    fork could copy a thread's lock and never open it.

    Args:
        function: Takes nothing; it, and what it returns or raises, must be picklable.
        seconds: Wall clock time, and, rounded up, processor time.
        memory: Bytes of address space beyond what this process has.
        output: Bytes of the pickled result.
        meanwhile: Called here once the child is under way, or before one is begun anew; it may start threads,
            which the fork is past.

    Raises:
        StackctlError: Whatever the function raised, as the same class with its message, hint and problems.
        TemplateError: It ran out of time, memory or output.
        BoundedCallFailed: It raised anything else.
    """
    if threading.active_count() > 1:
        if meanwhile is not None:
            meanwhile()
        return call_anew(function, seconds=seconds, memory=memory, output=output)
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        _be_child(function, sending, math.ceil(seconds), memory, output)
    os.close(sending)
    try:
        if meanwhile is not None:
            meanwhile()
        data = _receive(receiving, time.monotonic() + seconds)
    finally:
        os.close(receiving)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    result: Result = _result(data, status, seconds=seconds, memory=memory)
    return result


def call_anew(function: Callable[[], Result], *, seconds: float, memory: int, output: int) -> Result:
    """Call a function in a new interpreter; arguments and errors as `call_bounded`."""
    from stackctl.engine.process import run

    numbers = [repr(seconds), str(memory), str(output)]
    argv = [sys.executable, "-m", "stackctl.ops.bounded_child", *numbers]
    try:
        done = run(argv, timeout=seconds + BEGINNING, input=pickle.dumps(function), cwd="/")
    except TimedOut:
        return cast("Result", _result(None, 0, seconds=seconds, memory=memory))
    if done.code == 1:
        raise BoundedCallFailed(done.stderr)
    signalled = done.code - 128 if done.code > 128 else 0
    return cast("Result", _result(b64decode(done.stdout), signalled, seconds=seconds, memory=memory))


def answer(data: bytes, *, seconds: float, memory: int, output: int) -> bytes:
    """What a new interpreter says of a pickled function, once it has bound itself; for `bounded_child`."""
    function = pickle.loads(data)  # noqa: S301  # the parent is this very program
    _limit(math.ceil(time.process_time() + seconds), memory)
    return b64encode(_outcome(function, output))


def _be_child(function: Callable[[], Any], sending: int, seconds: int, memory: int, output: int) -> NoReturn:
    """Send what came of it, `ok`, `raised`, `failed`, `memory` or `output`, and end without returning."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        _limit(seconds, memory)
        _send(sending, _outcome(function, output))
    finally:
        os._exit(0)


def _limit(seconds: int, memory: int) -> None:
    for kind, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, _address_space() + memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        # macOS refuses an address space limit; time and output are bounded there all the same
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _address_space() -> int:
    """Bytes of address space in use; where there is no /proc, none, as for a fresh process."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return 1 << 40


def _outcome(function: Callable[[], Any], output: int) -> bytes:
    try:
        data = pickle.dumps(("ok", function()))
        return data if len(data) <= output else pickle.dumps(("output", output))
    except StackctlError as error:
        return pickle.dumps(("raised", error))
    except MemoryError:
        return pickle.dumps(("memory", None))
    except BaseException:
        return pickle.dumps(("failed", traceback.format_exc()))


def _send(sending: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sending, view) :]


def _receive(receiving: int, deadline: float) -> bytes | None:
    """Everything that the child says before it ends, or None when the deadline came first."""
    chunks: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        selector.register(receiving, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(receiving, _CHUNK)
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
    return None


def _result(data: bytes | None, status: int, *, seconds: float, memory: int) -> Any:
    signalled = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if data is None or signalled == signal.SIGXCPU:
        raise TemplateError(f"the template did not finish within {seconds:g} s", hint=_HINT)
    too_much = TemplateError(f"the template needed more than {show_size(memory)} of memory", hint=_HINT)
    if not data:
        # Out of memory where Python cannot raise; nothing else ends the child without a word
        raise too_much
    kind, value = pickle.loads(data)  # noqa: S301  # the child is this very program
    if kind == "raised":
        raise value
    if kind == "failed":
        raise BoundedCallFailed(value)
    if kind == "output":
        raise TemplateError(f"the template's output is larger than {show_size(value)}", hint=_HINT)
    if kind == "memory":
        raise too_much
    return value
