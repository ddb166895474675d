"""What of a document is secret, by its name, and the document without it: a digest must tell nothing of it.

The digest of a text with a weak secret in it can be tried out by whoever has the rest of the text: nothing
that is committed may hold one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from stackctl.core.labels import PREFIX

MASK = "***"
_SECRET = re.compile(r"PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL|PRIVATE|AUTH|SALT|DSN|COOKIE", re.IGNORECASE)
_USERINFO = re.compile(r"://[^/\s@]+@")
_ASSIGNED = re.compile(r"^(\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*[=:])(.*)$", re.MULTILINE)
_SHORTEST = 4
"""Characters that a text must have to be looked for within others; a shorter one only counts as a whole."""
_NAMED = frozenset({"environment", "args"})
"""The keys whose entries are variables: a service's, and those of its build."""


def is_secret(name: str) -> bool:
    """Whether a variable of that name holds a secret, as names go."""
    return _SECRET.search(name) is not None


def masked(document: Any, secrets: Iterable[str]) -> Any:
    """A document without secrets, and without the stack's name, which may be that of a folder.

    Left out are values of variables that are secret by their name, passwords in URLs, and the given texts.

    Args:
        secrets: Values that are secret wherever they stand.
    """
    return _masked(document, frozenset(one for one in secrets if one))


def _masked(node: Any, secrets: frozenset[str]) -> Any:
    if isinstance(node, str):
        return _without(node, secrets)
    if isinstance(node, Mapping):
        return {key: _entry(key, value, secrets) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_masked(one, secrets) for one in node]
    return node


def _entry(key: str, value: Any, secrets: frozenset[str]) -> Any:
    if key == f"{PREFIX}stack":
        return MASK
    if key in _NAMED:
        return _variables(value, secrets)
    return _masked(value, secrets)


def _variables(value: Any, secrets: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            name: MASK if text is not None and is_secret(name) else _masked(text, secrets)
            for name, text in value.items()
        }
    if isinstance(value, (list, tuple)):
        pairs = [(str(one).partition("="), one) for one in value]
        return [
            f"{name}={MASK}" if sign and is_secret(name) else _masked(one, secrets)
            for (name, sign, _), one in pairs
        ]
    return _masked(value, secrets)


def _without(text: str, secrets: frozenset[str]) -> str:
    if text in secrets:
        return MASK
    for one in sorted(secrets, key=lambda each: (-len(each), each)):
        if len(one) >= _SHORTEST:
            text = text.replace(one, MASK)
    return _USERINFO.sub(f"://{MASK}@", text)


def masked_env_file(text: str) -> str:
    """An env file without the values that are secret by their name, and without passwords in URLs."""

    def without(match: re.Match[str]) -> str:
        return f"{match[1]}{MASK}" if is_secret(match[2]) else match[0]

    return _USERINFO.sub(f"://{MASK}@", _ASSIGNED.sub(without, text))
