"""The judges behind the rows that are about rights: namespaces, capabilities, profiles, users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stackctl.core.holes import names_owner
from stackctl.core.references import services_of
from stackctl.core.rules import Case, entries, granted, says_no

Judge = Callable[[Case, Any], Any]

SAFE_CAPABILITIES = frozenset(
    (
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"),
        *("IPC_LOCK", "KILL", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP"),
        *("SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    )
)
"""What engines grant by default, without MKNOD, and IPC_LOCK, whose memory is limited like any other."""

_NO_NEW_PRIVILEGES = "no-new-privileges:true"

_SAFE_PROFILES = frozenset({"apparmor=docker-default", "seccomp=builtin"})

_PLAIN_MODES: Mapping[str, frozenset[str]] = {
    "network_mode": frozenset({"bridge", "none", "default"}),
    "ipc": frozenset({"private", "shareable", "none"}),
    "cgroup": frozenset({"private"}),
    "pid": frozenset(),
    "uts": frozenset(),
    "userns_mode": frozenset(),
}

_SHARED = frozenset({"network_mode", "pid", "ipc"})
_RUNTIMES = frozenset({"runc", "io.containerd.runc.v2"})


def judge_namespace(key: str, word: str, reason: str) -> Judge:
    """A judge for a namespace: its own, or one of the document's services that has no more than this one."""

    def judge(case: Case, value: Any) -> Any:
        text = "" if value is None else str(value)
        if not text or text in _PLAIN_MODES[key]:
            return value
        kind, _, other = text.partition(":")
        shared = kind == "service" and key in _SHARED
        if shared and other in services_of(case.document):
            if granted(case.rules, other, word):
                case.needs(word, key, f"`{other}` holds `{word}`, and `{text}` shares it")
            return value
        case.needs(word, key, reason)
        return value

    return judge


def judge_capabilities(case: Case, value: Any) -> Any:
    """Let a service add what engines grant by default; anything else needs `capabilities`."""
    for place, entry in entries(value):
        if str(entry).upper().removeprefix("CAP_") not in SAFE_CAPABILITIES:
            case.needs(
                "capabilities", f"cap_add{place}", f"the capability `{entry}` reaches beyond the container"
            )
    return value


def judge_runtime(case: Case, value: Any) -> Any:
    """Let the engine's own runtime be named; another needs `runtime`."""
    if value is not None and str(value) not in _RUNTIMES:
        case.needs(
            "runtime", "runtime", f"the runtime `{value}` may not enforce what was asked of the engine"
        )
    return value


def judge_sysctls(case: Case, value: Any) -> Any:
    """Let parameters of the container's own network be set; others need `sysctls`."""
    pairs = (
        value if isinstance(value, dict) else [str(entry).partition("=")[0] for _, entry in entries(value)]
    )
    for name in pairs:
        if not str(name).startswith("net."):
            case.needs(
                "sysctls", "sysctls", f"`{name}` is a kernel parameter outside of the container's own network"
            )
    return value


def judge_oom_score(case: Case, value: Any) -> Any:
    """Refuse to be spared when the host runs out of memory."""
    text = str(value).strip()
    if isinstance(value, bool) or not text.isdecimal():
        case.refuse("oom_score_adj", f"`{value}` would have the kernel end others first", "write 0 to 1000")
    return value


def refuse_oom_switch(case: Case, value: Any) -> Any:
    """Refuse to switch the kernel's end off."""
    if not says_no(value):
        message = "without the kernel's end a container at its memory limit hangs for ever"
        case.refuse("oom_kill_disable", message, "leave it out")
    return value


def judge_user(case: Case, value: Any) -> Any:
    """Refuse root where the document is hardened."""
    user = str(value).split(":")[0].strip()
    named = "$" not in user or names_owner(str(value))
    if case.rules.hardened and (user == "root" or (user and not user.strip("0")) or not named):
        case.refuse("user", f"`{value}` is or may be root", "name a user by number, such as `1000:1000`")
    return value


def judge_hooks(key: str) -> Judge:
    """A judge for commands that run inside a container beside its own."""

    def judge(case: Case, value: Any) -> Any:
        for place, hook in entries(value):
            if isinstance(hook, dict) and not says_no(hook.get("privileged")):
                case.needs("privileged", f"{key}{place}", "a privileged hook is root on the host")
        return value

    return judge


def lay_security(case: Case, value: Any) -> Any:
    """Keep the profiles in force, and setuid programs from gaining rights."""
    kept = []
    for place, entry in entries(value):
        text = str(entry).strip()
        name, _, setting = text.replace("=", ":", 1).partition(":")
        if name == "no-new-privileges":
            if case.granted("new-privileges"):
                kept.append(entry)
            elif setting not in ("", "true"):
                case.needs("new-privileges", f"security_opt{place}", "setuid programs could gain rights")
            continue
        if f"{name}={setting}" not in _SAFE_PROFILES and not (
            name == "label" and setting.startswith("level:")
        ):
            case.needs("unconfined", f"security_opt{place}", f"`{text}` loosens the profile that confines it")
        kept.append(entry)
    if case.granted("new-privileges"):
        return kept or None
    return [*kept, _NO_NEW_PRIVILEGES]
