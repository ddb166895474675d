"""URLs from patterns: hosts, ports, encoded secrets, masks."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.core.errors import StateError, UsageError
from stackctl.core.urls import fill, inside, isolated, masked, outside

PATTERN = "postgres://app:{secret:db-password}@{host}:{port}/app"


def test_inside_speaks_of_the_service_and_its_own_port():
    assert inside("db", 5432, PATTERN, {"db-password": "s3"}) == "postgres://app:s3@db:5432/app"


def test_outside_speaks_of_the_host_and_the_published_port():
    assert (
        outside(PATTERN, "127.0.0.1", 20001, {"db-password": "s3"}) == "postgres://app:s3@127.0.0.1:20001/app"
    )


def test_isolated_speaks_of_the_host_as_containers_call_it_and_the_published_port():
    url = isolated(PATTERN, 20001, {"db-password": "s/3"})
    assert url == "postgres://app:s%2F3@host.docker.internal:20001/app"


@pytest.mark.parametrize(
    ("host", "shown"), [("::1", "[::1]"), ("[::1]", "[::1]"), ("db", "db"), ("10.0.0.1", "10.0.0.1")]
)
def test_an_ipv6_host_stands_in_brackets(host, shown):
    assert fill("http://{host}:{port}", host=host, port=80, secrets={}) == f"http://{shown}:80"


@pytest.mark.parametrize(
    "pattern",
    [
        "http://{hots}:{port}",
        "http://{}",
        "http://{secret:}",
        "http://{secret}",
        "http://{host",
        "http://host}",
        "{{host}}",
    ],
)
def test_any_other_brace_is_an_error(pattern):
    with pytest.raises(UsageError):
        fill(pattern, host="db", port=1, secrets={"": "x", "secret": "x"})


def test_a_missing_secret_is_an_error_that_names_it():
    with pytest.raises(StateError, match="db-password"):
        inside("db", 5432, PATTERN, {})


def test_a_mask_stays_readable():
    assert inside("db", 1, PATTERN, {"db-password": "***"}) == "postgres://app:***@db:1/app"


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
def test_a_secret_of_any_text_comes_back_and_changes_nothing_else(secret):
    url = urlsplit(inside("db", 5432, PATTERN, {"db-password": secret}))
    assert (url.scheme, url.username, url.hostname, url.port, url.path) == (
        "postgres",
        "app",
        "db",
        5432,
        "/app",
    )
    assert unquote(url.password or "") == secret


@given(
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(
        lambda text: text not in "app:db5432/"
    )
)
def test_a_masked_url_does_not_show_the_secret(secret):
    url = inside("db", 5432, PATTERN, {"db-password": secret})
    assert masked(url) == "postgres://app:***@db:5432/app"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@cache:6379/0", "redis://:***@cache:6379/0"),
        ("http://db:5432/", "http://db:5432/"),
        ("http://h/?a=1&api_token=xyz&b=2#f", "http://h/?a=1&api_token=***&b=2#f"),
        ("http://h/?password=p%20q", "http://h/?password=***"),
        ("two http://a:b@c and http://d:e@f", "two http://a:***@c and http://d:***@f"),
        ("http://a:b@weird@host/", "http://a:***@host/"),
        ("http://host/path@x:y", "http://host/path@x:y"),
    ],
)
def test_masks(url, shown):
    assert masked(url) == shown
