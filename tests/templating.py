"""Templates written in a test, rendered as a stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from stackctl.core.limits import Setting
from stackctl.core.render import render_stack
from stackctl.core.stack import Rendered, SidecarSpec, Stack, TemplateFolder

HEAD = "services:\n  web:\n    image: busybox:1.35\n"

NASTY = (
    "\n    privileged: true",
    "x\nservices: {evil: {image: evil}}",
    "a: b",
    "- a",
    "# no comment",
    "a # no comment",
    '"',
    "'",
    "\\",
    "&a",
    "*a",
    "<<",
    "!!python/object/apply:os.system [id]",
    "!!binary aGk=",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "{# #}",
    "${X}",
    "$X",
    "$$",
    "$",
    "${STACKCTL_SECRETS:?}",
    "${STACKCTL_CPUS_WEB:-9}",
    "\ttab",
    "a\tb",
    "|",
    ">",
    "%YAML 1.1",
    "---",
    "...",
    "a\n---\nb",
    "\u2028",
    "\u2029x",
    "\x85",
    "\ufeff",
    "no",
    "null",
    "~",
    "1_000",
    "0x10",
    "22:22",
    "2026-01-01",
    "1e3",
    ".inf",
    "[]",
    "{}",
    "",
    " ",
    " lead",
    "trail ",
    "trail:",
    "x" * 20_000,
    "\U0001f40b",
    "/run/secrets/other",
)
"""Values that mean something to YAML, Jinja, Compose or a shell."""


def folder(name: str, description: Mapping[str, Any], **files: str) -> TemplateFolder:
    """A template; keyword `compose` is its compose text, others are named as `files` says."""
    compose = files.pop("compose", HEAD)
    texts = {"template.yaml": yaml.safe_dump(dict(description)), "compose.yaml.j2": compose, **files}
    return TemplateFolder(name=name, source=f"templates/{name}", files=texts)


def render(
    compose: str,
    variables: Mapping[str, Any] | None = None,
    given: Mapping[str, str] | None = None,
    *,
    written: Mapping[str, Any] | None = None,
    configured: Mapping[str, Any] | None = None,
    description: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
    macros: Mapping[str, str] | None = None,
    sidecars: Mapping[str, SidecarSpec] | None = None,
    others: Mapping[str, TemplateFolder] | None = None,
) -> Rendered:
    """Render one template with these variables declared and these values given."""
    said = {"variables": dict(variables or {}), **(description or {})}
    made = folder("own", said, compose=compose, **(files or {}))
    stack = Stack(
        name="own",
        source="stacks/own.yaml",
        template="own",
        variables={
            name: Setting(value, f"stacks/own.yaml:{line}")
            for line, (name, value) in enumerate((written or {}).items(), 3)
        },
        sidecars=sidecars or {},
    )
    return render_stack(
        stack,
        folders={"own": made, **(others or {})},
        macros=macros or {},
        given=given or {},
        configured={name: Setting(value, "config.yaml:2") for name, value in (configured or {}).items()},
    )
