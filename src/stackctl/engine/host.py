"""How much memory this host has left: the number that says whether everything on it is about to suffer."""

from __future__ import annotations

from pathlib import Path

from stackctl.core.facts import HostMemory
from stackctl.engine.cgroup import text_of
from stackctl.engine.sampler import pressure


def host_memory(proc: Path = Path("/proc")) -> HostMemory | None:
    """Read `meminfo` and `pressure/memory` below `proc`; None when they do not say.

    `available` is the kernel's own estimate (proc(5), MemAvailable); pressure is None without PSI.
    """
    text = f"\n{text_of(proc / 'meminfo') or ''}\n".encode()
    total, available = _bytes(text, b"MemTotal"), _bytes(text, b"MemAvailable")
    if not total or available is None:
        return None
    waited = text_of(proc / "pressure" / "memory")
    return HostMemory(
        total=total, available=available, pressure=pressure(waited.encode()) if waited else None
    )


def _bytes(text: bytes, name: bytes) -> int | None:
    at = text.find(b"\n" + name + b":")
    words = text[at + len(name) + 2 : text.find(b"\n", at + 1)].split() if at >= 0 else []
    return int(words[0]) << 10 if words and words[0].isdigit() else None
