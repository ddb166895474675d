"""What Compose made of people's files, as a document of ours: holes, names and paths; literals only."""

from __future__ import annotations

from typing import Any

import pytest

from stackctl.core.composefiles import PLACE, active, settle, stack_name
from stackctl.core.holes import PROJECT, ROOT


def settled(document: dict[str, Any], **options: Any) -> dict[str, Any]:
    return settle(document, root="/repo", **options)[0]


def test_what_compose_named_by_itself_loses_its_name_and_what_people_named_keeps_it() -> None:
    found = settled(
        {
            "name": PLACE,
            "services": {"web": {"image": "a"}},
            "networks": {"default": {"name": f"{PLACE}_default"}, "mine": {"name": "shared"}},
            "volumes": {"data": {"name": f"{PLACE}_data"}},
        }
    )
    assert "name" not in found
    assert found["networks"] == {"default": {}, "mine": {"name": "shared"}}
    assert found["volumes"] == {"data": {}}


def test_the_projects_name_and_the_own_folder_are_holes_wherever_they_stand() -> None:
    service = {
        "environment": {"QUEUE": f"{PLACE}-jobs"},
        "volumes": [{"type": "bind", "source": "/repo/html", "target": "/repo"}, {"source": "/repository/x"}],
        "build": {"context": "/repo"},
    }
    found = settled({"services": {"web": service}})["services"]["web"]
    assert found["environment"] == {"QUEUE": f"{PROJECT}-jobs"}
    assert found["volumes"][0]["source"] == f"{ROOT}/html"
    assert found["volumes"][1]["source"] == "/repository/x"
    assert found["build"]["context"] == ROOT


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        (None, {"default": {"aliases": ["fixed"]}}),
        (
            {"a": None, "b": {"aliases": ["x"]}},
            {"a": {"aliases": ["fixed"]}, "b": {"aliases": ["x", "fixed"]}},
        ),
        (["a"], {"a": {"aliases": ["fixed"]}}),
    ],
)
def test_a_fixed_container_name_becomes_an_alias(networks: Any, expected: Any) -> None:
    service = {"image": "a", "container_name": "fixed", **({"networks": networks} if networks else {})}
    document, changes = settle({"services": {"web": service}}, root="/repo")
    assert document["services"]["web"] == {"image": "a", "networks": expected}
    assert [change.path for change in changes] == ["services.web.container_name"]
    kept, none = settle({"services": {"web": service}}, root="/repo", named=lambda name: name == "web")
    assert kept["services"]["web"]["container_name"] == "fixed"
    assert none == ()


def test_a_container_name_beside_a_network_mode_is_left_out() -> None:
    service = {"image": "a", "container_name": "fixed", "network_mode": "none"}
    assert settled({"services": {"web": service}})["services"]["web"] == {
        "image": "a",
        "network_mode": "none",
    }


def test_what_is_active_names_no_profiles() -> None:
    document = {"services": {"a": {"image": "a", "profiles": ["debug"]}, "b": {"image": "b"}}, "x-own": 1}
    assert active(document) == {"services": {"a": {"image": "a"}, "b": {"image": "b"}}, "x-own": 1}


@pytest.mark.parametrize(
    ("said", "folder", "expected"),
    [("shop", "x", "shop"), ("", "My Shop.git", "myshopgit"), ("", "_-a", "a"), ("", "...", "compose")],
)
def test_what_a_stack_without_a_file_is_called(said: str, folder: str, expected: str) -> None:
    assert stack_name(said, folder) == expected


def test_what_compose_prints_of_ssh_keys_is_written_as_it_reads_them() -> None:
    build = {"context": "/repo", "ssh": ["key: /repo/id", "default"]}
    found = settled({"services": {"web": {"build": build, "extends": {"service": "x"}}}})
    assert found["services"]["web"] == {"build": {"context": ROOT, "ssh": ["default", "key=/repo/id"]}}


def test_paths_of_the_host_are_taken_as_their_links_lead_and_no_other_text() -> None:
    def led(path: str) -> str:
        return path.replace("/repo/link", "/etc")

    service = {
        "environment": {"PATH": "/repo/link"},
        "volumes": [{"type": "bind", "source": "/repo/link/x", "target": "/repo/link"}],
        "build": {"context": "/repo/link", "additional_contexts": {"a": "/repo/link"}},
    }
    document, changes = settle(
        {"services": {"a.b": service}, "secrets": {"key": {"file": "/repo/link"}}}, root="/repo", real=led
    )
    found = document["services"]["a.b"]
    assert found["environment"] == {"PATH": f"{ROOT}/link"}
    assert found["volumes"] == [{"type": "bind", "source": "/etc/x", "target": f"{ROOT}/link"}]
    assert found["build"] == {"context": "/etc", "additional_contexts": {"a": "/etc"}}
    assert document["secrets"]["key"]["file"] == "/etc"
    assert {change.what for change in changes} == {"taken as /etc", "taken as /etc/x"}
