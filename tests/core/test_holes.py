"""Holes: their names, their exact forms, what Compose would interpolate beside them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.core import holes


@pytest.mark.parametrize(
    ("hole", "text"),
    [
        (holes.port_hole("db", 5432), "${STACKCTL_PORT_DB_5432:?}"),
        (holes.port_hole("dns", 53, "udp"), "${STACKCTL_PORT_DNS_53_UDP:?}"),
        (holes.data_hole("my-db"), "${STACKCTL_DATA_MY_DB:?}"),
        (holes.user_hole("db"), "${STACKCTL_USER_DB:?}"),
        (holes.GATEWAY, "${STACKCTL_GATEWAY:?}"),
        (holes.subnet_hole(), "${STACKCTL_SUBNET:?}"),
        (holes.subnet_hole("backend"), "${STACKCTL_SUBNET_BACKEND:?}"),
        (holes.cpus_hole("web", 2.0), "${STACKCTL_CPUS_WEB:-2}"),
        (holes.cpus_hole("web", 0.5), "${STACKCTL_CPUS_WEB:-0.5}"),
        (holes.cpus_hole("web", 1000000 - 1), "${STACKCTL_CPUS_WEB:-999999}"),
    ],
)
def test_names(hole, text):
    assert hole == text
    assert holes.declared(hole)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a-b", "a_b"), ("a.b", "a_b"), ("DB", "db"), ("a.b", "a-b"), ("Ab", "aB"), ("a_-b", "a-_b")],
)
def test_names_that_look_alike_share_nothing(one, other):
    assert holes.data_hole(one) != holes.data_hole(other)
    assert holes.port_hole(one, 80) != holes.port_hole(other, 80)
    assert holes.declared(holes.data_hole(one))


def test_a_folder_named_id_is_not_the_user_of_the_stamp():
    assert holes.user_hole("id") != holes.USER
    assert holes.declared(holes.user_hole("id"))


@pytest.mark.parametrize(
    "text",
    [
        "${STACKCTL_PORT_DB_5432:-1}",
        "${STACKCTL_DATA_DB:-/etc}",
        "${STACKCTL_PRIVILEGED:-true}",
        "${STACKCTL_CPUS_WEB:-true}",
        "${STACKCTL_CPUS_WEB:?}",
        "${STACKCTL_INSTANCE:-host}",
        "${STACKCTL_PROJECT:-x}",
        "${STACKCTL_SUBNET:?message}",
        "${STACKCTL_ANYTHING:?}",
        "${HOME}",
        "$HOME",
        "$",
    ],
)
def test_what_is_not_exactly_ours_is_no_hole(text):
    assert not holes.declared(text)
    assert holes.strays(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a $$HOME b", ()),
        ("$${STACKCTL_X:-1}", ()),
        ("$$${HOME}", ("$",)),
        ("${STACKCTL_PROJECT:?}-x", ()),
        ("${STACKCTL_PROJECT:?} ${STACKCTL_X:-1}", ("${STACKCTL_X:-1}",)),
        ("costs 5$", ("$",)),
        ("plain", ()),
    ],
)
def test_strays(text, found):
    assert holes.strays(text) == found


def test_find_holes_reads_values_with_their_defaults_and_leaves_escaped_ones():
    document = {
        "a": ["x ${STACKCTL_PROJECT:?}", {"b": holes.cpus_hole("web", 1.5)}],
        "c": "$${STACKCTL_SECRETS:?}",
        "d": holes.INSTANCE,
    }
    found = holes.find_holes(document)
    assert found == {"STACKCTL_PROJECT": None, "STACKCTL_CPUS_WEB": "1.5", "STACKCTL_INSTANCE": ""}


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("${STACKCTL_DATA_DB:?}", ("${STACKCTL_DATA_DB:?}", "")),
        ("${STACKCTL_FILES:?}/a", ("${STACKCTL_FILES:?}", "/a")),
        ("x${STACKCTL_FILES:?}", None),
        ("${STACKCTL_PROJECT:?}/a", None),
    ],
)
def test_split_path_hole(path, parts):
    assert holes.split_path_hole(path) == parts


def test_hole_name_refuses_other_text():
    with pytest.raises(ValueError, match="not a hole"):
        holes.hole_name("STACKCTL_PROJECT")


@given(
    st.text(st.sampled_from("ab_-.AB0"), min_size=1, max_size=5),
    st.text(st.sampled_from("ab_-.AB0"), min_size=1, max_size=5),
)
def test_different_names_make_different_holes(one, other):
    assert (holes.data_hole(one) == holes.data_hole(other)) is (one == other)
    assert holes.declared(holes.user_hole(one))


@given(st.floats(0.01, 999999))
def test_cpus_are_plain_decimals(cpus):
    assert holes.declared(holes.cpus_hole("web", cpus))
    assert float(holes.show_cpus(cpus)) == pytest.approx(cpus, abs=1e-6)
