"""Builds what scripts/dist.sh publishes from a wheel: the bundle, the pins, the sums, the baked install.sh.

The same commit gives the same bytes: times come from SOURCE_DATE_EPOCH, order from names.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PLATFORM = "linux-x86_64-gnu"
"""The machines that need nothing but the bundle; all others take the dependencies from pip's own index."""
TAGS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_12_x86_64")
BLOCK = re.compile(r"( *# >>> release\n).*?( *# <<< release\n)", re.DOTALL)


def pins(name: str) -> list[str]:
    """The lines of requirements/NAME.txt, each whole and without its comments."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [" ".join(words) for words in lines if words]


def for_python(lines: list[str], version: str) -> list[str]:
    """Those that a Python asks for; pip would judge markers by the Python that it runs on."""
    environment = {"python_version": version, "python_full_version": f"{version}.0", "sys_platform": "linux"}
    chosen = []
    for line in lines:
        requirement, *hashes = line.split(" --hash=")
        parsed = Requirement(requirement)
        if parsed.marker is None or parsed.marker.evaluate(environment):
            parsed.marker = None
            chosen.append(" --hash=".join([str(parsed), *hashes]))
    return chosen


def wheelhouse(cache: Path) -> list[Path]:
    """Every wheel that the bundle holds beside our own; fetched once for each set of pins."""
    runtime, installer = pins("runtime"), pins("installer")
    key = hashlib.sha256("\n".join([*runtime, *installer, *PYTHONS, *TAGS]).encode()).hexdigest()[:16]
    folder = cache / key
    if not folder.is_dir():
        unfinished = cache / f"{key}.{os.getpid()}"
        for version in PYTHONS:
            download(for_python([*runtime, *installer], version), version, unfinished)
        unfinished.rename(folder)
    return sorted(folder.glob("*.whl"))


def download(lines: list[str], version: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    wanted = folder / f"for-{version}.txt"
    wanted.write_text("\n".join(lines) + "\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"]
    which = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--implementation", "cp"]
    tags = [word for tag in TAGS for word in ("--platform", tag)]
    done = subprocess.run(
        [*pip, *which, *tags, "--python-version", version, "--dest", str(folder), "-r", str(wanted)],
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{done.stderr[-2000:]}\nerror: the wheels for Python {version} could not be fetched")


def pack(bundle: Path, members: dict[str, bytes], epoch: int) -> None:
    """A tar archive of plain files, whose bytes depend on nothing but these."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(members.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), epoch, 0o644
            archive.addfile(entry, io.BytesIO(content))
    bundle.write_bytes(gzip.compress(raw.getvalue(), compresslevel=6, mtime=epoch))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def release(folder: Path, version: str, base_url: str, key: str, names: dict[str, str]) -> str:
    """The block of install.sh that says what it installs."""
    facts = {"VERSION": version, "BASE_URL": base_url, "SIGNING_KEY": key, "BUNDLE_PLATFORM": PLATFORM}
    for word, name in names.items():
        facts |= {word: name, f"{word}_SHA256": digest(folder / name)}
    for fact, value in facts.items():
        if not re.fullmatch(r"[A-Za-z0-9_.,:/@~+=%\[\]-]*", value):
            sys.exit(f"error: {fact} is {value!r}: there is no place for such a value in install.sh")
    lines = "".join(f"    {fact}='{value}'\n" for fact, value in facts.items())
    return f"  release() {{\n{lines}  }}\n"


def publish(
    wheel: Path, version: str, base_url: str, key: str, epoch: int, wheels: list[Path], runtime: list[str]
) -> None:
    """Write the bundle, the pins, install.sh and SHA256SUMS beside the wheel."""
    folder = wheel.parent
    wanted = [f"stackctl-compose=={version} --hash=sha256:{digest(wheel)}", *runtime]
    (folder / "requirements.txt").write_text("\n".join(wanted) + "\n")
    (pip,) = (path for path in wheels if path.name.startswith("pip-"))
    shutil.copyfile(pip, folder / pip.name)
    bundle = folder / f"stackctl-{version}-{PLATFORM}.tar.gz"
    members = {path.name: path.read_bytes() for path in [*wheels, wheel, folder / "requirements.txt"]}
    pack(bundle, members, epoch)
    names = {"BUNDLE": bundle.name, "WHEEL": wheel.name, "PIP": pip.name, "PINS": "requirements.txt"}
    block = release(folder, version, base_url, key, names)
    script = (ROOT / "scripts" / "install.sh").read_text(encoding="ascii")
    baked, count = BLOCK.subn(lambda found: found[1] + block + found[2], script)
    if count != 1:
        sys.exit("error: scripts/install.sh has no block for the release")
    (folder / "install.sh").write_text(baked, encoding="ascii")
    (folder / "install.sh").chmod(0o755)
    published = sorted([*names.values(), "install.sh"])
    sums = "".join(f"{digest(folder / name)}  {name}\n" for name in published)
    (folder / "SHA256SUMS").write_text(sums)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--base-url", default="")
    parser.add_argument("--signing-key", default="")
    parser.add_argument("--epoch", type=int, required=True)
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "wheels")
    parser.add_argument("--wheels", type=Path, help="the wheels of the bundle, instead of the pinned ones")
    parser.add_argument("--runtime", default="runtime", help="the pins of the dependencies, or `none`")
    given = parser.parse_args()
    base_url = given.base_url.rstrip("/")
    if base_url and not re.match(r"https://|file:///|http://(127\.0\.0\.1|localhost)\b", base_url):
        sys.exit(f"error: install.sh would refuse {base_url}: it is not https\nhint: BASE_URL=https://...")
    version = given.wheel.name.split("-")[1]
    wheels = sorted(given.wheels.glob("*.whl")) if given.wheels else wheelhouse(given.cache)
    runtime = [] if given.runtime == "none" else pins(given.runtime)
    publish(given.wheel.resolve(), version, base_url, given.signing_key, given.epoch, wheels, runtime)


if __name__ == "__main__":
    main()
