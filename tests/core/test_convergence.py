"""How services stand, judged from literals."""

from __future__ import annotations

from typing import Any

import pytest

from stackctl.core.changes import ServiceChange, as_done, changes, removal_order
from stackctl.core.convergence import SETTLED, standings, unsettled
from stackctl.core.facts import Container
from stackctl.core.records import ServiceRecord


def container(service: str = "app", number: int = 1, **facts: Any) -> Container:
    values = {"state": "running", "image": "i", **facts}
    return Container(id=f"{service}{number}", name=service, service=service, number=number, **values)


def asked(**values: Any) -> ServiceRecord:
    return ServiceRecord(pids=1, memory=1, swap=1, cpus=1.0, **values)


@pytest.mark.parametrize(
    ("facts", "restart", "standing", "words"),
    [
        ({}, "no", "ready", "running"),
        ({"health": "healthy"}, "no", "ready", "healthy"),
        ({"health": "starting"}, "no", "waiting", "starting"),
        ({"health": "unhealthy"}, "no", "failed", "unhealthy"),
        ({"state": "exited"}, "no", "ready", "done"),
        ({"state": "exited"}, "on-failure", "ready", "done"),
        ({"state": "exited"}, "always", "failed", "exited 0"),
        ({"state": "exited"}, "unless-stopped", "failed", "exited 0"),
        ({"state": "exited", "exit_code": 3}, "no", "failed", "exited 3"),
        ({"state": "dead"}, "always", "failed", "exited 0"),
        ({"state": "created"}, "no", "waiting", "created"),
        ({"state": "paused"}, "no", "waiting", "paused"),
    ],
)
def test_one_container(facts: dict[str, Any], restart: str, standing: str, words: str) -> None:
    (state,) = standings({"app": asked(restart=restart)}, [container(**facts)])
    assert (state.standing, state.words) == (standing, words)


def test_the_reason_tells_of_memory_and_names_the_culprit() -> None:
    (state,) = standings({"app": asked()}, [container(state="exited", exit_code=137, oom_killed=True)])
    assert (state.reason, state.culprit) == (
        "`app` ended with exit code 137 after the kernel ended it for memory",
        "app1",
    )


def test_a_service_without_containers_is_waited_for() -> None:
    assert [(s.standing, s.words) for s in standings({"app": asked()}, [])] == [("waiting", "not made")]


def test_every_replica_counts() -> None:
    services = {"app": asked(replicas=3)}
    two = [container(number=1), container(number=2)]
    assert standings(services, two)[0].standing == "waiting"
    assert standings(services, [*two, container(number=3)])[0].standing == "ready"
    assert standings({"app": asked(replicas=0)}, [])[0].standing == "ready"


def test_one_off_containers_and_strangers_do_not_count() -> None:
    others = [container(one_off=True), container("other")]
    assert standings({"app": asked()}, others)[0].standing == "waiting"


@pytest.mark.parametrize(
    ("old", "new", "there", "kind"),
    [
        (None, {"image": "a"}, [], "create"),
        ({"image": "a"}, {"image": "a"}, [container()], "keep"),
        ({"image": "a"}, {"image": "b"}, [container()], "recreate"),
        ({"image": "a"}, None, [container()], "remove"),
        ({"image": "a"}, {"image": "a"}, [container(state="exited", exit_code=1)], "start"),
        ({"image": "a"}, {"image": "a"}, [container(state="exited")], "start"),
        ({"image": "a"}, {"image": "a"}, [], "create"),
    ],
)
def test_what_up_would_do(old: Any, new: Any, there: list[Container], kind: str) -> None:
    before = {"services": {"app": old} if old else {}}
    after = {"services": {"app": new} if new else {}}
    (change,) = changes(before, after, tuple(there), {"app": asked()})
    assert change.kind == kind


def test_what_ended_well_is_kept_beside_what_runs_and_started_when_nothing_does() -> None:
    document = {"services": {"app": {}, "job": {}, "migrate": {}}}
    services = {"app": asked(), "job": asked(), "migrate": asked(one_shot=True)}
    ended = (container("job", state="exited"), container("migrate", state="exited"))

    beside = changes(document, document, (container("app"), *ended), services)
    alone = changes(document, document, (container("app", state="exited"), *ended), services)

    assert [change.kind for change in beside] == ["keep", "keep", "keep"]
    assert [change.kind for change in alone] == ["start", "start", "keep"]


def test_a_recreation_names_what_differs() -> None:
    before, after = {"services": {"app": {"a": 1, "b": 2}}}, {"services": {"app": {"a": 1, "b": 3, "c": 4}}}
    (change,) = changes(before, after, (container(),), {"app": asked()})
    assert str(change) == "recreate app (b, c)"


def test_what_depends_is_stopped_before_what_it_depends_on() -> None:
    key = "com.docker.compose.depends_on"
    web = container("web", labels={key: "app:service_started:false"})
    app = container("app", labels={key: "db:service_healthy:false,cache:service_started:false"})
    db, cache = container("db"), container("cache")
    order = [[c.service for c in batch] for batch in removal_order((db, cache, app, web))]
    assert order == [["web"], ["app"], ["db", "cache"]]


def test_a_cycle_ends_in_one_batch() -> None:
    key = "com.docker.compose.depends_on"
    a, b = container("a", labels={key: "b:x:false"}), container("b", labels={key: "a:x:false"})
    assert removal_order((a, b)) == ((a, b),)


@pytest.mark.parametrize(
    ("facts", "seconds"),
    [
        ({"started": 100.0}, SETTLED),
        ({"started": 99.96}, SETTLED - 0.04),
        ({"started": 99.0}, 0.0),
        ({"started": 500.0}, SETTLED),
        ({"started": 100.0, "health": "healthy"}, 0.0),
        ({"started": 100.0, "state": "exited"}, 0.0),
    ],
)
def test_how_long_a_fresh_service_is_watched(facts: dict[str, Any], seconds: float) -> None:
    assert max(0.0, unsettled([container(**facts)], 100.0)) == pytest.approx(seconds)


def test_the_youngest_counts() -> None:
    both = [container("a", started=99.0), container("b", started=99.96)]
    assert unsettled(both, 100.0) == pytest.approx(SETTLED - 0.04)


def test_a_service_that_was_to_be_kept_and_is_another_container_was_recreated() -> None:
    planned = tuple(ServiceChange(service=name, kind="keep") for name in ("a", "b"))
    before = (container("a"), container("b"))
    after = (container("a", number=2), container("b"))
    assert [change.kind for change in as_done(planned, before, after)] == ["recreate", "keep"]
    assert as_done(planned, before, before) == planned
