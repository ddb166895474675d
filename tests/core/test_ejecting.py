"""A bounded document without stackctl: labels gone, restart policies back, the rest as it was."""

from __future__ import annotations

from stackctl.core.ejecting import Belongings, ejected, notes, restarts

BOUNDED = {
    "name": "${STACKCTL_PROJECT:?}",
    "services": {
        "web": {
            "image": "a",
            "restart": "no",
            "pids_limit": 5,
            "labels": {"stackctl.stack": "s", "stackctl.files": "f", "mine": "1"},
        },
        "db": {"image": "b", "restart": "no", "labels": {"stackctl.stack": "s"}, "deploy": {"replicas": 1}},
        "job": {"image": "c", "restart": "no"},
    },
    "networks": {"default": {"labels": {"stackctl.stack": "s"}, "ipam": {}}, "theirs": {"external": True}},
    "volumes": {"keep": {"labels": {"stackctl.stack": "s"}}, "empty": None},
}
ORIGINAL = {
    "services": {
        "web": {"restart": "on-failure:3"},
        "db": {"deploy": {"restart_policy": {"condition": "any"}, "replicas": 1}},
        "job": {},
    }
}


def test_no_label_of_ours_is_left_and_restarts_are_back() -> None:
    found = ejected(BOUNDED, ORIGINAL)
    assert found == {
        "name": "${STACKCTL_PROJECT:?}",
        "services": {
            "web": {"image": "a", "restart": "on-failure:3", "pids_limit": 5, "labels": {"mine": "1"}},
            "db": {"image": "b", "deploy": {"replicas": 1, "restart_policy": {"condition": "any"}}},
            "job": {"image": "c"},
        },
        "networks": {"default": {"ipam": {}}, "theirs": {"external": True}},
        "volumes": {"keep": {}, "empty": None},
    }
    assert restarts(found) == {"web": "on-failure:3", "db": "any"}


def test_notes_name_what_there_is_and_nothing_else() -> None:
    has = Belongings(data={"db": "/d/db"}, volumes=("p_keep",), secrets=("pw",), restarts={"web": "always"})
    full = notes("shop", "p", has)
    for words in (
        "docker compose -p p up -d",
        "`/d/db`",
        "`STACKCTL_DATA_DB`",
        "`p_keep`",
        "`pw`",
        "web (always)",
    ):
        assert words in full
    assert "External" not in full
    adopted = notes("shop", "p", Belongings(external=("old_data",)))
    assert "External volumes, which were there before and which `down -v` leaves: `old_data`." in adopted
    assert "found by the project's name" not in adopted
    bare = notes("shop", "p", Belongings())
    assert "It keeps none." in bare
    assert "## Secrets" not in bare
    assert "nobody restarts" in bare
