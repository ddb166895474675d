"""One compose file through stackctl, and everything that must hold of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpus.candidates import Candidate
from corpus.comparing import differences, without_empty
from corpus.laid_over import PLACED, PORT, SUBNET, Run, bounds_missing, expected
from corpus.reading import OURS, Read, config, repaired
from stackctl.core.errors import StackctlError
from stackctl.core.holes import find_holes
from stackctl.core.stack import Configuration, MachinePolicy
from stackctl.engine import compose, process
from stackctl.ops.bounding import Look, look_at
from stackctl.ops.composing import sources_from_files
from stackctl.ops.preparing import Sources

LIFETIME = 12 * 3600


@dataclass(slots=True)
class Verdict:
    """What became of one file.

    Args:
        refused_by_compose: Its reason; empty where it accepts the file.
        accepted: Whether the bounded document was accepted by Compose.
        bounded: Services with all limits.
        words: What policy refuses, by the word of `allow:` or by its message -> how often.
        failures: What does not hold, for people.
    """

    file: str
    refused_by_compose: str = ""
    services: int = 0
    accepted: bool = False
    equal: bool = False
    bounded: int = 0
    words: dict[str, int] = field(default_factory=dict)
    variables: int = 0
    created: int = 0
    failures: list[str] = field(default_factory=list)


def judge(candidate: Candidate, scratch: Path) -> Verdict:
    """Everything that must hold of one file of a copied checkout."""
    file = scratch / candidate.file
    read = repaired(file, scratch)
    verdict = Verdict(candidate.file, variables=len(read.variables), created=read.created)
    sources = sources_from_files([file])
    try:
        with _overheard() as heard:
            look = look_at(sources, reader(read), Configuration(), MachinePolicy())
    except StackctlError as error:
        _judge_refusal(verdict, read, error, heard[-1] if heard else "")
        return verdict
    if read.document is None:
        verdict.failures.append(f"Compose refuses it, stackctl does not: {read.said[-300:]}")
        return verdict
    _judge_look(verdict, look, read, sources)
    return verdict


def reader(read: Read) -> Any:
    def reader(sources: Any, project: str) -> Mapping[str, Any]:
        return compose.config(
            [Path(one) for one in sources.files],
            project=project,
            directory=Path(sources.directory),
            environ=OURS,
            variables={**read.variables, **sources.variables},
            profiles=sources.profiles,
            dotenv=True,
        )

    return reader


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """What Compose says to stackctl: of several reasons it names another one each time."""
    heard: list[str] = []
    run = process.run

    def listening(argv: Sequence[str], **options: Any) -> process.Completed:
        ended = run(argv, **options)
        heard.append(ended.stderr)
        return ended

    process.run = listening
    try:
        yield heard
    finally:
        process.run = run


def _judge_refusal(verdict: Verdict, read: Read, error: StackctlError, heard: str) -> None:
    said = " ".join([str(error), error.hint, *map(str, error.problems)])
    if read.document is not None:
        verdict.services = len(read.document.get("services") or {})
        verdict.failures.append(f"Compose accepts it, stackctl does not: {said[:300]}")
        return
    verdict.refused_by_compose = last_line(read.said)
    missing = [place for place in places(heard) if place not in said]
    if not heard:
        verdict.failures.append(f"it was refused before Compose saw it: {said[:300]}")
    if missing:
        verdict.failures.append(f"our error does not name {missing}: {said[:300]}")


_PLACES = re.compile(
    r'service "[^"]+"|(?:services|networks|volumes|secrets|configs)\.[\w.\[\]-]+|line \d+|"[^"\s]+"|`[^`\s]+`'
)


def last_line(text: str) -> str:
    """What Compose says in the end: its warnings come first."""
    lines = [line for line in text.strip().splitlines() if not line.startswith("time=")]
    return lines[-1] if lines else ""


def places(text: str) -> list[str]:
    """The services, keys and lines that Compose's last words name."""
    return _PLACES.findall(last_line(text))


def _judge_look(verdict: Verdict, look: Look, read: Read, sources: Sources) -> None:
    original: Mapping[str, Any] = read.document or {}
    shape = without_empty if read.as_yaml else dict
    services = original.get("services") or {}
    verdict.services = len(services)
    for one in look.refused:
        key = one.word or re.sub(r"`[^`]*`|\d+", "…", one.message)
        verdict.words[key] = verdict.words.get(key, 0) + 1
    verdict.failures += [
        f"our reading differs at {path}: {wanted} became {found}"
        for path, wanted, found in differences(shape(original), shape(look.original))
    ]
    again = _read_again(look, sources)
    if again.document is None:
        verdict.failures.append(f"Compose refuses the bounded document: {last_line(again.said)[:300]}")
        return
    verdict.accepted = True
    wanted = expected(original, Run(sources.stack.name, look.needed))
    wrong = [
        f"{path}: {one} became {other}"
        for path, one, other in differences(shape(wanted), shape(again.document))
    ]
    verdict.equal = not wrong
    verdict.failures += wrong
    _judge_bounds(verdict, look, services, again.document.get("services") or {})


def _read_again(look: Look, sources: Sources) -> Read:
    file = Path(sources.stack.compose[0])
    bounded = file.parent / f".bounded-{file.name}"
    bounded.write_text(look.text)
    return config([bounded], file.parent, values(look, str(sources.found.base)), bare=True)


def values(look: Look, root: str) -> dict[str, str]:
    """A value for every hole that has to be filled."""
    values = dict(PLACED)
    for name, default in find_holes(look.bounded.document).items():
        if name.startswith("STACKCTL_PORT_"):
            values[name] = PORT
        elif name.startswith("STACKCTL_SUBNET"):
            values[name] = SUBNET
        elif name == "STACKCTL_ROOT":
            values[name] = root
        elif default is None and name not in values:
            values[name] = f"not-filled-{name}"
    return values


def _judge_bounds(verdict: Verdict, look: Look, asked: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    for name in asked:
        missing = bounds_missing(found.get(name) or {})
        if look.limits[name].limits.lifetime != LIFETIME:
            missing.append("lifetime")
        if missing:
            verdict.failures.append(f"services.{name} has no limit on {', '.join(missing)}")
        else:
            verdict.bounded += 1


def refused_for(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """What policy refuses -> in how many files."""
    found: dict[str, int] = {}
    for verdict in verdicts:
        for word in verdict.words:
            found[word] = found.get(word, 0) + 1
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))
