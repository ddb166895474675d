"""The command that brings Docker, for each system."""

from __future__ import annotations

import pytest

from stackctl.core.docker_packages import install_docker


@pytest.mark.parametrize(
    ("os_release", "words"),
    [
        (
            'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n',
            "sudo apt-get install -y docker.io docker-compose-v2",
        ),
        ('ID=debian\nVERSION_ID="13"\n', "sudo apt-get install -y docker.io docker-cli docker-compose"),
        ('ID=debian\nVERSION_ID="12"\n', "Docker's own repository"),
        ("ID=debian\n", "sudo apt-get install -y docker.io docker-cli docker-compose"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', "docker-compose-v2"),
        ("ID=fedora\n", "sudo dnf install -y moby-engine"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "docker-ce"),
        ("ID=alpine\n", "doas apk add docker docker-cli-compose"),
        ("ID=arch\n", "sudo pacman -S --needed docker docker-compose"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "sudo zypper install -y docker"),
        ("ID=plan9\n", "from this system's packages"),
        ('ID="broken\n', "from this system's packages"),
        ("", "from this system's packages"),
    ],
)
def test_each_system_has_its_command(os_release: str, words: str) -> None:
    assert words in install_docker(os_release)


def test_macos_has_its_own() -> None:
    assert "brew install --cask" in install_docker("", darwin=True)
