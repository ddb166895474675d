"""The one line on a bare Debian: install, `doctor`, `up hello` on the engine of this host.

One root comes from an image, in seconds: CI has it. STACKCTL_TEST_ROOTS=FOLDER makes eight others
with mmdebstrap and keeps them in that folder; it needs root, the Debian mirror of this machine and minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from installer import ROOT, once

FOLDER = os.environ.get("STACKCTL_TEST_ROOTS", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.engine,
    pytest.mark.timeout(1200),
]
IMAGE = "python:3.11"
PACKAGES = "python3,curl,ca-certificates"
ENTER = """\
set -eu
root=$1 release=$2 state=$3 who=$4
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
plugin=/usr/libexec/docker/cli-plugins/docker-compose
mkdir -p "$root/run" "$root/release" "$root$state" "$root/usr/local/bin" "$root${plugin%/*}"
touch "$root/run/docker.sock" "$root/usr/local/bin/docker" "$root$plugin"
mount --bind /var/run/docker.sock "$root/run/docker.sock"
mount --bind "$(command -v docker)" "$root/usr/local/bin/docker"
for there in /usr/libexec /usr/lib /usr/local/lib /usr/local/libexec; do
  found=$there/docker/cli-plugins/docker-compose
  [ ! -x "$found" ] || mount --bind "$found" "$root$plugin"
done
mount --bind "$release" "$root/release"
mount --bind "$state" "$root$state"
exec chroot --userspec="$who" --groups="$(stat -L -c %g /var/run/docker.sock)" "$root" \
  env -i HOME="$5" PATH="$5/.local/bin:/usr/local/bin:/usr/bin:/bin" STACKCTL_HOME="$state" \
  STACKCTL_SUPERVISOR=manual sh -c "$6"
"""
LINE = """\
set -eu
now() { date +%s; }
cd "$HOME" && before=$(find . | sort)
begin=$(now)
cat /release/install.sh | sh -s -- --from /release
installed=$(now)
stackctl doctor
stackctl up hello
echo "TIMES: the line $((installed - begin)) s, to a running hello $(($(now) - begin)) s"
stackctl purge hello --yes
stackctl self uninstall
[ "$(find . | sort)" = "$before" ]
"""


def bare(suite: str, packages: str) -> Path:
    """A root of that release, made once and kept."""
    root = Path(FOLDER).resolve() / f"{suite}{'-venv' if 'venv' in packages else ''}"
    with once(root) as _:
        if not (root / "etc/debian_version").exists():
            sources = root.with_suffix(".list")
            write = f'. "{ROOT}/scripts/images/shell.sh"; write_debian_sources {suite} "{sources}"'
            subprocess.run(["sh", "-c", write], check=True)
            argv = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", suite]
            subprocess.run([*argv, str(root), str(sources)], check=True, timeout=900)
            settle_in(root)
    return root


def settle_in(root: Path) -> None:
    """Give the root an ordinary user."""
    (root / "home/me").mkdir(parents=True)
    shutil.chown(root / "home/me", 1000, 1000)
    with (root / "etc/passwd").open("a") as file:
        file.write("me:x:1000:1000::/home/me:/bin/sh\n")


@pytest.fixture
def stripped(tmp_path: Path) -> Iterator[Path]:
    """The root of the image of scripts/images.sh, Debian 12 with its Python, without pip and python3-venv."""
    root = tmp_path / "root"
    root.mkdir(mode=0o755)
    words = [
        "docker",
        "image",
        "inspect",
        "-f",
        '{{index .Config.Labels "stackctl.image.built-from"}}',
        IMAGE,
    ]
    built = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert built.startswith("Debian bookworm"), f"{IMAGE} was not made by scripts/images.sh --test"
    made = subprocess.run(["docker", "create", IMAGE], capture_output=True, text=True, check=True)
    container = made.stdout.strip()
    try:
        export = f'docker export {container} | tar -x -C "{root}"'
        subprocess.run(["bash", "-o", "pipefail", "-c", export], check=True)
    finally:
        subprocess.run(["docker", "rm", container], capture_output=True, check=True)
    packages = ["python3-venv", "python3.11-venv", "python3-pip", "python3-pip-whl"]
    purge = ["chroot", str(root), "dpkg", "--purge", "--force-depends", *packages]
    subprocess.run(purge, check=True, capture_output=True)
    for module, there in (("venv", True), ("ensurepip", False), ("pip", False)):
        asked = ["chroot", str(root), "python3", "-c", f"import {module}"]
        assert (subprocess.run(asked, capture_output=True).returncode == 0) == there, module
    settle_in(root)
    yield root
    shutil.rmtree(root)


@pytest.mark.skipif(os.geteuid() != 0, reason="a root is entered by chroot, by root alone: NOT RUN")
def test_one_line_on_a_debian_12_without_venv_as_a_user(
    stripped: Path, real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one_line(stripped, real, tmp_path, "user", capsys)


@pytest.mark.skipif(not FOLDER, reason="STACKCTL_TEST_ROOTS=FOLDER makes bare roots of Debian: NOT RUN")
@pytest.mark.parametrize("who", ["root", "user"])
@pytest.mark.parametrize("packages", [PACKAGES, f"{PACKAGES},python3-venv"])
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_one_line_to_a_running_hello(
    suite: str, packages: str, who: str, real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one_line(bare(suite, packages), real, tmp_path, who, capsys)


def one_line(root: Path, real: Path, tmp_path: Path, who: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Install in that root as root or user, to a running `hello`, and take it all away again."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    user, home = ("1000:1000", "/home/me") if who == "user" else ("0:0", "/root")
    if who == "user":
        shutil.chown(state, 1000, 1000)
    words = [str(root), str(real), str(state), user, home, LINE]
    argv = ["unshare", "--mount", "sh", "-c", ENTER, "sh", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hello is up" in done.stdout
    assert ("this is root" in done.stderr) == (who == "root")
    with capsys.disabled():
        print("\n", root.name, who, next(one for one in done.stdout.splitlines() if "TIMES" in one))
