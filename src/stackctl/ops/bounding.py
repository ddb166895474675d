"""Compose files brought within bounds for a look: nothing is placed, written or started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stackctl.core.composefiles import PLACE
from stackctl.core.documents import dump
from stackctl.core.stack import Rendered
from stackctl.ops.composing import settled, sources_of
from stackctl.ops.outside_files import outside_files
from stackctl.ops.preparing import Request, Sources, rules_for

if TYPE_CHECKING:
    from stackctl.core.composefiles import Reader
    from stackctl.core.errors import Problem
    from stackctl.core.limits import Effective
    from stackctl.core.rules import Bounded
    from stackctl.core.stack import Configuration, MachinePolicy

EVERY_PROFILE = ("*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What compose files come to.

    Args:
        original: What Compose makes of them, every profile with it.
        bounded: The bounded document and every change; where something is refused, with all of that allowed.
        refused: What policy refuses: unless `allow:` names it, or altogether; that stands in it all the same.
        text: The bounded document's bytes.
        limits: What holds for each service that sets nothing itself, its lifetime too.
    """

    original: Mapping[str, Any]
    bounded: Bounded
    refused: tuple[Problem, ...]
    text: str
    limits: Mapping[str, Effective]

    @property
    def needed(self) -> dict[str, tuple[str, ...]]:
        """Service -> the words that `allow:` must have for it, so that nothing is refused."""
        return with_words({}, self.refused)


def with_words(
    allow: Mapping[str, tuple[str, ...]], problems: Sequence[Problem]
) -> dict[str, tuple[str, ...]]:
    """`allow:` with the words that these problems ask for as well."""
    found = {service: dict.fromkeys(words) for service, words in allow.items()}
    for one in problems:
        if one.word:
            found.setdefault(one.service, {})[one.word] = None
    return {service: tuple(words) for service, words in sorted(found.items())}


def look_at(
    sources: Sources,
    compose: Reader,
    configuration: Configuration,
    machine: MachinePolicy,
    *,
    given: Mapping[str, str] | None = None,
    profiles: Sequence[str] = EVERY_PROFILE,
) -> Look:
    """Bound compose files, services of inactive profiles too, and say what of them would be refused.

    Raises:
        StackFileError: A file is missing, or no service is in them.
        EngineRefused: Compose does not accept the files.
        PolicyError: The configuration asks for more than the machine's policy allows.
    """
    from stackctl.core.policy import judge, problems

    asked = sources_of(sources.found, sources.stack, given or {})
    original = compose(replace(asked, profiles=tuple(profiles)), PLACE)
    document, changes = settled(original, sources.found, sources.stack)
    outside = outside_files(asked, sources.found.base, compose)
    sources = replace(sources, document=document, outside=outside)
    rendered = Rendered(document=document)
    rules, _ = rules_for(sources, rendered, Request(name=sources.stack.name), configuration, machine)
    refused = problems(document, rules)
    open_rules = replace(rules, machine=replace(machine, forbidden=frozenset()))
    while left := tuple(one for one in problems(document, open_rules) if one.word):
        refused = tuple(dict.fromkeys((*refused, *left)))
        open_rules = replace(open_rules, allow=with_words(open_rules.allow, left))
    bounded, left = judge(document, open_rules)
    bounded = replace(bounded, changes=(*changes, *bounded.changes))
    return Look(
        original=original,
        bounded=bounded,
        refused=tuple(dict.fromkeys((*refused, *left))),
        text=dump(bounded.document),
        limits=rules.limits,
    )
