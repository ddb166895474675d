"""Serves dist/ on loopback and says how to rehearse the installation from it."""

from __future__ import annotations

import contextlib
import functools
import http.server
import sys
from pathlib import Path


class Server(http.server.ThreadingHTTPServer):
    """Answers loopback alone; nothing of it is meant for another machine."""

    allow_reuse_address = True


def server_of(folder: Path, port: str) -> Server:
    if not (folder / "install.sh").is_file():
        sys.exit(f"error: there is no {folder}/install.sh\nhint: make dist")
    if not (port.isdecimal() and int(port) < 1 << 16):
        sys.exit(f"error: {port} is no port\nhint: make serve PORT=8000, or without PORT for a free one")
    answer = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    try:
        return Server(("127.0.0.1", int(port)), answer)
    except OSError as error:
        sys.exit(f"error: port {port}: {error.strerror}\nhint: make serve, without PORT, takes a free one")


def main() -> None:
    folder, port = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "0"
    with server_of(folder, port) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        print(f"{folder} is served at {url} until Ctrl-C. To rehearse it:", flush=True)
        print(f"  curl -fsSL {url}/install.sh | sh -s -- --insecure-test --base-url {url}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
