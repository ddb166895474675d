"""The fragment that `stackctl make` writes: targets for make, each one call of the command line.

It is committed and generated, and has no logic: no conditional, no function, nothing that runs while make
reads it. So it is the same under GNU make (3.81 and later) and under bmake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

from stackctl.core.errors import UsageError
from stackctl.core.names import check_name, shorten

FILE = "stackctl.mk"
PREFIX = "stack"
INCLUDE = f"include {FILE}"
_PREFIX = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_WRITTEN = re.compile(r"# stackctl make --prefix ([a-z0-9_-]+)(?: --stack ([a-z0-9_-]+))?")
_HASH = "# sha256 of what follows: "


@dataclass(frozen=True, slots=True)
class Target:
    """One target: what it does, for `make help`, and the words behind the command's name."""

    name: str
    about: str
    words: str


TARGETS = (
    Target("up", "Start the stack, or make it what its file says", "up $(STACK) $(ARGS)"),
    Target("down", "End it; its data stays", "down $(STACK) $(ARGS)"),
    Target("restart", "Restart its services, or one: S=web", "restart $(STACK) $(S) $(ARGS)"),
    Target("status", "Show how it stands", "status $(STACK) $(ARGS)"),
    Target("logs", "Show its logs, or of one service: S=web ARGS=--tail=50", "logs $(STACK) $(S) $(ARGS)"),
    Target("url", "Print where a service is reached: S=web", "url $(STACK) $(S) $(ARGS)"),
    Target("shell", "Open a shell in a service: S=web", "shell $(STACK) $(S) $(ARGS)"),
    Target("exec", "Run a command in a service: S=web ARGS='ls -l'", "exec $(STACK) $(S) $(ARGS)"),
    Target(
        "test", "Run the stack's task called test, beside its services", 'run --in "$(STACK)" $(ARGS) test'
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a fragment is written for.

    Args:
        prefix: What its targets begin with.
        stack: The stack that they mean unless `STACK=` names another; empty for this folder's compose file.
    """

    prefix: str = PREFIX
    stack: str = ""

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise UsageError(
                f"{shorten(self.prefix)!r} cannot begin the name of a target",
                hint="small letters, digits, `-` and `_`, a letter first, 31 at most: --prefix stack",
            )
        if self.stack:
            check_name(self.stack)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A fragment that was found.

    Args:
        asked: What it was written for; None where it is none of ours.
        edited: True when somebody changed it after it was written.
    """

    asked: Asked | None
    edited: bool


def fragment(asked: Asked, version: str) -> str:
    """The text of the fragment; the same for the same words, but for the version in its first line."""
    body = _body(asked)
    words = f"--prefix {asked.prefix}" + (f" --stack {asked.stack}" if asked.stack else "")
    head = (
        f"# Written by stackctl {version}. Do not edit it: write it again with\n"
        f"# stackctl make {words}\n"
        f"{_HASH}{_digest(body)}\n"
    )
    return head + body


def read_fragment(text: str) -> Written:
    """What a file says of itself."""
    lines = text.splitlines(keepends=True)
    if len(lines) < 4 or not lines[0].startswith("# Written by stackctl "):
        return Written(asked=None, edited=True)
    found, body = _WRITTEN.fullmatch(lines[1].rstrip("\n")), "".join(lines[3:])
    edited = found is None or lines[2] != f"{_HASH}{_digest(body)}\n"
    return Written(asked=_asked(found[1], found[2] or "") if found else None, edited=edited)


def same_fragment(one: str, other: str) -> bool:
    """Whether two fragments differ in nothing but the version that wrote them."""
    return one.partition("\n")[2] == other.partition("\n")[2]


def _asked(prefix: str, stack: str) -> Asked | None:
    try:
        return Asked(prefix=prefix, stack=stack)
    except UsageError:
        return None


def _digest(body: str) -> str:
    return sha256(body.encode()).hexdigest()


def _body(asked: Asked) -> str:
    prefix = asked.prefix
    names = " ".join(f"{prefix}-{one}" for one in (*(one.name for one in TARGETS), "help", "tool"))
    parts = [
        _SETTINGS.format(stack=f" {asked.stack}" if asked.stack else "", include=INCLUDE, prefix=prefix),
        f".PHONY: {names}\n",
        "\n".join(_rule(prefix, one) for one in TARGETS),
        _help(prefix),
        _TOOL.format(prefix=prefix),
        _END,
    ]
    return "\n".join(parts)


def _rule(prefix: str, target: Target) -> str:
    """Read twice, the recipe is for another name; a rule without a recipe may stand any number of times."""
    name = f"{prefix}-{target.name}"
    return (
        f"{name}: ## {target.about}\n$(stackctl_again){name}: {prefix}-tool\n\t@$(STACKCTL) {target.words}\n"
    )


def _help(prefix: str) -> str:
    width = max(len(one.name) for one in TARGETS) + len(prefix) + 1
    lines = [f"{prefix}-{one.name:<{width - len(prefix) - 1}}  {one.about}" for one in TARGETS]
    quoted = [f"\t  {_quoted(line)}" for line in lines]
    return (
        f"{prefix}-help: ## List these targets\n"
        f"$(stackctl_again){prefix}-help:\n"
        "\t@printf '%s\\n' \\\n" + " \\\n".join(quoted) + "\n"
    )


def _quoted(line: str) -> str:
    return "'" + line.replace("'", "'\\''") + "'"


_SETTINGS = """\

# Stands at the end of the Makefile: `{include}`. What may be set, before that line or as in
# `make {prefix}-logs S=web`:
#   STACKCTL           the command, as a shell reads it
#   STACK              the stack; where it is empty, the compose file of this folder
#   S                  a service
#   ARGS               further words for the command
#   STACKCTL_INSTALL   what to type where there is no stackctl
STACKCTL ?= stackctl
STACK ?={stack}
S ?=
ARGS ?=
STACKCTL_INSTALL ?= run the install.sh of a release of stackctl; STACKCTL_INSTALL may name one

# The default goal stays what it was, and reading this file twice is harmless
stackctl_goal := $(.DEFAULT_GOAL)
stackctl_again ?=

##@ Dev stack
"""
_TOOL = """\
$(stackctl_again){prefix}-tool:
\t@command -v $(STACKCTL) >/dev/null 2>&1 || {{ \\
\t  echo 'error: there is no stackctl here' >&2; \\
\t  echo 'hint: $(STACKCTL_INSTALL)' >&2; \\
\t  exit 127; }}
"""
_END = """\
stackctl_again := $(stackctl_again)again-
.DEFAULT_GOAL := $(stackctl_goal)
"""
