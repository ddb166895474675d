"""`make serve`: a release on loopback, and the line that it prints; `make dist` for a place that is none."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from installer import ROOT, Machine

SERVE = [sys.executable, str(ROOT / "scripts" / "serve.py")]


def refused(*words: str) -> str:
    done = subprocess.run([*SERVE, *words], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr


def test_what_cannot_be_served_is_said(small: Path, tmp_path: Path) -> None:
    assert refused(str(tmp_path)) == f"error: there is no {tmp_path}/install.sh\nhint: make dist\n"
    for word in ("abc", "-1", "65536"):
        assert refused(str(small), word).startswith(f"error: {word} is no port\nhint: make serve")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert refused(str(small), port).startswith(f"error: port {port}: Address already in use\nhint: ")


@pytest.mark.slow
def test_the_line_that_is_printed_installs(machine: Machine, small: Path) -> None:
    with subprocess.Popen([*SERVE, str(small)], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            line = child.stdout.readline().strip()
            done = subprocess.run(
                ["sh", "-c", line], env=machine.env(), capture_output=True, text=True, timeout=120
            )
        finally:
            child.terminate()
    assert done.returncode == 0, done.stderr
    assert machine.version() == "1.0.0"


@pytest.mark.parametrize(
    "url", ["http://files.example.test/x", "ftp://files.example.test", "files.example.test"]
)
def test_a_release_for_a_place_that_install_sh_refuses_is_not_made(tmp_path: Path, url: str) -> None:
    wheel = tmp_path / "stackctl_compose-1.0.0-py3-none-any.whl"
    argv = [sys.executable, str(ROOT / "scripts" / "dist.py"), str(wheel), "--epoch", "1", "--base-url", url]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: install.sh would refuse {url}: it is not https\nhint: ")
    assert list(tmp_path.iterdir()) == []
