"""What runs an agent on each node: a global service, or systemd, with a service that repeats what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackctl.core.documents import dump
from stackctl.core.swarm_watch import AGENT, ROLE
from stackctl.core.unit_file import UnitSpec, chosen_environment, sections_of

HOME = "/var/lib/stackctl/agent"
"""Where an agent keeps its incidents unless it is told another state directory; a node has one agent."""
SAID = "said"
"""Folder of its state directory, and below it a file, with every line that an agent says."""
SAID_FILE = "agent.jsonl"
_SOCKET = "/var/run/docker.sock"
_PROC = "/host/proc"
_CGROUPS = "/sys/fs/cgroup"
_LOGGING = {"driver": "json-file", "options": {"max-size": "5m", "max-file": "2"}}
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
        "logging": _LOGGING,
        "volumes": [
            _bind(_SOCKET, _SOCKET),
            _bind("/proc", _PROC, read_only=True),
            _bind(_CGROUPS, _CGROUPS, read_only=True),
            {"type": "volume", "source": "state", "target": HOME},
        ],
        "deploy": _everywhere({"cpus": "0.5", "memory": "256M", "pids": 64}, delay="1s"),
    }


def reader_text(image: str) -> str:
    """A compose file for `docker stack deploy`: on each node, what its agent says, for managers to read.

    An agent that systemd runs is no service, and only the output of services comes to the managers. So a
    service repeats what it writes into a file, which is all that it sees; where no agent has been, Swarm
    tries again.

    Args:
        image: One that has `tail`.
    """
    said = f"{HOME}/{SAID}"
    reader = {
        "image": image,
        "command": ["tail", "-n", "+1", "-F", f"{said}/{SAID_FILE}"],
        "user": "0:0",
        "cap_drop": ["ALL"],
        "read_only": True,
        "logging": _LOGGING,
        "volumes": [_bind(said, said, read_only=True)],
        "deploy": _everywhere({"cpus": "0.1", "memory": "32M", "pids": 16}, delay="5s"),
    }
    return dump({"version": "3.9", "services": {"reader": reader}})


def _everywhere(limits: dict[str, Any], delay: str) -> dict[str, Any]:
    return {
        "mode": "global",
        "labels": {ROLE: AGENT},
        "resources": {"limits": limits},
        "restart_policy": {"condition": "any", "delay": delay},
        "update_config": {"parallelism": 1, "order": "stop-first"},
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
    spec = UnitSpec(
        scope="system",
        program=(python, "-m", "stackctl", *_WATCH),
        home=HOME,
        version=version,
        environment=chosen_environment(environ, "system"),
        description="stackctl's agent of this node of a Swarm",
    )
    return f"# Written by `stackctl supervise --node --print unit`, version {version}.\n\n{sections_of(spec)}"
