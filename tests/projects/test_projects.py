"""Projects as people have them, run with stackctl as they are: used, crashed, brought back, taken down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from commandline import Cli
from project_expectations import EVERY
from project_site import Inspected, Project, Site, check_out, docker
from waiting import until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

TWICE = tuple(one for one in EVERY if one.name in ("guestbook", "voting"))
SLACK = 16 << 20


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[list[Site]]:
    """Checkouts that a test made; ended after it, and their volumes and images removed."""
    made: list[Site] = []
    yield made
    try:
        for site in made:
            site.cli.end_all()
    finally:
        for site in made:
            site.forget()


def new_site(project: Project, folder: Path, sites: list[Site]) -> Site:
    checkout = folder / project.name
    (checkout / ".git").mkdir(parents=True)
    site = check_out(project, Cli(home=folder / "home", checkout=checkout), checkout)
    sites.append(site)
    return site


@pytest.mark.slow
@pytest.mark.parametrize("project", EVERY, ids=lambda project: project.name)
def test_a_project_is_used_crashed_brought_back_and_taken_down(
    project: Project, tmp_path: Path, sites: list[Site]
) -> None:
    site = new_site(project, tmp_path, sites)
    site.up()
    project.use(site)
    bounded(site, site.services())
    project.holds(site, site.services())

    written = project.read(site)
    crash_and_bring_back(site)
    assert project.read(site) == written
    project.use(site)

    written = project.read(site)
    site.down()
    files = at_rest_and_untouched(site)
    site.up_is_killed()
    site.up()
    assert project.read(site) == written
    bounded(site, site.services())
    site.down()
    assert site.resting(site.at_rest()) == site.resting(files)
    assert bool(site.resting(files)) == bool(project.rest)
    assert site.cli.networks() == []


@pytest.mark.slow
@pytest.mark.parametrize("project", TWICE, ids=lambda one: one.name)
def test_two_checkouts_run_at_the_same_time(project: Project, tmp_path: Path, sites: list[Site]) -> None:
    one, other = (new_site(project, tmp_path / name, sites) for name in ("one", "other"))
    other.env = {name: str(int(port) + 500) for name, port in one.env.items()}
    for site in (one, other):
        site.up()
    assert one.name != other.name
    project.use(one)
    project.use(one)
    project.use(other)
    written = [project.read(site) for site in (one, other)]
    assert written[0] != written[1]
    one.down()
    assert project.read(other) == written[1]
    project.use(other)
    one.up()
    assert project.read(one) == written[0]


def crash_and_bring_back(site: Site) -> None:
    """Everything in it dies: the supervisor brings back what restarts by itself, `up` what was killed."""
    if site.project.watched:
        before = {one["Id"]: one["State"]["StartedAt"] for one in site.inspect() if one["State"]["Running"]}
        with site.watched():
            site.crash()
            until(lambda: restarted(site, before) and site.ready(), 90, "the supervisor's restarts")
    site.kill()
    assert not site.ready()
    site.up()
    assert site.ready()


def restarted(site: Site, before: Mapping[str, str]) -> bool:
    """Whether each of these containers was started since."""
    now = {one["Id"]: one["State"]["StartedAt"] for one in site.inspect()}
    return all(now[container] > started for container, started in before.items())


def at_rest_and_untouched(site: Site) -> dict[str, str]:
    """The hash of every file that it left; commands that only look or clean up change none of them."""
    files = site.at_rest()
    for words in (("reap",), ("list",), ("status", site.name), ("down", site.name)):
        site.run(*words)
    assert site.at_rest() == files
    there = set(docker("volume", "ls", "-q", "--filter", site.label).split())
    assert there == {one for one in site.volumes if one.startswith(site.name)}
    return files


def bounded(site: Site, services: Inspected) -> None:
    """Every container has all its limits, those of its file where that sets some, and rotated logs."""
    for name, found in services.items():
        asked = site.project.limits.get(name, {})
        for one in found:
            host = one["HostConfig"]
            assert host["Memory"] == asked.get("Memory", 384 << 20), name
            assert host["MemorySwap"] == host["Memory"], name
            assert host["PidsLimit"] == asked.get("PidsLimit", 256), name
            assert 0 < host["NanoCpus"] <= asked.get("NanoCpus", 2_000_000_000), name
            assert host["LogConfig"]["Config"]["max-size"], name
            assert host["RestartPolicy"]["Name"] in ("", "no"), name
            assert not host["Privileged"], name
            for bindings in host["PortBindings"].values():
                assert {bound["HostIp"] for bound in bindings} == {"127.0.0.1"}, name
