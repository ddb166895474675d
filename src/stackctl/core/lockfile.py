"""The lock of a stack: the digest of every image, and hashes of all that its document was made from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from stackctl.core.documents import dump, load
from stackctl.core.errors import Problem, StackFileError
from stackctl.core.masking import masked
from stackctl.core.names import check_image, shorten
from stackctl.core.paths import step

SCHEMA = 1
SUFFIX = ".lock.yaml"
Origin = Literal["registry", "engine", "reference"]
ORIGINS: tuple[Origin, ...] = ("registry", "engine", "reference")
"""Who said an image's digest: its registry, the engine that pulled it once, the reference itself."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_KEYS = frozenset(
    (*("schema", "of", "tool", "document", "images"), *("built", "files", "variables", "secrets"))
)
_AGAIN = "move it away, and `stackctl lock` writes it anew"
_HEADER = """\
# The lock of {of}: what it came to when it was locked. `stackctl up` runs these images. Commit it.
# Written by `stackctl lock`, which keeps the digests that stand here; `--update` asks for newer ones.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """The digest of an image, `sha256:…`, and who said it."""

    digest: str
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a document was made from, each as `sha256:…`.

    Args:
        files: Path from the stack's own root -> hash of its text; of services' env files without secrets.
        variables: Name -> hash of its value; those of a template, or what compose files interpolate.
        secrets: Names of variables that hold secrets; of those nothing else is kept.
        hidden: Their values as far as they may stand in the document; never written.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock as it stands in its file.

    Args:
        of: Name of the file that it locks and lies beside.
        tool: Version of stackctl that wrote it.
        document: Hash of the bounded document with these images, without its secrets.
        images: Image as written -> its pin.
        built: Service -> hash of its build section: what is built here has no digest.
    """

    of: str
    tool: str
    document: str
    images: Mapping[str, Pin] = field(default_factory=dict)
    built: Mapping[str, str] = field(default_factory=dict)
    inputs: Inputs = field(default_factory=Inputs)


@dataclass(frozen=True, slots=True)
class Stale:
    """One thing that is no longer as a lock has it.

    Args:
        kind: `image`, `build`, `file`, `variable`, `secret` or `document`.
        name: Which one.
        what: A sentence about it.
    """

    kind: str
    name: str
    what: str

    def __str__(self) -> str:
        return self.what


def hashed(text: str) -> str:
    """The hash of a text as locks have it."""
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def references(document: Mapping[str, Any]) -> dict[str, str]:
    """Service -> the image that it names; those that are built are left out."""
    services = document.get("services", {})
    return {
        name: str(one["image"]) for name, one in services.items() if one.get("image") and not one.get("build")
    }


def own_digest(reference: str) -> str:
    """The digest that an image's reference has in it, empty for none."""
    return reference.partition("@")[2]


def pinned(document: Mapping[str, Any], images: Mapping[str, str], pins: Mapping[str, Pin]) -> dict[str, Any]:
    """A document whose services run images by digest, the readable name kept: `redis:7.0@sha256:…`.

    Args:
        images: Service -> image as written, as `references`.
        pins: Image as written -> its pin; an image without one stays as written.
    """
    services = dict(document.get("services", {}))
    for name, image in images.items():
        pin = pins.get(image)
        by_digest = image if pin is None or own_digest(image) else f"{image}@{pin.digest}"
        services[name] = {**services[name], "image": by_digest}
    return {**document, "services": services}


def lock_of(
    document: Mapping[str, Any],
    files: Mapping[str, str],
    images: Mapping[str, str],
    pins: Mapping[str, Pin],
    inputs: Inputs,
    *,
    of: str,
    tool: str,
) -> Lock:
    """The lock of a document as it is now.

    Args:
        document: Bounded; pinned or not.
        files: Rendered beside it, path -> text.
        images: Service -> image as written.
        pins: Digests by image; an image without one is left out of the lock.
    """
    used = set(images.values())
    whole = masked(pinned(document, images, pins), inputs.hidden)
    text = "\0".join([dump(whole), *(f"{name}\0{files[name]}" for name in sorted(files))])
    built = {
        name: hashed(dump(masked({"build": one["build"]}, inputs.hidden)))
        for name, one in document.get("services", {}).items()
        if one.get("build")
    }
    return Lock(
        of=of,
        tool=tool,
        document=hashed(text),
        images={image: pin for image, pin in pins.items() if image in used},
        built=built,
        inputs=inputs,
    )


def lock_text(lock: Lock) -> str:
    """The text of a lock's file: the same bytes for the same lock."""
    body = {
        "schema": SCHEMA,
        "of": lock.of,
        "tool": lock.tool,
        "document": lock.document,
        "images": {name: {"digest": pin.digest, "from": pin.origin} for name, pin in lock.images.items()},
        "built": dict(lock.built),
        "files": dict(lock.inputs.files),
        "variables": dict(lock.inputs.variables),
        "secrets": sorted(lock.inputs.secrets),
    }
    return _HEADER.format(of=lock.of) + dump({key: value for key, value in body.items() if value})


def parse_lock(text: str, *, source: str, of: str) -> Lock:
    """Read a lock's file.

    Args:
        source: The file, as messages show it.
        of: Name of the file that it must be the lock of.

    Raises:
        StackFileError: It is damaged, was edited, is of a newer stackctl or of another stack; all at once.
    """
    loaded = load(text, source=source)
    data = loaded.data
    if not isinstance(data, dict):
        raise StackFileError(f"{source} is no lock of stackctl", hint=_AGAIN)
    schema = data.get("schema")
    if isinstance(schema, int) and not isinstance(schema, bool) and schema > SCHEMA:
        raise StackFileError(
            f"{source} is of schema {schema}, and this stackctl reads up to {SCHEMA}",
            hint="update stackctl to the version that the lock's `tool:` names",
        )
    if schema != SCHEMA or isinstance(schema, bool):
        raise StackFileError(f"{source} is no lock of stackctl: it has no `schema: {SCHEMA}`", hint=_AGAIN)
    reader = _Reader(source, loaded.line)
    lock = reader.lock(data)
    if reader.problems:
        raise StackFileError(f"{source} is damaged", hint=_AGAIN, problems=tuple(reader.problems))
    if lock.of != of:
        raise StackFileError(f"{source} is the lock of {shorten(lock.of)}, not of {of}", hint=_AGAIN)
    return lock


class _Reader:
    """Takes a lock's parts out of plain data, and collects what is wrong with them."""

    def __init__(self, source: str, line: Callable[[str], int]) -> None:
        self.problems: list[Problem] = []
        self._source, self._line = source, line

    def lock(self, data: Mapping[str, Any]) -> Lock:
        for key in sorted(data.keys() - _KEYS):
            self._wrong(key, "a lock has no such key")
        secrets = data.get("secrets") or []
        if not isinstance(secrets, list) or not all(isinstance(one, str) for one in secrets):
            self._wrong("secrets", "it must be a list of names")
            secrets = []
        inputs = Inputs(
            files=self._hashes(data, "files"),
            variables=self._hashes(data, "variables"),
            secrets=tuple(secrets),
        )
        return Lock(
            of=self._text(data, "of"),
            tool=self._text(data, "tool"),
            document=self._digest("document", data.get("document")),
            images={name: self._pin(name, value) for name, value in self._map(data, "images").items()},
            built=self._hashes(data, "built"),
            inputs=inputs,
        )

    def _text(self, data: Mapping[str, Any], key: str) -> str:
        value = data.get(key)
        if not isinstance(value, str) or not value:
            self._wrong(key, "it must be text")
        return str(value)

    def _map(self, data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = data.get(key) or {}
        if not isinstance(value, dict):
            self._wrong(key, "it must be a mapping")
            return {}
        return value

    def _hashes(self, data: Mapping[str, Any], key: str) -> dict[str, str]:
        return {name: self._digest(step(key, name), value) for name, value in self._map(data, key).items()}

    def _pin(self, image: str, value: Any) -> Pin:
        path = step("images", image)
        try:
            check_image(image)
        except ValueError as error:
            self._wrong(path, str(error))
        entry = value if isinstance(value, dict) else {}
        origin = next((one for one in ORIGINS if one == entry.get("from")), None)
        if origin is None or set(entry) != {"digest", "from"}:
            self._wrong(path, f"it must have a `digest:` and a `from:` of {', '.join(ORIGINS)}")
        return Pin(digest=self._digest(path, entry.get("digest")), origin=origin or "registry")

    def _digest(self, path: str, value: Any) -> str:
        if not isinstance(value, str) or not _DIGEST.fullmatch(value):
            self._wrong(path, f"{shorten(str(value))!a} is no digest, `sha256:` and 64 hex digits")
        return str(value)

    def _wrong(self, path: str, message: str) -> None:
        line = self._line(path)
        self.problems.append(Problem(source=self._source, line=line, path=path, message=message))


def stale(lock: Lock, now: Lock, used: Iterable[str]) -> tuple[Stale, ...]:
    """What is no longer as a lock has it, in a stable order; empty when it holds.

    Args:
        now: The lock of what there is now, with the digests that the old one has.
        used: The images that are used now, as written.
    """
    found = [
        *_differences("image", dict.fromkeys(lock.images, ""), dict.fromkeys(used, "")),
        *_differences("build", lock.built, now.built),
        *_differences("file", lock.inputs.files, now.inputs.files),
        *_differences("variable", lock.inputs.variables, now.inputs.variables),
        *_differences(
            "secret", dict.fromkeys(lock.inputs.secrets, ""), dict.fromkeys(now.inputs.secrets, "")
        ),
    ]
    if not found and lock.document != now.document:
        why = "limits, profiles, the machine's policy or a mounted path"
        if lock.tool != now.tool:
            why = f"stackctl {lock.tool} wrote the lock, and this is {now.tool}"
        found.append(Stale("document", "document", f"the document comes out differently: {why}"))
    return tuple(found)


_WORDS: Mapping[str, tuple[str, str, str]] = {
    "image": ("the image `{}` is not in it", "the image `{}` is no longer used", ""),
    "build": (
        "the build of `{}` is not in it",
        "`{}` is no longer built",
        "the build of `{}` has changed",
    ),
    "file": ("the file {} is not in it", "the file {} is gone", "the file {} has changed"),
    "variable": (
        "the variable `{}` is not in it",
        "the variable `{}` is no longer used",
        "the variable `{}` has another value",
    ),
    "secret": ("the secret `{}` is not in it", "the secret `{}` is no longer used", ""),
}
"""What is said of a thing that is new, gone, changed."""


def _differences(kind: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterable[Stale]:
    fresh, gone, changed = _WORDS[kind]
    for name in sorted({*old, *new}):
        words = fresh if name not in old else gone if name not in new else changed
        if name not in old or name not in new or old[name] != new[name]:
            yield Stale(kind, name, words.format(name))
