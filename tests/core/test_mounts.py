"""Folders of the host, judged by their text alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.core.mounts import classify

ROOT = "/home/u/project"


@pytest.mark.parametrize(
    ("source", "place"),
    [
        (".", "inside"),
        ("./src", "inside"),
        ("a/../b", "inside"),
        ("/home/u/project", "inside"),
        ("/home/u//project/./x/", "inside"),
        ("./.aws", "inside"),
        ("./weird$$name", "inside"),
        ("${STACKCTL_DATA_DB:?}", "inside"),
        ("${STACKCTL_FILES:?}/conf/nginx.conf", "inside"),
        ("${STACKCTL_SECRETS:?}/..", "outside"),
        ("${STACKCTL_DATA_DB:?}x", "outside"),
        ("${STACKCTL_DATA_DB:?}/${STACKCTL_INSTANCE:-}", "outside"),
        ("${STACKCTL_DATA_DB:-/etc}", "outside"),
        ("./${STACKCTL_PROJECT:?}", "outside"),
        ("$HOME", "outside"),
        ("..", "outside"),
        ("/home/u/projects", "outside"),
        ("/home/u", "outside"),
        ("/home", "sensitive"),
        ("/mnt/data", "outside"),
        ("~/data", "outside"),
        ("~", "outside"),
        ("~/.ssh", "sensitive"),
        ("../.ssh/id_ed25519", "sensitive"),
        ("/home/other/.kube/config", "sensitive"),
        ("/", "sensitive"),
        ("//", "sensitive"),
        ("../../..", "sensitive"),
        ("/../etc", "sensitive"),
        ("//etc/passwd", "sensitive"),
        ("/etc/ssl/private", "sensitive"),
        ("/proc/self/root/home/u/project", "sensitive"),
        ("/var", "sensitive"),
        ("/var/lib/docker/volumes", "sensitive"),
        ("/var/run", "sensitive"),
        ("/run/user/1000", "sensitive"),
        ("/dev/shm", "sensitive"),
        ("/root", "sensitive"),
        ("/rootless", "outside"),
        ("/etcetera", "outside"),
        ("/run/docker.sock", "socket"),
        ("/var/run/../run/docker.sock", "socket"),
        ("/run/containerd/containerd.sock", "socket"),
        ("/home/u/.docker/run/docker.sock", "socket"),
        ("./docker.sock", "socket"),
    ],
)
def test_places(source, place):
    assert classify(source, ROOT) == place


@pytest.mark.parametrize(
    "source",
    ["/etc/localtime", "/etc/timezone", "/etc/ssl/certs", "/etc/ssl/certs/ca.pem", "/usr/share/zoneinfo"],
)
def test_a_few_of_the_systems_files_may_be_read(source):
    assert classify(source, ROOT, read_only=True) == "harmless"
    assert classify(source, ROOT) != "harmless"
    assert classify(f"{source}/../../x", ROOT, read_only=True) in ("sensitive", "outside")


@pytest.mark.parametrize(
    ("root", "source", "place"),
    [
        ("/root/project", "./x", "inside"),
        ("/root/project", "/root/project/x", "inside"),
        ("/root/project", "..", "sensitive"),
        ("/root/project", "/root/other", "sensitive"),
        ("/root/project", "/etc", "sensitive"),
        ("/", "/srv", "inside"),
        ("/", "/etc", "sensitive"),
        ("/", "/", "sensitive"),
        ("/etc/stackctl", "./x", "inside"),
        ("/etc/stackctl", "/etc/passwd", "sensitive"),
        ("", "./x", "inside"),
        ("", "../x", "outside"),
        ("", "../../etc", "sensitive"),
        ("", "/srv", "outside"),
    ],
)
def test_places_under_other_roots(root, source, place):
    assert classify(source, root) == place


PARTS = st.sampled_from(["..", ".", "", "a", "etc", "home", "u", "project", "~", "$$", "docker.sock"])


@given(st.lists(PARTS, min_size=1, max_size=8), st.booleans())
def test_what_is_inside_really_lies_below_the_root(parts, absolute):
    source = ("/" if absolute else "") + "/".join(parts)
    if not source or classify(source, ROOT) != "inside":
        return
    stack: list[str] = [] if source.startswith("/") else ROOT.strip("/").split("/")
    for part in source.split("/"):
        if part == ".." and stack:
            stack.pop()
        elif part not in ("", ".", ".."):
            stack.append(part)
    assert "/" + "/".join(stack[:3]) == ROOT
