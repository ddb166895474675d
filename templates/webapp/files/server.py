"""Shows, as JSON, what this service is connected to: is the URL there, does its server answer; no values."""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PORT = int(os.environ.get("PORT", "8000"))
URLS = ("DATABASE_URL", "REDIS_URL")


def connection(name: str) -> dict[str, bool]:
    """Tell whether the variable is set, and whether its server takes a TCP connection."""
    url = urlsplit(os.environ.get(name, ""))
    if not url.hostname or not url.port:
        return {"set": False, "answers": False}
    try:
        socket.create_connection((url.hostname, url.port), timeout=2).close()
    except OSError:
        return {"set": True, "answers": False}
    return {"set": True, "answers": True}


class Handler(BaseHTTPRequestHandler):
    """Answers every GET: `/health` in short, anything else with the connections."""

    def do_GET(self) -> None:
        healthy = self.path == "/health"
        body = {"ok": True} if healthy else {"path": self.path, **{name: connection(name) for name in URLS}}
        text = json.dumps(body, indent=2).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        if self.path != "/health":
            super().log_message(format, *args)


def check() -> None:
    """End with 0 when the server answers."""
    urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=2).close()


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        check()
    else:
        ThreadingHTTPServer(("", PORT), Handler).serve_forever()
