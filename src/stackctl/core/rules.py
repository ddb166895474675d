"""What one document is judged by, and what the judgement found: problems, and what was laid over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stackctl.core.errors import Problem
from stackctl.core.limits import Effective, effective
from stackctl.core.paths import above, step
from stackctl.core.stack import MachinePolicy

if TYPE_CHECKING:
    from stackctl.core.records import ServiceRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideFile:
    """A file outside the stack's own root that a compose file is read with.

    Args:
        service: Who is made of it; empty where that could be every service.
        path: Where it is named, as a dotted path.
        file: Its absolute path, links followed.
        readable: False for a compose file of which it cannot be told what else it reads.
    """

    service: str
    path: str
    file: str
    readable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a document is judged by.

    Args:
        stack: Name of the stack, for the stamp.
        limits: Service -> its limits; "" holds for services that are not named.
        allow: Service -> words of `allow.ALLOW` that it is granted.
        machine: Ceilings and forbidden words; a forbidden word counts as not granted.
        hardened: True for shipped and own templates: capabilities are dropped, root is refused.
        root: Absolute path of the stack's own root; judged by its text alone.
        sidecars: Services that came from sidecars.
        outside: Files from outside the root that its compose files are read with.
        source: The file that problems are reported in, as the user named it.
        lines: Dotted path -> line in `source`; empty when it is not known.
    """

    stack: str
    limits: Mapping[str, Effective] = field(default_factory=dict)
    allow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    machine: MachinePolicy = field(default_factory=MachinePolicy)
    hardened: bool = False
    root: str = ""
    sidecars: tuple[str, ...] = ()
    outside: tuple[OutsideFile, ...] = ()
    source: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)

    def limits_for(self, service: str) -> Effective:
        """The limits of one service: its own, else those for all, else the defaults."""
        found = self.limits.get(service) or self.limits.get("")
        return found or effective(ceilings=self.machine.ceilings)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that policy laid over a document, for `--explain`.

    Args:
        path: Where, as a dotted path.
        what: What was done there ("set to 256", "removed", "allowed by name").
        reason: One sentence without a full stop.
    """

    path: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """A document within its bounds.

    Args:
        document: The compose document, fit to be written; the same for the same input everywhere.
        changes: What was laid over it.
        services: What was asked for each service, its restart policy before policy took it over.
    """

    document: Mapping[str, Any]
    changes: tuple[Change, ...]
    services: Mapping[str, ServiceRecord]


class Findings:
    """The problems and changes of one judgement, each once, in the order in which they were found."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._problems: dict[Problem, None] = {}
        self._changes: dict[Change, None] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self._problems)

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(self._changes)

    def refuse(self, path: str, message: str, hint: str = "", *, service: str = "", word: str = "") -> None:
        """Note that something cannot stand; `word` of `allow:` would let it, for `service`."""
        problem = Problem(
            path=path,
            message=message,
            hint=hint,
            source=self.rules.source,
            line=self._line(path),
            service=service,
            word=word,
        )
        self._problems.setdefault(problem)

    def change(self, path: str, what: str, reason: str) -> None:
        """Note what was laid over the document."""
        self._changes.setdefault(Change(path=path, what=what, reason=reason))

    def _line(self, path: str) -> int:
        while path and path not in self.rules.lines:
            path = above(path)
        return self.rules.lines.get(path, 0)


@dataclass(frozen=True, slots=True)
class Case:
    """One service under judgement.

    Args:
        name: Name of the service.
        document: The whole document as it was given, plain data.
    """

    findings: Findings
    name: str
    document: Mapping[str, Any]

    @property
    def rules(self) -> Rules:
        return self.findings.rules

    @property
    def path(self) -> str:
        """Where the service stands in the document."""
        return step("services", self.name)

    def refuse(self, at: str, message: str, hint: str = "") -> None:
        """Note that a key of the service (`ports[0]`) cannot stand."""
        self.findings.refuse(f"{self.path}.{at}", message, hint)

    def change(self, at: str, what: str, reason: str) -> None:
        """Note what was laid over a key of the service."""
        self.findings.change(f"{self.path}.{at}", what, reason)

    def granted(self, word: str) -> bool:
        """Whether the service holds the word, and the machine does not forbid it."""
        return granted(self.rules, self.name, word)

    def needs(self, word: str, at: str, message: str) -> bool:
        """Refuse unless the word is granted; returns whether it is."""
        return needs(self.findings, self.name, word, f"{self.path}.{at}", message)


def granted(rules: Rules, service: str, word: str) -> bool:
    """Whether a service holds a word of `allow:` that the machine does not forbid."""
    return word in rules.allow.get(service, ()) and word not in rules.machine.forbidden


def needs(findings: Findings, service: str, word: str, path: str, message: str) -> bool:
    """Refuse what a service asks for unless it holds the word; returns whether it does."""
    rules = findings.rules
    if granted(rules, service, word):
        findings.change(path, "allowed by name", message)
        return True
    if word in rules.machine.forbidden:
        where = f" ({rules.machine.source})" if rules.machine.source else ""
        hint = f"this machine's policy forbids `{word}` for everyone{where}"
    else:
        hint = f"if it must be so, write `allow: {{{service}: [{word}]}}` in the stack file"
    findings.refuse(path, message, hint, service=service, word=word)
    return False


def entries(value: Any) -> Iterator[tuple[str, Any]]:
    """The entries of a list with their places (`[0]`); a single scalar counts as a list of one."""
    if isinstance(value, list):
        for number, entry in enumerate(value):
            yield f"[{number}]", entry
    elif value is not None and value != "":
        yield "", value


def says_no(value: Any) -> bool:
    """Whether a switch is plainly off: absent, false, or one of the words for it."""
    return value is None or value is False or (isinstance(value, str) and value.lower() in _NO)


_NO = frozenset({"", "false", "no", "off", "n", "f", "0"})
