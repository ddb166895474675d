"""`url` and `env`: where an environment is reached; the two commands that show secrets."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import click

from stackctl.cli.command import command, instance_option, name_or_folder
from stackctl.cli.inside import containers_of
from stackctl.cli.views import reach_data
from stackctl.cli.words import named, not_running
from stackctl.core.errors import ServiceFailed
from stackctl.ops.naming import known_service
from stackctl.ops.reaching import Address, addresses, first_address, secret_values, variables, way_words

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.core.records import EnvironmentRecord


@command("url")
@name_or_folder
@click.argument("service", required=False, default="")
@instance_option
@click.option(
    "--from",
    "where",
    type=click.Choice(["host", "container", "isolated"]),
    default="host",
    help="As seen from this host, from a container on its network, or from one on no shared network.",
)
def url_command(session: Session, name: str | None, service: str, instance: str, where: str) -> None:
    """Print where an environment, or one of its services, is reached, passwords included."""
    record, left = session.aimed(name, [service] if service else [], instance)
    service = left[0] if left else ""
    if service:
        known_service(record, service)
    found = found_addresses(session, record)
    if where == "isolated" and not service:
        found = tuple(one for one in found if one.isolated) or found
    address = first_address(found, named(record), service)
    url = {"host": address.host, "container": address.container, "isolated": address.isolated}[where]
    if not url:
        raise _unreached(record, address, where)
    session.output.result({"service": address.service, "from": where, "url": url, **reach_data(address)})
    session.output.line(url)
    if where == "host" and (way := way_words(record, [address])):
        session.output.note(way)


def _unreached(record: EnvironmentRecord, address: Address, where: str) -> ServiceFailed:
    inside = f"`stackctl url {named(record)} {address.service} --from container`"
    if where == "host":
        message = f"`{address.service}` publishes no port to this host"
        return ServiceFailed(message, hint=f"containers reach it: {inside}")
    message = f"`{address.service}` is not reached from containers on other networks"
    if not address.sidecar:
        return ServiceFailed(
            message, hint=f"sidecars can be; containers on its own network reach it: {inside}"
        )
    if record.task is not None:
        reach = f"begin the task with `--reach {address.service}=isolated`"
        return ServiceFailed(message, hint=f"{reach}; containers on its own network reach it: {inside}")
    return ServiceFailed(
        message, hint=f"`reach: [isolated]` in the stack file and `stackctl up {named(record)}` make it so"
    )


def found_addresses(session: Session, record: EnvironmentRecord) -> tuple[Address, ...]:
    """Every address of a running environment, with its secrets.

    Raises:
        ServiceFailed: Nothing of it is running.
    """
    if record.on_swarm:
        from stackctl.ops.swarm_looking import look_at_swarm
        from stackctl.ops.swarm_status import swarm_addresses

        scene = look_at_swarm(session.context, record.project, record)
        return swarm_addresses(record, scene, secret_values(session.context, record))
    containers = containers_of(session, record)
    if not containers:
        raise ServiceFailed(f"nothing of `{named(record)}` is running", hint=not_running(record))
    return addresses(record, containers, secret_values(session.context, record))


@command("env")
@name_or_folder
@instance_option
@click.option(
    "--format",
    "style",
    type=click.Choice(["shell", "dotenv", "json"]),
    default="shell",
    help='For `eval "$(stackctl env NAME)"`, a .env file, or a program.',
)
def env_command(session: Session, name: str | None, instance: str, style: str) -> None:
    """Print an environment's variables as seen from this host, passwords included.

    Each service gives NAME_URL, NAME_HOST and NAME_PORT, each sidecar also its own, such as DATABASE_URL.
    """
    record = session.environment(name, instance)
    found = found_addresses(session, record)
    values = variables(record, found)
    if way := way_words(record, found):
        session.output.note(way)
    session.output.result(values)
    session.output.line(formatted(values, style))


def formatted(values: dict[str, str], style: str) -> str:
    """Variables in one of the three styles."""
    if style == "json":
        return json.dumps(values, indent=2)
    if style == "dotenv":
        from stackctl.core.dotenv import dotenv

        return dotenv(values).rstrip("\n")
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())
