"""What a Swarm is told of a bounded document, what it is not, and when its services stand as they should."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from stackctl.core.errors import PolicyError
from stackctl.core.labels import Stamp
from stackctl.core.records import ServiceRecord
from stackctl.core.stack import DataFolder, ServiceSettings
from stackctl.core.swarm import SwarmDocument, SwarmInputs, swarm_document
from stackctl.core.swarm_facts import Cluster, Node, SwarmScene, SwarmService, SwarmTask
from stackctl.core.swarm_pins import choose_node, data_label, meets
from stackctl.core.swarm_stages import stages, told_of
from stackctl.core.swarm_standing import swarm_standings

STAMP = Stamp(project="p-1", stack="p", generation="g", home="h", user=7, engine="cluster")
ASKED = ServiceRecord(pids=64, memory=1 << 26, swap=1 << 26, cpus=0.5)


def inputs(**more: Any) -> SwarmInputs:
    found = SwarmInputs(stamp=STAMP, services={"web": ASKED, "db": ASKED}, folder="/state/p-1")
    return replace(found, **more)


def told(web: dict[str, Any], top: dict[str, Any] | None = None, **more: Any) -> SwarmDocument:
    return swarm_document({"services": {"web": {"image": "i", **web}}, **(top or {})}, inputs(**more))


def refusals(web: dict[str, Any], top: dict[str, Any] | None = None, **more: Any) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        told(web, top, **more)
    return [str(problem) for problem in caught.value.problems]


def test_limits_restarts_and_labels_are_swarms_own() -> None:
    web = told({"cpus": "${STACKCTL_CPUS_WEB:-0.5}", "mem_limit": "64m", "pids_limit": 64, "restart": "no"})
    deploy = web.document["services"]["web"]["deploy"]
    assert deploy["resources"] == {"limits": {"cpus": "0.5", "memory": str(1 << 26), "pids": 64}}
    assert deploy["restart_policy"]["max_attempts"] == 5
    assert deploy["labels"]["stackctl.generation"] == "g"
    assert deploy["endpoint_mode"] == "dnsrr"
    assert set(web.document["services"]["web"]) == {"image", "deploy", "labels"}
    assert json.loads(web.document["services"]["web"]["labels"]["stackctl.watch"])["pids"] == 64
    assert web.document["networks"]["default"]["driver"] == "overlay"


def test_privileges_that_swarm_cannot_forbid_are_said_and_capabilities_dropped() -> None:
    found = told({"security_opt": ["no-new-privileges:true"], "cap_drop": ["ALL"]})
    assert any("Swarm sets no `no-new-privileges`" in note for note in found.notes)
    web = found.document["services"]["web"]
    assert web["cap_drop"] == ["ALL"]
    assert "security_opt" not in web


def test_a_one_shot_runs_once() -> None:
    found = told({}, services={"web": replace(ASKED, one_shot=True)})
    assert found.document["services"]["web"]["deploy"]["restart_policy"] == {"condition": "none"}


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"target": 80, "host_ip": "127.0.0.1", "published": "${STACKCTL_PORT_WEB_80:?}"}, None),
        ({"target": 80, "published": "8080"}, {"target": 80, "published": 8080}),
        ({"target": 80, "published": "${STACKCTL_PORT_WEB_80:?}"}, {"target": 80, "published": 21000}),
    ],
)
def test_only_what_is_open_by_name_is_published(
    port: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    found = told({"ports": [port]}, ports={"STACKCTL_PORT_WEB_80": "21000"})
    ports = found.document["services"]["web"].get("ports", [])
    assert ports == ([{**expected, "protocol": "tcp", "mode": "ingress"}] if expected else [])
    assert any("not published" in note for note in found.notes) == (expected is None)


def test_data_pins_its_service_to_the_node_that_is_labelled() -> None:
    mount = {"type": "bind", "source": "${STACKCTL_DATA_STORE:?}", "target": "/data"}
    web = {"volumes": [mount], "user": "${STACKCTL_USER_STORE:?}"}
    found = told(web, data=(DataFolder(name="store", uid=999),))
    service = found.document["services"]["web"]
    assert service["volumes"][0]["source"] == "/var/lib/stackctl/swarm/p-1/store"
    assert service["user"] == "999:999"
    assert service["deploy"]["placement"]["constraints"] == ["node.labels.stackctl.data.p-1.store == true"]
    assert [(pin.service, pin.name, pin.uid, pin.image) for pin in found.pins] == [("web", "store", 999, "i")]
    three = {"web": ServiceSettings(replicas=3)}
    assert "cannot share one data folder" in str(refusals(web, data=found_data(), settings=three))


def found_data() -> tuple[DataFolder, ...]:
    return (DataFolder(name="store", uid=999),)


def test_files_and_secrets_become_objects_whose_names_change_with_them() -> None:
    mount = {"type": "bind", "source": "${STACKCTL_FILES:?}/a.conf", "target": "/a.conf", "read_only": True}
    top = {"secrets": {"word": {"file": "${STACKCTL_SECRETS:?}/word"}}}
    web = {"volumes": [mount], "secrets": ["word"]}
    first = told(web, top, files={"a.conf": "one"}, secrets={"word": "stamp1"}).document
    second = told(web, top, files={"a.conf": "two"}, secrets={"word": "stamp2"}).document
    assert first["services"]["web"]["configs"] == second["services"]["web"]["configs"]
    assert told_of(first, "web") != told_of(second, "web")
    (key,) = first["configs"]
    assert first["configs"][key]["file"] == "/state/p-1/files/a.conf"
    assert first["configs"][key]["name"] != second["configs"][key]["name"]
    assert first["secrets"]["word"]["name"] != second["secrets"]["word"]["name"]
    assert "stamp1" not in str(first)


@pytest.mark.parametrize(
    ("web", "words"),
    [
        ({"network_mode": "host"}, "network_mode"),
        ({"build": {"context": "."}}, "build"),
        ({"devices": ["/dev/x"]}, "devices"),
        ({"volumes": [{"type": "bind", "source": "./src", "target": "/src"}]}, "lies on this machine"),
        ({"volumes": [{"type": "volume", "source": "data", "target": "/d"}]}, "lies on this machine"),
        ({"env_file": ["/home/me/.env"]}, "env_file"),
        ({"networks": {"default": {"ipv4_address": "10.0.0.1"}}}, "ipv4_address"),
        ({"environment": {"A": "${STACKCTL_ROOT:?}"}}, "is of this machine"),
        ({"deploy": {"mode": "global"}}, "deploy.mode"),
    ],
)
def test_what_swarm_cannot_do_is_refused(web: dict[str, Any], words: str) -> None:
    assert words in " ".join(refusals(web))


def test_all_problems_are_told_at_once() -> None:
    assert len(refusals({"pid": "host", "ipc": "host"}, {"volumes": {"v": None}})) == 3


def test_memory_mounts_keep_their_size() -> None:
    found = told({"tmpfs": ["/tmp:size=1m,mode=1777", "/run"], "shm_size": "64m"})
    mounts = {one["target"]: one.get("tmpfs") for one in found.document["services"]["web"]["volumes"]}
    assert mounts == {"/tmp": {"size": 1 << 20}, "/run": None, "/dev/shm": {"size": 64 << 20}}


def test_services_are_told_of_in_the_order_in_which_they_wait() -> None:
    services = {"web": {"depends_on": {"db": {}, "seed": {}}}, "seed": {"depends_on": ["db"]}, "db": {}}
    assert stages({"services": services}) == (("db",), ("seed",), ("web",))
    assert stages({"services": {"a": {"depends_on": ["b"]}, "b": {"depends_on": ["a"]}}}) == (("a", "b"),)


def test_new_data_goes_where_there_is_least_and_work_is_taken() -> None:
    full = Node(id="1", hostname="a", labels={data_label("x", "db"): "true"})
    drained, free = Node(id="2", hostname="b", availability="drain"), Node(id="3", hostname="c")
    assert choose_node([full, drained, free]) == free
    assert choose_node([full, drained, free], ["node.hostname == a"]) == full
    assert choose_node([full, free], ["node.hostname == b"]) is None
    assert not meets(free, "node.hostname ~ c")


NODES = (Node(id="1", hostname="n1"), Node(id="2", hostname="n2", state="down"))
SERVICE = SwarmService(id="s", name="web", replicas=1)


UNDONE = {"update": "rollback_completed", "updated": "now"}


def standing(*tasks: SwarmTask, asked: ServiceRecord = ASKED, **more: Any) -> tuple[str, str]:
    service = replace(SERVICE, **more)
    scene = SwarmScene(cluster=Cluster(id="c"), nodes=NODES, services=(service,), tasks=tasks)
    (found,) = swarm_standings({"web": asked}, scene, before={"s": "earlier"})
    return found.standing, found.words


def task(number: int = 0, **more: Any) -> SwarmTask:
    return SwarmTask(id=f"t{number}", service="s", slot=1, node="1", created=f"{number}", **more)


STARTS = "cannot create a swarm scoped network when swarm is not active"
LIVE = task(2, state="preparing")


@pytest.mark.parametrize(
    ("tasks", "more", "expected"),
    [
        ((), {}, ("waiting", "starting")),
        ((task(state="running"),), {}, ("ready", "running")),
        ((task(state="running"),), {"replicas": 2}, ("waiting", "running 1/2")),
        ((task(state="running", current=False),), {}, ("waiting", "starting")),
        ((task(state="running", desired="shutdown"),), {}, ("waiting", "running")),
        ((replace(task(state="running"), node="2"),), {}, ("waiting", "node n2 is down")),
        ((task(state="failed", exit_code=3), task(1, state="running")), {}, ("ready", "running")),
        ((task(state="failed", exit_code=3), task(1, state="starting")), {}, ("waiting", "starting")),
        (tuple(task(n, state="failed", exit_code=3) for n in range(6)), {}, ("failed", "exited 3")),
        (tuple(task(n, state="rejected") for n in range(2)), {}, ("failed", "rejected")),
        ((*(task(n, state="rejected", error=STARTS) for n in range(2)), LIVE), {}, ("waiting", "preparing")),
        ((task(state="rejected"), task(1, state="rejected"), LIVE), {}, ("failed", "rejected")),
        ((task(state="pending", error="no suitable node"),), {}, ("waiting", "no node")),
        (
            (task(state="running"),),
            UNDONE,
            ("failed", "not updated"),
        ),
        (
            (task(state="running"),),
            {**UNDONE, "updated": "earlier"},
            ("ready", "running"),
        ),
    ],
)
def test_how_a_service_stands(
    tasks: tuple[SwarmTask, ...], more: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert standing(*tasks, **more) == expected


def test_a_one_shot_is_done_once_it_ended_well_and_failed_at_its_first_error() -> None:
    once = replace(ASKED, one_shot=True)
    assert standing(task(state="complete", desired="shutdown"), asked=once) == ("ready", "done")
    assert standing(task(state="failed", desired="shutdown", exit_code=2), asked=once) == (
        "failed",
        "exited 2",
    )
    assert standing(task(state="running"), asked=once)[0] == "waiting"
