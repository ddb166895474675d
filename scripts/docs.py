"""Writes the parts of README and docs/, and the table of options, that come from the code, or checks them.

Usage: docs.py [--check]
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path

import api_reference
import click
import option_table
import sidecar_table

from stackctl.cli.main import COMMANDS, SECTIONS, stackctl
from stackctl.core import errors, labels, limits, schemas, swarm_stages, swarm_watch
from stackctl.core.allow import ALLOW
from stackctl.core.policy_rows import SERVICE
from stackctl.core.policy_top import REFUSED_AT_TOP, TOP
from stackctl.core.stack import Template, Variable
from stackctl.core.templatefile import parse_template

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = "docs/reference"
WIDTH = 100
NOTE = "<!-- Written by scripts/docs.py from the code: change that, then run `make docs`. -->"
WAYS = {
    "keep": "kept",
    "lay over": "judged or laid over",
    "allow": "refused unless allowed",
    "refuse": "refused",
}


def table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    lines += ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def page(title: str, *parts: str) -> str:
    return "\n\n".join((f"# {title}", NOTE, *parts)) + "\n"


def loaded(name: str) -> click.Command:
    command = stackctl.get_command(click.Context(stackctl, info_name="stackctl"), name)
    assert command is not None
    return command


def option_rows(command: click.Command) -> Iterator[tuple[str, str]]:
    context = click.Context(command, info_name=command.name)
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and parameter.name not in SHARED and isinstance(parameter, click.Option):
            yield f"`{record[0]}`", record[1]


SHARED = {parameter.name for parameter in stackctl.params}


def command_parts(name: str) -> Iterator[str]:
    """A command, and behind a group its own commands."""
    command, group = loaded(name), click.Context(stackctl, info_name="stackctl")
    yield command_part(name, command, group)
    if isinstance(command, click.Group):
        inner = click.Context(command, info_name=name, parent=group)
        for one, below in command.commands.items():
            yield command_part(one, below, inner)


def command_part(name: str, command: click.Command, group: click.Context) -> str:
    context = click.Context(
        command, info_name=name, parent=group, terminal_width=WIDTH, max_content_width=WIDTH
    )
    usage = " ".join(command.get_usage(context).split()).removeprefix("Usage: ")
    text = (command.help or "").replace("\n    ", "\n").strip()
    rows = list(option_rows(command))
    title = name if group.parent is None else f"{group.info_name} {name}"
    parts = [f"### {title}", f"```text\n{usage}\n```", text]
    return "\n\n".join((*parts, table(("option", "meaning"), rows)) if rows else parts)


def commands_page() -> str:
    shared = [
        (f"`{record[0]}`", record[1])
        for parameter in stackctl.params
        if parameter.name != "version"
        if (record := parameter.get_help_record(click.Context(stackctl))) is not None
    ]
    parts = ["Every command takes these, before or after its name:", table(("option", "meaning"), shared)]
    for section, names in SECTIONS.items():
        parts += [f"## {section}", *(part for name in names for part in command_parts(name))]
    return page("Commands", *parts)


def readme_commands() -> str:
    rows = [(f"`{name}`", COMMANDS[name][1]) for names in SECTIONS.values() for name in names]
    return table(("command", "what it does"), rows)


def error_classes(
    kind: type[errors.StackctlError] = errors.StackctlError,
) -> Iterator[type[errors.StackctlError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from error_classes(child)


def exit_codes_page() -> str:
    rows = [
        (
            f"`{kind.__name__}`",
            str(130 if kind is errors.Interrupted else kind.exit_code),
            first_sentence(kind.__doc__),
        )
        for kind in error_classes()
    ]
    return page(
        "Exit codes",
        readme_exit_codes(),
        "The kind of an error stands in the envelope of `--json` (`error.kind`):",
        table(("kind", "code", "when"), rows),
    )


def first_sentence(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


def readme_exit_codes() -> str:
    return table(
        ("code", "meaning"),
        (
            ("0", "done"),
            (
                "1",
                "failed; for `status`, `diff`, `render --check` and `doctor`: what they check does not hold",
            ),
            ("2", "the command line, or a stack, template or configuration file, is wrong"),
            ("3", "policy refuses it"),
            ("4", "docker is missing, down or not permitted"),
            ("5", "docker was asked and refused"),
            ("6", "a bound in time ran out"),
            ("7", "busy: another command works on the same environment"),
            ("70", "a bug in stackctl; the traceback is printed"),
            ("130, 143", "interrupted, terminated; what was begun is undone"),
        ),
    )


def limit_rows() -> Iterator[tuple[str, ...]]:
    watchdog = limits.DEFAULT_WATCHDOG
    marks = {"pids": watchdog.pids, "memory": watchdog.memory}
    for name, sentence in limits.SENTENCES.items():
        value = limits.DEFAULT.show(name)
        mark = marks.get(name)
        acts = "" if mark is None else (str(mark.at(limits.DEFAULT.pids)) if name == "pids" else str(mark))
        yield f"`{name}`", value, acts, sentence


def readme_limits() -> str:
    return table(("limit", "default", "threshold", "what it bounds"), limit_rows())


def limits_page() -> str:
    marks = fields(limits.Watchdog)
    rows = [(f"`{one.name}`", shown(one.name), one.metadata["sentence"]) for one in marks]
    return page(
        "Limits and thresholds",
        "Limits are what the kernel enforces, for each container; the lifetime is the environment's:",
        readme_limits(),
        "Zero, -1 and `unlimited` are errors. `stackctl limits NAME` shows each number that holds, and where "
        "it came from.",
        "Thresholds are the lower marks, for the supervisor, which is not there yet. One that is a share of "
        "its limit scales with it: 200 of 256 processes is 50 of 64. A threshold must be below its limit.",
        table(("threshold", "default", "what it means"), rows),
        "In a stack file, `watchdog: {urgent: {pids: …, memory: …}}` sets the urgent ones, `sustain` both "
        f"times. `on_violation` is one of {', '.join(f'`{one}`' for one in limits.ON_VIOLATION)}.",
    )


def shown(name: str) -> str:
    value = getattr(limits.DEFAULT_WATCHDOG, name)
    if isinstance(value, limits.Threshold):
        by_count = name.endswith("pids")
        return f"{value.at(limits.DEFAULT.pids)} of {limits.DEFAULT.pids}" if by_count else str(value)
    return f"{value:g}s" if isinstance(value, float) else f"`{value}`"


def allow_page() -> str:
    rows = [(f"`{word}`", sentence) for word, sentence in ALLOW.items()]
    head = "`allow: {SERVICE: [WORD, …]}` in a stack file lets one service:"
    return page("What `allow:` may name", head, table(("word", "lets a service"), rows))


def compose_keys_page() -> str:
    rows = [
        (f"`{key}`", WAYS[row.way], f"`{row.word}`" if row.word else "", row.reason)
        for key, row in sorted(SERVICE.items())
    ]
    top = [*TOP.items(), *((key, reason) for key, reason in REFUSED_AT_TOP.items())]
    return page(
        "Compose keys",
        "What policy does with each key of the compose specification. Any other key is refused, unless it "
        "begins with `x-`. What was done to a document, and why: `stackctl lint -v NAME`.",
        "## Of a service",
        table(("key", "what is done", "allow word", "why"), rows),
        "## At the top",
        table(("key", "what is done"), [(f"`{key}`", what) for key, what in top]),
    )


SWARM_LABELS = [
    (f"`{swarm_watch.WATCH}`", "containers", "Limits and watchdog marks, as JSON."),
    (f"`{swarm_stages.DEADLINE}`", "services", "Until when it may live, seconds since the epoch."),
    (f"`{swarm_stages.LIFETIME}`", "services", "The seconds that it was given."),
    (f"`{swarm_watch.ROLE}`", "the service that runs them", f"`{swarm_watch.AGENT}`"),
]


def labels_page() -> str:
    # Python 3.13 takes the indentation away by itself
    text = inspect.cleandoc(labels.Stamp.__doc__ or "")
    meanings = dict(re.findall(r"^ {4}(\w+): (.+?)(?=\n {4}\w+:|\Z)", text, re.MULTILINE | re.DOTALL))
    rows = [
        (f"`{labels.PREFIX}{one.name}`", " ".join(meanings[one.name].split())) for one in fields(labels.Stamp)
    ]
    return page(
        "Labels",
        "On every container, network and volume of an environment:",
        table(("label", "meaning"), rows),
        "Labels say what is ours, the record says until when. Nothing is removed unless both have the same "
        "generation.",
        "On a Swarm, where agents have no records:",
        table(("label", "where", "meaning"), SWARM_LABELS),
    )


def templates_page() -> str:
    parts = [
        "The templates that come with stackctl. Your own are found first (`stackctl templates NAME`).",
        "The sidecars side by side: [sidecars](../sidecars.md).",
    ]
    folders = [path.parent for path in (ROOT / "templates").glob("**/template.yaml")]
    for folder in sorted(folders, key=lambda one: (len(one.parts), one.name)):
        name = folder.relative_to(ROOT / "templates").as_posix()
        text = (folder / "template.yaml").read_text()
        parts += [f"## {name}", *template_parts(parse_template(text, name=folder.name, source=name))]
    return page("Shipped templates", *parts)


def template_parts(template: Template) -> Iterator[str]:
    yield template.description
    rows = [
        (f"`{one.name}`", one.type, default_of(one), may_be(one), one.help)
        for one in template.variables.values()
    ]
    yield table(("variable", "type", "default", "may be", "meaning"), rows)
    if template.sidecars:
        names = [f"`{key}` ({spec.template})" for key, spec in template.sidecars.items()]
        yield f"Brings along: {', '.join(names)}."
    if template.data:
        yield f"Keeps data in: {', '.join(f'`{one.name}`' for one in template.data)}."
    if template.sidecar:
        facts = template.sidecar
        yield (
            f"Serves on port {facts.port}, keeps its data in `{facts.data}`, runs as user {facts.uid} where "
            f"the caller is root, is reached at `{facts.url}`, which other services find in `{facts.env}`."
        )


def default_of(variable: Variable) -> str:
    if variable.type == "port" and not variable.default:
        return "`auto`"
    if variable.default is None:
        return "generated" if variable.type == "secret" else "required"
    return f"`{variable.default}`" if str(variable.default) else "empty"


def may_be(variable: Variable) -> str:
    if variable.choices:
        return ", ".join(f"`{one}`" for one in variable.choices)
    return f"`{variable.pattern}`" if variable.pattern else ""


def python_api_page() -> str:
    if missing := api_reference.missing():
        sys.exit(f"error: scripts/api_reference.py leaves out {', '.join(sorted(missing))}")
    head = "What `from stackctl import …` gives. How it is used: [the guide](../guides/python-api.md)."
    return page("Python API", head, *filter(None, api_reference.parts()))


def schema_text(kind: str) -> str:
    return json.dumps(schemas.schema(kind), indent=2, ensure_ascii=False) + "\n"


def generated() -> dict[Path, str]:
    options = (
        option_table.text()
    )  # first: a command keeps the names of its `--help` that it was first asked for
    pages = {
        "commands": commands_page(),
        "exit-codes": exit_codes_page(),
        "limits": limits_page(),
        "allow": allow_page(),
        "compose-keys": compose_keys_page(),
        "labels": labels_page(),
        "python-api": python_api_page(),
        "templates": templates_page(),
    }
    found = {ROOT / REFERENCE / f"{name}.md": text for name, text in pages.items()}
    blocks = {"limits": readme_limits(), "commands": readme_commands(), "exit-codes": readme_exit_codes()}
    found[ROOT / "README.md"] = with_blocks("README.md", blocks)
    found |= {ROOT / REFERENCE / f"schemas/{kind}.schema.json": schema_text(kind) for kind in schemas.KINDS}
    sidecars = table(sidecar_table.HEADINGS, sidecar_table.rows())
    found[ROOT / "docs/sidecars.md"] = with_blocks("docs/sidecars.md", {"sidecars": sidecars})
    return found | {option_table.PATH: options}


def with_blocks(path: str, blocks: Mapping[str, str]) -> str:
    """The text of a page that is written by hand, with what stands between its marks made anew."""
    text = (ROOT / path).read_text()
    for name, block in blocks.items():
        start, end = f"<!-- generated: {name} -->", "<!-- end -->"
        before, _, rest = text.partition(start)
        _, found, after = rest.partition(end)
        if not found:
            sys.exit(f"error: {path} has no block {start} … {end}")
        text = f"{before}{start}\n{block}\n{end}{after}"
    return text


def main(arguments: list[str]) -> int:
    check = arguments == ["--check"]
    stale = []
    for path, text in generated().items():
        if path.is_file() and path.read_text() == text:
            continue
        stale.append(str(path.relative_to(ROOT)))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if check and stale:
        print(f"error: out of date: {', '.join(stale)}\nhint: run `make docs`", file=sys.stderr)
        return 1
    print("up to date" if not stale else f"wrote {', '.join(stale)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
