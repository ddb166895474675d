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


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    if not (folder / "install.sh").is_file():
        sys.exit(f"error: there is no {folder}/install.sh\nhint: make dist")
    answer = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with Server(("127.0.0.1", port), answer) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        print(f"{folder} is served at {url} until Ctrl-C. To rehearse it:", flush=True)
        print(f"  curl -fsSL {url}/install.sh | sh -s -- --insecure-test --base-url {url}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
