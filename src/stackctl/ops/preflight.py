"""What must hold before docker makes anything: controllers, the host's size, images and their volumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from stackctl.core.coverage import uncovered
from stackctl.core.errors import EngineRefused, LimitsUnenforced, PolicyError
from stackctl.core.labels import PREFIX
from stackctl.core.units import show_size

if TYPE_CHECKING:
    from stackctl.core.facts import EngineFacts, Image
    from stackctl.core.records import ServiceRecord
    from stackctl.ops.context import Context
    from stackctl.ops.looking import Scene
    from stackctl.ops.preparing import Prepared

COMPOSE_PROJECT = "com.docker.compose.project"
"""The label by which Compose takes a container for one of its own."""


CPU_OVERCOMMIT = 8
"""Sum of the cpus over the host's own beyond which it is said: eight services that may have all of it."""


def preflight(context: Context, scene: Scene, prepared: Prepared, *, pull: bool) -> None:
    """Check an environment against its engine and host, and fetch the images that are missing.

    Raises:
        LimitsUnenforced: The engine cannot enforce a limit at all.
        EngineRefused: Compose would replace a container that is not this environment's.
        ImageMissing: An image cannot be had.
        PolicyError: An image keeps data where no mount covers it, in a template of ours.
    """
    check_controllers(scene.facts)
    suggest = f"`stackctl limits {prepared.stack.name} --suggest` proposes limits from what they used"
    for sentence in host_warnings(scene.facts, prepared.bounded.services, suggest):
        context.progress.warn(sentence)
    for stranger in scene.strangers:
        context.progress.warn(f"`{stranger}` claims to be of this environment and is not; it is left alone")
    check_in_the_way(context, scene, prepared.bounded.services)
    images = fetch_images(context, prepared.bounded.document, pull=pull)
    problems = uncovered(prepared.bounded.document, images)
    if problems and not prepared.stack.compose:
        raise PolicyError(f"{prepared.found.source}: data would be lost on `down`", problems=problems)
    for one in problems:  # to Compose it is nothing wrong, and a cache or a migration has nothing to keep
        context.progress.warn(f"`{one.service}`: {one.message}")


def check_in_the_way(context: Context, scene: Scene, services: Mapping[str, ServiceRecord]) -> None:
    """Say who carries Compose's labels for one of our services: Compose would replace it, whosever it is.

    Raises:
        EngineRefused: There is one; the message names it.
    """
    ours = {container.id for container in scene.containers}
    labelled = context.engine.containers({COMPOSE_PROJECT: scene.project})
    strangers = [
        one for one in labelled if one.id not in ours and not one.one_off and one.service in services
    ]
    if not strangers:
        return
    names = ", ".join(sorted(f"`{one.name}`" for one in strangers))
    hint = (
        f"`docker compose -p {scene.project} down` ends what was started without stackctl, as from `eject`"
        if not any(f"{PREFIX}project" in one.labels for one in strangers)
        else f"`stackctl adopt {scene.project}` takes on what was forgotten and "
        f"`stackctl reap --force {scene.project}` ends it; remove what is somebody else's by hand"
    )
    raise EngineRefused(
        f"{names} is labelled as a service of `{scene.project}`, and nothing proves that it is its own",
        hint=hint,
    )


def check_controllers(facts: EngineFacts) -> None:
    """Say which limit the engine cannot enforce.

    Raises:
        LimitsUnenforced: At least one controller is missing.
    """
    missing = [
        name
        for name, there in (
            ("memory", facts.memory_limit),
            ("pids", facts.pids_limit),
            ("cpu", facts.cpu_quota),
        )
        if not there
    ]
    if missing:
        raise LimitsUnenforced(
            f"the engine at {facts.host} cannot limit {' and '.join(missing)}",
            hint="`stackctl doctor` says how to switch the cgroup controllers on",
        )


def host_warnings(
    facts: EngineFacts,
    services: Mapping[str, ServiceRecord],
    advice: str = "set limits.memory lower in the stack file",
    lower: Callable[[str], str] = "set services.{}.limits.memory lower".format,
) -> list[str]:
    """What is asked for and the host does not have; rendering never depends on it, so it is only said.

    Memory that is not there ends processes. Time of a processor that is not there only slows them down, and
    nobody needs all of it at once, so that is said from `CPU_OVERCOMMIT` times the host's on.

    Args:
        advice: What to do where the services are too large together.
        lower: What to do where one service alone is, by its name.
    """
    found = []
    for name, service in sorted(services.items()):
        if facts.memory and service.memory > facts.memory:
            found.append(
                f"`{name}` may use {show_size(service.memory)} and the host has {show_size(facts.memory)}: "
                f"{lower(name)}"
            )
    beyond = [*_memory_beyond(facts, services), *_cpus_beyond(facts, services)]
    if len(services) > 1 and beyond:
        found = [f"the services together may use {', and '.join(beyond)}: {advice}"]
    return found


def _memory_beyond(facts: EngineFacts, services: Mapping[str, ServiceRecord]) -> list[str]:
    whole = sum(service.memory * service.replicas for service in services.values())
    if not facts.memory or whole <= facts.memory:
        return []
    return [f"{show_size(whole)} and the host has {show_size(facts.memory)}"]


def _cpus_beyond(facts: EngineFacts, services: Mapping[str, ServiceRecord]) -> list[str]:
    whole = sum(min(service.cpus, facts.cpus) * service.replicas for service in services.values())
    if whole <= facts.cpus * CPU_OVERCOMMIT:
        return []
    return [f"{whole:g} cpus and it has {facts.cpus}"]


def fetch_images(context: Context, document: Mapping[str, Any], *, pull: bool) -> dict[str, Image | None]:
    """Every image that the document names and does not build, pulled where the engine lacks it.

    Raises:
        ImageMissing: Neither the engine nor a registry has it.
    """
    references = sorted(
        {s["image"] for s in document["services"].values() if s.get("image") and "build" not in s}
    )
    images = dict(context.engine.images(references))
    wanted = [reference for reference in references if pull or images.get(reference) is None]
    for reference in wanted:
        context.progress.step(f"pulling {reference}")
        context.engine.pull(reference, context.progress.step)
    if wanted:
        images.update(context.engine.images(wanted))
    return images
