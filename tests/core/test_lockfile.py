"""Locks as text and back, what is stale of them, and what never stands in one; literals only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stackctl.core.errors import StackFileError
from stackctl.core.lockfile import (
    Inputs,
    Lock,
    Pin,
    hashed,
    lock_of,
    lock_text,
    parse_lock,
    pinned,
    references,
    stale,
)
from stackctl.core.masking import is_secret, masked, masked_env_file
from stackctl.core.mentions import Mentioned, files_in, read_plain, variables_in

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
LOCK = Lock(
    of="shop.yaml",
    tool="1.2.3",
    document=A,
    images={"redis:7.0": Pin(digest=B, origin="registry"), "a/b": Pin(digest=A, origin="engine")},
    built={"web": A},
    inputs=Inputs(files={"stacks/shop.yaml": A}, variables={"TAG": B}, secrets=("TOKEN",)),
)


def read(text: str, of: str = "shop.yaml") -> Lock:
    return parse_lock(text, source="stacks/shop.lock.yaml", of=of)


def document(**services: Any) -> dict[str, Any]:
    return {"services": services}


def locked(found: dict[str, Any], inputs: Inputs | None = None, **pins: Pin) -> Lock:
    images = references(found)
    return lock_of(found, {}, images, pins, inputs or Inputs(), of="shop.yaml", tool="1")


def test_a_lock_is_read_back_as_it_was_written_and_has_no_time_in_it() -> None:
    text = lock_text(LOCK)
    assert read(text) == LOCK
    assert lock_text(read(text)) == text
    assert text.startswith("# ")
    assert "shop.yaml" in text.splitlines()[0]


def test_empty_parts_are_left_out_and_read_back() -> None:
    bare = Lock(of="shop.yaml", tool="1", document=A)
    assert "images:" not in lock_text(bare)
    assert read(lock_text(bare)) == bare


def changed(old: str, new: str) -> str:
    text = lock_text(LOCK)
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no lock of stackctl"),
        ("[1, 2]", "no lock of stackctl"),
        ("services: {}", "has no `schema: 1`"),
        (changed("schema: 1", "schema: true"), "has no `schema: 1`"),
        (changed("schema: 1", "schema: 2"), "schema 2, and this stackctl reads up to 1"),
        (changed(f"digest: {B}", "digest: sha256:beef"), "'sha256:beef' is no digest"),
        (changed(f"digest: {B}", f"digest: {B.upper()}"), "is no digest"),
        (changed(f"digest: {B}", "digest: 7"), "is no digest"),
        (changed("from: registry", "from: hearsay"), "a `from:` of registry, engine, reference"),
        (changed("from: registry", "from: registry\n    note: x"), "it must have a `digest:`"),
        (changed(f"document: {A}", "document: x"), "document: 'x' is no digest"),
        (changed("redis:7.0", "Redis 7.0"), "is not an image"),
        (changed("tool:", "tol:"), "a lock has no such key"),
        (changed("tool: 1.2.3", "tool: [x]"), "tool: it must be text"),
        (changed("- TOKEN", "- {a: 1}"), "it must be a list of names"),
        (changed("  TAG:", "  - TAG:"), "variables"),
        ("a: [", "stacks/shop.lock.yaml"),
    ],
)
def test_a_lock_that_is_no_lock_says_what_is_wrong_with_it(text: str, says: str) -> None:
    with pytest.raises(StackFileError) as caught:
        read(text)
    told = "\n".join([caught.value.message, *map(str, caught.value.problems)])
    assert says in told
    assert "stacks/shop.lock.yaml" in told
    assert caught.value.hints


def test_every_wrong_part_is_told_at_once_with_its_line() -> None:
    with pytest.raises(StackFileError) as caught:
        read(changed(A, "nonsense"))
    problems = caught.value.problems
    assert len(problems) == 4
    assert all(one.line for one in problems)


def test_the_lock_of_another_file_is_refused() -> None:
    with pytest.raises(StackFileError, match=r"is the lock of shop\.yaml, not of web\.yaml"):
        read(lock_text(LOCK), of="web.yaml")


def test_images_run_by_digest_and_keep_their_names() -> None:
    found = document(
        web={"image": "redis:7.0"},
        old={"image": "redis"},
        fixed={"image": f"redis@{A}"},
        built={"image": "mine", "build": "."},
        other={"image": "nginx:1"},
    )
    images = references(found)
    assert set(images) == {"web", "old", "fixed", "other"}
    pins = {name: Pin(digest=B, origin="registry") for name in ("redis:7.0", "redis", f"redis@{A}", "mine")}
    after = {name: one["image"] for name, one in pinned(found, images, pins)["services"].items()}
    assert after == {
        "web": f"redis:7.0@{B}",
        "old": f"redis@{B}",
        "fixed": f"redis@{A}",
        "built": "mine",
        "other": "nginx:1",
    }
    assert pinned(pinned(found, images, pins), images, pins) == pinned(found, images, pins)


def test_what_differs_is_stale_each_thing_by_its_name() -> None:
    now = Lock(
        of="shop.yaml",
        tool="1.2.3",
        document=B,
        built={"web": B},
        inputs=Inputs(files={"more.yml": A}, variables={"TAG": A, "NEW": A}, secrets=("PASSWORD",)),
    )
    assert [str(one) for one in stale(LOCK, now, {"redis:7.0", "nginx:1"})] == [
        "the image `a/b` is no longer used",
        "the image `nginx:1` is not in it",
        "the build of `web` has changed",
        "the file more.yml is not in it",
        "the file stacks/shop.yaml is gone",
        "the variable `NEW` is not in it",
        "the variable `TAG` has another value",
        "the secret `PASSWORD` is not in it",
        "the secret `TOKEN` is no longer used",
    ]


def test_a_document_that_differs_alone_is_stale_and_another_version_alone_is_not() -> None:
    assert stale(LOCK, LOCK, LOCK.images) == ()
    assert stale(LOCK, replace(LOCK, tool="2"), LOCK.images) == ()
    (only,) = stale(LOCK, replace(LOCK, document=B), LOCK.images)
    assert only.kind == "document"
    assert "limits" in only.what
    (older,) = stale(LOCK, replace(LOCK, document=B, tool="2"), LOCK.images)
    assert "stackctl 1.2.3 wrote the lock, and this is 2" in older.what


def test_the_hash_of_a_document_tells_nothing_of_its_secrets() -> None:
    def whole(secret: str, plain: str = "p") -> str:
        found = document(
            web={
                "image": "a",
                "environment": {"DB_PASSWORD": secret, "PLAIN": plain, "URL": f"http://u:{secret}@h/"},
                "command": ["run", f"--with={secret}"],
            },
            made={"build": {"context": ".", "args": [f"API_KEY={secret}"]}},
        )
        lock = locked(found, Inputs(hidden=frozenset({secret})))
        return lock.document + lock.built["made"]

    assert whole("geheim") == whole("anders")
    assert whole("geheim") != whole("geheim", "q")


def test_a_short_secret_hides_only_where_it_stands_alone() -> None:
    assert masked({"a": "x", "b": "box"}, ["x"]) == {"a": "***", "b": "box"}
    assert masked("prefix-long-suffix", ["long"]) == "prefix-***-suffix"
    assert masked("https://token@h/ git@h:x", []) == "https://***@h/ git@h:x"
    assert masked({"x": "amqp://me:pw@h/1 http://h:80/"}, []) == {"x": "amqp://***@h/1 http://h:80/"}
    assert masked(["a", None, 3, True], [""]) == ["a", None, 3, True]


def test_the_folder_that_names_a_stack_is_not_in_the_hash() -> None:
    def named(stack: str) -> str:
        return locked(document(web={"image": "a", "labels": {"stackctl.stack": stack}})).document

    assert named("one") == named("two")


@pytest.mark.parametrize("name", ["DB_PASSWORD", "api_key", "TOKEN", "PGPASS", "MY_SECRET", "AUTH_HEADER"])
def test_secrets_are_known_by_their_names(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["TAG", "PORT", "WORD", "DATABASE_URL", "HOST"])
def test_other_variables_are_not(name: str) -> None:
    assert not is_secret(name)


def test_an_env_file_is_hashed_without_its_secrets() -> None:
    text = "TAG=1\nexport API_TOKEN=x\nDB_PASSWORD: y\nURL=http://a:b@c\n# note\n"
    assert masked_env_file(text) == (
        "TAG=1\nexport API_TOKEN=***\nDB_PASSWORD:***\nURL=http://***@c\n# note\n"
    )
    assert hashed(masked_env_file("A=1\nKEY=1")) == hashed(masked_env_file("A=1\nKEY=2"))
    assert hashed(masked_env_file("A=1")) != hashed(masked_env_file("A=2"))


def test_variables_that_a_file_interpolates() -> None:
    text = "a: ${TAG:-${OTHER}} $PLAIN $$NOT ${A_1?x} $1 $"
    assert variables_in(text) == {"TAG", "OTHER", "PLAIN", "A_1"}


def test_files_that_a_file_reads() -> None:
    text = """
include:
  - one.yml
  - {path: [two.yml, three.yml], env_file: inc.env}
  - https://example.com/x.yml
  - ${WHERE}/x.yml
services:
  a: {extends: {file: base.yml, service: x}, env_file: a.env}
  b: {extends: a, env_file: [{path: b.env, required: false}, a.env]}
  c: {ports: !reset [], volumes: !override [x]}
"""
    assert files_in(text) == Mentioned(
        compose=("one.yml", "two.yml", "three.yml", "base.yml"), env=("a.env", "b.env", "inc.env")
    )


@pytest.mark.parametrize("text", ["a: [", "[]", "", "services: 7", "include: [{a: b}]", "services: {a: 7}"])
def test_a_file_that_says_nothing_readable_names_no_files(text: str) -> None:
    assert files_in(text) == Mentioned()


def test_every_document_is_looked_at_and_nothing_contains_itself() -> None:
    text = "x-a: &a {env_file: a.env, image: x}\nservices: {s: {<<: *a, env_file: !override own.env}}\n"
    more = (
        "---\nservices:\n  t: {<<: [{extends: {file: first.yml, service: x}}, {extends: {file: no.yml}}]}\n"
    )
    assert files_in(text + more) == Mentioned(compose=("first.yml",), env=("own.env",))
    assert read_plain("include: &a [*a]") is None
    assert read_plain("services: {a: {image: x}}") == ()
    bomb = "x-0: &a0 [x, x]\n" + "".join(f"x-{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    assert files_in(f"{bomb}services: {{a: {{env_file: *a59, extends: b}}}}") == Mentioned()
