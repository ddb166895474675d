"""Mounts: their two ways of writing, and what a folder of the host is, judged by its text alone."""

from __future__ import annotations

from collections.abc import Mapping
from posixpath import join, normpath
from typing import Any, Literal

from stackctl.core.holes import HOLE, split_path_hole, strays
from stackctl.core.rules import Case, Findings, entries, granted, needs

Place = Literal["inside", "harmless", "socket", "sensitive", "outside"]

SOCKETS = frozenset(
    (
        *("docker.sock", "containerd.sock", "podman.sock", "crio.sock", "cri-dockerd.sock"),
        *("buildkitd.sock", "dockerd.sock"),
    )
)
SENSITIVE_TREES = (
    *("/etc", "/proc", "/sys", "/boot", "/dev", "/root", "/run", "/var/run"),
    *("/bin", "/sbin", "/lib", "/lib64", "/usr/bin", "/usr/sbin", "/usr/lib", "/var/spool/cron"),
    *("/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/kubelet"),
)
SENSITIVE_EXACTLY = frozenset({"/", "/home", "/var", "/var/lib", "/usr", "/Users", "/private"})
SENSITIVE_PARTS = frozenset({".ssh", ".gnupg", ".aws", ".kube", ".docker", ".azure", ".netrc"})
HARMLESS_READ_ONLY = (
    *("/etc/localtime", "/etc/timezone", "/etc/ssl/certs", "/etc/pki/ca-trust", "/usr/share/zoneinfo"),
    *("/usr/share/ca-certificates", "/usr/local/share/ca-certificates"),
)
MOUNT_WORDS = ("docker-socket", "sensitive-mount", "outside-mount", "shared-propagation")

_UNROOTED = "/.stack"
_TYPES = frozenset({"bind", "volume", "tmpfs", "image"})
_PRIVATE = frozenset({"private", "rprivate"})
_PROPAGATIONS = _PRIVATE | {"shared", "rshared", "slave", "rslave"}
_CONSISTENCIES = frozenset({"cached", "delegated", "consistent"})
_NEEDS: Mapping[Place, tuple[str, str]] = {
    "socket": ("docker-socket", "is the engine's own socket, and whoever drives it is root on the host"),
    "sensitive": ("sensitive-mount", "belongs to the host's system, or holds somebody's credentials"),
    "outside": ("outside-mount", "lies outside the stack's own root"),
}


def classify(source: str, root: str, *, read_only: bool = False) -> Place:
    """What a folder or file of the host is to a stack; links are not followed, nothing is looked at.

    Args:
        source: A path as compose documents have it: relative to `root`, absolute, or behind a hole.
        root: Absolute path of the stack's own root; relative paths alone are inside when it is empty.
        read_only: True when it can only be read there.
    """
    hole = split_path_hole(source)
    if hole:
        rest = hole[1]
        plain = not strays(rest) and not HOLE.search(rest) and ".." not in rest.split("/")
        return "inside" if plain and (not rest or rest.startswith("/")) else "outside"
    if strays(source) or HOLE.search(source):
        return "outside"
    own = _normal("/", root) if root else _UNROOTED
    path = source.replace("$$", "$")
    if path.startswith("~"):
        return "sensitive" if SENSITIVE_PARTS & set(path.split("/")) else "outside"
    return _classify_path(_normal(own, path), own, read_only)


def _classify_path(path: str, own: str, read_only: bool) -> Place:
    if path.rsplit("/", 1)[-1] in SOCKETS:
        return "socket"
    if path in SENSITIVE_EXACTLY:
        return "sensitive"
    if read_only and any(_within(path, tree) for tree in HARMLESS_READ_ONLY):
        return "harmless"
    if any(_within(path, tree) and not _within(own, tree) for tree in SENSITIVE_TREES):
        return "sensitive"
    if _within(path, own):
        return "inside"
    named = SENSITIVE_PARTS & set(path.split("/"))
    return "sensitive" if named or any(_within(path, tree) for tree in SENSITIVE_TREES) else "outside"


def _normal(base: str, path: str) -> str:
    return "/" + normpath(join(base, path)).lstrip("/")


def _within(path: str, tree: str) -> bool:
    return path == tree or path.startswith(tree.rstrip("/") + "/")


def _judge_place(findings: Findings, service: str, path: str, source: str, place: Place) -> None:
    if place in _NEEDS:
        word, why = _NEEDS[place]
        needs(findings, service, word, path, f"`{source}` {why}")


def judge_source_file(findings: Findings, service: str, path: str, source: Any) -> None:
    """Refuse a secret's or config's file that the service has no word for."""
    if not isinstance(source, str):
        findings.refuse(path, "it must be the path of a file")
        return
    place = classify(source, findings.rules.root, read_only=True)
    _judge_place(findings, service, path, source, place)


def lay_mounts(case: Case, value: Any) -> Any:
    """The mounts of a service in long form, each judged.

    A short `./folder:/path` keeps Compose's way of making the folder where it is missing; a hole never
    does, since its folder must have been made with its owner beforehand.
    """
    if not isinstance(value, list):
        case.refuse("volumes", "`volumes` must be a list")
        return None
    mounts = []
    for place, entry in entries(value):
        mount = _read(case, f"volumes{place}", entry)
        if mount is not None:
            _judge(case, f"volumes{place}", mount)
            mounts.append(mount)
    return mounts


def _read(case: Case, at: str, entry: Any) -> dict[str, Any] | None:
    if isinstance(entry, str):
        return _read_short(case, at, entry)
    if not isinstance(entry, dict) or not isinstance(entry.get("target"), str):
        case.refuse(at, "a mount needs a `target`", "write `source:/path/in/container`, or the long form")
        return None
    mount = dict(entry)
    if str(mount.get("type")) not in _TYPES:
        case.refuse(f"{at}.type", f"a mount's type must be one of {', '.join(sorted(_TYPES))}")
        return None
    for key in ("bind", "volume", "tmpfs", "image"):
        if key in mount and not isinstance(mount[key], dict):
            case.refuse(f"{at}.{key}", f"`{key}` must be a mapping")
            return None
    if mount["type"] == "bind" and not isinstance(mount.get("source"), str):
        case.refuse(at, "a bind mount needs a `source`")
        return None
    return mount


def _read_short(case: Case, at: str, text: str) -> dict[str, Any] | None:
    parts = _split(text)
    if not 1 <= len(parts) <= 3 or not all(parts):
        case.refuse(
            at, f"`{text}` is no mount", "write `source:/path/in/container`, with `:ro` where it is read only"
        )
        return None
    if len(parts) == 1:
        return {"type": "volume", "target": parts[0]}
    source, target = parts[:2]
    kind = "bind" if source[0] in "./~" or split_path_hole(source) else "volume"
    mount: dict[str, Any] = {"type": kind, "source": source, "target": target}
    if kind == "bind":
        mount["bind"] = {"create_host_path": split_path_hole(source) is None}
    for option in parts[2].split(",") if len(parts) == 3 else ():
        if not _apply_option(mount, option):
            case.refuse(
                at, f"`{option}` is no option of a mount", "there are ro, rw, z, Z, nocopy and propagations"
            )
    return mount


def _split(text: str) -> list[str]:
    """Cut at the colons that are not a hole's own."""
    holes = [match[0] for match in HOLE.finditer(text)]
    parts = HOLE.sub("\0", text).split(":")
    return ["".join(holes.pop(0) if letter == "\0" else letter for letter in part) for part in parts]


def _apply_option(mount: dict[str, Any], option: str) -> bool:
    if option == "ro":
        mount["read_only"] = True
    elif option in ("z", "Z") and mount["type"] == "bind":
        mount["bind"]["selinux"] = option
    elif option in _PROPAGATIONS and mount["type"] == "bind":
        mount["bind"]["propagation"] = option
    elif option == "nocopy":
        mount.setdefault("volume", {})["nocopy"] = True
    elif option in _CONSISTENCIES:
        mount["consistency"] = option
    else:
        return option in ("rw", "z", "Z")
    return True


def _judge(case: Case, at: str, mount: Mapping[str, Any]) -> None:
    source = mount.get("source")
    if source is not None and not isinstance(source, str):
        case.refuse(f"{at}.source", "a mount's source must be text")
    elif mount["type"] == "bind":
        place = classify(str(source), case.rules.root, read_only=mount.get("read_only") is True)
        _judge_place(case.findings, case.name, f"{case.path}.{at}", str(source), place)
    elif mount["type"] == "volume" and source:
        _judge_volume(case, at, source)
    propagation = mount.get("bind", {}).get("propagation")
    if propagation and str(propagation) not in _PRIVATE:
        case.needs("shared-propagation", at, f"propagation `{propagation}` passes mounts to or from the host")


def _judge_volume(case: Case, at: str, source: str) -> None:
    if "$" in source or "/" in source:
        case.refuse(
            f"{at}.source", f"`{source}` cannot be the name of a volume", "declare it under `volumes:`"
        )
        return
    volumes = case.document.get("volumes")
    if not isinstance(volumes, dict) or source not in volumes:
        case.refuse(
            at, f"no volume `{source}` is declared", f"write `volumes: {{{source}: {{}}}}` at the top"
        )


def judge_volumes_from(case: Case, value: Any) -> Any:
    """Let a service take over another's mounts only where it holds the same words for mounts."""
    services = case.document.get("services") or {}
    for place, entry in entries(value):
        source = str(entry).split(":")[0]
        at = f"volumes_from{place}"
        if str(entry).startswith("container:") or source not in services:
            case.needs(
                "outside-mount", at, f"`{entry}` takes over the mounts of a container that is not ours"
            )
            continue
        for word in MOUNT_WORDS:
            if granted(case.rules, source, word) and not case.granted(word):
                case.needs(word, at, f"`{source}` holds `{word}`, and its mounts come along")
    return value


def judge_volume_options(case: Case, name: str, volume: Mapping[str, Any]) -> None:
    """Judge a named volume's driver as a mount of a service that uses it."""
    path = f"volumes.{name}"
    driver, options = volume.get("driver"), volume.get("driver_opts") or {}
    if driver not in (None, "", "local"):
        message = f"the volume driver `{driver}` keeps data where stackctl cannot see it"
        needs(case.findings, case.name, "outside-mount", f"{path}.driver", message)
    if not isinstance(options, dict) or not options:
        return
    device, flags = str(options.get("device", "")), str(options.get("o", "")).split(",")
    bind = "bind" in flags or "rbind" in flags
    if options.get("type") == "tmpfs" and not bind and "$" not in str(options.get("o", "")):
        return
    place = classify(device, case.rules.root, read_only=bind and "ro" in flags)
    if place not in _NEEDS and not (bind and device.startswith(("/", "$"))):
        place = "outside"
    _judge_place(case.findings, case.name, f"{path}.driver_opts", device, place)
