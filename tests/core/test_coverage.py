"""Which declared VOLUMEs are covered by a mount, and which would lose their data."""

from __future__ import annotations

from typing import Any

import pytest

from stackctl.core.coverage import uncovered
from stackctl.core.facts import Image

DATA = Image(id="sha256:1", reference="db:1", volumes=("/var/lib/db",))


def found(service: dict[str, Any]) -> list[str]:
    return [p.path for p in uncovered({"services": {"db": {"image": "db:1", **service}}}, {"db:1": DATA})]


@pytest.mark.parametrize(
    "service",
    [
        {"volumes": [{"type": "bind", "source": "/x", "target": "/var/lib/db"}]},
        {"volumes": [{"type": "bind", "source": "/x", "target": "/var/lib/db/"}]},
        {"volumes": [{"type": "volume", "source": "x", "target": "/var/lib"}]},
        {"tmpfs": "/var/lib/db:size=1m"},
        {"tmpfs": ["/var"]},
    ],
)
def test_a_mount_on_the_path_or_above_it_covers(service: dict[str, Any]) -> None:
    assert found(service) == []


@pytest.mark.parametrize(
    "service",
    [
        {},
        {"volumes": [{"type": "bind", "source": "/x", "target": "/var/lib/db/sub"}]},
        {"volumes": [{"type": "bind", "source": "/x", "target": "/var/lib/d"}]},
        {"tmpfs": ["/tmp"]},
    ],
)
def test_a_mount_elsewhere_does_not(service: dict[str, Any]) -> None:
    assert found(service) == ["services.db.volumes"]


def test_an_image_that_is_not_known_says_nothing() -> None:
    assert uncovered({"services": {"db": {"image": "db:1"}}}, {"db:1": None}) == ()
