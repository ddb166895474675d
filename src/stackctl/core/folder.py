"""One template folder, rendered: its compose text as data, and its files as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stackctl.core.attachments import Shelf, attach, attach_secrets, secret_path
from stackctl.core.documents import MAX_BYTES, load
from stackctl.core.errors import Problem, StackFileError, TemplateError
from stackctl.core.fields import kind
from stackctl.core.sandbox import Sandbox
from stackctl.core.tokens import CLOSE, OPEN, Given, SecretText, Tokens

if TYPE_CHECKING:
    from stackctl.core.stack import TemplateFolder
    from stackctl.core.values import Values

COMPOSE = "compose.yaml.j2"
FILES = "files/"
MACROS = "macros/"

_TOKEN = re.compile(f"{OPEN}[0-9]*{CLOSE}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What one template folder is rendered with.

    Args:
        folder: The folder.
        macros: Shipped macros, by path below `macros/`.
        values: The values of its variables.
        extra: Further names for its texts (`sidecar`).
        data: Data folders that it may mount.
        prefix: Where its files stand among the environment's, with a slash, or empty.
    """

    folder: TemplateFolder
    macros: Mapping[str, str]
    values: Values
    extra: Mapping[str, Given]
    data: tuple[str, ...] = ()
    prefix: str = ""

    def texts(self) -> dict[str, str]:
        """Everything that its texts may include: the shipped macros, and its own files, which win."""
        return {**{f"{MACROS}{name}": text for name, text in self.macros.items()}, **self.folder.files}

    def context(self) -> dict[str, Any]:
        """The names that its texts can use: plain values, secrets, and what else there is."""
        secrets = {name: _secret(name, spec.name) for name, spec in self.values.secrets.items()}
        return {**self.values.plain, **secrets, **self.extra}


def render_files(shop: Workshop) -> dict[str, str]:
    """Every text below `files/`, by the path that it has among the environment's files.

    Raises:
        TemplateError: One could not be rendered, or they are too large together.
    """
    tokens = Tokens()
    sandbox = Sandbox(shop.folder.source, shop.texts(), tokens, files=True)
    names = sorted(name for name in shop.folder.files if name.startswith(FILES))
    found = {name: tokens.expand(sandbox.render(name, shop.context())) for name in names}
    if sum(map(len, found.values())) > MAX_BYTES:
        raise TemplateError(f"`{shop.folder.source}/files` renders to more than {MAX_BYTES} bytes")
    return {shop.prefix + name.removeprefix(FILES): text for name, text in found.items()}


def render_document(shop: Workshop) -> dict[str, Any]:
    """The compose text as a document: values in place, mounts in long form, secrets attached.

    Raises:
        TemplateError: It could not be rendered, or is no compose document.
    """
    tokens = Tokens()
    sandbox = Sandbox(shop.folder.source, shop.texts(), tokens)
    text = sandbox.render(COMPOSE, shop.context())
    document = _parse(text, sandbox, shop, tokens)
    try:
        filled = tokens.fill({key: value for key, value in document.items() if key != "services"}, set())
        return {**filled, "services": _services(document["services"], tokens, shop)}
    except ValueError as error:
        raise sandbox.refusal(COMPOSE, 0, str(error)) from None


def _secret(variable: str, name: str) -> Given:
    what = f"`{variable}` is a secret and is never printed; pass its file, `{{{{ {variable}.file }}}}`"
    return Given(what, {"name": SecretText.of(name, name), "file": SecretText.of(secret_path(name), name)})


def _parse(text: str, sandbox: Sandbox, shop: Workshop, tokens: Tokens) -> dict[str, Any]:
    try:
        document = load(text, source=shop.folder.source).data
    except StackFileError as error:
        problems = [_in_template(one, text, sandbox, tokens) for one in error.problems]
        if len(problems) == 1:
            raise TemplateError(str(problems[0]), hint=problems[0].hint, problems=tuple(problems)) from None
        message = f"`{problems[0].source}` renders to a document with {len(problems)} problems"
        raise TemplateError(message, problems=tuple(problems)) from None
    services = document.get("services") if isinstance(document, dict) else None
    if not isinstance(services, dict):
        raise sandbox.refusal(COMPOSE, 0, "it does not render to a document with a mapping of `services`")
    for name, service in services.items():
        if not isinstance(service, dict):
            raise sandbox.refusal(COMPOSE, 0, f"services.{name}: must be a mapping, not {kind(service)}")
    return dict(document)


def _in_template(problem: Problem, text: str, sandbox: Sandbox, tokens: Tokens) -> Problem:
    """A problem of the rendered text as one of the template: its line there, or else the rendered line."""
    rendered = "".join(text.splitlines()[problem.line - 1 : problem.line]) if problem.line else ""
    line = _origin_line(rendered, sandbox.text(COMPOSE)) if rendered.strip() else 0
    shown = "" if line else tokens.expand(rendered).strip()
    message = tokens.expand(problem.message)
    reason = f"{message}, in the rendered `{shown[:120]}`" if shown else message
    return replace(sandbox.problem(COMPOSE, line, reason), hint=problem.hint)


def _origin_line(rendered: str, template: str) -> int:
    """The template's line that a rendered one came from, when only one can have written it; else 0."""
    parts = [re.escape(part) for part in _TOKEN.split(rendered)]
    shape = re.compile(r"\{\{.*\}\}".join(parts))
    found = [number for number, text in enumerate(template.splitlines(), 1) if shape.fullmatch(text)]
    return found[0] if len(found) == 1 else 0


def _services(services: Mapping[str, Any], tokens: Tokens, shop: Workshop) -> dict[str, Any]:
    files = [name.removeprefix(FILES) for name in shop.folder.files if name.startswith(FILES)]
    shelf = Shelf(files=files, prefix=shop.prefix, data=shop.data)
    found: dict[str, Any] = {}
    for raw, service in services.items():
        used: set[str] = set()
        ((name, filled),) = tokens.fill({raw: service}, used).items()
        if name in found:
            raise ValueError(f"the service `{name}` stands twice")
        try:
            found[name] = attach_secrets(attach(filled, shelf), used)
        except ValueError as error:
            raise ValueError(f"services.{name}: {error}") from None
    return found
