"""Where a service is reached from: the host, a container on its network, one on none; what may be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from stackctl.core.errors import StateError, UsageError

_BRACES = re.compile(r"\{([^{}]*)\}")
_PASSWORD = re.compile(r"(://[^/?#@\s:]*):([^/?#\s]+)@")
_PARAMETER = re.compile(
    r"([?&][^=&#\s]*(?:password|passwd|secret|token|key)[^=&#\s]*=)[^&#\s]+", re.IGNORECASE
)
_MASK = "***"
CONTAINER_HOST = "host.docker.internal"
"""The host, as containers on no shared network call it; on Linux they need an extra host of that name."""


def fill(pattern: str, *, host: str, port: int, secrets: Mapping[str, str]) -> str:
    """A URL from its pattern; secrets are percent-encoded, an IPv6 address is put in brackets.

    Args:
        pattern: Text with `{host}`, `{port}` and `{secret:<name>}`; anything else in braces is an error.
        secrets: Name -> value; `***` stays readable as a mask.

    Raises:
        UsageError: The pattern has other braces.
        StateError: It names a secret that there is not.
    """
    values = {"host": f"[{host}]" if ":" in host and not host.startswith("[") else host, "port": str(port)}
    if re.search(r"[{}]", _BRACES.sub("", pattern)):
        raise UsageError(f"the URL pattern {pattern!a} has a brace without its pair")
    return _BRACES.sub(lambda match: _part(match[1], pattern, values, secrets), pattern)


def _part(name: str, pattern: str, values: Mapping[str, str], secrets: Mapping[str, str]) -> str:
    if name in values:
        return values[name]
    kind, _, secret = name.partition(":")
    if kind != "secret" or not secret:
        raise UsageError(
            f"the URL pattern {pattern!a} has {{{name}}}",
            hint="it may have {host}, {port} and {secret:<name>}",
        )
    if secret not in secrets:
        raise StateError(f"the secret `{secret}` of a URL is missing", hint="`stackctl up` makes it anew")
    return quote(secrets[secret], safe="*")


def inside(service: str, port: int, pattern: str, secrets: Mapping[str, str]) -> str:
    """The URL from a container on the same network: the service's name, its container port.

    Raises:
        UsageError: The pattern is wrong.
        StateError: A secret is missing.
    """
    return fill(pattern, host=service, port=port, secrets=secrets)


def outside(pattern: str, host: str, host_port: int, secrets: Mapping[str, str]) -> str:
    """The URL from the host: an address of it, and the port that it publishes.

    Raises:
        UsageError: The pattern is wrong.
        StateError: A secret is missing.
    """
    return fill(pattern, host=host, port=host_port, secrets=secrets)


def isolated(pattern: str, host_port: int, secrets: Mapping[str, str]) -> str:
    """The URL from a container on no shared network: the host by its name there, and the published port.

    Raises:
        UsageError: The pattern is wrong.
        StateError: A secret is missing.
    """
    return fill(pattern, host=CONTAINER_HOST, port=host_port, secrets=secrets)


def masked(url: str) -> str:
    """The URL, or any text with URLs in it, with passwords and secret parameters as `***`."""
    return _PARAMETER.sub(rf"\1{_MASK}", _PASSWORD.sub(rf"\1:{_MASK}@", url))
