"""The shipped sidecars: byte for byte, asking for as little as they need, and the table that shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from test_templates import check_snapshot, text_of

from shipped import ROOT, SIDECARS, folders, macros
from stackctl.core.errors import StackctlError
from stackctl.core.render import render_stack
from stackctl.core.stack import Rendered
from stackctl.core.stackfile import parse_stack

TABLE = re.compile(r"^\| \[(\w+)\].*$", re.MULTILINE)
IMAGES = re.search(r"^test_images='(.*)'$", (ROOT / "scripts" / "images.sh").read_text(), re.MULTILINE)


def rendered(name: str, given: Mapping[str, str] | None = None) -> Rendered:
    """A sidecar of that template, named `it`, beside the smallest stack."""
    text = f"template: hello\nsidecars: {{it: {name}}}\n"
    stack = parse_stack(text, name="s", source="stacks/s.yaml")
    return render_stack(stack, folders=folders(), macros=macros(), given=given or {}, configured={})


def service(name: str, given: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = rendered(name, given).document["services"]["it"]
    return found


def rows() -> dict[str, list[str]]:
    """Sidecar -> the cells of its row in docs/sidecars.md."""
    text = (ROOT / "docs" / "sidecars.md").read_text()
    found = {match[1]: re.split(r" (?<!\\)\| ", match[0].strip("| ")) for match in TABLE.finditer(text)}
    assert {len(cells) for cells in found.values()} == {12}
    return found


@pytest.mark.parametrize("name", SIDECARS)
def test_snapshot(name: str) -> None:
    check_snapshot(f"sidecar.{name}", text_of(rendered(name)))


@pytest.mark.parametrize("name", SIDECARS)
def test_it_asks_for_as_little_as_it_needs(name: str) -> None:
    one = service(name)
    plan = next(plan for plan in rendered(name).sidecars if plan.name == "it")
    assert one["cap_drop"] == ["ALL"]
    assert "cap_add" not in one
    assert one["read_only"] is True
    assert one["healthcheck"]["test"]
    assert one["user"].split(":")[0] not in ("0", "root")
    assert plan.uid > 0
    assert plan.env
    assert plan.url.count("{host}:{port}") == 1


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("nats", {"it.max_memory": "1000"}, "max_mem: 1000,"),
        ("nats", {"it.max_memory": "1.5g"}, "max_mem: 1536mib,"),
        ("mariadb", {"it.buffer_pool": "5000001"}, "--innodb-buffer-pool-size=5000001'"),
        ("mariadb", {"it.buffer_pool": "1g"}, "--innodb-buffer-pool-size=1g'"),
        ("memcached", {"it.item_size": "1500"}, "--max-item-size=1500'"),
        ("rabbitmq", {"it.memory": "2"}, "vm_memory_high_watermark {absolute,2097152}'"),
        ("gitea", {"it.registration": "true"}, "'GITEA__service__DISABLE_REGISTRATION': 'false'"),
    ],
)
def test_values_are_written_as_the_server_reads_them(name: str, given: dict[str, str], expected: str) -> None:
    assert expected in str(service(name, given))


@pytest.mark.parametrize("name", SIDECARS)
def test_a_version_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(StackctlError):
        rendered(name, {"it.version": "latest"})


def test_the_table_has_every_sidecar_as_it_is_rendered() -> None:
    table = rows()
    assert tuple(table) == SIDECARS
    for name, cells in table.items():
        plan = next(plan for plan in rendered(name).sidecars if plan.name == "it")
        assert cells[1] == f"`{service(name)['image']}`"
        assert cells[2] == str(plan.port)
        assert cells[5] == f"`{plan.env}`"
        assert cells[3] == "none" or any(
            mount["target"] == cells[3].strip("`") for mount in service(name)["volumes"]
        )


def test_what_the_table_calls_tested_is_tested_on_an_image_from_here() -> None:
    assert IMAGES
    made = IMAGES[1].split()
    for name, cells in rows().items():
        image, tested = cells[1].strip("`"), re.match(r"`(\w+)` \((\w+\.py)\)", cells[11])
        assert (image in made) == (tested is not None), name
        if tested is None:
            assert cells[11] == "not run: rendered and linted only"
        else:
            assert f"def {tested[1]}(" in (ROOT / "tests" / "engine" / tested[2]).read_text(), name
