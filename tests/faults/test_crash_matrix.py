"""Every command, killed at every point: after `reap` it never ran or has finished, and no byte is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from crashing import SERVICES, Matrix, Scene, complete, fresh_place, phase_of
from daemon import PrivateDaemon
from ground import Ground, new_ground
from waiting import until

from tables import show

pytestmark = [pytest.mark.slow, pytest.mark.engine, pytest.mark.timeout(900)]

AT_ONCE = 4
FAILING = "exit 3; x"
"""A word that makes one of the services end with an error."""

_words = count()


@pytest.fixture(scope="module")
def matrix(
    images: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Matrix]:
    """Several grounds on one private daemon; what came of it all is printed at the end."""
    daemon = PrivateDaemon(images=images)
    try:
        daemon.start()
        folder = tmp_path_factory.mktemp("matrix")
        grounds = [new_ground(folder / str(number), daemon.host) for number in range(AT_ONCE)]
        found = Matrix([fresh_place(ground) for ground in grounds])
        yield found
        show(request.config, found.table())
    finally:
        daemon.close()


def known(ground: Ground, project: str) -> str:
    """Make sure that there is a record; its phase."""
    phase = phase_of(ground, project)
    if not phase:
        if any(one.service in SERVICES for one in ground.containers(project)):
            ground("reap", "--force", project).ok()
        ground.pair()
        ground("up", "s").ok()
        phase = "running"
    return phase


def stopped(ground: Ground, project: str) -> None:
    if known(ground, project) == "running":
        ground("down", "s").ok()
    ground.pair()


def running(ground: Ground, project: str) -> None:
    if known(ground, project) != "running" or not complete(ground, project):
        ground.pair()
        ground("up", "s").ok()


def changed(ground: Ground, project: str) -> None:
    running(ground, project)
    ground.pair(word=f"w{next(_words)}")


def failing(ground: Ground, project: str) -> None:
    stopped(ground, project)
    ground.pair(word=FAILING)


def changed_to_failing(ground: Ground, project: str) -> None:
    running(ground, project)
    ground.pair(word=FAILING)


def half_up(ground: Ground, project: str) -> None:
    """`up` was killed, and one of its services ended since."""
    finished_unseen(ground, project)
    ground.engine.kill([one.id for one in ground.containers(project) if one.service == "web"])


def finished_unseen(ground: Ground, project: str) -> None:
    """`up` was killed right after Compose had done its work."""
    stopped(ground, project)
    assert ground.at("compose-up#1:after", "kill9", "up", "s").code == -9


def half_down(ground: Ground, project: str) -> None:
    running(ground, project)
    assert ground.at("stop#1:after", "kill9", "down", "s").code == -9


def expired(ground: Ground, project: str) -> None:
    running(ground, project)
    ground("extend", "s", "1s").ok()
    end = time.time() + 1.1
    until(lambda: time.time() > end)


def unrecorded(ground: Ground, project: str) -> None:
    running(ground, project)
    (ground.home / "environments" / project / "record.json").unlink()


CHANGED = frozenset({"app"})
"""The service that a change of the word replaces."""
DONE_OR_NOT = ("running", "ended")
SCENES = (
    Scene("up", stopped, ("up", "s"), DONE_OR_NOT),
    Scene("up with a change", changed, ("up", "s"), ("running",)),
    Scene("up that fails", failing, ("up", "s"), ("ended",), code=1),
    Scene(
        "up with a change that fails",
        changed_to_failing,
        ("up", "s"),
        ("running",),
        code=1,
        may_lack=CHANGED,
    ),
    Scene("restart", running, ("restart", "s"), ("running",)),
    Scene("down", running, ("down", "s"), DONE_OR_NOT),
    Scene("with", stopped, ("with", "s", "--", "true"), ("ended",)),
    Scene("reap: undo", half_up, ("reap",), ("ended",)),
    Scene("reap: adopt", finished_unseen, ("reap",), ("running",)),
    Scene("reap: finish", half_down, ("reap",), ("ended",)),
    Scene("supervise: lifetime over", expired, ("supervise", "--once"), DONE_OR_NOT),
    Scene("purge", running, ("purge", "s", "--yes"), ("running", "ended", "purged")),
    Scene("adopt", unrecorded, ("adopt", "PROJECT"), ("running", "unmanaged"), forgotten=True),
    Scene(
        "reap --force",
        unrecorded,
        ("reap", "--force", "PROJECT"),
        ("forgotten",),
        recover=("reap", "--force", "PROJECT"),
        forgotten=True,
    ),
)
DURING_COMPOSE = ("compose-up#1:before", 1.5)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_killed_at_every_point(matrix: Matrix, scene: Scene) -> None:
    row = matrix.cross(scene)

    assert row.problems == []
    assert row.missed == 0
    assert row.points >= 4


@pytest.mark.parametrize(
    "scene", [SCENES[0], replace(SCENES[1], may_lack=CHANGED)], ids=lambda scene: scene.name
)
def test_killed_while_compose_works(matrix: Matrix, scene: Scene) -> None:
    row = matrix.at_random(scene, DURING_COMPOSE, range(5))

    assert row.problems == []
    assert row.missed < sum(row.runs.values())
