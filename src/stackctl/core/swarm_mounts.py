"""What a service mounts, as Swarm can do it: rendered files as configs, data on its node, memory as tmpfs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stackctl.core.holes import FILES, data_hole, split_path_hole
from stackctl.core.names import short_hash
from stackctl.core.swarm_pins import BASE, Pin
from stackctl.core.units import parse_size

if TYPE_CHECKING:
    from stackctl.core.stack import DataFolder

MOST_CONFIG = 500 * 1024
"""Bytes of one config; Swarm refuses more."""
FALLBACK_UID = 1000
_LOCAL = "it lies on this machine, and Swarm starts the service on any node"
_HINT = "put it into the template's `files/`, or into the image"


class Mounts:
    """The mounts of one document, gathered service by service.

    Attributes:
        configs: Key in the document -> name of the config, which changes with its text.
        texts: Key in the document -> relative path of the rendered file.
        pins: Data folders.
    """

    def __init__(
        self,
        project: str,
        files: Mapping[str, str],
        data: Iterable[DataFolder],
        refuse: Callable[[str, str, str], None],
    ) -> None:
        self._project, self._files, self._refuse = project, files, refuse
        self._data = {data_hole(one.name): one for one in data}
        self.configs: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.pins: list[Pin] = []

    def of(
        self, service: str, raw: Mapping[str, Any]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]], tuple[str, ...]]:
        """The mounts, the configs, and the names of the data folders of one service."""
        volumes: list[dict[str, Any]] = []
        configs: list[dict[str, Any]] = []
        pinned: list[str] = []
        for place, entry in enumerate(raw.get("volumes") or ()):
            at = f"services.{service}.volumes[{place}]"
            kind, source = entry.get("type"), str(entry.get("source", ""))
            hole = split_path_hole(source)
            if kind == "tmpfs":
                volumes.append(_memory(str(entry["target"]), (entry.get("tmpfs") or {}).get("size")))
            elif kind != "bind" or hole is None:
                self._refuse(at, f"`{source or kind}` cannot be mounted: {_LOCAL}", _HINT)
            elif hole[0] == FILES:
                configs += self._configs(at, entry, hole[1].strip("/"))
            elif hole[0] in self._data and not hole[1].strip("/"):
                one = self._data[hole[0]]
                pinned.append(one.name)
                self._pin(service, one, str(raw.get("image", "")))
                volumes.append(
                    {
                        "type": "bind",
                        "source": f"{BASE}/{self._project}/{one.name}",
                        "target": entry["target"],
                        **({"read_only": True} if entry.get("read_only") else {}),
                    }
                )
            else:
                self._refuse(at, f"`{source}` cannot be mounted: {_LOCAL}", _HINT)
        volumes += [_from_tmpfs(text) for text in _words(raw.get("tmpfs"))]
        if raw.get("shm_size") is not None:
            volumes.append(_memory("/dev/shm", raw["shm_size"]))  # noqa: S108 - a path in the container
        return volumes, configs, tuple(dict.fromkeys(pinned))

    def _pin(self, service: str, folder: DataFolder, image: str) -> None:
        if not any(pin.name == folder.name for pin in self.pins):
            uid = folder.uid or FALLBACK_UID
            self.pins.append(Pin(service=service, name=folder.name, uid=uid, image=image))

    def _configs(self, at: str, entry: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
        """A rendered file as one config, a folder of them as one for each."""
        if not entry.get("read_only"):
            self._refuse(at, "a rendered file can only be read on Swarm", "mount it with `read_only: true`")
        target = str(entry["target"]).rstrip("/")
        chosen = {name: f"{target}/{name.removeprefix(path).strip('/')}" for name in self._below(path)}
        if path in self._files:
            chosen = {path: target}
        if not chosen:
            self._refuse(at, f"there is no rendered file `{path}`", "see `files/` of the template")
        return [self._config(at, name, where) for name, where in sorted(chosen.items())]

    def _below(self, path: str) -> list[str]:
        return [name for name in self._files if not path or name.startswith(f"{path}/")]

    def _config(self, at: str, path: str, target: str) -> dict[str, Any]:
        text = self._files[path]
        if len(text.encode()) > MOST_CONFIG:
            self._refuse(at, f"`{path}` is larger than a Swarm config may be (500 kB)", _HINT)
        key = f"file-{short_hash(path, 8)}"
        self.texts[key] = path
        self.configs[key] = f"{self._project}-{key}-{short_hash(text, 10)}"
        return {"source": key, "target": target, "mode": 0o444}


def _words(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(one) for one in value or ()]


def _from_tmpfs(text: str) -> dict[str, Any]:
    """A line of `tmpfs:`; of its options Swarm takes the size, and everybody may write there."""
    target, _, options = text.partition(":")
    sizes = [one.removeprefix("size=") for one in options.split(",") if one.startswith("size=")]
    return _memory(target, sizes[-1] if sizes else None)


def _memory(target: str, size: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "tmpfs", "target": target}
    if size is not None:
        found["tmpfs"] = {"size": size if isinstance(size, int) else parse_size(str(size))}
    return found
