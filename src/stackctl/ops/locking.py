"""`lock`: digests of images from their registries, hashes of what a stack is made from; what is stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackctl.core.errors import EngineRefused, PolicyError, Problem, StackctlError, TimedOut, UnknownName
from stackctl.core.lockfile import Lock, Pin, Stale, lock_of, lock_text, own_digest, stale
from stackctl.core.names import nearest
from stackctl.ops.lock_files import own_lock_path, shown_lock, write_lock
from stackctl.ops.lock_inputs import read_inputs

if TYPE_CHECKING:
    from stackctl.core.composefiles import Reader
    from stackctl.core.facts import Image
    from stackctl.core.stack import Configuration
    from stackctl.ops.context import Progress
    from stackctl.ops.preparing import Prepared
    from stackctl.ops.protocols import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """What `lock` did.

    Args:
        path: The file, as messages have it.
        asked: The images whose digests were asked for; those of the others stood in the lock.
        written: False when every byte was there already.
    """

    path: str
    lock: Lock
    asked: tuple[str, ...]
    written: bool


def lock(
    prepared: Prepared,
    *,
    engine: Engine,
    progress: Progress,
    configuration: Configuration,
    compose: Reader | None,
    version: str,
    update: Sequence[str] | None = None,
) -> Locked:
    """Write the lock of a stack; digests that stand in it stay, unless they are to be updated.

    Args:
        version: Of stackctl.
        update: Images whose digests are asked for anew, empty for all; None for none.

    Raises:
        UsageError: The stack came with stackctl, or an image to be updated is not used.
        EngineRefused, TimedOut: A digest is neither to be had from the registry nor from the engine; nothing
            was written.
    """
    path = own_lock_path(prepared.found)
    inputs = read_inputs(prepared, configuration, compose)
    used = sorted(set(prepared.references.values()))
    kept = _kept(prepared, used, update)
    asked = [image for image in used if image not in kept]
    pins = {**kept, **resolve(asked, engine, progress)}
    made = lock_of(
        prepared.bounded.document,
        prepared.rendered.files,
        prepared.references,
        pins,
        inputs,
        of=_of(prepared),
        tool=version,
    )
    written = write_lock(path, lock_text(made))
    return Locked(path=shown_lock(prepared.found), lock=made, asked=tuple(asked), written=written)


def _of(prepared: Prepared) -> str:
    return prepared.found.path.name if prepared.found.path is not None else ""


def _kept(prepared: Prepared, used: Sequence[str], update: Sequence[str] | None) -> dict[str, Pin]:
    pins = prepared.lock.images if prepared.lock else {}
    kept = {image: pins[image] for image in used if image in pins}
    if update is None:
        return kept
    chosen = {image for word in update for image in _meant(word, used)} or set(used)
    return {image: pin for image, pin in kept.items() if image not in chosen}


def _meant(word: str, used: Sequence[str]) -> list[str]:
    """The images that a word names: one as written, or all of a repository."""
    found = [image for image in used if image == word or repository(image) == word]
    if not found:
        near = nearest(word, used) or used
        raise UnknownName(
            f"the stack has no image `{word}`", hint=f"its images are {', '.join(near) or 'all built here'}"
        )
    return found


def repository(reference: str) -> str:
    """An image's reference without its tag and digest."""
    name = reference.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def resolve(images: Sequence[str], engine: Engine, progress: Progress) -> dict[str, Pin]:
    """The digest of each image, from its registry, else from the engine that pulled it once.

    Raises:
        EngineRefused, TimedOut: For one of them there is none; the error names each.
    """
    found: dict[str, Pin] = {}
    failures: list[tuple[str, StackctlError]] = []
    for image in images:
        progress.step(f"asking for the digest of {image}")
        try:
            found[image] = _digest(image, engine, progress)
        except (EngineRefused, TimedOut) as error:
            failures.append((image, error))
    if len(failures) == 1:
        raise failures[0][1]
    if failures:
        problems = tuple(Problem(path=image, message=str(error)) for image, error in failures)
        hint = next((hint for _, error in failures for hint in error.hints), "")
        raise EngineRefused(f"{len(failures)} images have no digest", hint=hint, problems=problems)
    return found


def _digest(image: str, engine: Engine, progress: Progress) -> Pin:
    own = own_digest(image)
    if own:
        return Pin(digest=own, origin="reference")
    try:
        digest = engine.registry_digest(image)
        if digest:
            return Pin(digest=digest, origin="registry")
        error: StackctlError = EngineRefused(f"the registry of `{image}` says no digest of it")
    except (EngineRefused, TimedOut) as refusal:
        error = refusal
    local = local_digest(image, engine.images([image])[image])
    if not local:
        hint = "pull or push it, so that a registry knows it, or build it by a `build:` section"
        raise type(error)(f"`{image}` has no digest: {error.message}", hint=hint) from None
    progress.warn(f"the digest of `{image}` is the engine's own, not its registry's: {error.message}")
    return Pin(digest=local, origin="engine")


def local_digest(reference: str, image: Image | None) -> str:
    """The digest by which the engine pulled an image from the repository of this reference; else empty."""
    name = repository(reference)
    digests = dict(one.split("@", 1) for one in image.digests if "@" in one) if image else {}
    return digests.get(name) or digests.get(name.removeprefix("docker.io/").removeprefix("library/"), "")


def staleness(
    prepared: Prepared, *, configuration: Configuration, compose: Reader | None, version: str
) -> tuple[Stale, ...]:
    """What is no longer as the stack's lock has it; empty when it holds, or when there is none.

    Args:
        compose: Reads compose files; None where the stack has none of its own.

    Raises:
        StackFileError: A file that the stack is made from cannot be read.
    """
    if prepared.lock is None:
        return ()
    now = lock_of(
        prepared.bounded.document,
        prepared.rendered.files,
        prepared.references,
        prepared.lock.images,
        read_inputs(prepared, configuration, compose),
        of=_of(prepared),
        tool=version,
    )
    return stale(prepared.lock, now, set(prepared.references.values()))


def heed(
    prepared: Prepared,
    frozen: bool,
    *,
    progress: Progress,
    configuration: Configuration,
    compose: Reader | None,
    version: str,
    again: str,
) -> None:
    """Before `up`: warn of a stale lock; where it is to be frozen, refuse one, and a missing one.

    Args:
        compose: As `staleness`.
        again: The command that writes the lock.

    Raises:
        PolicyError: With `frozen`, there is no lock, or it is stale; the message names each thing.
    """
    if prepared.lock is None and not frozen:
        return
    found = staleness(prepared, configuration=configuration, compose=compose, version=version)
    if frozen:
        _check_frozen(prepared, found, again)
    elif found:
        things = "; ".join(map(str, found))
        progress.warn(
            f"{shown_lock(prepared.found)} is stale, and its digests are used as far as they go: {things}; "
            f"`{again}` renews it"
        )


def _check_frozen(prepared: Prepared, found: Sequence[Stale], again: str) -> None:
    path = shown_lock(prepared.found)
    if prepared.lock is None:
        raise PolicyError(f"{path} is missing, and --frozen runs only what is locked", hint=f"run `{again}`")
    if found:
        problems = tuple(Problem(path=one.kind, message=one.what) for one in found)
        raise PolicyError(f"{path} is stale", hint=f"run `{again}` and look at its diff", problems=problems)


def pins_by_name(pins: Mapping[str, Pin]) -> dict[str, dict[str, str]]:
    """Pins as plain data, for JSON."""
    return {name: {"digest": pin.digest, "from": pin.origin} for name, pin in sorted(pins.items())}
