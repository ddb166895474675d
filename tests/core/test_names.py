"""What things may be called, and how words that people type are understood."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.core.errors import UnknownName, UsageError
from stackctl.core.names import (
    check_image,
    check_name,
    check_service,
    check_variable,
    nearest,
    project_name,
    short_hash,
    shorten,
    unique_match,
)


@pytest.mark.parametrize("name", ["a", "0", "my-env_2", "a" * 48])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "-a", "_a", "A", "a b", "a/b", "../a", "a\n", "a\0", "ä", "a.b", "a" * 49, "x" * 100_000]
)
def test_what_may_not_be_a_name(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a sidecar") as caught:
        check_name(name, "sidecar")

    assert len(caught.value.message) < 120
    assert caught.value.message.isascii()
    assert caught.value.message.isprintable()


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"[a-z0-9][a-z0-9_-]{0,47}", fullmatch=True))
def test_a_name_is_safe_in_a_path_and_a_project(name: str) -> None:
    try:
        check_name(name)
    except UsageError:
        return

    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*-[0-9a-f]{6}", project_name(name, "/root"))
    assert not {"/", ".", "\0", " "} & set(name)


def test_projects_differ_by_root_and_instance() -> None:
    names = {
        project_name("web", "/a"),
        project_name("web", "/b"),
        project_name("web", "/a", "two"),
        project_name("web", "/atwo"),
        project_name("other", "/a"),
    }

    assert len(names) == 5
    assert project_name("web", "/a") == "web-" + short_hash("/a\0")


@pytest.mark.parametrize("name", ["A", "_a", "DATABASE_URL", "a1", "a" * 128])
def test_variables(name: str) -> None:
    assert check_variable(name) == name


@pytest.mark.parametrize("name", ["", "1a", "A-B", "A B", "A=B", "ä", "a\n", "a" * 129])
def test_what_may_not_be_a_variable(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a variable"):
        check_variable(name)


@pytest.mark.parametrize("name", ["web", "Web.1", "a_b-c", "0"])
def test_services(name: str) -> None:
    assert check_service(name) == name


@pytest.mark.parametrize("name", ["", ".a", "-a", "a b", "a/b", "a\n", "a" * 64])
def test_what_may_not_be_a_service(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a service"):
        check_service(name)


DIGEST = "@sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "reference",
    [
        "busybox",
        "busybox:1.35",
        "library/busybox",
        "acme/web:1.4",
        "ghcr.io/acme/web:1.4",
        "localhost/web",
        "localhost:5000/web",
        "registry.example.org:5000/a/b/c:v1.2-rc.1_x",
        "192.168.0.1:5000/a",
        "[::1]:5000/a",
        "REGISTRY/a",
        "busybox" + DIGEST,
        "busybox:1" + DIGEST,
        "a__b/c--d.e",
    ],
)
def test_images(reference: str) -> None:
    assert check_image(reference) == reference


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "A",
        "a b",
        "a:",
        "a:-x",
        "a:" + "x" * 129,
        "a@sha256:123",
        "a@md5:" + "0" * 64,
        "/a",
        "a/",
        "a//b",
        "-a",
        "a\n",
        "${IMAGE}",
        "a..b",
        "a___b",
        "https://a/b",
        "-x.io/b",
        "a/" * 300 + "b",
    ],
)
def test_what_is_no_image(reference: str) -> None:
    with pytest.raises(ValueError, match="is not an image such as `postgres:17`"):
        check_image(reference)


def test_a_hostile_image_is_refused_fast() -> None:
    begun = time.perf_counter()
    for reference in ("a" * 511 + "!", "a-" * 255 + "!", "a." * 255 + "/!", "a/" * 255 + "!"):
        with pytest.raises(ValueError):
            check_image(reference)

    assert time.perf_counter() - begun < 1


def test_nearest_names() -> None:
    known = ["template", "compose", "tasks", "allow"]

    assert nearest("templte", known) == ("template",)
    assert nearest("zzz", known) == ()
    assert nearest("task", known, most=1) == ("tasks",)
    assert nearest("x" * 1_000_000, known) == ()


def test_a_long_text_is_cut() -> None:
    assert shorten("abc") == "abc"
    assert shorten("a" * 61) == "a" * 57 + "..."
    assert len(shorten("a" * 1000, 20)) == 20


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("web", "web"),
        ("web-", "web-2"),
        ("db", "db"),
        ("x", None),
        ("", None),
        ("WEB", None),
        ("web-2x", None),
    ],
)
def test_a_word_means_one_name(word: str, found: str | None) -> None:
    assert unique_match(word, ["web", "web-2", "db", "db"]) == found


def test_an_empty_word_means_nothing_even_if_there_is_only_one() -> None:
    assert unique_match("", ["web"]) is None


def test_an_ambiguous_word_names_what_it_could_mean() -> None:
    with pytest.raises(UnknownName) as caught:
        unique_match("we", ["web", "web-2", "db"], "task")

    assert caught.value.message == "`we` could mean several tasks"
    assert caught.value.hint == "name one of: web, web-2"
