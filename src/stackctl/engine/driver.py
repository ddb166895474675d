"""Drives Compose and Swarm through python-on-whales, in this process or as a process of its own.

The library takes as long to import as all of ours. A process that is started first thing imports it on
another core, while we read, bound and place what it is to bring up. Started by path with `python -I -S`, it
knows nothing but the standard library until it is told where the library is.
"""

import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"


def drive(client: dict[str, Any], services: list[str], build: bool) -> dict[str, Any]:
    """Create and start services, detached; images are there already, nothing is pulled.

    Args:
        client: What the library's client takes.
        services: Only these, all where it is empty.
        build: Build images first.

    Returns:
        `code`, what the command ended with, and `stderr`, its last words.
    """
    return _done(
        client,
        lambda docker: docker.compose.up(
            services or None, detach=True, quiet=True, pull="never", build=build, remove_orphans=False
        ),
    )


def deploy(client: dict[str, Any], stack: str, document: str, pinned: bool) -> dict[str, Any]:
    """Tell a Swarm what a stack is to be; what it returns is as of `drive`.

    Args:
        client: What the library's client takes.
        stack: Name of the stack.
        document: Path of the file for `docker stack deploy`.
        pinned: No registry is asked which digest an image has now.
    """
    resolve = "never" if pinned else "always"
    return _done(
        client, lambda docker: docker.stack.deploy(stack, compose_files=[document], resolve_image=resolve)
    )


def _done(client: dict[str, Any], act: Callable[[Any], object]) -> dict[str, Any]:
    # the library prints the whole environment where this is set
    os.environ.pop("PYTHON_ON_WHALES_DEBUG", None)
    import python_on_whales

    try:
        act(python_on_whales.DockerClient(**client))
    except python_on_whales.DockerException as error:
        return {"code": error.return_code, "stderr": error.stderr or ""}
    except UnicodeDecodeError as error:  # the library decodes docker's last words strictly
        return {"code": 1, "stderr": error.object.decode(errors="replace")}
    return {"code": 0, "stderr": ""}


def main() -> None:
    """Import the library from the path that the first line tells, do what the second one asks, and tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us is told, and ends us
    telling = os.dup(1)
    os.dup2(2, 1)
    path = sys.stdin.readline()
    if not path:
        return
    sys.path[:] = json.loads(path)
    gc.disable()  # a short life: collecting what is imported costs a tenth of the time
    os.environ[_PLUGINS] = "__all__"  # looking for plugins reads the metadata of every package
    import python_on_whales  # noqa: F401 - the import itself is what takes the time

    del os.environ[_PLUGINS]
    job = sys.stdin.readline()
    if job:
        os.write(telling, json.dumps(drive(**json.loads(job))).encode())


if __name__ == "__main__":
    main()
