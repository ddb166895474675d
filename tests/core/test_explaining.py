"""Changes told to people: once each, with all their places and how to have it otherwise."""

from __future__ import annotations

import pytest

from stackctl.core.allow import ALLOW
from stackctl.core.explaining import EXACT, KEPT, REMEDIES, explained, remedy_for
from stackctl.core.rules import Change


def changed(path: str, what: str = "set to 256") -> Change:
    return Change(path=path, what=what, reason="why")


def test_the_same_change_is_told_once_with_its_places() -> None:
    first, second = explained(
        [
            changed("services.web.pids_limit"),
            changed("services.web.ports[0]", "moved to 127.0.0.1"),
            changed("services.db.pids_limit"),
            changed('services["a.b"].ports[1]', "moved to 127.0.0.1"),
        ]
    )
    assert (first.key, first.places) == ("pids_limit", ("services.web", "services.db"))
    assert (second.key, second.places) == ("ports", ("services.web.ports[0]", 'services["a.b"].ports[1]'))
    assert first.remedy == REMEDIES["pids_limit"]


@pytest.mark.parametrize(
    ("path", "what", "remedy"),
    [
        ("services.web.deploy.resources.limits.memory", "lowered to 1g", REMEDIES["memory"]),
        ("services.web.ports[0]", "given a host port by placement", EXACT["given a host port by placement"]),
        ('networks["meet.jitsi"].ipam', "given a subnet by placement", REMEDIES["ipam"]),
        ("services.web.volumes[0]", "allowed by name", EXACT["allowed by name"]),
        ("volumes.data", "kept", KEPT),
        ("services.web.odd", "removed", ""),
    ],
)
def test_how_it_is_had_otherwise(path: str, what: str, remedy: str) -> None:
    assert remedy_for(changed(path, what)) == remedy


def test_a_service_whose_name_is_a_key_is_no_key() -> None:
    assert remedy_for(changed("services.ports.odd", "removed")) == ""


def test_every_word_of_allow_in_a_remedy_is_one() -> None:
    words = {text.split("[")[1].split("]")[0] for text in REMEDIES.values() if "allow: {SERVICE: [" in text}
    assert words <= set(ALLOW)
    assert words
