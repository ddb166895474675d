"""What docker's API says, as the core's facts; a field that is missing or odd becomes the fact's default."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from stackctl.core.facts import (
    AppliedLimits,
    Container,
    EngineFacts,
    Event,
    Image,
    Network,
    PublishedPort,
    Volume,
)
from stackctl.core.names import short_hash

STDOUT, STDERR = 1, 2
UNLIMITED = -1
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?")
_COMPOSE = "com.docker.compose."
_ANONYMOUS = "com.docker.volume.anonymous"


def parse_time(text: Any) -> float:
    """Seconds since the epoch of a time with up to nine decimals; 0 for docker's year 1 and what is no time.

    A time without a zone counts as UTC.
    """
    match = _TIME.match(text) if isinstance(text, str) else None
    if not match or match[1].startswith("0001-"):
        return 0.0
    try:
        moment = datetime.fromisoformat(match[1]).replace(tzinfo=timezone.utc)
    except ValueError:
        return 0.0
    return (moment - _offset(match[3] or "Z")).timestamp() + float(match[2] or 0)


def _offset(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta()
    size = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return -size if zone[0] == "-" else size


def parse_engine(raw: Mapping[str, Any], *, host: str, local: bool, compose_version: str = "") -> EngineFacts:
    """Read `GET /info`, which is also what `docker info --format '{{json .}}'` prints.

    Args:
        raw: The answer.
        host: The address that was asked.
        local: Whether its containers' processes were found to be this machine's.
        compose_version: Compose's version when it is known already.
    """
    options = " ".join(map(str, _list(raw, "SecurityOptions")))
    return EngineFacts(
        id=_engine_id(raw),
        host=host,
        local=local,
        version=_text(raw, "ServerVersion"),
        compose_version=compose_version,
        operating_system=_text(raw, "OperatingSystem"),
        cgroup_version=_text(raw, "CgroupVersion") or "1",
        cgroup_driver=_text(raw, "CgroupDriver") or "cgroupfs",
        rootless="name=rootless" in options or bool(raw.get("Rootless")),
        cpus=_number(raw, "NCPU") or 1,
        memory=_number(raw, "MemTotal"),
        system_time=parse_time(raw.get("SystemTime")),
        memory_limit=bool(raw.get("MemoryLimit")),
        swap_limit=bool(raw.get("SwapLimit")),
        pids_limit=bool(raw.get("PidsLimit")),
        cpu_quota=bool(raw.get("CpuCfsQuota", raw.get("CPUCfsQuota"))),
        data_root=_text(raw, "DockerRootDir"),
        warnings=tuple(map(str, _list(raw, "Warnings"))),
    )


def _engine_id(raw: Mapping[str, Any]) -> str:
    """What tells one engine from another; Podman makes up an id for each answer, so it gets one of ours."""
    if "BuildahVersion" not in raw:
        return _text(raw, "ID")
    return f"podman-{short_hash(chr(0).join((_text(raw, 'Name'), _text(raw, 'DockerRootDir'))), 12)}"


def parse_container(raw: Mapping[str, Any]) -> Container:
    """Read one answer of `GET /containers/{id}/json`."""
    state, host, config = _map(raw, "State"), _map(raw, "HostConfig"), _map(raw, "Config")
    labels = {str(name): str(value) for name, value in _map(config, "Labels").items()}
    policy = _map(host, "RestartPolicy")
    return Container(
        id=_text(raw, "Id"),
        name=_text(raw, "Name").lstrip("/"),
        image=_text(config, "Image"),
        image_id=_text(raw, "Image"),
        project=labels.get(f"{_COMPOSE}project", ""),
        service=labels.get(f"{_COMPOSE}service", ""),
        number=_whole(labels.get(f"{_COMPOSE}container-number"), 1),
        state=_text(state, "Status") or "created",
        health=_health(state),
        exit_code=_number(state, "ExitCode"),
        oom_killed=bool(state.get("OOMKilled")),
        created=parse_time(raw.get("Created")),
        started=parse_time(state.get("StartedAt")),
        finished=parse_time(state.get("FinishedAt")),
        restart_count=_number(raw, "RestartCount"),
        restart_policy=_text(policy, "Name") or "no",
        pid=_number(state, "Pid"),
        stop_signal=_text(config, "StopSignal"),
        stop_timeout=_number(config, "StopTimeout") if config.get("StopTimeout") is not None else None,
        one_off=labels.get(f"{_COMPOSE}oneoff", "").lower() == "true",
        config_hash=labels.get(f"{_COMPOSE}config-hash", ""),
        limits=parse_limits(host),
        ports=tuple(_ports(raw)),
        networks=_addresses(raw),
        mounts=tuple(_mounts(raw)),
        labels=labels,
    )


def parse_limits(host: Mapping[str, Any]) -> AppliedLimits:
    """Read the limits of a HostConfig; what docker leaves at zero is unlimited."""
    nano, quota, period = _number(host, "NanoCpus"), _number(host, "CpuQuota"), _number(host, "CpuPeriod")
    cpus = nano / 1e9 if nano > 0 else quota / (period or 100_000) if quota > 0 else float(UNLIMITED)
    return AppliedLimits(
        pids=_limit(host, "PidsLimit"),
        memory=_limit(host, "Memory"),
        swap=_limit(host, "MemorySwap"),
        cpus=cpus,
    )


def parse_network(raw: Mapping[str, Any]) -> Network:
    """Read one answer of `GET /networks/{id}`."""
    ranges = [one for one in _list(_map(raw, "IPAM"), "Config") if isinstance(one, Mapping)]
    return Network(
        id=_text(raw, "Id"),
        name=_text(raw, "Name"),
        created=parse_time(raw.get("Created")),
        subnets=tuple(_text(one, "Subnet") for one in ranges if _text(one, "Subnet")),
        gateway=next((_text(one, "Gateway") for one in ranges if _text(one, "Gateway")), ""),
        members=tuple(sorted(map(str, _map(raw, "Containers")))),
        labels=_labels(raw),
    )


def parse_volume(raw: Mapping[str, Any]) -> Volume:
    """Read one element of `GET /volumes`; engines before 23 do not mark anonymous ones, their names do."""
    name, labels = _text(raw, "Name"), _labels(raw)
    nameless = not labels and re.fullmatch(r"[0-9a-f]{64}", name) is not None
    return Volume(
        name=name,
        driver=_text(raw, "Driver") or "local",
        anonymous=_ANONYMOUS in labels or nameless,
        labels=labels,
    )


def parse_image(raw: Mapping[str, Any], reference: str) -> Image:
    """Read one answer of `GET /images/{name}/json`, asked for by `reference`."""
    config = _map(raw, "Config")
    return Image(
        id=_text(raw, "Id"),
        reference=reference,
        digests=tuple(map(str, _list(raw, "RepoDigests"))),
        volumes=tuple(sorted(map(str, _map(config, "Volumes")))),
        user=_text(config, "User"),
        ports=tuple(sorted(map(str, _map(config, "ExposedPorts")))),
        stop_signal=_text(config, "StopSignal"),
    )


def parse_event(raw: Mapping[str, Any]) -> Event | None:
    """Read one line of `GET /events`; None when it does not say what happened to what."""
    actor, moment = _map(raw, "Actor"), raw.get("timeNano")
    kind, action = _text(raw, "Type"), _text(raw, "Action").partition(":")[0].strip()
    if not kind or not action or not _text(actor, "ID"):
        return None
    return Event(
        at=moment / 1e9 if isinstance(moment, int) else float(_number(raw, "time")),
        kind=kind,
        action=action,
        id=_text(actor, "ID"),
        signal=_text(actor, "Attributes", "signal") if action == "kill" else "",
    )


def parse_log(data: bytes) -> str:
    """Read a log answer as text, as `log_bytes`."""
    return log_bytes(data).decode(errors="replace")


def log_bytes(data: bytes) -> bytes:
    """Read a log answer: frames of stdout and stderr, or raw bytes where the container has a terminal."""
    return b"".join(part for _, part in frames(data))


def frames(data: bytes) -> tuple[tuple[int, bytes], ...]:
    """What was written, in order: (1 for standard output, 2 for standard error; bytes); 1 for raw bytes."""
    parts, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        if data[at] > STDERR or data[at + 1 : at + 4] != b"\0\0\0":
            return ((STDOUT, data),)
        parts.append((data[at], data[at + 8 : at + 8 + size]))
        at += 8 + size
    return tuple(parts)


def _health(state: Mapping[str, Any]) -> str:
    status = _text(_map(state, "Health"), "Status")
    return "" if status == "none" else status


def _ports(raw: Mapping[str, Any]) -> Iterator[PublishedPort]:
    """What is bound while it runs, else what it asked for; and what it merely exposes."""
    exposed = _map(_map(raw, "Config"), "ExposedPorts")
    bound = _map(_map(raw, "NetworkSettings"), "Ports") or _map(_map(raw, "HostConfig"), "PortBindings")
    for key in sorted({*exposed, *bound}):
        number, _, protocol = key.partition("/")
        bindings = bound.get(key) or [{}]
        for one in bindings if number.isdigit() else ():
            yield PublishedPort(
                container_port=int(number),
                protocol=protocol or "tcp",
                host_ip=_text(one, "HostIp"),
                host_port=_whole(_text(one, "HostPort"), 0),
            )


def _addresses(raw: Mapping[str, Any]) -> dict[str, str]:
    networks = _map(_map(raw, "NetworkSettings"), "Networks")
    return {name: _text(networks, name, "IPAddress") for name in networks}


def _mounts(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for one in _list(raw, "Mounts"):
        if isinstance(one, Mapping):
            source = _text(one, "Name") if one.get("Type") == "volume" else _text(one, "Source")
            yield _text(one, "Type"), source, _text(one, "Destination")


def _labels(raw: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in _map(raw, "Labels").items()}


def _limit(host: Mapping[str, Any], name: str) -> int:
    value = _number(host, name)
    return value if value > 0 else UNLIMITED


def _map(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = raw.get(name)
    return found if isinstance(found, Mapping) else {}


def _list(raw: Mapping[str, Any], name: str) -> list[Any]:
    found = raw.get(name)
    return found if isinstance(found, list) else []


def _text(raw: Mapping[str, Any], *names: str) -> str:
    found: Any = raw
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""


def _number(raw: Mapping[str, Any], name: str) -> int:
    found = raw.get(name)
    return int(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else 0


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() else default
