"""The shipped stacks: their documents byte for byte, the same in every process, clean for compose-lint."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shipped import ROOT, STACKS, bounded, folders, macros, rendered, stack
from stackctl.core.documents import dump, load
from stackctl.core.holes import find_holes
from stackctl.core.render import render_stack
from stackctl.core.stack import Rendered, TemplateFolder

SNAPSHOTS = Path(__file__).parent / "snapshots"
DIGEST = "sha256:" + "5" * 64
LINT = Path(sys.executable).parent / "compose-lint"


def text_of(made: Rendered) -> str:
    """A rendered stack as one YAML text: the document, and beside it what the shell is told."""
    beside = {
        "files": dict(made.files),
        "secrets": [secret.name for secret in made.secrets],
        "sidecars": {
            one.name: {
                "url": one.url,
                "port": one.port,
                "env": one.env,
                "uid": one.uid,
                "reach": list(one.reach),
            }
            for one in made.sidecars
        },
        "data": {folder.name: folder.uid for folder in made.data},
        "connections": {name: list(sidecars) for name, sidecars in made.connections.items()},
    }
    return dump({"document": made.document, "beside": beside})


def check_snapshot(name: str, text: str) -> None:
    path = SNAPSHOTS / f"{name}.yaml"
    if os.environ.get("STACKCTL_UPDATE_SNAPSHOTS") == "1":
        path.write_text(text)
    assert text == path.read_text(), f"{path.name} differs; STACKCTL_UPDATE_SNAPSHOTS=1 rewrites it"


@pytest.mark.parametrize("name", STACKS)
def test_rendered_snapshot(name: str) -> None:
    check_snapshot(f"{name}.rendered", text_of(rendered(name)))


@pytest.mark.parametrize(
    ("name", "case", "given"),
    [
        ("hello", "port", {"port": "8080", "greeting": "a: b\n# $HOME {{ x }} </h1>'"}),
        ("webapp", "own-image", {"image": "acme/web:1.4", "command": "serve --port $PORT", "port": "3000"}),
        ("webapp", "postgres-18", {"db.version": "18", "db.user": "o_wner", "http_port": "8088"}),
    ],
)
def test_rendered_snapshot_with_values(name: str, case: str, given: dict[str, str]) -> None:
    check_snapshot(f"{name}.{case}", text_of(rendered(name, given)))


PRINT = """import sys
sys.path[:0] = {path!r}
from test_templates import rendered, text_of
print(text_of(rendered({name!r})), end="")
"""


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_same_bytes_in_every_process(seed: str) -> None:
    path = [str(Path(__file__).parent), str(ROOT / "tests"), str(ROOT / "src")]
    code = PRINT.format(path=path, name="myenv")
    environment = {"PYTHONHASHSEED": seed, "PATH": os.environ["PATH"], "TZ": "Asia/Tokyo", "HOME": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == text_of(rendered("myenv"))


def test_order_of_what_is_given_changes_nothing() -> None:
    given = {"db.user": "a", "port": "9000", "cache.version": "7.2"}
    turned = {
        name: TemplateFolder(name=one.name, source=one.source, files=dict(reversed(one.files.items())))
        for name, one in reversed(folders().items())
    }
    backwards = render_stack(
        stack("webapp"),
        folders=turned,
        macros=dict(reversed(macros().items())),
        given=dict(reversed(given.items())),
        configured={},
    )
    assert text_of(backwards) == text_of(rendered("webapp", given))
    assert backwards.templates == rendered("webapp", given).templates


@pytest.mark.parametrize("name", STACKS)
def test_no_finding_of_compose_lint_from_medium_on(name: str, tmp_path: Path) -> None:
    one = bounded(name)[1]
    text = re.sub(r"image: (\S+?):\S+", rf"image: \1@{DIGEST}", dump(one.document))
    values = {hole: f"{tmp_path}/{hole.lower()}" for hole in find_holes(one.document)}
    values |= {hole: "0.5" for hole in values if hole.startswith("STACKCTL_CPUS_")}
    values |= {hole: "20001" for hole in values if hole.startswith("STACKCTL_PORT_")}
    values |= {hole: "1000:1000" for hole in values if hole.startswith("STACKCTL_USER_")}
    filled = re.sub(r"\$\{(STACKCTL_[A-Z0-9_]+)[^}]*\}", lambda match: values[match[1]], text)
    for kind, document in (("holes", text), ("filled", filled)):
        file = tmp_path / kind / "compose.yaml"
        file.parent.mkdir()
        file.write_text(document)
        done = subprocess.run(
            [LINT, "check", "--fail-on", "medium", file], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", STACKS)
def test_every_service_waits_for_nothing_unknown_and_has_a_check(name: str) -> None:
    document = rendered(name).document
    for service, one in document["services"].items():
        assert one["healthcheck"]["test"], service
        assert one["cap_drop"] == ["ALL"], service
        assert one["user"].split(":")[0] not in ("0", "root"), service
        assert one["read_only"] is True, service
        assert set(one.get("depends_on", ())) <= set(document["services"]), service


@pytest.mark.parametrize("name", STACKS)
def test_dumped_and_loaded_it_is_the_same(name: str) -> None:
    document = rendered(name).document
    assert load(dump(document), source="x").data == document
