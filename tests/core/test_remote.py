"""What an engine on another machine is told: paths there, what cannot be brought, how it is reached."""

from __future__ import annotations

import pytest

from stackctl.core.remote import (
    given_files,
    local_paths,
    machine_of,
    relocated,
    remote_folder,
    ssh_words,
    tunnel,
)


def bind(source: str, target: str = "/x") -> dict[str, object]:
    return {"type": "bind", "source": source, "target": target, "bind": {"create_host_path": False}}


DOCUMENT = {
    "services": {
        "web": {
            "image": "busybox:1.35",
            "env_file": ["${STACKCTL_SECRETS:?}/web.env"],
            "volumes": [
                bind("${STACKCTL_FILES:?}/page.sh"),
                bind("${STACKCTL_DATA_DB:?}"),
                bind("/etc/localtime"),
                {"type": "volume", "source": "named", "target": "/n"},
            ],
        },
        "plain": {"image": "busybox:1.35"},
    },
    "secrets": {
        "password": {"file": "${STACKCTL_SECRETS:?}/password"},
        "own": {"file": "${STACKCTL_ROOT:?}/s"},
    },
    "configs": {"said": {"content": "hello"}, "own": {"file": "/home/me/app.conf"}},
}


def test_what_is_mounted_is_mounted_from_that_host_and_what_compose_reads_stays_here() -> None:
    found = relocated(DOCUMENT)

    web = found["services"]["web"]
    assert web["env_file"] == ["${STACKCTL_SECRETS:?}/web.env"]
    assert [one["source"] for one in web["volumes"]] == [
        "${STACKCTL_REMOTE:?}/files/page.sh",
        "${STACKCTL_DATA_DB:?}",
        "/etc/localtime",
        "named",
    ]
    assert found["secrets"]["password"] == {"file": "${STACKCTL_REMOTE:?}/secrets/password"}
    assert found["services"]["plain"] == DOCUMENT["services"]["plain"]


def test_users_own_secrets_and_configs_are_brought_under_names_of_their_own() -> None:
    given, found = given_files(DOCUMENT), relocated(DOCUMENT)

    assert sorted(given.values()) == ["${STACKCTL_ROOT:?}/s", "/home/me/app.conf"]
    there = {found["secrets"]["own"]["file"], found["configs"]["own"]["file"]}
    assert there == {f"${{STACKCTL_REMOTE:?}}/{name}" for name in given}
    assert found["configs"]["said"] == {"content": "hello"}


def test_relocating_twice_changes_nothing_more() -> None:
    once = relocated(DOCUMENT)
    assert relocated(once) == once
    assert given_files(once) == {}


@pytest.mark.parametrize("source", ["${STACKCTL_ROOT:?}/src", "/home/me/shop/src", "/home/me/shop"])
def test_a_working_folder_is_refused_with_the_choices(source: str) -> None:
    (problem,) = local_paths({"services": {"web": {"volumes": [bind(source)]}}}, "/home/me/shop")

    assert problem.path == "services.web.volumes"
    assert all(word in problem.hint for word in ("image", "named volume", "files/", "absolute path"))


@pytest.mark.parametrize(
    "source", ["/srv/data", "/home/me/shop2", "${STACKCTL_FILES:?}/a", "${STACKCTL_DATA_A:?}"]
)
def test_what_that_host_has_is_no_problem(source: str) -> None:
    assert local_paths({"services": {"web": {"volumes": [bind(source)]}}}, "/home/me/shop") == ()


@pytest.mark.parametrize(
    ("host", "machine", "ssh"),
    [
        ("tcp://farm:2376", "farm", "farm"),
        ("tcp://10.0.0.7:2375", "10.0.0.7", "10.0.0.7"),
        ("tcp://[fd00::7]:2375", "fd00::7", "fd00::7"),
        ("ssh://build@farm", "farm", "build@farm"),
        ("ssh://build@farm:2222/run/docker.sock", "farm", "-p 2222 build@farm"),
        ("ssh://farm", "farm", "farm"),
        ("tcp://127.0.0.1:2375", "", "127.0.0.1"),
        ("tcp://localhost:2375", "", "localhost"),
        ("unix:///var/run/docker.sock", "", ""),
    ],
)
def test_the_machine_behind_an_address(host: str, machine: str, ssh: str) -> None:
    assert machine_of(host) == machine
    if ssh:
        assert ssh_words(host) == ssh


def test_one_tunnel_brings_every_loopback_port() -> None:
    ports = [("127.0.0.1", 20002), ("127.0.0.1", 20001), ("127.0.0.1", 20002), ("::1", 20003)]

    assert tunnel("ssh://build@farm:2222", ports) == (
        "ssh -N -L 20001:127.0.0.1:20001 -L 20002:127.0.0.1:20002 -L 20003:[::1]:20003 -p 2222 build@farm"
    )


def test_two_homes_never_share_a_folder() -> None:
    assert remote_folder("/srv/stacks", "aaaa", "web-1") == "/srv/stacks/aaaa/web-1"
