"""The words that `allow:` may hold: what policy refuses unless a stack file names it for a service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stackctl.core.errors import UsageError
from stackctl.core.names import nearest, shorten

ALLOW: Mapping[str, str] = {
    "privileged": "run with every capability and every device of the host",
    "host-network": "share the host's network, so that nothing stands between its ports and the world",
    "host-pid": "see and signal every process of the host",
    "host-ipc": "share memory segments and semaphores with the host's processes",
    "host-uts": "share the host's name, and change it where it has the right",
    "host-userns": "leave the user namespace, so that root in the container is root on the host",
    "docker-socket": "drive the engine, which is as good as root on the host",
    "sensitive-mount": "mount a folder of the system, such as /etc, /proc or /var/lib/docker",
    "outside-mount": "mount a folder that lies outside the stack's own root",
    "devices": "use devices of the host",
    "capabilities": "hold added capabilities that administer the host",
    "unconfined": "run without its seccomp, AppArmor or SELinux profile",
    "outside-build": "be built from a folder outside the stack's own root or from what is fetched",
    "outside-file": "be read with an include, an extends or an env file outside the stack's own root",
    "ssh-keys": "use the caller's ssh keys in its build",
    "public-ports": "listen on other addresses than loopback",
    "own-init": "bring its own process 1 instead of the small init that reaps and passes signals on",
    "new-privileges": "gain privileges by setuid programs, as sudo does",
    "log-driver": "write its logs by another driver than the rotated local files",
    "container-name": "have a fixed name, so that there can be only one environment at a time",
    "shared-propagation": "pass mounts on to the host, or take them from it",
    "cgroup-parent": "live under another cgroup than the engine's own, outside its limits",
    "runtime": "run under another runtime than the engine's default",
    "sysctls": "change kernel parameters",
}


def check_allowed(words: Iterable[str], source: str) -> None:
    """Refuse a word that allows nothing.

    Raises:
        UsageError: There is no such word; the hint has the nearest, or all.
    """
    for word in words:
        if word not in ALLOW:
            near = nearest(word, ALLOW, most=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(ALLOW)}"
            raise UsageError(f"{source}: there is no word `{shorten(word)}` of allow", hint=hint)
