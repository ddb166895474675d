"""The reference of the Python API, from its signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import stackctl
from stackctl.core.errors import StackctlError

ORDER = (
    "Client",
    "OwnTask",
    "Task",
    "TaskOptions",
    "SpecOptions",
    "Limits",
    "Outcome",
    "Peaks",
    "Completed",
    "Service",
    "TaskLine",
    "Environment",
    "Status",
    "ServiceStatus",
    "Orchestrator",
    "Ticket",
    "Problem",
)
MADE_BY_OTHERS = ("OwnTask", "Task", "Environment", "Orchestrator", "Ticket")
"""What a client gives, and nobody else makes."""
SECTION = re.compile(r"^(Args|Attributes|Raises|Returns):$", re.MULTILINE)
ENTRY = re.compile(r"^ {4}(\S[^:]*): (.+?)(?=\n {4}\S|\Z)", re.MULTILINE | re.DOTALL)
TITLES = {"Args": "", "Attributes": "", "Raises": "Raises"}


def parts() -> Iterator[str]:
    """The page below its title: every public class, then where the errors stand."""
    for name in ORDER:
        yield from class_parts(name, getattr(stackctl, name))
    yield "## Errors"
    names = sorted(name for name in stackctl.__all__ if is_error(getattr(stackctl, name)))
    yield (
        f"All of {', '.join(f'`{name}`' for name in names)} can be imported from `stackctl`; what each means "
        "stands in [exit codes](exit-codes.md). Each is a `StackctlError` with `message` (one sentence), "
        "`hint` (what to do next), `problems` (each single `Problem`, where a document or a request is at "
        "fault), `details` (longer texts) and `exit_code`."
    )


def missing() -> set[str]:
    """Public names that the page lacks."""
    return {
        name
        for name in stackctl.__all__
        if name not in ORDER and not name.startswith("_") and not is_error(getattr(stackctl, name))
    }


def is_error(one: Any) -> bool:
    return inspect.isclass(one) and issubclass(one, StackctlError)


def class_parts(name: str, kind: type) -> Iterator[str]:
    yield f"## {name}"
    if not name.endswith("Options"):
        if name not in MADE_BY_OTHERS:
            words = str(inspect.signature(kind)).replace("'", "").removesuffix(" -> None")
            yield f"```python\n{name}{words}\n```"
    else:
        keys = [f"    {key}: {shown(value)}" for key, value in vars(kind)["__annotations__"].items()]
        yield "\n".join((f"```python\nclass {name}:", *keys, "```"))
    yield from text_parts(kind.__doc__)
    for word, one in members(kind):
        signature = signature_of(word, one)
        yield f"### {name}.{word}"
        yield f"```python\n{signature}\n```"
        yield from text_parts(one.__doc__)


def shown(annotation: Any) -> str:
    return getattr(annotation, "__forward_arg__", str(annotation))


def members(kind: type) -> Iterator[tuple[str, Any]]:
    for word, one in vars(kind).items():
        if not word.startswith("_") and (inspect.isfunction(one) or isinstance(one, property)):
            yield word, one


def signature_of(word: str, one: Any) -> str:
    if isinstance(one, property):
        return f"{word} -> {inspect.signature(one.fget).return_annotation}"
    begin = "async def " if inspect.iscoroutinefunction(one) else "def "
    found = inspect.signature(one)
    kept = [parameter for key, parameter in found.parameters.items() if key != "self"]
    return f"{begin}{word}{found.replace(parameters=kept)}".replace("'", "")


def text_parts(text: str | None) -> Iterator[str]:
    """A docstring: its paragraphs, then its sections as lists."""
    prose, *sections = SECTION.split(inspect.cleandoc(text or ""))
    for paragraph in prose.strip().split("\n\n"):
        yield " ".join(paragraph.split())
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        entries = [f"- `{names}`: {' '.join(words.split())}" for names, words in ENTRY.findall(body)]
        if not entries:
            yield f"{title}: {' '.join(body.split())}"
            continue
        if TITLES.get(title):
            yield f"{TITLES[title]}:"
        yield "\n".join(entries)
