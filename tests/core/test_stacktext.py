import re

import pytest

from stackctl.core.documents import load
from stackctl.core.errors import UsageError
from stackctl.core.limits import Limits, Setting
from stackctl.core.stack import SidecarSpec, Template, Variable
from stackctl.core.stackfile import parse_stack
from stackctl.core.stacktext import SECRET_FILE, required, show_default, stack_text

DB = Template(
    name="postgres",
    source="t",
    description="A database",
    variables={
        "version": Variable(name="version", default="15", help="Its tag"),
        "password": Variable(name="password", type="secret", help="The password"),
    },
)
SHOP = Template(
    name="shop",
    source="t",
    description="A shop: with #1 prices",
    variables={
        "image": Variable(name="image", type="image", help="What is sold"),
        "color": Variable(name="color", type="choice", choices=("red", "blue"), default="red"),
        "debug": Variable(name="debug", type="boolean", default=False),
        "port": Variable(name="port", type="port", default=0),
        "motto": Variable(name="motto", default="first\nsecond: line\n", help="Words on\nthe wall"),
        "key": Variable(name="key", type="secret"),
    },
    sidecars={
        "db": SidecarSpec(
            template="postgres", variables={"version": Setting("16", "t")}, reach=("host", "isolated")
        ),
        "search": SidecarSpec(image="acme/search:2", port=9200),
    },
)
IMAGE = {"image": "acme/web:1"}


def text(**given: str) -> str:
    return stack_text("shop", SHOP, sidecars={"db": DB}, given={**IMAGE, **given})


def uncommented(written: str) -> str:
    """What is left when a user takes away one `# ` from every line that is a commented key."""
    lines = (
        re.sub(r"^( *)# (?=( *)(# .*|[\w.-]+:( .*)?|- .*|  .*)$)", r"\1", line)
        for line in written.splitlines()
    )
    return "\n".join(lines)


def test_what_was_given_counts_and_everything_else_is_a_comment() -> None:
    stack = parse_stack(text(), name="shop", source="s")
    assert (stack.template, stack.description) == ("shop", "A shop: with #1 prices")
    assert {name: one.value for name, one in stack.variables.items()} == IMAGE
    assert not stack.sidecars
    assert not stack.limits


def test_every_variable_stands_there_with_its_default_and_its_help() -> None:
    written = text()
    for name in (*SHOP.variables, *DB.variables):
        assert re.search(rf"^ *#? *(# )?{name}:", written, re.MULTILINE), name
    for words in (
        "# What is sold (image)",
        "# one of red, blue",
        "# color: red",
        "# port: auto",
        "# debug: false",
        "Words on the wall (string)",
        "Its tag (string)",
    ):
        assert words in written


def test_the_comments_are_a_stack_file_too() -> None:
    data = load(uncommented(text()), source="s").data
    assert data["variables"] == {
        "image": "acme/web:1",
        "color": "red",
        "debug": False,
        "port": "auto",
        "motto": "first\nsecond: line\n",
        "key": SECRET_FILE,
    }
    assert data["sidecars"]["db"] == {
        "template": "postgres",
        "variables": {"version": "16"},
        "reach": ["host", "isolated"],
    }
    assert data["limits"] == {"memory": "8g", "cpus": 2.0, "pids": 256, "lifetime": "12h"}
    parse_stack(uncommented(text()), name="shop", source="s")


def test_a_sidecars_value_brings_along_what_the_template_says_of_it() -> None:
    stack = parse_stack(text(**{"db.password": "file:/run/pw"}), name="shop", source="s")
    spec = stack.sidecars["db"]
    assert (spec.template, spec.reach) == ("postgres", ("host", "isolated"))
    assert spec.variables["password"].value == "file:/run/pw"
    assert spec.variables["version"].value == "16"


def test_values_keep_their_type() -> None:
    stack = parse_stack(text(debug="yes", port="8080", motto="007"), name="shop", source="s")
    assert {name: one.value for name, one in stack.variables.items()} == {
        **IMAGE,
        "debug": True,
        "port": 8080,
        "motto": "007",
    }


@pytest.mark.parametrize(
    "value", ["a: b", "# no", "'", "{x}", "two\nlines", "", "null", "- a", "${HOME}", "\t"]
)
def test_a_value_cannot_change_the_file(value: str) -> None:
    stack = parse_stack(text(motto=value), name="shop", source="s")
    assert stack.variables["motto"].value == value
    assert set(stack.variables) == {"image", "motto"}


def test_limits_are_those_that_a_service_gets() -> None:
    limits = Limits(memory=1 << 30, swap=1 << 30, pids=64)
    written = stack_text("shop", SHOP, given=IMAGE, limits=limits)
    assert "#   memory: 1g" in written
    assert "#   pids: 64" in written


def test_a_template_without_variables_has_no_section_of_them() -> None:
    written = stack_text("bare", Template(name="bare", source="t"))
    assert "variables" not in written
    assert parse_stack(written, name="bare", source="s").description == "The stack bare"


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        stack_text(
            "shop", SHOP, sidecars={"db": DB}, given={"colour": "red", "debug": "maybe", "db.nope": "1"}
        )
    told = {problem.path: problem.message for problem in caught.value.problems}
    assert set(told) == {"colour", "debug", "db.nope", "image"}
    assert "did you mean color" in told["colour"]
    assert told["image"] == "needs a value: What is sold"


def test_a_secret_itself_is_never_written_nor_told() -> None:
    with pytest.raises(UsageError) as caught:
        text(key="hunter2hunter2")
    assert "hunter2" not in "".join(map(str, caught.value.problems))


def test_what_must_be_set() -> None:
    assert [name for name, one in SHOP.variables.items() if required(one)] == ["image"]
    assert show_default(SHOP.variables["port"]) == "auto"
    assert show_default(SHOP.variables["key"]) is None
