"""The sandbox that templates run in: plain data, a short list of filters, nothing that reaches the machine.

What a template's own text says is structure; what an expression prints is a value, and stays one. The result
of a macro, of `{% set %}…{% endset %}` and of `{% include %}` is structure; text that is computed is a value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import LoopContext, StrictUndefined, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as JINJA_TESTS

from stackctl.core import quoting
from stackctl.core.documents import MAX_BYTES
from stackctl.core.errors import Problem, TemplateError
from stackctl.core.tokens import Given, Tokens, refused_characters

MAX_RANGE = 10_000
"""The longest `range()`; nested ones are bounded by the time that a rendering may take."""

_FILTERS = frozenset((
    "abs", "capitalize", "count", "default", "dictsort", "first", "float", "int", "items", "join", "last",
    "length", "list", "lower", "max", "min", "replace", "reverse", "round", "sort", "string", "title", "trim",
    "unique", "upper",
))  # fmt: skip
_TESTS = frozenset((
    "boolean", "defined", "divisibleby", "eq", "even", "false", "float", "ge", "gt", "in", "integer", "le",
    "lower", "lt", "mapping", "ne", "none", "number", "odd", "sequence", "string", "true", "undefined",
    "upper",
))  # fmt: skip
_STATEMENTS = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.Macro, nodes.CallBlock,
    nodes.Assign, nodes.AssignBlock, nodes.With, nodes.Include, nodes.Import, nodes.FromImport,
    nodes.Expr, nodes.Pair, nodes.Keyword, nodes.Operand,
)  # fmt: skip
_REFUSED = {"FilterBlock": "filter", "Scope": "autoescape"}
_ATTRIBUTES: Mapping[type, frozenset[str]] = {
    str: frozenset((
        "capitalize", "count", "endswith", "find", "isalnum", "isalpha", "isdigit", "islower", "isupper",
        "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rpartition", "rsplit",
        "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper",
    )),
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
    tuple: frozenset(("count", "index")),
}  # fmt: skip
_NEWLINE = re.compile(r"\r\n|\r|\n")


class Structure(str):
    """What a template wrote by itself: read, it is text with the values in it; printed, it is structure."""

    __slots__ = ("tokened",)
    tokened: str


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja with every door shut that a compose template does not need."""

    intercepted_binops = frozenset(("*", "**", "%"))

    def __init__(self, tokens: Tokens, loader: jinja2.BaseLoader, *, files: bool) -> None:
        self._tokens = tokens
        self._files = files
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            finalize=self._print,
            loader=loader,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self.concat = self._concat  # type: ignore[method-assign]  # generated code takes it from the environment
        self.globals = {"range": _bounded_range}
        self.filters = {name: JINJA_FILTERS[name] for name in _FILTERS} | dict(quoting.FILTERS)
        self.tests = {name: JINJA_TESTS[name] for name in _TESTS}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ARG002  # jinja's signature
        if isinstance(obj, (LoopContext, TemplateModule)):
            return not attr.startswith("_")
        return any(isinstance(obj, kind) and attr in allowed for kind, allowed in _ATTRIBUTES.items())

    def wrap_str_format(self, value: Any) -> None:
        """Leave `str.format` to the attribute rule, which refuses it: every escape so far began there."""

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = super().call(context, obj, *args, **kwargs)
        if "caller" in kwargs and not isinstance(result, Structure):
            raise SecurityError("only a macro can stand in `{% call %}`")
        return result

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if not all(isinstance(side, (int, float)) for side in (left, right)):
            raise SecurityError(f"`{operator}` takes numbers only")
        if operator == "**" and (abs(left) > 1 << 32 or abs(right) > 32):
            raise SecurityError("a power is limited to 32, of a number up to 4294967296")
        return super().call_binop(context, operator, left, right)

    def _concat(self, parts: Iterable[str]) -> Structure:
        tokened = join_bounded(part.tokened if isinstance(part, Structure) else part for part in parts)
        made = Structure(self._tokens.expand(tokened))
        made.tokened = tokened
        return made

    def _print(self, value: Any) -> str:
        """Stand in for what one expression prints; anything but plain data is refused."""
        if isinstance(value, Structure):
            return value.tokened
        if isinstance(value, (Undefined, Given)):
            # Both raise, with the reason
            return str(value)
        if not isinstance(value, (str, int, float, bool, type(None))):
            raise SecurityError(f"a {type(value).__name__} cannot be printed, only text and numbers")
        if isinstance(value, float) and not math.isfinite(value):
            raise SecurityError(f"{value} is no number that a document can hold")
        if isinstance(value, str):
            value = self._checked(value)
        return self._tokens.issue(value)

    def _checked(self, text: str) -> str:
        expanded = self._tokens.expand(text)
        if reason := refused_characters(expanded):
            raise SecurityError(reason)
        if self._files and not isinstance(text, quoting.Quoted) and not quoting.bare(expanded):
            raise SecurityError(
                "a value in a file must be quoted for it, with `|json`, `|shell`, `|html` or `|nginx`"
            )
        return text if expanded == text else expanded


class _Shelf(jinja2.BaseLoader):
    """The only texts that a template can include or import."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str, Callable[[], bool] | None]:
        text = self._texts.get(template)
        if text is None:
            what = f"`{template}` is neither a file of the template nor a shipped macro"
            raise jinja2.TemplateNotFound(template, what)
        if reason := refused_characters(text) or ("it is too large" if len(text) > MAX_BYTES else ""):
            raise jinja2.TemplateSyntaxError(reason, 1, template, template)
        _check(environment.parse(text, template, template), 1, template)
        return text, template, None


class Sandbox:
    """Renders the texts of one template folder.

    Args:
        source: The folder, as messages show it.
        texts: Name -> text of everything that may be rendered, included or imported.
        tokens: Receives the values that were printed.
        files: Render files of any language rather than YAML: values must be quoted for it.
    """

    def __init__(self, source: str, texts: Mapping[str, str], tokens: Tokens, *, files: bool = False) -> None:
        self._source = source
        self._texts = texts
        self._environment = _Environment(tokens, _Shelf(texts), files=files)

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        """The text of one file, with tokens for all values.

        Args:
            name: One of the texts.
            context: Plain values and `Given`s; nothing else is safe here.

        Raises:
            TemplateError: With file, line and the text of the line.
        """
        try:
            template = self._environment.get_template(name)
            return join_bounded(_tokened(template.root_render_func(template.new_context(dict(context)))))
        except (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, NameError, RecursionError,
                TypeError, ValueError) as error:  # fmt: skip
            where, line = _place(error, name)
            raise self.refusal(where, line, _reason(error)) from None

    def text(self, name: str) -> str:
        """One of the texts as it was written; empty when there is none of that name."""
        return self._texts.get(name, "")

    def refusal(self, name: str, line: int, reason: str) -> TemplateError:
        """The error for a line of one of the texts; line 0 is the whole."""
        problem = self.problem(name, line, reason)
        return TemplateError(str(problem), problems=(problem,))

    def problem(self, name: str, line: int, reason: str) -> Problem:
        """What is wrong with a line of one of the texts, with the line itself."""
        lines = _NEWLINE.split(self.text(name))
        text = lines[line - 1].strip()[:120] if 0 < line <= len(lines) else ""
        message = f"{reason}, in `{text}`" if text else reason
        return Problem(source=f"{self._source}/{name}", line=line, message=message)


def join_bounded(parts: Iterable[str]) -> str:
    """Put text together as long as it stays within a document's size.

    Raises:
        ValueError: It does not.
    """
    found: list[str] = []
    size = 0
    for part in parts:
        size += len(part)
        if size > MAX_BYTES:
            raise ValueError(f"the output is larger than {MAX_BYTES} bytes")
        found.append(part)
    return "".join(found)


def _tokened(parts: Iterable[str]) -> Iterator[str]:
    return (part.tokened if isinstance(part, Structure) else part for part in parts)


def _bounded_range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > MAX_RANGE:
        raise ValueError(f"`range` gives at most {MAX_RANGE} numbers")
    return found


def _check(node: nodes.Node, line: int, name: str) -> None:
    """Refuse statements that print without `finalize`: with them a value could become structure."""
    line = node.lineno or line
    if not isinstance(node, _STATEMENTS):
        kind = type(node).__name__
        what = f"`{{% {_REFUSED.get(kind, kind.lower())} %}}` is not available in templates"
        raise jinja2.TemplateSyntaxError(what, line, name, name)
    for child in node.iter_child_nodes():
        _check(child, line, name)


def _place(error: Exception, name: str) -> tuple[str, int]:
    """The file and line at which a template failed: the innermost template frame of the traceback."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.name or name, error.lineno
    found = (name, 0)
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, jinja2.Template):
            found = (template.name or name, template.get_corresponding_lineno(trace.tb_lineno))
        trace = trace.tb_next
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the template calls or includes itself without end"
    text = str(getattr(error, "message", None) or error).strip().rstrip(".")
    return text[:1].lower() + text[1:] if text else type(error).__name__
