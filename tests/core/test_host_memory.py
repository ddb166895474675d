"""The host's memory from the files of its kernel; what they do not say is not known, never zero."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackctl.core.facts import HostMemory
from stackctl.engine.host import host_memory

MEMINFO = "MemTotal:       25000 kB\nMemFree:         100 kB\nMemAvailable:    5000 kB\nSwapTotal: 0 kB\n"


def _proc(folder: Path, meminfo: str, pressure: str | None) -> Path:
    (folder / "meminfo").write_text(meminfo)
    if pressure is not None:
        (folder / "pressure").mkdir()
        (folder / "pressure" / "memory").write_text(pressure)
    return folder


@pytest.mark.parametrize(
    ("pressure", "percent"),
    [
        ("some avg10=7.53 avg60=1.00 avg300=0.00 total=8597786\nfull avg10=0.50 avg60=0.00\n", 7.53),
        ("some avg10=0.00 avg60=1.00 avg300=0.00 total=1\n", 0.0),
        ("some avg60=1.00\nfull avg10=3.00\n", None),
        ("some avg10=much\n", None),
        ("", None),
        (None, None),
    ],
)
def test_memory_and_pressure(tmp_path: Path, pressure: str | None, percent: float | None) -> None:
    found = host_memory(_proc(tmp_path, MEMINFO, pressure))
    assert found == HostMemory(total=25000 << 10, available=5000 << 10, pressure=percent)


@pytest.mark.parametrize("name", ["MemTotal", "MemAvailable"])
def test_half_an_answer_is_none(tmp_path: Path, name: str) -> None:
    without = "".join(line for line in MEMINFO.splitlines(keepends=True) if not line.startswith(name))
    assert host_memory(_proc(tmp_path, without, None)) is None
    (tmp_path / "meminfo").write_text(MEMINFO.replace(f"{name}:", f"{name}: x"))
    assert host_memory(tmp_path) is None


def test_none_available_is_an_answer(tmp_path: Path) -> None:
    found = host_memory(_proc(tmp_path, MEMINFO.replace(" 5000 ", " 0 "), None))
    assert found == HostMemory(total=25000 << 10, available=0)


def test_no_such_files(tmp_path: Path) -> None:
    assert host_memory(tmp_path) is None
