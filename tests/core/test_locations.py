"""Where a problem of Compose's resolved document stands in the files that it was made of."""

from __future__ import annotations

from stackctl.core.documents import load
from stackctl.core.errors import Problem
from stackctl.core.locations import included, located

FIRST = load(
    "services:\n  web:\n    image: a\n    volumes:\n      - a:/a\n      - b:/b\n    privileged: true\n",
    source="first.yml",
)
SECOND = load("services:\n  web:\n    volumes: [c:/c]\n    pid: host\n", source="second.yml")


def place(path: str) -> tuple[str, int]:
    found = located(Problem(path=path, message="m", source="given"), (FIRST, SECOND))
    return found.source, found.line


def test_the_deepest_place_counts_and_the_later_file_wins_a_tie() -> None:
    assert place("services.web.privileged") == ("first.yml", 7)
    assert place("services.web.pid") == ("second.yml", 4)
    assert place("services.web.devices[0]") == ("second.yml", 2)
    assert located(Problem(path="services.web.volumes[1].source", message="m"), (FIRST,)).line == 6


def test_a_list_of_several_files_stands_as_a_whole() -> None:
    assert place("services.web.volumes[1]") == ("first.yml", 4)


def test_what_no_named_file_has_keeps_what_it_had() -> None:
    assert place("services.other.privileged") == ("given", 0)
    assert place("") == ("given", 0)
    assert place("networks") == ("given", 0)


def test_what_is_included_by_a_plain_path_is_named() -> None:
    entries = ["a.yml", {"path": "b.yml"}, {"path": ["c.yml", 7]}, "${HERE}/d.yml", {"env_file": "x"}, None]
    assert included({"include": entries}) == ("a.yml", "b.yml", "c.yml")
    assert included({"include": "a.yml"}) == included(None) == included([]) == ()
