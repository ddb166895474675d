"""What each key of a compose service may ask for: one table, a row for each key of the specification."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stackctl.core import policy_rights as rights
from stackctl.core import policy_values as values
from stackctl.core import references
from stackctl.core.builds import judge_build
from stackctl.core.deploys import judge_deploy, judge_scale
from stackctl.core.mounts import judge_volumes_from, lay_mounts
from stackctl.core.ports import lay_ports
from stackctl.core.rules import Case, says_no

Way = Literal["keep", "lay over", "allow", "refuse"]
Judge = Callable[[Case, Any], Any]
"""Takes the value as it was given; returns the one to keep, None to leave the key out."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is done with one key.

    Args:
        way: Kept as it is; laid over or judged by `judge`; refused unless `word` is granted; refused.
        reason: One sentence: why it may stand, what is laid over it, or why it is refused.
        word: The word of `allow.ALLOW` that lets it stand.
        judge: For "lay over": judges the value and returns what stands instead.
    """

    way: Way
    reason: str
    word: str = ""
    judge: Judge | None = None


def _keep(reason: str) -> Row:
    return Row("keep", reason)


def _over(judge: Judge, reason: str) -> Row:
    return Row("lay over", reason, judge=judge)


def _allow(word: str, reason: str) -> Row:
    return Row("allow", reason, word=word)


def _refuse(reason: str) -> Row:
    return Row("refuse", reason)


def _namespace(key: str, word: str, reason: str) -> Row:
    return Row("lay over", reason, word=word, judge=rights.judge_namespace(key, word, reason))


_HARMLESS = "it stays within the container"
_BOUNDED = "the limits that hold are written in its place"
_WINDOWS = "it belongs to Windows containers"
_DEVICES = "a device of the host has no limits and no owner among containers"
_REALTIME = "realtime scheduling can starve the whole host"
_PARSER = "it decides what other files mean, and a bounded document stands alone"

SERVICE: Mapping[str, Row] = {
    "annotations": _keep(_HARMLESS),
    "attach": _keep("it only decides whose logs are shown"),
    "blkio_config": _keep("it only takes away"),
    "build": _over(judge_build, "only a folder inside the stack's root may be built, without rights"),
    "cap_add": _over(rights.judge_capabilities, "an administrator's capability reaches beyond the container"),
    "cap_drop": _keep("it only takes away"),
    "cgroup": _namespace(
        "cgroup", "cgroup-parent", "the host's cgroups can be seen, and on version 1 changed"
    ),
    "cgroup_parent": _allow("cgroup-parent", "another cgroup parent leaves the limits that the engine set"),
    "command": _keep(_HARMLESS),
    "configs": _over(references.judge_grants("configs"), "each must be declared at the top"),
    "container_name": _allow(
        "container-name", "a fixed container name lets only one environment exist at a time"
    ),
    "cpu_count": _refuse(_WINDOWS),
    "cpu_percent": _refuse(_WINDOWS),
    "cpu_period": Row("lay over", _BOUNDED),
    "cpu_quota": Row("lay over", _BOUNDED),
    "cpu_rt_period": _refuse(_REALTIME),
    "cpu_rt_runtime": _refuse(_REALTIME),
    "cpu_shares": _keep("it weighs containers against each other within their limits"),
    "cpus": Row("lay over", _BOUNDED),
    "cpuset": _keep("it only takes away"),
    "credential_spec": _refuse(_WINDOWS),
    "depends_on": _over(references.judge_depends_on, "each must be a service of the document"),
    "deploy": _over(judge_deploy, "its restart policy is the supervisor's, its limits are bounded"),
    "develop": _keep("only `docker compose watch` reads it"),
    "device_cgroup_rules": _allow("devices", _DEVICES),
    "devices": _allow("devices", _DEVICES),
    "dns": _keep(_HARMLESS),
    "dns_opt": _keep(_HARMLESS),
    "dns_search": _keep(_HARMLESS),
    "domainname": _keep(_HARMLESS),
    "entrypoint": _keep(_HARMLESS),
    "env_file": _over(values.judge_env_file, "only files inside the stack's root may be read"),
    "environment": _keep(_HARMLESS),
    "expose": _keep("it publishes nothing on the host"),
    "extends": _refuse(f"`extends` is refused: {_PARSER}"),
    "external_links": _refuse(
        "a link to a container that is not ours; join its network as an `external` one"
    ),
    "extra_hosts": _keep(_HARMLESS),
    "gpus": _allow("devices", _DEVICES),
    "group_add": _keep(_HARMLESS),
    "healthcheck": _over(values.judge_healthcheck, "its keys are those that Compose knows"),
    "hostname": _keep(_HARMLESS),
    "image": _keep("the engine has it or pulls it"),
    "init": _over(values.lay_init, "a small init reaps zombies and passes signals on"),
    "ipc": _namespace("ipc", "host-ipc", "the host's shared memory can be read"),
    "isolation": _refuse(_WINDOWS),
    "label_file": _refuse("labels of a file cannot be judged; write them under `labels`"),
    "labels": _over(values.judge_labels, "labels beginning with `stackctl.` are stackctl's own"),
    "links": _over(references.judge_links, "each must be a service of the document"),
    "logging": _over(values.lay_logging, "logs are rotated, so that they cannot fill the disk"),
    "mac_address": _keep(_HARMLESS),
    "mem_limit": Row("lay over", _BOUNDED),
    "mem_reservation": Row("lay over", "it is lowered to the limit where it lies above"),
    "mem_swappiness": _refuse("`mem_swappiness` is refused: memory and swap are limited as one"),
    "memswap_limit": Row("lay over", _BOUNDED),
    "models": _refuse("`models` is refused: it starts programs outside every container and limit"),
    "network_mode": _namespace(
        "network_mode", "host-network", "the host's network can be used past every port"
    ),
    "networks": _over(references.judge_networks, "each must be declared at the top"),
    "oom_kill_disable": _over(
        rights.refuse_oom_switch, "without the kernel's end a container at its limit hangs"
    ),
    "oom_score_adj": _over(
        rights.judge_oom_score, "a container that the kernel spares costs the host's programs"
    ),
    "pid": _namespace("pid", "host-pid", "the host's processes can be seen and signalled"),
    "pids_limit": Row("lay over", _BOUNDED),
    "platform": _keep("it picks an image"),
    "ports": _over(lay_ports, "they listen on loopback, in long form"),
    "post_start": _over(rights.judge_hooks("post_start"), "a hook may not have more rights than its service"),
    "pre_stop": _over(rights.judge_hooks("pre_stop"), "a hook may not have more rights than its service"),
    "privileged": _allow("privileged", "a privileged container is root on the host"),
    "profiles": _keep("it decides which services start"),
    "provider": _refuse(
        "`provider` is refused: it runs a program of the host, outside every container and limit"
    ),
    "pull_policy": _keep("it decides when an image is pulled"),
    "pull_refresh_after": _keep("it decides when an image is pulled"),
    "read_only": _keep("it only takes away"),
    "restart": _over(values.lay_restart, "the supervisor restarts within bounds; the engine resurrects"),
    "runtime": _over(rights.judge_runtime, "another runtime may not enforce what was asked"),
    "scale": _over(judge_scale, "each replica has the limits of the service"),
    "secrets": _over(references.judge_grants("secrets"), "each must be declared at the top"),
    "security_opt": _over(
        rights.lay_security, "no setuid program may gain rights, and profiles stay in force"
    ),
    "shm_size": _keep("shared memory counts as the container's memory"),
    "stdin_open": _keep(_HARMLESS),
    "stop_grace_period": _keep("it decides how long an end may take"),
    "stop_signal": _keep(_HARMLESS),
    "storage_opt": _keep("it only takes away"),
    "sysctls": _over(rights.judge_sysctls, "kernel parameters outside `net.` may hold for the whole host"),
    "tmpfs": _keep("what is in it counts as the container's memory"),
    "tty": _keep(_HARMLESS),
    "ulimits": _keep("the kernel holds them below the engine's own"),
    "use_api_socket": _allow("docker-socket", "whoever drives the engine's socket is root on the host"),
    "user": _over(rights.judge_user, "templates run as somebody else than root"),
    "userns_mode": _namespace(
        "userns_mode", "host-userns", "root in the container would be root on the host"
    ),
    "uts": _namespace("uts", "host-uts", "the host's name can be changed"),
    "volumes": _over(lay_mounts, "mounts stay inside the stack's root, in long form"),
    "volumes_from": _over(judge_volumes_from, "mounts of another container come along"),
    "working_dir": _keep(_HARMLESS),
}

ALWAYS = ("init", "logging", "restart", "security_opt")
"""The rows that are laid over a service that says nothing of their key."""


def judge_key(case: Case, key: str, value: Any) -> Any:
    """Judge one key of a service by its row.

    Returns:
        The value that stands, or None when the key is left out.
    """
    row = SERVICE.get(key)
    if row is None:
        if not key.startswith("x-"):
            case.refuse(
                key, f"Compose has no key `{key}` for a service", "check its spelling and indentation"
            )
        return value
    if row.way == "refuse" and not says_no(value):
        case.refuse(key, row.reason)
    elif row.way == "allow" and not says_no(value) and value not in ([], {}):
        case.needs(row.word, key, row.reason)
    elif row.judge is not None and (value is not None or key in ALWAYS):
        return row.judge(case, value)
    return value
