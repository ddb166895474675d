"""Fetches a small file from a place that was said: https, this machine's loopback, or a folder."""

from __future__ import annotations

from typing import Any

from stackctl.core.errors import StackctlError

PATIENCE = 60.0


def fetch(url: str, *, most: int) -> bytes:
    """What a URL holds.

    Args:
        url: https://, http:// on loopback, or file://.
        most: Bytes that it may have.

    Raises:
        StackctlError: It cannot be fetched, leads to a place that is not https, or is too long.
    """
    import http.client
    import urllib.request

    class Redirects(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *given: Any) -> urllib.request.Request | None:
            if not str(given[-1]).startswith("https:"):
                raise OSError("it leads to a place that is not https")
            return super().redirect_request(*given)

    try:
        with urllib.request.build_opener(Redirects).open(url, timeout=PATIENCE) as answer:
            content: bytes = answer.read(most + 1)
    except (OSError, http.client.HTTPException) as error:
        hint = "look at the network, the proxy and the URL"
        raise StackctlError(f"cannot fetch `{url}`: {error}", hint=hint) from error
    if len(content) > most:
        raise StackctlError(f"`{url}` is longer than {most} bytes")
    return content
