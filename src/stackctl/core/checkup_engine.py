"""What `doctor` makes of docker: the command, the daemon, Compose, rights, controllers, the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from stackctl.core.checkup_facts import EngineSight, Finding, HostFacts, Socket, plural
from stackctl.core.remote import machine_of
from stackctl.core.units import show_size

if TYPE_CHECKING:
    from stackctl.core.facts import EngineFacts

SKEW_WARNING = 5.0
SKEW_FAILED = 60.0
"""Seconds: an `--since`, a health check or a certificate is off by as much."""

_CONTROLLERS = (("memory", "memory_limit"), ("pids", "pids_limit"), ("cpu", "cpu_quota"))
_NO_COMMAND = "not checked, since there is no docker command"
_SEE_COMMAND = "see the check `docker command`"


def command(facts: HostFacts) -> Finding:
    """The docker command."""
    sight = facts.engine
    if not sight.command:
        remedy = sight.trouble.hint if sight.trouble else "install docker"
        return Finding("docker command", "failed", "there is no docker command on PATH", remedy)
    if not sight.command_version:
        return Finding(
            "docker command",
            "warning",
            f"{sight.command} does not tell its version",
            "look at what `docker --version` says",
        )
    return Finding("docker command", "passed", f"{sight.command}, version {sight.command_version}")


def daemon(facts: HostFacts) -> Finding:
    """The daemon: one that answers all questions."""
    sight = facts.engine
    if sight.trouble and sight.trouble.kind == "DockerMissing":
        return Finding("daemon", "warning", _NO_COMMAND, _SEE_COMMAND)
    if sight.trouble:
        return Finding("daemon", "failed", sight.trouble.message, sight.trouble.hint)
    if sight.facts is None:
        return Finding("daemon", "failed", "the engine said nothing of itself", "see what `docker info` says")
    rootless = ", rootless" if sight.facts.rootless else ""
    version = f"version {sight.facts.version}" if sight.facts.version else "of unknown version"
    return Finding("daemon", "passed", f"{_address(sight)} answers, {version}{rootless}")


def _address(sight: EngineSight) -> str:
    return f"{sight.host} (context `{sight.context}`)" if sight.context else sight.host


def compose(facts: HostFacts) -> Finding:
    """The Compose plugin."""
    sight = facts.engine
    if sight.compose_trouble and sight.compose_trouble.kind == "DockerMissing":
        return Finding("compose", "warning", _NO_COMMAND, _SEE_COMMAND)
    if sight.compose_trouble:
        return Finding("compose", "failed", sight.compose_trouble.message, sight.compose_trouble.hint)
    return Finding("compose", "passed", f"the plugin has version {sight.compose}, 2.20 or newer is needed")


def permissions(facts: HostFacts) -> Iterable[Finding]:
    """The rights on the socket, where there is one: enough for us, and not for everybody."""
    socket = facts.engine.socket
    if socket is None:
        return
    if socket.mode is None:
        yield Finding(
            "permissions",
            "warning",
            f"not checked, since {socket.path} cannot be seen",
            "see the check `daemon`",
        )
    elif not socket.usable:
        yield Finding("permissions", "failed", f"no right to use {_socket(socket)}", _join(socket))
    elif socket.mode & 0o002:
        yield Finding(
            "permissions",
            "warning",
            f"every user of this machine may use {_socket(socket)}, which is as good as being root",
            f"`chmod o-rw {socket.path}`",
        )
    else:
        yield Finding("permissions", "passed", f"may use {_socket(socket)}")


def _socket(socket: Socket) -> str:
    return f"{socket.path} ({socket.owner}:{socket.group}, mode {socket.mode or 0:04o})"


def _join(socket: Socket) -> str:
    join = f"add yourself to the group (`sudo usermod -aG {socket.group} $USER`, then log in again)"
    other = "use rootless docker"
    return f"{join} or {other}" if (socket.mode or 0) & 0o060 == 0o060 else other


def remote(facts: HostFacts) -> Iterable[Finding]:
    """The way to an engine on another machine, and what is different there."""
    sight = facts.engine
    if sight.facts is None or not sight.facts.remote:
        return
    machine = machine_of(sight.host)
    if sight.clear and machine:
        yield Finding(
            "remote engine",
            "warning",
            f"{_address(sight)} has no TLS: whoever reaches that port is root on {machine}, and whoever "
            "listens on the way reads every secret",
            f"`DOCKER_HOST=ssh://USER@{machine}`, or a context with TLS",
        )
        return
    yield Finding(
        "remote engine",
        "passed",
        f"{_address(sight)}: limits are read back from the engine, use is docker's own statistics, files "
        "and data are kept on that host, its loopback ports take `ssh -L`",
    )


def answered(check: str, facts: HostFacts, judge: Callable[[EngineFacts], Finding]) -> Finding:
    """What `judge` makes of the engine's answer, or a warning that nothing was checked."""
    if facts.engine.facts is None:
        return unanswered(check)
    return judge(facts.engine.facts)


def unanswered(check: str) -> Finding:
    """A check that needs an engine which does not answer."""
    return Finding(check, "warning", "not checked, since no engine answers", "see the check `daemon`")


def controllers(facts: HostFacts) -> Finding:
    """The cgroup controllers, without which no limit is one."""
    return answered("cgroup", facts, _controllers)


def _controllers(engine: EngineFacts) -> Finding:
    where = f"cgroup v{engine.cgroup_version}, driver {engine.cgroup_driver}"
    missing = [name for name, fact in _CONTROLLERS if not getattr(engine, fact)]
    if engine.rootless and engine.cgroup_version == "1":
        return Finding(
            "cgroup",
            "failed",
            f"{where}: a rootless engine on cgroup v1 ignores every limit",
            "boot with `systemd.unified_cgroup_hierarchy=1`, or use an engine that runs as root",
        )
    if missing:
        message = f"{where}: the engine cannot limit {' and '.join(missing)}"
        return Finding("cgroup", "failed", message, _switch_on(engine))
    proof = "" if engine.local else ", which cannot be proven from this machine"
    return Finding("cgroup", "passed", f"{where}: memory, pids and cpu limits are enforced{proof}")


def _switch_on(engine: EngineFacts) -> str:
    if engine.rootless:
        return (
            "delegate the controllers: `[Service] Delegate=cpu cpuset io memory pids` in a drop-in of "
            "`user@.service`, then `systemctl daemon-reload` and log in again"
        )
    return "boot the engine's host with `cgroup_enable=memory cgroup_memory=1` and a kernel that has them"


def swap(facts: HostFacts) -> Finding:
    """Swap accounting, without which a container may swap beyond its memory limit."""
    return answered("swap accounting", facts, _swap)


def _swap(engine: EngineFacts) -> Finding:
    if engine.swap_limit:
        return Finding("swap accounting", "passed", "swap counts against a container's limit")
    return Finding(
        "swap accounting",
        "warning",
        "the engine cannot limit swap: where the host has any, a container may use it beyond its memory",
        "boot the engine's host with `swapaccount=1`, or switch swap off (`swapoff -a`)",
    )


def clock(facts: HostFacts) -> Finding:
    """The engine's clock against ours."""
    skew = facts.engine.skew
    if facts.engine.facts is None:
        return unanswered("clock")
    if skew is None:
        return Finding("clock", "warning", "the engine does not tell its time", "see `docker info`")
    if abs(skew) <= SKEW_WARNING:
        return Finding("clock", "passed", "the engine's clock and ours agree")
    side = "ahead of" if skew > 0 else "behind"
    return Finding(
        "clock",
        "failed" if abs(skew) > SKEW_FAILED else "warning",
        f"the engine's clock is {abs(skew):.0f} s {side} ours",
        "set both by NTP (`timedatectl set-ntp true`); a virtual machine that slept may need a restart",
    )


def memory(facts: HostFacts) -> Finding:
    """The host's memory against what one container may take."""
    return answered("host memory", facts, lambda engine: _memory(engine, facts))


def _memory(engine: EngineFacts, facts: HostFacts) -> Finding:
    limits = facts.limits
    has = f"{show_size(engine.memory)} and {plural(engine.cpus, 'cpu')}"
    may = f"{limits.show('memory')} and {limits.show('cpus')}"
    if not engine.memory:
        return Finding("host memory", "warning", "the engine does not tell its memory", "see `docker info`")
    if engine.memory < limits.memory:
        return Finding(
            "host memory",
            "warning",
            f"the host has {has}, less than the {may} that a container may use by default",
            "set `limits: {memory: …}` lower in the stack file or in your config.yaml",
        )
    return Finding("host memory", "passed", f"the host has {has}, a container may use {may} by default")
