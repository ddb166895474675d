"""Cgroups of both versions and both drivers, as trees of files that a real engine would show."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from stackctl.core.facts import AppliedLimits, Container, Reading
from stackctl.engine.cgroup import Cgroups, cgroup_paths
from stackctl.engine.sampler import Sampler

ID = "f3" * 32
PID = 4242
V1_MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/root rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V2_MOUNTS = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
PATHS = {
    "cgroupfs": f"/docker/{ID}",
    "systemd": f"/system.slice/docker-{ID}.scope",
}
PAGE = 4096


@dataclass(frozen=True)
class Tree:
    """A fixture tree and the folder of its container for each controller."""

    root: Path
    folders: dict[str, Path]

    def write(self, controller: str, **files: str) -> None:
        folder = self.folders[controller]
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(f"{text}\n")

    def cgroups(self) -> Cgroups:
        return Cgroups(proc=self.root / "proc", root=self.root)

    def sampler(self, most_open: int | None = None) -> Sampler:
        return Sampler(self.root / "proc", self.root, most_open=most_open)


def _proc(root: Path, cgroup: str, mounts: str) -> None:
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / str(PID)).mkdir()
    (root / "proc" / "self" / "mountinfo").write_text(mounts)
    (root / "proc" / str(PID) / "cgroup").write_text(cgroup)


@pytest.fixture(params=["cgroupfs", "systemd"])
def v1(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    path, root = PATHS[request.param], tmp_path / "v1"
    _proc(
        root,
        f"9:name=systemd:{path}\n8:pids:{path}\n4:memory:{path}\n2:cpu,cpuacct:{path}\n0::/\n",
        V1_MOUNTS,
    )
    at = {name: root / f"sys/fs/cgroup/{name}{path}" for name in ("pids", "memory")}
    tree = Tree(root, {**at, "cpu": root / f"sys/fs/cgroup/cpu,cpuacct{path}"})
    tree.write("pids", pids__current="12", pids__max="256", pids__events="max 3")
    tree.write(
        "memory",
        memory__usage_in_bytes="104857600",
        memory__limit_in_bytes="268435456",
        memory__memsw__limit_in_bytes="268435456",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 2",
        memory__stat="cache 100\ntotal_cache 99000000\ntotal_rss 50000\ntotal_shmem 4194304\n"
        "total_active_file 60000000\ntotal_inactive_file 30000000\n"
        "total_dirty 1000000\ntotal_writeback 500000",
    )
    tree.write("cpu", cpu__cfs_quota_us="150000", cpu__cfs_period_us="100000", cpuacct__usage="2500000000")
    return tree


@pytest.fixture(params=["cgroupfs", "systemd"])
def v2(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    path, root = PATHS[request.param], tmp_path / "v2"
    _proc(root, f"0::{path}\n", V2_MOUNTS)
    tree = Tree(root, {"unified": root / f"sys/fs/cgroup{path}"})
    tree.write(
        "unified",
        pids__current="7",
        pids__max="max",
        pids__events="max 0",
        memory__current="209715200",
        memory__max="268435456",
        memory__swap__max="0",
        memory__stat="anon 50000\nfile 99000000\nshmem 4194304\nactive_file 60000000\n"
        "inactive_file 30000000\nfile_dirty 1000000\nfile_writeback 500000\n"
        "slab_reclaimable 2000000\nslab_unreclaimable 9",
        memory__events="low 0\nhigh 0\nmax 5\noom 1\noom_kill 1",
        cpu__max="50000 100000",
        cpu__stat="usage_usec 1500000\nuser_usec 1",
        memory__pressure="some avg10=12.50 avg60=3.00 avg300=0.00 total=99\nfull avg10=1.00 avg60=0.00",
    )
    return tree


def _container(pid: int = PID) -> Container:
    return Container(id=ID, name="x", image="y", state="running", pid=pid)


def test_version_one(v1: Tree) -> None:
    reading = v1.cgroups().read([_container()])[ID]
    assert (reading.pids, reading.pids_refused, reading.oom_kills, reading.cpu) == (12, 3, 2, 2.5)
    assert reading.memory == 104857600 - (60000000 + 30000000 - 1000000 - 500000)
    assert reading.limits == AppliedLimits(pids=256, memory=268435456, swap=268435456, cpus=1.5)
    assert reading.at > 0


def test_version_two(v2: Tree) -> None:
    reading = v2.cgroups().read([_container()])[ID]
    assert (reading.pids, reading.pids_refused, reading.oom_kills, reading.cpu) == (7, 0, 1, 1.5)
    assert reading.memory == 209715200 - (60000000 + 30000000 - 1000000 - 500000) - 2000000
    assert reading.limits == AppliedLimits(pids=-1, memory=268435456, swap=268435456, cpus=0.5)


def test_no_limit_is_minus_one_in_both(v1: Tree, v2: Tree) -> None:
    v1.write(
        "memory",
        memory__limit_in_bytes="9223372036854771712",
        memory__memsw__limit_in_bytes="9223372036854771712",
    )
    v1.write("pids", pids__max="max")
    v1.write("cpu", cpu__cfs_quota_us="-1")
    v2.write("unified", memory__max="max", memory__swap__max="max", cpu__max="max 100000")
    unlimited = AppliedLimits(pids=-1, memory=-1, swap=-1, cpus=-1)
    assert v1.cgroups().read([_container()])[ID].limits == unlimited
    assert v2.cgroups().read([_container()])[ID].limits == unlimited


def test_swap_beside_memory_is_added_up(v2: Tree) -> None:
    v2.write("unified", memory__swap__max="1000000")
    assert v2.cgroups().read([_container()])[ID].limits.swap == 268435456 + 1000000
    v2.write("unified", memory__swap__max="max")
    assert v2.cgroups().read([_container()])[ID].limits.swap == -1


@pytest.mark.parametrize(
    ("file", "gone"),
    [
        ("pids.current", lambda r: r.pids),
        ("pids.max", lambda r: r.limits.pids),
        ("pids.events", lambda r: r.pids_refused),
        ("memory.usage_in_bytes", lambda r: r.memory),
        ("memory.stat", lambda r: r.memory),
        ("memory.limit_in_bytes", lambda r: r.limits.memory),
        ("memory.memsw.limit_in_bytes", lambda r: r.limits.swap),
        ("memory.oom_control", lambda r: r.oom_kills),
        ("cpu.cfs_quota_us", lambda r: r.limits.cpus),
        ("cpu.cfs_period_us", lambda r: r.limits.cpus),
        ("cpuacct.usage", lambda r: r.cpu),
    ],
)
def test_a_missing_file_is_unknown_and_never_zero(
    v1: Tree, file: str, gone: Callable[[object], object]
) -> None:
    (path,) = (folder / file for folder in v1.folders.values() if (folder / file).exists())
    path.unlink()
    assert gone(v1.cgroups().read([_container()])[ID]) is None


@pytest.mark.parametrize(
    ("file", "gone"),
    [
        ("pids.current", lambda r: r.pids),
        ("pids.max", lambda r: r.limits.pids),
        ("pids.events", lambda r: r.pids_refused),
        ("memory.current", lambda r: r.memory),
        ("memory.stat", lambda r: r.memory),
        ("memory.max", lambda r: r.limits.memory),
        ("memory.swap.max", lambda r: r.limits.swap),
        ("memory.events", lambda r: r.oom_kills),
        ("cpu.max", lambda r: r.limits.cpus),
        ("cpu.stat", lambda r: r.cpu),
    ],
)
def test_version_two_without_a_file(v2: Tree, file: str, gone: Callable[[object], object]) -> None:
    (v2.folders["unified"] / file).unlink()
    assert gone(v2.cgroups().read([_container()])[ID]) is None


def test_torn_and_foreign_text_is_unknown(v1: Tree) -> None:
    v1.write("pids", pids__current="", pids__max="many")
    v1.write("cpu", cpu__cfs_quota_us="1 2 3")
    reading = v1.cgroups().read([_container()])[ID]
    assert (reading.pids, reading.limits.pids, reading.limits.cpus) == (None, None, None)


def test_a_pid_that_was_given_to_another_is_no_reading(v1: Tree) -> None:
    (v1.root / "proc" / str(PID) / "cgroup").write_text("4:memory:/user.slice\n8:pids:/docker/abcd\n0::/\n")
    assert v1.cgroups().read([_container(), _container(pid=0), _container(pid=99999)]) == {}


def test_memory_is_never_below_zero(v1: Tree) -> None:
    v1.write("memory", memory__usage_in_bytes="1000")
    assert v1.cgroups().read([_container()])[ID].memory == 0


def test_dirty_pages_do_not_make_more_of_it(v1: Tree) -> None:
    v1.write("memory", memory__stat="total_active_file 0\ntotal_inactive_file 100\ntotal_dirty 5000")
    assert v1.cgroups().read([_container()])[ID].memory == 104857600


def test_the_containers_own_cgroup_is_found_from_one_below_it() -> None:
    """An init system in a container moves its processes into cgroups of their own; the limits stand above."""
    text = f"0::/system.slice/docker-{ID}.scope/init.scope\n"
    assert cgroup_paths(text, V2_MOUNTS, ID) == {"unified": f"/sys/fs/cgroup/system.slice/docker-{ID}.scope"}
    assert cgroup_paths(text, V2_MOUNTS)["unified"].endswith("/init.scope")


def test_controllers_that_share_a_mount_share_a_folder() -> None:
    found = cgroup_paths(f"2:cpu,cpuacct:/docker/{ID}\n", V1_MOUNTS, ID)
    assert found == dict.fromkeys(("cpu", "cpuacct"), f"/sys/fs/cgroup/cpu,cpuacct/docker/{ID}")


def test_a_mount_that_shows_only_a_part_is_cut_to_it() -> None:
    """As within a container that has its own part of the hierarchy mounted."""
    mounts = "30 23 0:26 /docker/outer /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
    inner = f"0::/docker/outer/docker/{ID}\n"
    assert cgroup_paths(inner, mounts, ID) == {"unified": f"/sys/fs/cgroup/docker/{ID}"}
    assert cgroup_paths(f"0::/docker/outermost/{ID}\n", mounts, ID) == {}
    assert cgroup_paths(f"0::/../{ID}\n", V2_MOUNTS, ID) == {}


def test_mount_points_with_spaces_and_broken_lines() -> None:
    mounts = "junk\n30 23 0:26 / /sys/my\\040cgroup rw - cgroup2 cgroup rw\n30 - cgroup2\n"
    assert cgroup_paths(f"0::/{ID}\njunk\n", mounts, ID) == {"unified": f"/sys/my cgroup/{ID}"}


def test_the_whole_hierarchy_wins_over_a_part() -> None:
    mounts = f"31 1 0:1 /docker /mnt/part rw - cgroup2 c rw\n{V2_MOUNTS}"
    assert cgroup_paths(f"0::/docker/{ID}\n", mounts, ID) == {"unified": f"/sys/fs/cgroup/docker/{ID}"}


def _sample(sampler: Sampler, pid: int = PID) -> Reading | None:
    return sampler.sample([_container(pid)]).get(ID)


@pytest.mark.parametrize("most_open", [None, 0, 3])
def test_the_sampler_reads_version_one(v1: Tree, most_open: int | None) -> None:
    reading = _sample(v1.sampler(most_open))
    assert reading is not None
    assert (reading.pids, reading.pids_refused, reading.oom_kills, reading.cpu) == (12, 3, 2, 2.5)
    assert reading.memory == 104857600 - (60000000 + 30000000 - 1000000 - 500000)
    assert reading.pressure is None
    assert reading.limits == AppliedLimits()
    assert reading.at > 0


@pytest.mark.parametrize("most_open", [None, 0, 3])
def test_the_sampler_reads_version_two(v2: Tree, most_open: int | None) -> None:
    reading = _sample(v2.sampler(most_open))
    assert reading is not None
    assert (reading.pids, reading.pids_refused, reading.oom_kills, reading.cpu) == (7, 0, 1, 1.5)
    assert reading.memory == 209715200 - (60000000 + 30000000 - 1000000 - 500000) - 2000000
    assert reading.pressure == 12.5


def test_the_sampler_and_a_single_reading_agree(v1: Tree, v2: Tree) -> None:
    for tree in (v1, v2):
        single, repeated = tree.cgroups().read([_container()])[ID], _sample(tree.sampler())
        assert repeated is not None
        assert replace(single, at=0, limits=AppliedLimits()) == replace(repeated, at=0, pressure=None)


@pytest.mark.parametrize("most_open", [None, 0])
def test_each_sample_is_new(v1: Tree, most_open: int | None) -> None:
    sampler = v1.sampler(most_open)
    first = _sample(sampler)
    v1.write("pids", pids__current="200", pids__events="max 4")
    v1.write("memory", memory__usage_in_bytes="204857600")
    second = _sample(sampler)
    assert first is not None
    assert second is not None
    assert (second.pids, second.pids_refused) == (200, 4)
    assert (second.memory or 0) - (first.memory or 0) == 100000000
    assert second.at > first.at


@pytest.mark.parametrize(
    ("file", "field"),
    [
        ("pids.current", "pids"),
        ("pids.events", "pids_refused"),
        ("memory.usage_in_bytes", "memory"),
        ("memory.stat", "memory"),
        ("memory.oom_control", "oom_kills"),
        ("cpuacct.usage", "cpu"),
    ],
)
@pytest.mark.parametrize("torn", [False, True])
def test_what_the_sampler_cannot_read_is_unknown(v1: Tree, file: str, field: str, torn: bool) -> None:
    (path,) = (folder / file for folder in v1.folders.values() if (folder / file).exists())
    path.write_text("torn") if torn else path.unlink()
    reading = _sample(v1.sampler())
    known = {"pids", "pids_refused", "memory", "oom_kills", "cpu"} - {field}
    assert getattr(reading, field) is None
    assert None not in [getattr(reading, one) for one in known]


@pytest.mark.parametrize(
    ("file", "field"),
    [
        ("pids.current", "pids"),
        ("pids.events", "pids_refused"),
        ("memory.current", "memory"),
        ("memory.stat", "memory"),
        ("memory.events", "oom_kills"),
        ("cpu.stat", "cpu"),
        ("memory.pressure", "pressure"),
    ],
)
@pytest.mark.parametrize("torn", [False, True])
def test_what_version_two_lacks_is_unknown(v2: Tree, file: str, field: str, torn: bool) -> None:
    path = v2.folders["unified"] / file
    path.write_text("torn") if torn else path.unlink()
    reading = _sample(v2.sampler())
    known = {"pids", "pids_refused", "memory", "oom_kills", "cpu", "pressure"} - {field}
    assert getattr(reading, field) is None
    assert None not in [getattr(reading, one) for one in known]


def test_the_sampler_follows_a_container_to_its_new_process(v1: Tree) -> None:
    sampler = v1.sampler()
    assert _sample(sampler) is not None
    assert _sample(sampler, pid=99999) is None
    assert _sample(sampler) is not None
    (v1.root / "proc" / str(PID) / "cgroup").write_text("4:memory:/user.slice\n8:pids:/docker/abcd\n0::/\n")
    sampler.close()
    assert _sample(sampler) is None


def test_a_cgroup_that_vanished_is_no_sample(v1: Tree) -> None:
    sampler = v1.sampler(most_open=0)
    assert _sample(sampler) is not None
    for folder in v1.folders.values():
        shutil.rmtree(folder)
    assert _sample(sampler) is None
    assert _sample(sampler, pid=0) is None


def test_pressure_is_there_where_version_two_is_mounted_beside_version_one(v1: Tree) -> None:
    (v1.root / "proc" / str(PID) / "cgroup").write_text(
        f"8:pids:{PATHS['cgroupfs']}\n4:memory:{PATHS['cgroupfs']}\n0::{PATHS['cgroupfs']}\n"
    )
    beside = v1.root / f"sys/fs/cgroup/unified{PATHS['cgroupfs']}"
    beside.mkdir(parents=True)
    (beside / "memory.pressure").write_text("some avg10=7.25 avg60=0.00 avg300=0.00 total=1\n")
    (beside / "memory.current").write_text("1\n")
    for name in ("pids", "memory"):
        folder = v1.root / f"sys/fs/cgroup/{name}{PATHS['cgroupfs']}"
        if not folder.exists():
            shutil.copytree(v1.folders[name], folder)
    reading = _sample(v1.sampler())
    assert reading is not None
    assert (reading.pids, reading.pressure) == (12, 7.25)
    assert reading.memory == 104857600 - (60000000 + 30000000 - 1000000 - 500000)


def test_files_are_closed_when_nobody_asks_for_the_container(v1: Tree) -> None:
    def files() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    sampler, before = v1.sampler(), files()
    sampler.sample([_container()])
    assert files() == before + 6
    for _ in range(3):
        sampler.sample([_container()])
    assert files() == before + 6
    sampler.sample([])
    assert files() == before
    sampler.sample([_container()])
    sampler.close()
    assert files() == before
    few = v1.sampler(most_open=2)
    few.sample([_container()])
    assert files() == before + 2
    few.close()


def test_running_out_of_descriptors_is_no_sample_and_passes(v1: Tree) -> None:
    """A file that could not be opened for want of a descriptor is not taken for one that does not exist."""
    sampler = v1.sampler()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 3, hard))
    try:
        assert _sample(sampler) is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    reading = _sample(sampler)
    sampler.close()
    assert reading is not None
    assert None not in (reading.pids, reading.pids_refused, reading.memory, reading.oom_kills, reading.cpu)
