"""Every error that a user can act on, each with the exit code that scripts may rely on.

StackctlError            1   failed
├── UsageError           2   the command line or a file that the user wrote is wrong
│   ├── StackFileError   2   a stack, template or configuration file, with file:line for each problem
│   ├── TemplateError    2   a template could not be rendered, with its line
│   └── UnknownName      2   no such stack, environment, service; or an ambiguous word
├── PolicyError          3   the document asks for what policy refuses
├── EngineUnavailable    4   docker is missing or down
│   ├── DockerMissing    4   no docker command
│   ├── DaemonDown       4   no daemon behind the socket
│   ├── ComposeMissing   4   no compose plugin, or one that is too old
│   └── EngineForbidden  4   no right to use the socket
├── EngineRefused        5   docker was asked and said no
│   ├── ImageMissing     5   an image that neither the engine nor a registry has
│   ├── PortTaken        5   a port that somebody else holds
│   └── LimitsUnenforced 5   the kernel does not enforce what was asked
├── TimedOut             6   a bound in time ran out
│   ├── DaemonFrozen     6   the daemon accepts and never answers
│   └── NotReady         6   services did not become ready in time
├── ServiceFailed        1   a service ended or is unhealthy
├── Busy                 7   another command is working on it
├── StateError           1   the state directory cannot be used
└── Interrupted        130   Ctrl-C (143 for SIGTERM)
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a document: where it is, what it is, what to do.

    Args:
        path: Where in the document, as a dotted path (`services.web.ports[0]`); empty for the whole.
        message: What is wrong, one sentence without a full stop.
        hint: What to do about it, or empty.
        source: The file it stands in, as the user named it; empty when there is none.
        line: 1-based line in `source`; 0 when it is not known.
        service, word: Of policy's: for which service which word of `allow:` lets it stand; else empty.
    """

    path: str = ""
    message: str
    hint: str = ""
    source: str = ""
    line: int = 0
    service: str = ""
    word: str = ""

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.source and self.line else self.source
        return ": ".join(part for part in (place, self.path, self.message) if part)


class StackctlError(Exception):
    """An error with a message for the user, a hint, and the problems it is made of.

    Args:
        message: What happened and where, one sentence without a full stop.
        hint: What to do next, or empty.
        problems: The single problems, all at once, when a document is at fault.

    `details` may be set to longer texts that help to understand it, such as the last lines of a log.
    """

    exit_code: int = 1
    advice: str = ""
    """What to do next where neither the error nor one of its problems says it."""

    def __init__(self, message: str, *, hint: str = "", problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.problems = problems
        self.details: tuple[str, ...] = ()

    @property
    def hints(self) -> tuple[str, ...]:
        """What to do next: the error's own hint and those of its problems, each once; else the advice."""
        every = (self.hint, *(problem.hint for problem in self.problems))
        return tuple(dict.fromkeys(hint for hint in every if hint)) or tuple(filter(None, (self.advice,)))


class UsageError(StackctlError):
    """The command line, or a file that the user wrote, is wrong."""

    exit_code = 2
    advice = "`stackctl COMMAND --help` shows how a command is used"


class StackFileError(UsageError):
    """A stack, template or configuration file does not say what it must."""

    advice = "correct it; `stackctl lint NAME` checks a stack without starting anything"


class TemplateError(UsageError):
    """A template could not be rendered."""

    advice = "correct the template; `stackctl render NAME` shows what comes of it"


class UnknownName(UsageError):
    """A word names nothing, or more than one thing."""


class PolicyError(StackctlError):
    """A document asks for what policy refuses; `problems` has every reason."""

    exit_code = 3
    advice = "correct it; `stackctl lint NAME` checks a stack without starting anything"


class EngineUnavailable(StackctlError):
    """Docker cannot be used at all."""

    exit_code = 4


class DockerMissing(EngineUnavailable):
    """There is no docker command on PATH."""


class DaemonDown(EngineUnavailable):
    """No daemon answers behind the configured socket."""


class ComposeMissing(EngineUnavailable):
    """The compose plugin is missing or older than 2.20."""


class EngineForbidden(EngineUnavailable):
    """The caller has no right to use the socket."""


class EngineRefused(StackctlError):
    """Docker was asked and refused; the message carries its last words."""

    exit_code = 5


class ImageMissing(EngineRefused):
    """Neither the engine nor a registry it reaches has the image."""


class PortTaken(EngineRefused):
    """A port that was asked for by number is held by somebody else."""


class LimitsUnenforced(EngineRefused):
    """What was asked for is not in force in the kernel."""


class TimedOut(StackctlError):
    """A bound in time ran out."""

    exit_code = 6


class DaemonFrozen(TimedOut):
    """The daemon accepts connections and never answers."""


class NotReady(TimedOut):
    """Services were started and did not become ready in time."""


class ServiceFailed(StackctlError):
    """A service ended or turned unhealthy while it was waited for."""


class Busy(StackctlError):
    """Another live command holds the lock."""

    exit_code = 7


class StateError(StackctlError):
    """The state directory cannot be read, written or trusted."""


class Interrupted(StackctlError):
    """The user (130) or the system (143) asked us to stop."""

    def __init__(self, message: str, *, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code
