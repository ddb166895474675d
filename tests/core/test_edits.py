"""Changes to a YAML file's text: what was meant changes, every other byte stays, or nothing does."""

from __future__ import annotations

import pytest

from stackctl.core.documents import load
from stackctl.core.edits import with_value, with_words
from stackctl.core.errors import StackFileError

TEXT = """# the head stays
compose: ../c.yml   # and this

limits: {memory: 1g}
services:
  web:
    # why it is small
    limits:
      memory: 512m   # measured
  db: {limits: {pids: 40}}
allow:
  web: [privileged]
  worker:
    - devices   # a dongle
  one: docker-socket
  # last words

# the end
"""


def test_words_are_added_in_the_style_that_stands_there_and_all_else_stays() -> None:
    text = TEXT
    for service in ("web", "worker", "one", "new"):
        text = with_words(text, ("allow", service), ["sysctls", "privileged"], source="s")
    assert load(text, source="s").data["allow"] == {
        "web": ["privileged", "sysctls"],
        "worker": ["devices", "sysctls", "privileged"],
        "one": ["docker-socket", "sysctls", "privileged"],
        "new": ["sysctls", "privileged"],
    }
    changed = {"  web: [privileged]", "  one: docker-socket"}
    assert [line for line in TEXT.splitlines() if line not in text.splitlines()] == sorted(
        changed, key=TEXT.splitlines().index
    )
    assert with_words(text, ("allow", "web"), ["sysctls"], source="s") == text


def test_values_are_replaced_and_added_and_the_comment_behind_them_stays() -> None:
    text = with_value(TEXT, ("services", "web", "limits", "memory"), "96m", source="s")
    assert "      memory: 96m   # measured\n" in text
    text = with_value(text, ("services", "web", "limits", "pids"), 32, source="s")
    assert "      memory: 96m   # measured\n      pids: 32\n" in text
    text = with_value(text, ("services", "db", "limits", "memory"), "64m", source="s")
    assert "  db: {limits: {pids: 40, memory: 64m}}\n" in text
    text = with_value(text, ("services", "a.b", "limits", "memory"), "64m", source="s")
    assert "  a.b:\n    limits:\n      memory: 64m\n" in text
    assert text.replace("512m", "96m").endswith("# last words\n\n# the end\n")


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("", "allow:\n  web: [w]\n"),
        ("# only this", "# only this\nallow:\n  web: [w]\n"),
        ("a: 1", "a: 1\nallow:\n  web: [w]\n"),
        ("a: 1\n\nb: 2\n", "a: 1\n\nb: 2\n\nallow:\n  web: [w]\n"),
        ("allow:\n", "allow: {web: [w]}\n"),
        ("allow: ~ # none yet\nb: 1\n", "allow: {web: [w]} # none yet\nb: 1\n"),
        ("allow: {}\n", "allow: {web: [w]}\n"),
        ("allow: {web: [] }\n", "allow: {web: [w] }\n"),
        ("allow: {web: [a,], b: x }\n", "allow: {web: [a, w,], b: x }\n"),
        ("allow: { b: [x] }  # b\n", "allow: { b: [x], web: [w] }  # b\n"),
        ("# ünï\na: 'ö'\nallow:\n  b: [x]\n", "# ünï\na: 'ö'\nallow:\n  b: [x]\n  web: [w]\n"),
        ("allow:\n    b: [x]\n\n# later\n", "allow:\n    b: [x]\n    web: [w]\n\n# later\n"),
        (
            "allow:\n  b: [x]\ndescription: |\n  text\n",
            "allow:\n  b: [x]\n  web: [w]\ndescription: |\n  text\n",
        ),
        ("description: |\n  text\n\n", "description: |\n  text\nallow:\n  web: [w]\n\n"),
    ],
)
def test_every_form_of_a_file_is_edited_where_it_stands(text: str, after: str) -> None:
    done = with_words(text, ("allow", "web"), ["w"], source="s")
    if "\n\n" not in text:
        assert done == after
    assert load(done, source="s").data["allow"]["web"][-1] == "w"
    assert with_words(done, ("allow", "web"), ["w"], source="s") == done
    kept = [line for line in text.splitlines() if "allow" not in line and line]
    assert [line for line in done.splitlines() if line in kept] == kept


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {web: [x]}\nallow: *a\n",
        "a: &a [x]\nallow: {web: *a}\n",
        "allow: [web]\n",
        "allow: {web: {x: 1}}\n",
        "- allow\n",
        "a: [1, 2\n",
    ],
)
def test_what_cannot_be_changed_alone_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(StackFileError) as caught:
        with_words(text, ("allow", "web"), ["w"], source="s.yaml")
    assert "s.yaml" in str(caught.value)


def test_a_list_or_text_of_several_lines_is_no_value_to_replace() -> None:
    for text in ("a: {b: [1]}\n", "a:\n  b: |\n    1\n"):
        with pytest.raises(StackFileError, match=r"cannot be changed safely at `a.b`") as caught:
            with_value(text, ("a", "b"), 2, source="s")
        assert caught.value.hint == "write it there by hand: `a: {b: 2}`"
