"""The shipped stacks and templates, read as the shell does it, for tests of the core and on the engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.core.limits import effective
from stackctl.core.policy import Rules, bound
from stackctl.core.render import render_stack
from stackctl.core.stack import Rendered, Stack, TemplateFolder
from stackctl.core.stackfile import parse_stack

if TYPE_CHECKING:
    from stackctl.core.rules import Bounded

ROOT = Path(__file__).parents[1]
STACKS = ("hello", "myenv", "webapp")
SIDECARS = tuple(sorted(path.name for path in (ROOT / "templates" / "sidecars").iterdir()))
TEMPLATES = ("hello", "webapp", *(f"sidecars/{name}" for name in SIDECARS))


def read(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }


def folders() -> dict[str, TemplateFolder]:
    return {
        name: TemplateFolder(name=name, source=f"templates/{name}", files=read(ROOT / "templates" / name))
        for name in TEMPLATES
    }


def macros() -> dict[str, str]:
    return read(ROOT / "templates" / "macros")


def stack(name: str) -> Stack:
    source = f"stacks/{name}.yaml"
    return parse_stack((ROOT / source).read_text(), name=name, source=source)


def rendered(name: str, given: Mapping[str, str] | None = None) -> Rendered:
    return render_stack(stack(name), folders=folders(), macros=macros(), given=given or {}, configured={})


def bounded(name: str, given: Mapping[str, str] | None = None) -> tuple[Rendered, Bounded]:
    read_stack, made = stack(name), rendered(name, given)
    limits = {"": effective(read_stack.limits)[0]}
    for service, settings in read_stack.services.items():
        limits[service] = effective(settings.limits, read_stack.limits)[0]
    rules = Rules(
        stack=name,
        limits=limits,
        hardened=True,
        root="/nowhere",
        sidecars=tuple(one.name for one in made.sidecars),
    )
    return made, bound(made.document, rules)
