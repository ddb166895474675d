"""Envelopes as commands really print them, against the schema that `stackctl schema json` prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commandline import Cli, Done
from jsonschema import Draft202012Validator

from stackctl.cli.output import ENVELOPE as ENVELOPE_VERSION
from stackctl.core.envelopes import DATA, VERSION
from stackctl.core.schemas import KINDS, schema

ENVELOPE = Draft202012Validator(schema("json"))
WITHOUT_ENGINE = ["init", "make", "lint -v hello", "limits hello", "list", "lint bad", "up --nope"]
MORE = [
    "init --dry-run",
    "make --check",
    "make --stdout",
    "new shop --template hello",
    "templates",
    "templates webapp",
    "schema",
    "schema stack",
    "completion bash",
    "lint hello",
    "render hello",
    "render hello --output {out}",
    "limits",
    "list --stacks",
    "incidents",
    "doctor",
    # errors
    "up nope",
    "up hello --set nope=1",
    "new shop --template nope",
    "down nope",
]
ON_THE_ENGINE = [
    "up hello",
    "up hello",
    "status hello",
    "status",
    "ps",
    "url hello",
    "env hello",
    "diff hello",
    "limits hello --suggest",
    "restart hello",
    "extend hello 3h",
    "list",
    "down hello",
    "why hello",
    "purge hello --yes",
]


def check(done: Done) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(done.out)
    assert [one.message for one in ENVELOPE.iter_errors(envelope)] == []
    return envelope


def test_it_prints_what_is_published(cli: Cli) -> None:
    for kind in KINDS:
        assert json.loads(cli("schema", kind).ok().out) == schema(kind)


@pytest.mark.parametrize(
    "line", [*WITHOUT_ENGINE, *(pytest.param(one, marks=pytest.mark.slow) for one in MORE)]
)
def test_what_needs_no_engine_validates(cli: Cli, tmp_path: Path, line: str) -> None:
    cli.stack("bad", "template: nothing\nlimit: 1\n")
    words = line.format(out=tmp_path / "out.yaml").split()
    done = cli(*words, "--json", DOCKER_HOST="unix:///nothing.sock")
    envelope = check(done)
    assert envelope["ok"] == (done.code == 0)


@pytest.mark.engine
@pytest.mark.slow
def test_what_an_environment_says_validates(cli: Cli) -> None:
    seen = {check(cli(*line.split(), "--json"))["command"] for line in ON_THE_ENGINE}
    assert seen == {line.split()[0] for line in ON_THE_ENGINE}


def test_a_slip_in_an_envelope_is_seen() -> None:
    good = {"version": 1, "command": "move", "ok": True, "data": {"from": "a", "to": "b"}, "warnings": []}
    assert ENVELOPE.is_valid(good)
    for change in ({"data": {"from": "a"}}, {"version": 2}, {"ok": "yes"}, {"more": 1}, {"error": {}}):
        assert not ENVELOPE.is_valid({**good, **change})


def test_it_is_of_the_version_that_is_printed() -> None:
    assert ENVELOPE_VERSION == VERSION


def test_every_command_of_the_table_is_one() -> None:
    from stackctl.cli.main import COMMANDS

    assert set(DATA) <= set(COMMANDS)
