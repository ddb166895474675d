"""The JSON Schemas: right in themselves, never stricter than the parsers, and of use against slips."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from stackctl.core.configuration import parse_configuration, parse_machine_policy
from stackctl.core.errors import UsageError
from stackctl.core.schemas import KINDS, schema
from stackctl.core.stackfile import parse_stack
from stackctl.core.templatefile import parse_template

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "docs" / "reference" / "schemas"
SHIPPED = [("stack", path) for path in sorted((ROOT / "stacks").glob("*.yaml"))]
SHIPPED += [("template", path) for path in sorted((ROOT / "templates").rglob("template.yaml"))]
BLOCKS = [
    (page.relative_to(ROOT).as_posix(), text)
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for text in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
]
FILES = {"stacks/": "stack", "template.yaml": "template", "config.yaml": "config", "policy.yaml": "policy"}
PARSERS = {
    "stack": lambda text: parse_stack(text, name="x", source="x.yaml"),
    "template": lambda text: parse_template(text, name="x", source="x.yaml"),
    "config": lambda text: parse_configuration(text, source="x.yaml"),
    "policy": lambda text: parse_machine_policy(text, source="x.yaml"),
}

GOOD = [
    ("stack", "{template: hello, variables: , limits: {pids: 3, memory: 512m, cpus: .5, lifetime: 90}}"),
    ("stack", "{compose: [a.yml, b.yml], profiles: x, env_file: [.env], allow: {web: public-ports}}"),
    ("stack", "{template: a, sidecars: {db: postgres, x: {image: 'a:1', port: '80', reach: [host]}}}"),
    ("stack", "{template: a, watchdog: {memory: 80%, pids: 7, sustain: 1m30s, budget: {memory: 1.5 GB}}}"),
    ("stack", "{template: a, tasks: {t: {image: a, command: pytest -q, environment: [A=1, 'B=x=y']}}}"),
    ("stack", "{template: a, services: {w: {limits: {cpus: '1.5'}, guard: {patterns: x, older_than: 2M}}}}"),
    ("template", "{variables: {a: 1, b: {choices: [1, x]}, c: {type: secret}}, data: [x], connects: web}"),
    ("template", "{sidecar: {port: 80, uid: '70', url: 'x://{host}'}, data: {up: {uid: 5}, down: }}"),
    ("config", "{ports: [2000, 3000], supervisor: manual, on_incident: notify me}"),
    ("config", ""),
    ("policy", "{ceilings: {memory: 8g}, forbid: privileged}"),
]
BAD = [
    ("stack", "{template: hello, limit: {}}"),
    ("stack", "{template: hello, compose: a.yml}"),
    ("stack", "{description: x}"),
    ("stack", "{template: hello, limits: {memory: 8 gigs}}"),
    ("stack", "{template: hello, limits: {pids: unlimited}}"),
    ("stack", "{template: hello, limits: {pids: 0}}"),
    ("stack", "{template: hello, watchdog: {memory: 100%}}"),
    ("stack", "{template: hello, allow: {web: [everything]}}"),
    ("stack", "{template: hello, sidecars: {db: {port: 80}}}"),
    ("stack", "{template: hello, tasks: {t: {command: [x]}}}"),
    ("stack", "{template: hello, services: {web: {memory: 1g}}}"),
    ("stack", "{template: hello, engine: kubernetes}"),
    ("stack", "{template: [hello]}"),
    ("template", "{variables: {x: {typ: size}}}"),
    ("template", "{variables: {x: {type: bytes}}}"),
    ("template", "{sidecar: {data: /x}}"),
    ("config", "{supervisor: never}"),
    ("config", "{sidecars: {}}"),
    ("policy", "{ceiling: {}}"),
]


def problems(kind: str, document: Any) -> list[str]:
    return [one.message for one in Draft202012Validator(schema(kind)).iter_errors(document)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_a_schema_and_is_published(kind: str) -> None:
    Draft202012Validator.check_schema(schema(kind))
    assert json.loads((PUBLISHED / f"{kind}.schema.json").read_text()) == schema(kind)


@pytest.mark.parametrize(("kind", "path"), SHIPPED, ids=lambda one: str(one)[-40:])
def test_what_is_shipped_validates(kind: str, path: Path) -> None:
    assert problems(kind, yaml.safe_load(path.read_text())) == []


@pytest.mark.parametrize(("page", "text"), BLOCKS, ids=range(len(BLOCKS)))
def test_what_the_pages_show_validates(page: str, text: str) -> None:
    first = next(line for line in text.splitlines() if "yaml-language-server" not in line)
    for word, kind in FILES.items():
        if word in first:
            assert problems(kind, yaml.safe_load(text)) == [], page


@pytest.mark.parametrize(("kind", "text"), GOOD)
def test_what_the_parser_takes_validates(kind: str, text: str) -> None:
    PARSERS[kind](text)
    assert problems(kind, yaml.safe_load(text) or {}) == []


@pytest.mark.parametrize(("kind", "text"), BAD)
def test_slips_are_seen(kind: str, text: str) -> None:
    with pytest.raises(UsageError):
        PARSERS[kind](text)
    assert problems(kind, yaml.safe_load(text)) != []
