"""The reaper on every phase and on what crashes leave behind: what goes, what stays, and data always does."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from commandline import Cli
from house import KEEPER, KEEPER_HEAD, QUIET, RUN_LABEL, docker, peer, prints
from waiting import until

from stackctl.core.facts import Container
from stackctl.core.labels import PREFIX
from stackctl.core.records import Deadline, EnvironmentRecord, Lease
from stackctl.state.record_files import decode, encode

pytestmark = pytest.mark.engine

SMALL = "limits: {memory: 64m, pids: 64, cpus: 0.5}\nsidecars: {db: {template: keeper}}\n"
Forge = Callable[..., str]


@pytest.fixture(autouse=True)
def _stack(cli: Cli) -> None:
    """A stack `s` with a service and a sidecar that keeps data."""
    cli.template("sidecars/keeper", KEEPER, KEEPER_HEAD)
    cli.template("s", json.dumps({"services": {"web": peer()}}))
    cli.stack("s", f"template: s\n{SMALL}")


@pytest.fixture
def forge() -> Iterator[Forge]:
    """Makes containers by hand, with any labels; they are removed by id after the test."""
    made: list[str] = []

    def make(verb: str, labels: dict[str, str], *options: str) -> str:
        every = {**labels, RUN_LABEL: str(uuid4())}
        words = [f"--label={name}={value}" for name, value in every.items()]
        made.append(docker(*verb.split(), *words, *options, "busybox:1.35", "sh", "-c", QUIET))
        return made[-1]

    yield make
    if made:
        subprocess.run(["docker", "rm", "-f", *made], capture_output=True, timeout=60)


def up(cli: Cli, *arguments: str) -> str:
    """Bring `s` up and plant data in its sidecar's folder; its project."""
    project = str(cli("up", "s", "--json", *arguments).ok().data["project"])
    (cli.home / "environments" / project / "data" / "db" / "rows").write_bytes(b"precious\0" * 100)
    return project


def data_stays(cli: Cli, project: str) -> None:
    """What was planted is there, whole."""
    assert f"environments/{project}/data/db/rows" in prints(cli.home)
    assert (cli.home / f"environments/{project}/data/db/rows").read_bytes() == b"precious\0" * 100


def reap(cli: Cli, *arguments: str, code: int = 0) -> dict[str, Any]:
    """What `reap` says it did."""
    done = cli("reap", "--json", *arguments)
    assert done.code == code, done.out + done.err
    found: dict[str, Any] = done.data
    return found


def acts(said: dict[str, Any], which: str = "done") -> list[tuple[str, str]]:
    return [(one["rule"], one["action"]) for one in said[which]]


def nothing_more(cli: Cli) -> None:
    """A further reaping finds nothing to do."""
    again = reap(cli)
    assert (again["done"], again["planned"], again["passes"]) == ([], [], 1)


def path_of(cli: Cli, project: str) -> Path:
    return cli.home / "environments" / project / "record.json"


def rewrite(cli: Cli, project: str, **changes: Any) -> EnvironmentRecord:
    """Change an environment's record as time or a crash would have."""
    path = path_of(cli, project)
    record = replace(decode(path.read_bytes()), **changes)
    path.write_bytes(encode(record))
    return record


def dying(cli: Cli, point: str, *arguments: str) -> None:
    """Run a command that dies at a fail-point."""
    done = cli(*arguments, STACKCTL_TEST="1", STACKCTL_FAILPOINT=f"{point}:kill9")
    assert done.code == -signal.SIGKILL, done.err


def only_project(cli: Cli) -> str:
    (folder,) = (cli.home / "environments").iterdir()
    return folder.name


def states(cli: Cli, project: str = "") -> dict[str, str]:
    return {one.service: one.state for one in cli.containers(project)}


def dead_lease() -> Lease:
    """The lease of a process that is gone."""
    child = subprocess.Popen(["true"])
    child.wait(10)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return Lease(boot=boot, pid=child.pid, started=1, command="stackctl with s")


# Starting


def test_an_up_that_died_when_all_was_done_is_taken_on(cli: Cli) -> None:
    dying(cli, "compose-up#1:after", "up", "s")
    project = only_project(cli)
    before = [one.id for one in cli.containers(project)]
    assert cli.record(project)["phase"] == "starting"

    said = reap(cli)

    assert acts(said) == [("abandoned", "adopt")]
    record = cli.record(project)
    assert (record["phase"], record["lease"]) == ("running", None)
    assert [one.id for one in cli.containers(project)] == before
    assert sorted(one for ids in record["containers"].values() for one in ids) == sorted(before)
    assert cli("status", "s").ok().code == 0
    nothing_more(cli)


@pytest.mark.parametrize("point", ["record:starting#1:after", "document#1:after", "compose-up#1:before"])
def test_an_up_that_died_before_anything_was_made_has_failed(cli: Cli, point: str) -> None:
    dying(cli, point, "up", "s")
    project = only_project(cli)

    said = reap(cli)

    assert acts(said) == [("abandoned", "end")]
    assert cli.record(project)["phase"] == "failed"
    assert "died before it was up" in cli("why", "s").ok().out
    assert states(cli) == {}
    nothing_more(cli)


def test_an_up_that_died_with_half_of_it_standing_is_undone(cli: Cli) -> None:
    dying(cli, "compose-up#1:after", "up", "s")
    project = only_project(cli)
    (web,) = [one.id for one in cli.containers(project) if one.service == "web"]
    docker("kill", web)

    said = reap(cli)

    assert acts(said) == [("abandoned", "end")]
    assert cli.record(project)["phase"] == "failed"
    assert (states(cli), cli.networks()) == ({}, [])
    nothing_more(cli)


@pytest.mark.slow
def test_an_up_that_lives_is_left_alone(cli: Cli) -> None:
    child = cli.start("up", "s", STACKCTL_TEST="1", STACKCTL_FAILPOINT="compose-up#1:after:hang")
    try:
        until(lambda: len(states(cli)) == 2, 60, "both containers")
        until(lambda: set(states(cli).values()) == {"running"}, 30, "both containers running")
        project = only_project(cli)

        said = reap(cli)

        assert (said["done"], said["planned"]) == ([], [])
        assert cli.record(project)["phase"] == "starting"
        assert states(cli) == {"web": "running", "db": "running"}
    finally:
        child.kill()
        child.communicate(timeout=10)
    assert acts(reap(cli)) == [("abandoned", "adopt")]


def test_an_owner_that_nothing_proves_dead_is_reported_only(cli: Cli) -> None:
    project = up(cli)
    lease = replace(dead_lease(), namespace="pid:[1]")
    rewrite(cli, project, phase="starting", lease=lease)

    said = reap(cli)

    assert acts(said) == []
    assert [one["rule"] for one in said["reports"]] == ["unknown_owner"]
    assert states(cli) == {"web": "running", "db": "running"}
    rewrite(cli, project, phase="running", lease=None)


# Stopping


@pytest.mark.slow
@pytest.mark.parametrize("point", ["record:stopping#1:after", "stop#1:after", "remove-containers#1:after"])
def test_a_down_that_died_is_finished(cli: Cli, point: str) -> None:
    project = up(cli)
    dying(cli, point, "down", "s")
    assert cli.record(project)["phase"] == "stopping"

    said = reap(cli)

    assert acts(said) == [("abandoned", "end")]
    record = cli.record(project)
    assert (record["phase"], record["ending"]["reason"]) == ("stopped", "by hand")
    assert (states(cli), cli.networks()) == ({}, [])
    data_stays(cli, project)
    nothing_more(cli)


@pytest.mark.slow
def test_what_cannot_be_ended_is_told_and_ended_later_with_its_incident(cli: Cli, forge: Forge) -> None:
    project = up(cli, "--lifetime", "1s")
    (network,) = cli.networks()
    stranger = forge("run -d", {}, f"--network={network}")
    until(lambda: time.time() > cli.record(project)["deadline"]["wall"], 10, "the end of its lifetime")

    said = reap(cli, code=1)

    assert {one["result"] for one in said["done"]} == {"stuck"}
    record = cli.record(project)
    assert (record["phase"], record["aim"]) == ("stopping", "expired")
    assert record["attempts"] == len(said["done"])
    assert states(cli) == {}
    assert docker("inspect", "--format", "{{.State.Status}}", stranger) == "running"
    assert "it could not be ended yet" in cli("why", "s").ok().out
    rewrite(cli, project, attempts=9, updated=time.time())
    later = cli("supervise", "--once", "--json").ok().data
    assert later["acts"] == [], "the watch tries again only after a while, a reaping by hand at once"

    docker("network", "disconnect", network, stranger)
    said = reap(cli)

    assert acts(said) == [("stuck", "end")]
    (incident,) = cli("incidents", "s", "--json").ok().data
    record = cli.record(project)
    assert (record["phase"], record["ending"]["incident"]) == ("expired", incident["id"])
    assert incident["result"] == "done"
    assert cli.networks() == []
    data_stays(cli, project)
    nothing_more(cli)


# Running


@pytest.mark.slow
def test_a_lifetime_that_is_over_ends_it(cli: Cli) -> None:
    project = up(cli, "--lifetime", "1s")
    until(lambda: time.time() > cli.record(project)["deadline"]["wall"], 10, "the end of its lifetime")

    planned = reap(cli, "--dry-run")
    record, there = path_of(cli, project).read_bytes(), states(cli)

    assert (acts(planned, "planned"), planned["done"]) == ([("expired", "end")], [])
    assert there == {"web": "running", "db": "running"}
    assert decode(record).phase == "running"
    assert cli("incidents", "--json").ok().data == []
    said = reap(cli)
    assert acts(said) == [("expired", "end")]
    assert cli.record(project)["phase"] == "expired"
    assert said["done"][0]["incident"] == cli.record(project)["ending"]["incident"]
    data_stays(cli, project)
    nothing_more(cli)


def test_what_is_gone_is_recorded_as_lost_and_its_network_goes_too(cli: Cli) -> None:
    project = up(cli)
    docker("rm", "-f", *(one.id for one in cli.containers(project)))
    assert len(cli.networks()) == 1

    said = reap(cli)

    assert acts(said) == [("abandoned", "lose")]
    assert cli.record(project)["phase"] == "lost"
    assert cli.networks() == []
    assert "`stackctl up s` starts it again" in said["done"][0]["words"]
    data_stays(cli, project)
    nothing_more(cli)
    assert up(cli) == project
    assert states(cli) == {"web": "running", "db": "running"}


def test_what_runs_in_part_or_is_paused_is_no_business_of_the_reaper(cli: Cli) -> None:
    project = up(cli)
    by_service = {one.service: one.id for one in cli.containers(project)}
    docker("stop", by_service["web"])
    docker("pause", by_service["db"])

    nothing_more(cli)

    assert states(cli) == {"web": "exited", "db": "paused"}
    assert cli.record(project)["phase"] == "running"
    cli("down", "s").ok()


def test_what_a_reboot_ended_is_lost_and_kept_until_its_lifetime_is_over(cli: Cli) -> None:
    project = up(cli)
    docker("kill", *(one.id for one in cli.containers(project)))
    before = [one.id for one in cli.containers(project)]
    deadline = Deadline(wall=time.time() + 3600, boottime=1e9, boot="another-boot")
    rewrite(cli, project, deadline=deadline)

    said = reap(cli)

    assert acts(said) == [("abandoned", "lose")]
    assert cli.record(project)["phase"] == "lost"
    assert [one.id for one in cli.containers(project)] == before
    nothing_more(cli)
    rewrite(cli, project, deadline=replace(deadline, wall=time.time() - 1))
    assert acts(reap(cli)) == [("leftover", "remove")]
    assert (states(cli), cli.networks()) == ({}, [])
    data_stays(cli, project)


def test_what_belonged_to_a_command_that_died_is_ended(cli: Cli) -> None:
    project = up(cli)
    rewrite(cli, project, tied=True, lease=dead_lease())

    said = reap(cli)

    assert acts(said) == [("abandoned", "end")]
    assert cli.record(project)["phase"] == "stopped"
    assert "the command that it belonged to is gone" in cli("why", "s").ok().out
    assert states(cli) == {}
    data_stays(cli, project)


# Ended


def labels_of(container: Container) -> dict[str, str]:
    """What says whose a container is."""
    return {name: value for name, value in container.labels.items() if name.startswith(PREFIX)}


@pytest.mark.slow
def test_what_is_left_of_an_ended_environment_goes_whatever_its_state(cli: Cli, forge: Forge) -> None:
    project = up(cli)
    labels = labels_of(cli.containers(project)[0])
    cli("down", "s").ok()
    words = [f"--label={name}={value}" for name, value in labels.items()]
    network = docker("network", "create", *words, f"{project}_left")
    forge("create", labels)
    docker("pause", forge("run -d", labels, f"--network={network}"))
    docker("kill", forge("run -d", labels))
    forge("run -d", labels, "--restart=always")
    assert sorted(one.state for one in cli.containers(project)) == ["created", "exited", "paused", "running"]

    nothing_more(cli)  # it may still be in the making
    assert len(cli.containers(project)) == 4
    rewrite(cli, project, updated=time.time() + 1)
    said = reap(cli)

    assert acts(said) == [("leftover", "remove")]
    assert said["done"][0]["words"] == "4 containers and 1 network ended and removed, data kept"
    assert (cli.containers(project), cli.networks()) == ((), [])
    data_stays(cli, project)
    nothing_more(cli)


def test_what_carries_forged_labels_is_kept_and_told_of(cli: Cli, forge: Forge) -> None:
    project = up(cli)
    true = labels_of(cli.containers(project)[0])
    cli("down", "s").ok()
    rewrite(cli, project, updated=time.time() + 60)
    forged = {
        change: forge("run -d", {**true, f"{PREFIX}{name}": value})
        for change, name, value in (
            ("home", "home", "0123456789ab"),
            ("user", "user", "4242"),
            ("generation", "generation", str(uuid4())),
            ("engine", "engine", "ANOTHER:ENGINE"),
        )
    }

    said = reap(cli)

    assert said["done"] == []
    assert {one["id"] for one in said["kept"]} == {one for name, one in forged.items() if name != "home"}
    assert {one["why"] for one in said["kept"]} == {f"its labels are not those of the record of `{project}`"}
    for one in forged.values():
        assert docker("inspect", "--format", "{{.State.Status}}", one) == "running"
    strangers = set(cli("status", "s", "--json").data["strangers"])
    names = {docker("inspect", "--format", "{{slice .Name 1}}", one) for one in forged.values()}
    assert strangers == names
    cli("down", "s").ok()
    assert {one.id for one in cli.containers()} == {one for name, one in forged.items() if name != "home"}


# What is not remembered


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"{ no json", b'{"schema": 2, "project": "x"}', b"\0" * 4096])
def test_what_belongs_to_an_unreadable_record_is_kept_and_told_of(cli: Cli, content: bytes) -> None:
    project = up(cli)
    path = path_of(cli, project)
    original = path.read_bytes()
    path.write_bytes(content)

    said = reap(cli)

    assert said["done"] == []
    assert sorted(one["kind"] for one in said["kept"]) == ["container", "container", "network"]
    assert all("cannot be read" in one["why"] for one in said["kept"])
    for words in (["status"], ["list"]):
        assert f"the record of `{project}` cannot be read and is left alone" in cli(*words).err
    assert states(cli) == {"web": "running", "db": "running"}
    assert path.read_bytes() == content
    path.write_bytes(original)
    nothing_more(cli)


@pytest.mark.slow
def test_what_was_forgotten_is_listed_and_can_be_taken_on(cli: Cli) -> None:
    project = up(cli)
    before = [one.id for one in cli.containers(project)]
    path_of(cli, project).unlink()

    said = reap(cli)

    assert said["done"] == []
    assert {one["id"] for one in said["kept"] if one["kind"] == "container"} == set(before)
    assert {one["why"] for one in said["kept"]} == {f"nothing is remembered of `{project}`"}
    assert f"`stackctl adopt {project}`" in cli("reap").ok().err
    cli("adopt", project, "--lifetime", "1h").ok()
    record = cli.record(project)
    assert (record["phase"], record["lifetime"], record["stack"]) == ("running", 3600.0, "s")
    assert {name: one["pids"] for name, one in record["services"].items()} == {"web": 64, "db": 64}
    assert [one.id for one in cli.containers(project)] == before
    assert cli("status", "s").ok().code == 0
    nothing_more(cli)
    cli("down", "s").ok()
    assert (states(cli), cli.networks()) == ({}, [])
    data_stays(cli, project)


@pytest.mark.slow
def test_what_was_forgotten_is_ended_only_when_somebody_says_so(cli: Cli) -> None:
    project = up(cli)
    path_of(cli, project).unlink()

    planned = reap(cli, "--force", project, "--dry-run")
    assert (planned["containers"], planned["networks"], planned["dry"]) == (2, 1, True)
    assert states(cli) == {"web": "running", "db": "running"}
    assert cli("reap", "--force").code == 2
    assert cli("reap", project).code == 2
    assert cli("reap", "--force", "nothing-000000").code != 0
    done = reap(cli, "--force", project)

    assert (done["containers"], done["networks"]) == (2, 1)
    assert (states(cli), cli.networks()) == ({}, [])
    data_stays(cli, project)
    nothing_more(cli)


@pytest.mark.slow
def test_what_a_record_vouches_for_cannot_be_forced_away(cli: Cli) -> None:
    project = up(cli)

    refused = cli("reap", "--force", project)

    assert refused.code == 1
    assert f"`stackctl down {project}` ends it" in refused.err
    assert states(cli) == {"web": "running", "db": "running"}


@pytest.mark.slow
def test_volumes_are_told_of_and_never_removed(cli: Cli) -> None:
    project = up(cli)
    labels = labels_of(cli.containers(project)[0])
    words = [f"--label={name}={value}" for name, value in labels.items()]
    volume = docker("volume", "create", *words, f"stackctl-test-{uuid4()}")
    try:
        assert reap(cli)["volumes"] == []
        docker("rm", "-f", *(one.id for one in cli.containers(project)))

        said = reap(cli)

        assert acts(said) == [("abandoned", "lose")]
        assert said["volumes"] == [volume]
        assert f"volumes are never removed: {volume}" in cli("reap").ok().err
        assert docker("volume", "ls", "--quiet", f"--filter=name={volume}") == volume
    finally:
        docker("volume", "rm", volume)
