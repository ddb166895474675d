"""`schema`: JSON Schemas of the files that people write, and of what `--json` prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from stackctl.cli.command import command
from stackctl.core.errors import UsageError

if TYPE_CHECKING:
    from stackctl.cli.session import Session


@command("schema")
@click.argument("kind", metavar="[KIND]", required=False)
def schema_command(session: Session, kind: str | None) -> None:
    """Print the JSON Schema (draft 2020-12) of a file or of `--json`; without KIND, list what there is.

    KIND is stack, template, config, policy or json. An editor uses one for completion and checks:
    stackctl schema stack > stack.schema.json
    """
    from stackctl.core.names import nearest
    from stackctl.core.schemas import KINDS, schema

    if kind is None:
        titles = {name: schema(name)["title"] for name in KINDS}
        session.output.result(titles)
        if not session.output.json:
            session.output.table(("SCHEMA", "OF WHAT"), list(titles.items()))
        return
    if kind not in KINDS:
        near = nearest(kind, KINDS, most=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(KINDS)}"
        raise UsageError(f"there is no schema `{kind}`", hint=hint)
    found = schema(kind)
    session.output.result(found)
    session.output.line(json.dumps(found, indent=2, ensure_ascii=False))
