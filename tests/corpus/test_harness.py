"""The harness finds what it is there to find; a harness that passes everything proves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus import candidates, checkouts
from corpus.__main__ import main
from corpus.comparing import differences
from corpus.judging import judge, places
from corpus.laid_over import PROJECT, Run, bounds_missing, expected
from stackctl.core import policy_values
from stackctl.ops import bounding

FILE = """
services:
  web:
    image: nginx:1.22
    container_name: fixed
    ports: ["8080:80", "81", "9000-9001:90"]
    restart: always
    labels: ["a=b"]
    env_file: missing.env
    environment: {TEXT: "0123", MORE: "${NEEDED:?}", LINES: "\\none\\n two\\n"}
  worker: {image: "busybox:1.35", deploy: {resources: {limits: {memory: 64m}}}, profiles: [more], scale: 2}
volumes: {data: {}}
"""


def corpus(folder: Path, text: str = FILE, name: str = "compose.yaml") -> Path:
    (folder / "corpus" / "project" / "deep").mkdir(parents=True, exist_ok=True)
    (folder / "corpus" / "project" / "deep" / name).write_text(text)
    return folder / "corpus"


def verdict(folder: Path, text: str = FILE) -> Any:
    found = candidates.find(corpus(folder, text))
    scratch = folder / "scratch"
    checkouts.copy(folder / "corpus", {one.checkout for one in found}, scratch)
    return judge(found[0], scratch)


def test_files_are_found_by_name_or_by_their_services_and_belong_to_a_checkout(tmp_path: Path) -> None:
    root = corpus(tmp_path)
    (root / "project" / "odd.yml").write_text("services:\n  a: {image: b}\n")
    (root / "project" / "other.yml").write_text("jobs:\n  services: x\n")
    (root / "project" / "docker-compose.x.yaml").write_text("include: [odd.yml]\n")
    (root / "top.compose.yml").write_text("name: x\n")
    assert [(one.file, one.checkout) for one in candidates.find(root)] == [
        ("project/deep/compose.yaml", "project"),
        ("project/docker-compose.x.yaml", "project"),
        ("project/odd.yml", "project"),
        ("top.compose.yml", "."),
    ]
    (root / "project" / "deep" / ".git").mkdir()
    assert candidates.find(root)[0].checkout == "project/deep"


def test_a_folder_that_is_none_or_holds_nothing_is_an_error(tmp_path: Path, capsys: Any) -> None:
    assert main([str(tmp_path / "none")]) == 2
    assert main([str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "there is no folder" in said
    assert "no compose file below" in said


@pytest.mark.engine
def test_a_file_is_bounded_and_otherwise_what_it_was(tmp_path: Path) -> None:
    found = verdict(tmp_path)
    assert found.failures == []
    assert (found.accepted, found.equal, found.services, found.bounded) == (True, True, 2, 2)
    assert (found.variables, found.created) == (1, 1)


@pytest.mark.engine
def test_what_is_lost_or_not_bounded_is_a_failure(tmp_path: Path, monkeypatch: Any) -> None:
    settled = bounding.settled

    def losing(*given: Any) -> Any:
        document, changes = settled(*given)
        document["services"]["web"]["environment"]["TEXT"] = 83
        return document, changes

    monkeypatch.setattr(bounding, "settled", losing)
    monkeypatch.setitem(policy_values.LOG_OPTIONS, "max-file", "4")
    failures = verdict(tmp_path).failures
    assert any("environment.TEXT" in one for one in failures)
    assert any("web.logging.options.max-file" in one for one in failures)


@pytest.mark.engine
def test_a_file_that_compose_refuses_is_refused_at_the_same_place(tmp_path: Path) -> None:
    found = verdict(tmp_path, "services: {web: {image: a, depends_on: [nobody]}}\n")
    assert "nobody" in found.refused_by_compose
    assert found.failures == []


def test_the_places_of_a_message() -> None:
    said = 'time="x" level=warning\nvalidating /x/c.yml: services.web.ports.0 must be, line 3, "db"\n'
    assert places(said) == ["services.web.ports.0", "line 3", '"db"']


def test_text_is_told_from_numbers_and_null_from_nothing() -> None:
    wanted = {"a": "1", "b": None, "c": [1], "x": {"cpus": "0.5"}}
    found = {"a": 1, "c": [1, 2], "x": {"cpus": 0.5}}
    assert [path for path, _, _ in differences(wanted, found)] == ["a", "b", "c"]


def test_what_is_laid_over_stands_in_the_dialect_of_the_service() -> None:
    original = {"services": {"a": {"image": "x"}, "b": {"deploy": {"resources": {"limits": {}}}}}}
    found = expected({"name": PROJECT, **original}, Run("demo", {}))["services"]
    limits = {"pids_limit": 256, "mem_limit": "8589934592", "memswap_limit": "8589934592", "cpus": 2.0}
    assert {key: found["a"][key] for key in limits} == limits
    below = {"pids": 256, "memory": "8589934592", "cpus": 2.0}
    assert found["b"]["deploy"]["resources"]["limits"] == below
    assert bounds_missing(found["a"]) == bounds_missing(found["b"]) == []
    assert bounds_missing({"image": "x"}) == ["pids", "memory", "swap", "cpus"]
