"""The table of docs/sidecars.md: what each sidecar template says once it is rendered, and what was tested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from stackctl.core.render import render_stack
from stackctl.core.stack import Rendered, SidecarFacts, TemplateFolder
from stackctl.core.stackfile import parse_stack
from stackctl.core.templatefile import parse_template

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "templates"
HEADINGS = (
    "sidecar",
    "image",
    "port",
    "data",
    "URL",
    "variable",
    "user",
    "capabilities",
    "writable besides",
    "health check",
    "its own limits",
    "tested for real",
)
ADVICE = {
    "mariadb": ", a process for each connection above 40",
    "postgres": ", a process for each connection",
    "redis": ", memory twice its data",
}
"""Idle, as measured on the engine: mariadb 14 threads and 79 MiB, rabbitmq 27 and 62, nats 9 and 3, memcached
9 and 2; rabbitmq takes 166 MiB while it starts. Gitea's are a guess."""
TESTED = {
    "mariadb": ("test_sidecars.py", "test_mariadb_keeps_a_row"),
    "memcached": ("test_sidecars.py", "test_memcached_comes_back_empty"),
    "nats": ("test_sidecars.py", "test_nats_keeps_a_message_of_a_stream"),
    "postgres": ("test_shipped_templates.py", "test_myenv_reaches_its_sidecars_and_keeps_a_row"),
    "rabbitmq": ("test_sidecars.py", "test_rabbitmq_keeps_a_persistent_message_of_a_durable_queue"),
    "redis": ("test_shipped_templates.py", "test_myenv_reaches_its_sidecars_and_keeps_a_row"),
}
"""Sidecar -> file below tests/engine and test; one that is missing was rendered and linted only."""


def rows() -> Iterator[tuple[str, ...]]:
    """One row for each sidecar template, in the order of their names."""
    for folder in sorted((TEMPLATES / "sidecars").iterdir()):
        name = folder.name
        facts = parse_template((folder / "template.yaml").read_text(), name=name, source=name).sidecar
        if facts is None:
            raise SystemExit(f"error: {folder / 'template.yaml'} says nothing below `sidecar:`")
        yield row(name, facts, rendered(name).document["services"]["it"])


def row(name: str, facts: SidecarFacts, service: Mapping[str, Any]) -> tuple[str, ...]:
    file, test = TESTED.get(name, ("", ""))
    mounted = [str(entry).partition(":")[0] for entry in service.get("tmpfs", ())]
    return (
        f"[{name}](reference/templates.md#sidecars{name})",
        f"`{service['image']}`",
        str(facts.port),
        f"`{facts.data}`" if facts.data else "none",
        f"`{facts.url}`",
        f"`{facts.env}`",
        f"{facts.uid}, or the caller" if facts.data else str(facts.uid),
        "none" if service["cap_drop"] == ["ALL"] and not service.get("cap_add") else "some",
        ", ".join(f"`{path}`" for path in mounted) or "nothing" if service.get("read_only") else "all",
        f"`{check(service)}`",
        own_limits(name) + ADVICE.get(name, ""),
        f"`{test}` ({file})" if test else "not run: rendered and linted only",
    )


def check(service: Mapping[str, Any]) -> str:
    """The health check as a shell would read it."""
    words = [str(word) for word in service["healthcheck"]["test"]]
    quoted = [f"'{word}'" if " " in word and words[0] == "CMD" else word for word in words[1:]]
    # As Compose reads the document
    return " ".join(quoted).replace("$$", "$").replace("/run/secrets/it-", "/run/secrets/…-")


def own_limits(name: str) -> str:
    """What the template says of its limits, in the words of a stack file."""
    raw = yaml.safe_load((TEMPLATES / f"sidecars/{name}/template.yaml").read_text())
    words = ", ".join(f"{key}: {value}" for key, value in raw["sidecar"]["limits"].items())
    return f"`{{{words}}}`"


def rendered(name: str) -> Rendered:
    """The sidecar beside the smallest of the shipped templates, with its defaults."""
    text = f"template: hello\nsidecars: {{it: {name}}}\n"
    return render_stack(
        parse_stack(text, name="table", source="table"),
        folders={one: folder(one) for one in ("hello", f"sidecars/{name}")},
        macros=texts(TEMPLATES / "macros"),
        given={},
        configured={},
    )


def folder(name: str) -> TemplateFolder:
    return TemplateFolder(name=name, source=name, files=texts(TEMPLATES / name), shipped=True)


def texts(below: Path) -> dict[str, str]:
    return {
        path.relative_to(below).as_posix(): path.read_text() for path in below.rglob("*") if path.is_file()
    }
