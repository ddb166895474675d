"""Cgroups of both versions and both drivers, as trees of files that a real engine would show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from stackctl.core.facts import AppliedLimits, Container
from stackctl.engine.cgroup import Cgroups, cgroup_paths

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
