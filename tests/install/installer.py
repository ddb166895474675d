"""What the tests of install.sh share: releases, machines to install them on, and a server to fetch from."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import http.server
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHELLS = ("dash", "bash", "bash --posix", "busybox sh", "mksh", "ksh93", "yash")
OTHERS = SHELLS[1:]
TOOLS = (
    *("cat", "cp", "curl", "cut", "env", "getconf", "getent", "grep", "head", "id", "ldd", "mkdir", "mktemp"),
    *("mv", "printf", "readlink", "rm", "sed", "setpriv", "sha256sum", "sh", "sleep", "tail", "tr", "uname"),
)
"""Every command of the system that install.sh may use, and `setpriv`, by which children die with us."""
DEADLINE = 120
CODE = """\
import json, sys
from pathlib import Path
words = [word for word in sys.argv[1:] if not word.startswith("-")]
if "--version" in sys.argv:
    print("stackctl VERSION")
elif words[0] == "completion":
    print("# completion for " + words[1])
elif words[0] == "doctor":
    print(json.dumps({"data": {"checks": CHECKS}}))
elif words[:2] == ["self", "uninstall"]:
    from stackctl.ops.uninstalling import belongings, uninstall
    from stackctl.state.installation import installation_of
    installation = installation_of(Path(sys.prefix))
    if "--dry-run" in sys.argv:
        print(belongings(installation))
    else:
        uninstall(installation)
        "--quiet" in sys.argv or print("gone")
elif words[:2] == ["self", "rollback"]:
    import os
    from stackctl.ops.uninstalling import roll_back
    from stackctl.state.installation import installation_of
    roll_back(installation_of(Path(sys.prefix)), os.environ)
"""
"""The command of a small release, in which the installing is real and nothing else is there."""
FAILING = '[{"check": "daemon", "state": "failed", "message": "no daemon answers", "remedy": "start it"}]'


def shell_words(shell: str) -> list[str]:
    """The shell's argument vector; a missing one fails its tests out loud."""
    words = shell.split()
    if shutil.which(words[0]) is None:
        pytest.fail(
            f"this test needs the shell {words[0]}; `make test-slow` installs it as root", pytrace=False
        )
    return [str(shutil.which(words[0])), *words[1:]]


@contextmanager
def once(folder: Path) -> Iterator[bool]:
    """True in the one process that has to make a folder which all of them use."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not (folder / "SHA256SUMS").exists()


def build(folder: Path, source: Path = ROOT, **environ: str) -> None:
    """A whole release, as `make dist` builds it."""
    done = subprocess.run(
        [str(source / "scripts" / "dist.sh"), str(folder)],
        env={**os.environ, "DIST_PYTHON": sys.executable, **environ},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def copy_of_tree(folder: Path, version: str) -> Path:
    """This checkout with another version, able to build a release."""
    for name in ("scripts", "requirements", "src", "stacks", "templates"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, folder / name)
    (folder / ".cache").mkdir(exist_ok=True)
    (ROOT / ".cache" / "wheels").mkdir(parents=True, exist_ok=True)
    (folder / ".cache" / "wheels").symlink_to(ROOT / ".cache" / "wheels")
    source = folder / "src" / "stackctl" / "__init__.py"
    source.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', source.read_text()))
    return folder


def _modules() -> list[str]:
    """Every module of ours that installing and uninstalling load."""
    words = (
        "import sys, stackctl.cli.setup, stackctl.ops.installing, stackctl.ops.uninstalling, "
        "stackctl.ops.command_path, stackctl.engine.watcher, stackctl.state.installation; "
        "print(*(name for name in sys.modules if name.split('.')[0] == 'stackctl'))"
    )
    return subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, check=True
    ).stdout.split()


def small_wheel(folder: Path, version: str, *, says: str = "", checks: str = "[]") -> Path:
    """A wheel of ours without dependencies, whose command says a version and little else."""
    files: dict[str, bytes] = {}
    for name in _modules():
        path = ROOT / "src" / name.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        files[str(path.relative_to(ROOT / "src"))] = path.read_bytes()
    code = CODE.replace("VERSION", says or version).replace("CHECKS", checks)
    files["stackctl/small.py"] = ("def main():\n" + re.sub("^", "    ", code, flags=re.MULTILINE)).encode()
    info = f"stackctl_compose-{version}.dist-info"
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: stackctl-compose\nVersion: {version}\n".encode()
    )
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = b"[console_scripts]\nstackctl = stackctl.small:main\n"
    record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"stackctl_compose-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return wheel


def _digest(text: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text).digest()).decode().rstrip("=")


def small_release(folder: Path, version: str = "1.0.0", *, key: str = "", **how: str) -> Path:
    """A release that takes a second to install: the real install.sh, a small wheel, and no pip."""
    wheel = small_wheel(folder, version, **how)
    argv = [sys.executable, str(ROOT / "scripts" / "dist.py"), str(wheel), "--epoch", "1600000000"]
    pip = subprocess.run(
        [*argv, "--wheels", str(_pip(folder)), "--runtime", "none", "--signing-key", key],
        capture_output=True,
        text=True,
    )
    assert pip.returncode == 0, pip.stderr
    return folder


PIP = """\
import pathlib, shlex, sys, sysconfig, zipfile
links = pathlib.Path(sys.argv[sys.argv.index("--find-links") + 1])
(wheel,) = links.glob("stackctl_compose-*.whl")
zipfile.ZipFile(wheel).extractall(sysconfig.get_path("purelib"))
folder = pathlib.Path(sys.prefix) / "bin"
words = shlex.join([str(folder / "python"), "-c", "from stackctl.small import main; main()"])
(folder / "stackctl").write_text("#!/bin/sh\\nexec " + words + ' "$@"\\n')
(folder / "stackctl").chmod(0o755)
"""


def _pip(folder: Path) -> Path:
    """A folder with what stands in for pip: it unpacks one wheel, in a tenth of the time."""
    found = folder.parent / f"{folder.name}.pip"
    found.mkdir(exist_ok=True)
    with zipfile.ZipFile(found / "pip-0.0-py3-none-any.whl", "w") as archive:
        archive.writestr(zipfile.ZipInfo("pip/__main__.py"), PIP)
    return found


def tree(folder: Path, *, but: tuple[str, ...] = ()) -> dict[str, str]:
    """Every path below a folder with what it is: mode, link or content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.startswith(but):
            continue
        mode = oct(path.lstat().st_mode)
        if path.is_symlink():
            found[name] = f"{mode} -> {path.readlink()}"
        elif path.is_file():
            found[name] = f"{mode} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        else:
            found[name] = mode
    return found


@dataclass
class Machine:
    """A throwaway home, and a PATH with nothing on it but what install.sh may use."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.home, self.tools, self.temporary, self.work):
            folder.mkdir(parents=True, exist_ok=True)
        for name in TOOLS:
            self.give(name)
        (self.tools / "python3").symlink_to(getattr(sys, "_base_executable", sys.executable))

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def tools(self) -> Path:
        return self.root / "tools"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def prefix(self) -> Path:
        return self.home / ".local" / "share" / "stackctl"

    @property
    def launcher(self) -> Path:
        return self.home / ".local" / "bin" / "stackctl"

    @property
    def calls(self) -> list[str]:
        """What commands that stand in for others were called with."""
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def give(self, name: str) -> None:
        found = shutil.which(name)
        if found and not (self.tools / name).is_symlink():
            (self.tools / name).symlink_to(found)

    def take(self, *names: str) -> None:
        for name in names:
            (self.tools / name).unlink(missing_ok=True)

    def fetch_with(self, client: str) -> None:
        """Leave one way to fetch: curl, wget, busybox or python."""
        if client != "curl":
            self.take("curl")
        if client == "wget":
            self.give("wget")
        if client == "busybox":
            (self.tools / "wget").symlink_to(str(shutil.which("busybox")))

    def stand_in(self, name: str, body: str = "") -> None:
        """A command of ours that writes down its call before it does what `body` says."""
        self.take(name)
        path = self.tools / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.root}/calls"\n{body}\n')
        path.chmod(0o755)

    def env(self, **changes: str | None) -> dict[str, str]:
        plain = {"HOME": str(self.home), "PATH": str(self.tools), "TMPDIR": str(self.temporary)}
        merged: Mapping[str, str | None] = {**plain, "SHELL": "/bin/bash", **self.environ, **changes}
        return {name: value for name, value in merged.items() if value is not None}

    def install(
        self, release: Path, *options: str, shell: str = "dash", env: Mapping[str, str | None] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The one line: the script of a release through a pipe, its files from the folder beside it."""
        return self.pipe(
            (release / "install.sh").read_bytes(), "--from", str(release), *options, shell=shell, env=env
        )

    def install_with_mount(
        self, release: Path, flag: str, folder: Path, *options: str
    ) -> subprocess.CompletedProcess[str]:
        """Install where an empty file system with a flag of mount(8), as `ro`, lies over a folder."""
        self.give("mount")
        mount = f'mount -t tmpfs -o {flag} tmpfs "{folder}" && exec "$@"'
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        argv = [str(shutil.which("unshare")), *user, "--mount", "sh", "-c", mount, "sh", *shell_words("dash")]
        return subprocess.run(
            [*argv, str(release / "install.sh"), "--from", str(release), *options],
            env=self.env(),
            capture_output=True,
            text=True,
            timeout=120,
        )

    def pipe(
        self, script: bytes, *options: str, shell: str = "dash", env: Mapping[str, str | None] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*shell_words(shell), "-s", "--", *options],
            input=script,
            env=self.env(**(env or {})),
            cwd=self.work,
            capture_output=True,
            timeout=DEADLINE,
            start_new_session=True,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def start(
        self, script: Path, *options: str, shell: str = "dash", cwd: Path | None = None, **env: str | None
    ) -> subprocess.Popen[str]:
        """The installer as a process group of its own, still running."""
        return subprocess.Popen(
            [*shell_words(shell), str(script), *options],
            env=self.env(**env),
            cwd=cwd or self.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def version(self) -> str:
        """What the installed command says that it is."""
        done = subprocess.run(
            [str(self.launcher), "--version"],
            env=self.env(),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        return done.stdout.strip().removeprefix("stackctl ")


class Served(http.server.ThreadingHTTPServer):
    """A loopback server of files that knows ranges, keeps what was asked, and can misbehave."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, str]] = []
        self.misbehave: Callable[[Any], bool] = lambda _: False
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(http.server.BaseHTTPRequestHandler):
    server: Served

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.server.asked.append((self.path, wanted))
        if self.server.misbehave(self):
            return
        path = self.server.folder / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        content, start = path.read_bytes(), 0
        if wanted.startswith("bytes="):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:])


@contextmanager
def served(folder: Path, certificate: Path | None = None) -> Iterator[Served]:
    """A server of that folder, for the time of a test; by TLS with the certificate and key of a file."""
    with Served(folder) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()
