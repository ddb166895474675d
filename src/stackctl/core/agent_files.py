"""What runs an agent on each node: the compose file of a global service, or a unit for systemd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackctl.core.documents import dump
from stackctl.core.swarm_watch import AGENT, ROLE
from stackctl.core.unit_file import UnitSpec, chosen_environment, unit_text

HOME = "/var/lib/stackctl/agent"
"""Where an agent keeps its incidents unless it is told another state directory; a node has one agent."""
_SOCKET = "/var/run/docker.sock"
_PROC = "/host/proc"
_CGROUPS = "/sys/fs/cgroup"
_WATCH = ["supervise", "--node", "--log-format", "json"]


def service_text(image: str) -> str:
    """A compose file for `docker stack deploy`: one agent on each node, within limits of its own.

    It sees the node's processes and cgroups, which it only reads, and its engine's socket, by which it acts.
    It has no health check: one that hangs ends itself, and Swarm shows no output of what is not healthy yet.

    Args:
        image: One that has stackctl as its entrypoint.
    """
    return dump({"version": "3.9", "services": {"agent": _agent(image)}, "volumes": {"state": {}}})


def _agent(image: str) -> dict[str, Any]:
    return {
        "image": image,
        "command": ["--home", HOME, *_WATCH],
        "user": "0:0",
        "environment": {"DOCKER_HOST": f"unix://{_SOCKET}", "STACKCTL_HOST_PROC": _PROC},
        "cap_drop": ["ALL"],
        "read_only": True,
        "logging": {"driver": "json-file", "options": {"max-size": "5m", "max-file": "2"}},
        "volumes": [
            _bind(_SOCKET, _SOCKET),
            _bind("/proc", _PROC, read_only=True),
            _bind(_CGROUPS, _CGROUPS, read_only=True),
            {"type": "volume", "source": "state", "target": HOME},
        ],
        "deploy": {
            "mode": "global",
            "labels": {ROLE: AGENT},
            "resources": {"limits": {"cpus": "0.5", "memory": "256M", "pids": 64}},
            "restart_policy": {"condition": "any", "delay": "1s"},
            "update_config": {"parallelism": 1, "order": "stop-first"},
        },
    }


def _bind(source: str, target: str, *, read_only: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "bind", "source": source, "target": target}
    return {**found, "read_only": True} if read_only else found


def agent_unit(python: str, version: str, environ: Mapping[str, str]) -> str:
    """The text of a unit of the system's manager.

    Args:
        python: The interpreter that has stackctl, an absolute path.
        environ: Of the caller; what chooses the engine is taken along.

    Raises:
        UsageError: A path or value has characters that a unit file cannot hold.
    """
    return unit_text(
        UnitSpec(
            scope="system",
            program=(python, "-m", "stackctl", *_WATCH),
            home=HOME,
            version=version,
            environment=chosen_environment(environ, "system"),
        )
    )
