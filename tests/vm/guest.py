"""The guest machine: the disk that scripts/vm.sh makes, booted by qemu on an overlay, reached by ssh.

What a test writes goes to the overlay and survives reboots and power cuts of this guest, nothing else. qemu
honours the guest's flushes (cache=writeback): what the guest synced is on the disk when its power is cut, and
what it did not may be gone, as with a disk that has a cache of its own.

Its clock counts instructions (-icount, a nanosecond each; asleep it follows the host's): on a host that has
no time for it, the guest is slow to us and not to itself, and no deadline or health check fails for that.
That takes a single processor, which costs little: two emulated ones mostly wait for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]
BOOT_DEADLINE_S = 1200
COMMAND_DEADLINE_S = 600
_TRIES = 60
MEMORY_MB = 2048


class GuestTrouble(AssertionError):
    """The guest machine cannot be made, does not come up, or does not answer."""


@dataclass(frozen=True)
class Done:
    """How a command in the guest ended."""

    command: str
    code: int
    out: str
    err: str

    def ok(self) -> Done:
        """This, or a failure that shows what the command said."""
        assert self.code == 0, f"{self.command}: exit {self.code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.err, self.err
        return self

    @property
    def data(self) -> Any:
        """What stands in the envelope of a command with --json."""
        return json.loads(self.out)["data"]


def say(words: str) -> None:
    print(f"guest: {words}", file=sys.stderr, flush=True)


def disk_folder() -> Path:
    """Where scripts/vm.sh keeps the disk of this checkout's recipe."""
    asked = subprocess.run([ROOT / "scripts/vm.sh", "--path"], capture_output=True, text=True, timeout=60)
    if asked.returncode:
        raise GuestTrouble(f"there is no guest machine to test in: {asked.stderr.strip()}")
    missing = [
        tool for tool in ("qemu-system-x86_64", "qemu-img", "ssh", "setpriv") if not shutil.which(tool)
    ]
    if missing:
        raise GuestTrouble(f"there is no guest machine to test in: {', '.join(missing)} missing here")
    return Path(asked.stdout.strip())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


class Guest:
    """One machine of ours; as a context manager, nothing of it is left afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scratch = Path(tempfile.mkdtemp(prefix="stackctl-vm-"))
        self.console = self.scratch / "console"
        self.boots: list[float] = []
        self._qemu: subprocess.Popen[bytes] | None = None
        self._master: subprocess.Popen[bytes] | None = None
        self._port = 0
        # Shared for as long as this guest stands on the disk: scripts/vm.sh removes no disk that is in use
        self._lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def __enter__(self) -> Self:
        base = self.folder / "disk.img"
        overlay = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, self.scratch / "disk"]
        subprocess.run(overlay, check=True, timeout=60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.power_cut()
        os.close(self._lock)
        shutil.rmtree(self.scratch)

    # --- power -----------------------------------------------------------------

    def boot(self, deadline: float = BOOT_DEADLINE_S) -> Guest:
        """Start it, and return when systemd has started everything and the engine answers."""
        begun = time.monotonic()
        self._port = free_port()
        with (self.scratch / "qemu.log").open("ab") as log:
            self._qemu = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self._machine()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._await(self._connected, "ssh", begun + deadline)
        self._await(self._started, "systemd and the engine", begun + deadline)
        self.boots.append(time.monotonic() - begun)
        say(f"booted in {self.boots[-1]:.0f} s")
        return self

    def reboot(self) -> Guest:
        """Ask systemd for a reboot, and return when the machine is up again."""
        self.run("systemctl --no-block reboot")
        self._wait_for_end(BOOT_DEADLINE_S)
        return self.boot()

    def power_off(self) -> None:
        """Ask systemd to power off, and return when the machine is off."""
        self.run("systemctl --no-block poweroff")
        self._wait_for_end(BOOT_DEADLINE_S)

    def power_cut(self) -> None:
        """End the machine at once, as a power cut does; nothing where it is off already."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
            self._qemu = None
        self._hang_up()

    def _machine(self) -> list[str]:
        network = f"user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:{self._port}-:22"
        return [
            "qemu-system-x86_64", "-accel", "tcg", "-icount", "shift=0,sleep=on",
            "-cpu", "max", "-smp", "1", "-m", str(MEMORY_MB), "-no-reboot",
            "-nodefaults", "-no-user-config", "-display", "none",
            "-serial", f"file:{self.console}", "-nic", network,
            "-kernel", str(self.folder / "vmlinuz"), "-initrd", str(self.folder / "initrd.img"),
            "-append", (self.folder / "cmdline").read_text().strip(),
            "-drive", f"file={self.scratch / 'disk'},if=virtio,format=qcow2,cache=writeback",
        ]  # fmt: skip

    def _await(self, condition: Callable[[], bool], what: str, deadline: float) -> None:
        said = time.monotonic()
        while not condition():
            now = time.monotonic()
            if now > deadline or self._qemu is None or self._qemu.poll() is not None:
                raise GuestTrouble(f"the guest machine did not come up: no {what}\n{self.last_words()}")
            if now - said > 15:
                said = now
                say(f"waiting for {what}")
            time.sleep(0.5)

    def _connected(self) -> bool:
        """True when a connection stands that every later command shares."""
        if self._master is None or self._master.poll() is not None:
            self._master = subprocess.Popen(
                [*self._ssh(), "-o", "ControlMaster=yes", "-o", "ConnectTimeout=20", "-N", "guest"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        asked = subprocess.run([*self._ssh(), "-O", "check", "guest"], capture_output=True, timeout=20)
        return asked.returncode == 0

    def _started(self) -> bool:
        state = self.run("systemctl is-system-running; docker version -f '{{.Server.Version}}'", timeout=240)
        return state.code == 0 and not state.out.startswith(("starting", "initializing"))

    def _wait_for_end(self, seconds: float) -> None:
        assert self._qemu is not None
        try:
            self._qemu.wait(seconds)
        except subprocess.TimeoutExpired:
            raise GuestTrouble(f"the guest machine did not go down\n{self.last_words()}") from None
        self.power_cut()

    def _hang_up(self) -> None:
        if self._master is not None:
            self._master.kill()
            self._master.wait()
            self._master = None
        (self.scratch / "ssh").unlink(missing_ok=True)

    def last_words(self) -> str:
        """What the console and qemu said last."""
        texts = [
            path.read_text(errors="replace")
            for path in (self.console, self.scratch / "qemu.log")
            if path.exists()
        ]
        return "\n".join(line for text in texts for line in text.splitlines()[-25:])

    # --- talking to it -----------------------------------------------------------

    def _ssh(self) -> list[str]:
        options = {
            "HostName": "127.0.0.1", "Port": self._port, "User": "root", "HostKeyAlias": "guest",
            "UserKnownHostsFile": self.folder / "known_hosts", "StrictHostKeyChecking": "yes",
            "IdentityFile": self.folder / "key", "IdentitiesOnly": "yes", "BatchMode": "yes",
            "ControlPath": self.scratch / "ssh", "LogLevel": "ERROR",
        }  # fmt: skip
        return [
            "ssh",
            "-F",
            "none",
            *[part for key, value in options.items() for part in ("-o", f"{key}={value}")],
        ]

    def run(self, command: str, timeout: float = COMMAND_DEADLINE_S, stdin: bytes = b"") -> Done:
        """Run a line of shell as root; 255 is ssh's own code, where the connection is lost."""
        try:
            done = subprocess.run(
                [*self._ssh(), "guest", command], input=stdin, capture_output=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            raise GuestTrouble(f"no answer within {timeout:.0f} s: {command}\n{self.last_words()}") from None
        return Done(
            command,
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )

    @contextlib.contextmanager
    def running(
        self, command: str, told: IO[str] | int = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A command that goes on in the guest while the block runs; its connection ends with it."""
        client = subprocess.Popen(
            [*self._ssh(), "guest", command],
            stdin=subprocess.DEVNULL, stdout=told, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield client
        finally:
            client.kill()
            client.wait()

    def put(self, path: str, content: str | bytes) -> None:
        """Write a file, its folders with it."""
        raw = content.encode() if isinstance(content, str) else content
        target = shlex.quote(path)
        self.run(f'mkdir -p "$(dirname {target})" && cat > {target}', stdin=raw).ok()

    def until(
        self,
        command: str,
        seconds: float,
        holds: Callable[[Done], bool] = lambda done: done.code == 0,
        timeout: float = COMMAND_DEADLINE_S,
    ) -> Done:
        """Run a command again and again until `holds` is true of it; its last answer fails the test.

        Args:
            seconds: By the guest's clock, which goes slower than this machine's where that is busy.
        """
        began: float | None = None
        while True:
            done = self.run(command, timeout)
            if holds(done):
                return done
            now = self._uptime()
            began = now if began is None else min(began, now)
            if now > began + seconds:
                raise GuestTrouble(
                    f"not within {seconds:.0f} s: {command}: exit {done.code}\n{done.out}\n{done.err}"
                )
            time.sleep(0.5)

    def _uptime(self) -> float:
        """Seconds since it was booted, by its own clock; one that cannot be asked is asked again."""
        for _ in range(_TRIES):
            done = self.run("cut -d' ' -f1 /proc/uptime")
            if done.code == 0:
                return float(done.out)
            time.sleep(1)
        raise GuestTrouble(f"it does not say its time: {done.err}")

    def install(self, wheel: Path) -> None:
        """Put this checkout's stackctl, as people get it, over the packages that the disk holds."""
        self.put(f"/root/{wheel.name}", wheel.read_bytes())
        pip = "/opt/stackctl/bin/pip --quiet --isolated --disable-pip-version-check install"
        self.run(f"{pip} --no-index --no-deps --force-reinstall /root/{wheel.name} && sync").ok()
