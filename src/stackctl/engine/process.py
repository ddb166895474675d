"""The only place that starts child processes: each is bounded in time, dies with us and is always reaped.

Death with us is the kernel's doing where setpriv(1) exists (PR_SET_PDEATHSIG), else the watcher's. The kernel
binds it to the thread that forked: never start a child from a thread that ends before the child does.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from stackctl.core.errors import DockerMissing, EngineRefused, TimedOut, UsageError
from stackctl.core.units import show_duration
from stackctl.engine import descendants, watcher
from stackctl.engine.endpoint import find_program

OUTPUT_KEPT = 64 << 20
STDERR_KEPT = 64 << 10
GRACE = 2.0
FOREVER = float("inf")
_LOOK = 0.1

_SCRUBBED = ("COMPOSE_", "STACKCTL_", "PYTHON_ON_WHALES_DEBUG")


@dataclass(frozen=True, slots=True)
class Completed:
    """How a child ended: its exit code (128 + n for signal n) and what it wrote, decoded leniently."""

    code: int
    stdout: str
    stderr: str


def scrubbed_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without what would change what compose does behind our back.

    `COMPOSE_*` hijacks project and files, `STACKCTL_*` would win over the placement's holes, and
    `PYTHON_ON_WHALES_DEBUG` prints the whole environment. What chooses the engine (DOCKER_*) stays.
    """
    return {name: value for name, value in environ.items() if not name.startswith(_SCRUBBED)}


def leashed(argv: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """`argv` so that it is killed when the thread that starts it, or its process, is gone."""
    setpriv = _real_program("setpriv", environ)
    if setpriv and sys.platform == "linux":
        return [setpriv, "--pdeathsig", "KILL", *argv]
    return [sys.executable, "-I", "-S", watcher.__file__, "0", *argv]


def bounded(argv: Sequence[str], seconds: float, environ: Mapping[str, str]) -> list[str]:
    """`argv` for callers without a timeout of their own: TERM after `seconds`, KILL 2 s later, code 124.

    The command dies with the bound and the bound dies with us, so neither `kill -9` of one leaves the other.
    """
    timeout = _real_program("timeout", environ)
    inner = leashed(argv, environ)
    if timeout:
        return leashed([timeout, "-k", f"{GRACE:g}", f"{max(seconds, 0.1):.1f}", *inner], environ)
    return [sys.executable, "-I", "-S", watcher.__file__, f"{max(seconds, 0.1):.1f}", *inner]


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    input: bytes = b"",  # noqa: A002 - the word that subprocess uses for it
    cwd: str | Path | None = None,
    memory: int = 0,
) -> Completed:
    """Run a command to its end, without a terminal and in a session of its own.

    Args:
        argv: The command and its arguments, no shell.
        timeout: Seconds after which the whole tree of processes is ended.
        env: Its whole environment; None for our own, scrubbed.
        input: What it reads on stdin.
        cwd: Its working directory.
        memory: Bytes that each of its processes may write to, 0 for no bound; none without prlimit(1).

    Raises:
        DockerMissing: There is no `docker` on PATH.
        UsageError: There is no other such command.
        TimedOut: It did not end in time.
        EngineRefused: It wrote more than 64 MiB.
    """
    stdin = subprocess.PIPE if input else subprocess.DEVNULL
    with _child(argv, env=env, cwd=cwd, stdin=stdin, memory=memory) as child:
        kept = _Kept()
        for source, data in _chunks(child, argv, timeout, input):
            kept.add(source, data)
        return _finish(child, argv, kept)


@contextmanager
def stream(
    argv: Sequence[str],
    *,
    timeout: float = FOREVER,
    env: Mapping[str, str] | None = None,
    both: bool = False,
) -> Iterator[Stream]:
    """Run a command and read its lines as they come; on leaving, its whole tree is ended and reaped.

    Args:
        argv: The command and its arguments, no shell.
        timeout: Seconds for all of its lines.
        env: Its whole environment; None for our own, scrubbed.
        both: Read the lines of stderr as well.

    Raises:
        DockerMissing: There is no `docker` on PATH.
        UsageError: There is no other such command.
        TimedOut: Its lines did not end in time (raised while reading).
    """
    with _child(argv, env=env, stdin=subprocess.DEVNULL) as child:
        yield Stream(child, argv, timeout, both)


def interactive(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    without: bytes = b"",
) -> int:
    """Run a command on our own terminal and return its exit code, 128 + n when signal n ended it.

    The terminal sends Ctrl-C to the command as well as to us, so we leave it to the command; TERM and HUP,
    which reach only us, are passed on. Without a terminal Ctrl-C is passed on too.

    Args:
        argv: The command and its arguments, no shell.
        env: Its whole environment; None for our own, scrubbed.
        cwd: Its working directory.
        without: What is left out of its standard output where it stands at the beginning of a line.

    Raises:
        DockerMissing: There is no `docker` on PATH.
        UsageError: There is no other such command.
    """
    environ = dict(scrubbed_environment(os.environ) if env is None else env)
    _require(argv[0], environ)
    stdout = subprocess.PIPE if without else None
    child = subprocess.Popen(leashed(argv, environ), env=environ, cwd=cwd, stdout=stdout)
    with _signals_passed_to(child.pid):
        try:
            if child.stdout:
                _pass_on(child.stdout, without)
            return _code(child.wait())
        except BaseException:
            descendants.end(child.pid, child.poll, GRACE)
            raise


def _pass_on(pipe: IO[bytes], without: bytes) -> None:
    """Copy lines to our own output as they come, each without what must not begin it."""
    rest = b""
    with pipe:
        while data := os.read(pipe.fileno(), 1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            sys.stdout.buffer.write(b"".join(line.removeprefix(without) + b"\n" for line in lines))
            sys.stdout.buffer.flush()
    sys.stdout.buffer.write(rest.removeprefix(without))
    sys.stdout.buffer.flush()


class Waiting:
    """A command that gets ready and then waits to be asked once.

    Args:
        argv: The command and its arguments, no shell.
        told: What it reads first, shorter than a pipe holds (64 KiB).
        env: Its whole environment.

    Raises:
        UsageError: There is no such command.
    """

    def __init__(self, argv: Sequence[str], told: str, *, env: Mapping[str, str]) -> None:
        self._argv, self._ending = argv, ExitStack()
        self._child = self._ending.enter_context(_child(argv, env=env, stdin=subprocess.PIPE))
        with suppress(BrokenPipeError):
            os.write(_pipe(self._child.stdin).fileno(), told.encode())

    def ask(self, question: str, timeout: float) -> Completed:
        """Its answer to one question, and its end.

        Raises:
            TimedOut: It did not end within `timeout` seconds.
        """
        kept = _Kept()
        try:
            for source, data in _chunks(self._child, self._argv, timeout, question.encode()):
                kept.add(source, data)
            return _finish(self._child, self._argv, kept)
        finally:
            self.end()

    def end(self) -> None:
        """End it with its whole tree, asked or not."""
        self._ending.close()


class Stream:
    """The lines of a running command; iterate first, then ask how it ended.

    Args:
        child: The running command.
        argv: What it was started as, for messages.
        timeout: Seconds for all of its lines.
        both: Whether the lines of stderr are among them.
    """

    def __init__(
        self, child: subprocess.Popen[bytes], argv: Sequence[str], timeout: float, both: bool
    ) -> None:
        self._child, self._argv, self._timeout = child, argv, timeout
        self._wanted = ("stdout", "stderr") if both else ("stdout",)
        self._kept = _Kept()

    def __iter__(self) -> Iterator[str]:
        rest = dict.fromkeys(self._wanted, b"")
        for source, data in _chunks(self._child, self._argv, self._timeout, b""):
            if source == "stderr":
                self._kept.add(source, data)
            if source in rest:
                *lines, rest[source] = (rest[source] + data).split(b"\n")
                yield from (line.decode(errors="replace").rstrip("\r") for line in lines)
        yield from (last.decode(errors="replace") for last in rest.values() if last)

    def ended(self) -> Completed:
        """How it ended, with its last words on stderr; call it when the lines are read."""
        return _finish(self._child, self._argv, self._kept)


@dataclass(slots=True)
class _Kept:
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

    def add(self, source: str, data: bytes) -> None:
        if source == "stderr":
            self.stderr += data
            del self.stderr[:-STDERR_KEPT]
            return
        self.stdout += data
        if len(self.stdout) > OUTPUT_KEPT:
            raise EngineRefused(f"a command wrote more than {OUTPUT_KEPT >> 20} MiB")


@contextmanager
def _child(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None,
    stdin: int,
    cwd: str | Path | None = None,
    memory: int = 0,
) -> Iterator[subprocess.Popen[bytes]]:
    environ = dict(scrubbed_environment(os.environ) if env is None else env)
    _require(argv[0], environ)
    # of address space Go reserves much that it never writes to; a shell would set variables
    prlimit = _real_program("prlimit", environ) if memory else ""
    bound = (prlimit, f"--data={memory}") if prlimit else ()
    child = subprocess.Popen(
        leashed([*bound, *argv], environ),
        env=environ,
        cwd=cwd,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            descendants.end(child.pid, child.poll, GRACE)
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()


def _chunks(
    child: subprocess.Popen[bytes], argv: Sequence[str], timeout: float, text: bytes
) -> Iterator[tuple[str, bytes]]:
    """What the child writes, as ("stdout" | "stderr", bytes), until it closes both or is gone."""
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        selector.register(_pipe(child.stdout), selectors.EVENT_READ, "stdout")
        selector.register(_pipe(child.stderr), selectors.EVENT_READ, "stderr")
        if child.stdin:
            os.set_blocking(child.stdin.fileno(), False)
            selector.register(child.stdin, selectors.EVENT_WRITE, "stdin")
        gone = False
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimedOut(f"`{title(argv)}` did not end within {show_duration(timeout) or '1s'}")
            ready = selector.select(min(left, _LOOK))
            if not ready and gone:
                return  # something it left behind holds the pipes
            # what it wrote between the look at its pipes and its end is still to be read
            gone = not ready and child.poll() is not None
            for key, _ in ready:
                if key.data == "stdin":
                    text = _feed(selector, key.fileobj, text)
                elif data := os.read(key.fd, 1 << 16):
                    yield key.data, data
                else:
                    selector.unregister(key.fileobj)


def _feed(selector: selectors.BaseSelector, pipe: Any, text: bytes) -> bytes:
    try:
        text = text[os.write(pipe.fileno(), text[: 1 << 16]) :]
    except BrokenPipeError:
        text = b""
    if not text:
        selector.unregister(pipe)
        pipe.close()
    return text


def _finish(child: subprocess.Popen[bytes], argv: Sequence[str], kept: _Kept) -> Completed:
    try:
        code = child.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        raise TimedOut(f"`{title(argv)}` closed its output and did not end") from None
    return Completed(_code(code), kept.stdout.decode(errors="replace"), kept.stderr.decode(errors="replace"))


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the child was started without this pipe")
    return pipe


def _code(code: int) -> int:
    return code if code >= 0 else 128 - code


def title(argv: Sequence[str]) -> str:
    """A command for messages: its name and sub-commands, never its arguments, which may hold a secret."""
    words = [Path(argv[0]).name]
    for word in argv[1:3]:
        if not (word.isascii() and word.isalpha() and word.islower()):
            break
        words.append(word)
    return " ".join(words[: 3 if words[1:2] == ["compose"] else 2])


def _require(name: str, environ: Mapping[str, str]) -> None:
    if find_program(name, environ):
        return
    if Path(name).name == "docker":
        raise docker_missing()
    raise UsageError(f"there is no command `{name}` on PATH")


def docker_missing() -> DockerMissing:
    """The error for a machine without the docker command."""
    from stackctl.core.docker_packages import install_docker

    release = ""
    with suppress(OSError, ValueError):
        release = Path("/etc/os-release").read_text(encoding="utf-8")
    return DockerMissing(
        "there is no `docker` command on PATH", hint=install_docker(release, darwin=sys.platform == "darwin")
    )


def _real_program(name: str, environ: Mapping[str, str]) -> str:
    """A program's path, empty when it is missing or a busybox applet, which lacks the options we need."""
    path = find_program(name, environ)
    return path if path and Path(path).resolve().name == name else ""


@contextmanager
def _signals_passed_to(pid: int) -> Iterator[None]:
    def pass_on(number: int, _: Any) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    terminal: Any = signal.SIG_IGN if os.isatty(0) else pass_on
    wanted = {signal.SIGINT: terminal, signal.SIGQUIT: terminal}
    wanted |= {signal.SIGTERM: pass_on, signal.SIGHUP: pass_on}
    before = {}
    try:
        for number, handler in wanted.items():
            before[number] = signal.signal(number, handler)
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
