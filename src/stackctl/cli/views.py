"""Environments as plain data for `--json`; secrets are masked in all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stackctl.core.facts import PublishedPort
    from stackctl.core.heartbeat import Standing
    from stackctl.core.records import EnvironmentRecord
    from stackctl.core.world import Stray
    from stackctl.ops.acting import Outcome
    from stackctl.ops.reaching import Address
    from stackctl.ops.status import EnvironmentView, ServiceView


def environment_data(view: EnvironmentView) -> dict[str, Any]:
    """One environment with its services."""
    from stackctl.ops.reaching import way_there  # here, since a list of environments does without

    return {
        **record_data(view.record, view.left),
        "healthy": view.healthy,
        "services": {
            service.name: {**service_data(service), "peak": _peak(view, service.name)}
            for service in view.services
        },
        "strangers": list(view.strangers),
        "tunnel": way_there(view.record, _all_addresses(view)),
        "tasks": [
            {"service": t.service, "node": t.node, "state": t.words, "why": t.error, "container": t.container}
            for t in view.tasks
        ],
    }


def _all_addresses(view: EnvironmentView) -> list[Address]:
    return [address for service in view.services for address in service.addresses]


def tunnel_words(view: EnvironmentView) -> str:
    """How ports of another machine are reached from here; empty where that takes nothing."""
    from stackctl.ops.reaching import way_words

    return way_words(view.record, _all_addresses(view))


def _peak(view: EnvironmentView, service: str) -> dict[str, int | None]:
    found = view.peaks.get(service, {})
    return {"pids": found.get("pids"), "memory_bytes": found.get("memory")}


def record_data(record: EnvironmentRecord, left: float) -> dict[str, Any]:
    """What is remembered of an environment."""
    return {
        "project": record.project,
        "stack": record.stack,
        "instance": record.instance,
        "phase": record.phase,
        "root": record.root,
        "stack_file": record.stack_file,
        "generation": record.generation,
        "engine": record.engine,
        "engine_host": record.engine_host,
        "orchestrator": record.orchestrator or None,
        "created": record.created,
        "lifetime_seconds": record.lifetime,
        "left_seconds": round(left, 1),
        "limits_verified": record.verified,
        "ended": {
            "reason": record.ending.reason,
            "at": record.ending.at,
            "incident": record.ending.incident or None,
        }
        if record.ending
        else None,
        "restarts": {service: len(times) for service, times in record.restarts.items()},
        "halted": list(record.halted),
        "warnings": list(record.warnings),
    }


def service_data(service: ServiceView) -> dict[str, Any]:
    """One service: state, limits, thresholds, usage, addresses."""
    asked, usage = service.asked, service.usage
    return {
        "state": service.words,
        "standing": service.standing,
        "sidecar": asked.sidecar,
        "limits": {
            "pids": asked.pids,
            "memory_bytes": asked.memory,
            "swap_bytes": asked.swap,
            "cpus": asked.cpus,
        },
        "thresholds": dict(asked.watchdog),
        "usage": {"pids": usage.pids, "memory_bytes": usage.memory, "cpus": usage.cpu},
        "containers": list(service.containers),
        "addresses": [address_data(address) for address in service.addresses],
        "ports": [port_data(port) for port in service.ports],
        "urls": [address.host for address in service.addresses if address.host],
        "reach": next((reach_data(one) for one in service.addresses if one.sidecar), None),
    }


def port_data(port: PublishedPort) -> dict[str, Any]:
    """One port that a container publishes, of whatever protocol."""
    return {
        "container_port": port.container_port,
        "protocol": port.protocol,
        "host_ip": port.host_ip,
        "host_port": port.host_port,
    }


def address_data(address: Address) -> dict[str, Any]:
    """One port of a service."""
    return {
        "port": address.port,
        "host_ip": address.host_ip,
        "host_port": address.host_port,
        "host": address.host,
        "container": address.container,
        "isolated": address.isolated,
        "tunnelled": address.tunnelled,
    }


def reach_data(address: Address) -> dict[str, str | int | None]:
    """Where one port is reached, in parts: from the host, and from a container on no shared network."""
    return {
        "host": address.host_address or None,
        "container_host": address.container_host or None,
        "port": address.host_port or None,
        "container_port": address.port,
    }


def outcome_data(outcome: Outcome) -> dict[str, Any]:
    """How an act went."""
    return {
        **outcome.action.plain(),
        "result": outcome.result,
        "words": outcome.words,
        "incident": outcome.incident,
        "seconds": round(outcome.took, 3),
    }


def stray_data(stray: Stray) -> dict[str, str]:
    """An object that nothing vouches for."""
    return {
        "kind": stray.kind,
        "id": stray.id,
        "name": stray.name,
        "project": stray.project,
        "why": stray.why,
    }


def standing_data(found: Standing) -> dict[str, Any]:
    """How the supervisor stands."""
    return {
        "alive": found.alive,
        "sound": found.sound,
        "stale": found.stale,
        "pid": found.holder.pid if found.holder else None,
        "age_seconds": round(found.age, 2) if found.beat else None,
        "heartbeat": found.beat.plain() if found.beat else None,
    }
