"""Which command puts Docker and its Compose plugin on a machine; `scripts/engine.sh` knows the same."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

_GENERAL = "install Docker Engine 20.10 or newer with Compose 2.20 or newer from this system's packages"
_OWN_PACKAGES = "add Docker's own repository, as its documentation says for this system, then "
_OWN = "docker-ce docker-ce-cli containerd.io docker-compose-plugin"
_COMMANDS = {
    "ubuntu": "`sudo apt-get install -y docker.io docker-compose-v2`",
    "debian": "`sudo apt-get install -y docker.io docker-cli docker-compose`",
    "fedora": "`sudo dnf install -y moby-engine docker-cli docker-compose`",
    "rhel": f"{_OWN_PACKAGES}`sudo dnf install -y {_OWN}`",
    "centos": f"{_OWN_PACKAGES}`sudo dnf install -y {_OWN}`",
    "alpine": "`doas apk add docker docker-cli-compose`",
    "arch": "`sudo pacman -S --needed docker docker-compose`",
    "suse": "`sudo zypper install -y docker docker-compose`",
    "opensuse": "`sudo zypper install -y docker docker-compose`",
    "darwin": "`brew install --cask docker-desktop`, then open it",
}
_OLD_DEBIAN = f"{_OWN_PACKAGES}`sudo apt-get install -y {_OWN}`"
"""Debian before 13 has only Compose 1."""


def install_docker(os_release: str, *, darwin: bool = False) -> str:
    """What a person types to have Docker, from the text of /etc/os-release (empty where there is none)."""
    if darwin:
        return _COMMANDS["darwin"]
    fields = dict(_fields(os_release))
    names = [fields.get("ID", ""), *fields.get("ID_LIKE", "").split()]
    version = fields.get("VERSION_ID", "")
    if names[0] == "debian" and version.isdigit() and int(version) < 13:
        return _OLD_DEBIAN
    return next((_COMMANDS[one] for one in names if one in _COMMANDS), _GENERAL)


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        try:
            words = shlex.split(value)
        except ValueError:
            continue
        if equals:
            yield name.strip(), " ".join(words)
