"""What rendering makes of a stack: values by precedence, sidecars, secrets, mounts; and its errors."""

from __future__ import annotations

from typing import Any

import pytest

from stackctl.core.errors import Problem, StackctlError, StackFileError, TemplateError
from stackctl.core.limits import Setting
from stackctl.core.render import render_stack
from stackctl.core.stack import Rendered, SidecarSpec, Stack
from templating import HEAD, folder, render

STORE = folder(
    "store",
    {
        "variables": {"user": "app", "password": {"type": "secret"}, "host_port": {"type": "port"}},
        "sidecar": {
            "port": 5000,
            "data": "/data",
            "uid": 777,
            "url": "store://{user}:{password}@{host}:{port}/{{x",
            "env": "STORE_URL",
        },
    },
    compose=(
        "services:\n  {{ sidecar.name }}:\n    image: store:1\n"
        "    command: [serve, '{{ password.file }}', '{{ sidecar.port }}']\n"
        "    ports: [{target: 5000, published: '{{ host_port }}'}]\n"
        "    healthcheck: {test: [CMD, ok]}\n"
    ),
)
OTHERS = {"sidecars/store": STORE}


def service(made: Rendered, name: str = "web") -> dict[str, Any]:
    return dict(made.document["services"][name])


def refused(*arguments: Any, **keywords: Any) -> StackctlError:
    with pytest.raises((StackFileError, TemplateError)) as caught:
        render(*arguments, **keywords)
    assert caught.value.exit_code == 2
    return caught.value


def store(**keywords: Any) -> SidecarSpec:
    return SidecarSpec(template="store", **keywords)


# --- values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "written", "configured", "value"),
    [
        ({"v": "1"}, {"v": 2}, {"v": 3}, 1),
        ({}, {"v": 2}, {"v": 3}, 2),
        ({}, {}, {"v": 3}, 3),
        ({}, {}, {}, 4),
        ({}, {}, {"other": 3, "db.v": 3}, 4),
    ],
)
def test_precedence(given: Any, written: Any, configured: Any, value: int) -> None:
    made = render(HEAD + "    x: {{ v }}\n", {"v": 4}, given, written=written, configured=configured)
    assert service(made)["x"] == value


@pytest.mark.parametrize(
    ("given", "written", "configured", "user"),
    [
        ({"db.user": "a"}, "b", {"db.user": "c"}, "a"),
        ({}, "b", {"db.user": "c"}, "b"),
        ({}, None, {"db.user": "c"}, "c"),
        ({}, None, {"user": "c"}, "app"),
    ],
)
def test_precedence_in_a_sidecar(given: Any, written: Any, configured: Any, user: str) -> None:
    variables = {"user": Setting(written, "stacks/own.yaml:9")} if written else {}
    spec = store(variables=variables)
    made = render(HEAD, {}, given, configured=configured, sidecars={"db": spec}, others=OTHERS)
    assert made.sidecars[0].url.startswith(f"store://{user}:")


def test_everything_wrong_with_values_is_said_at_once() -> None:
    error = refused(
        HEAD,
        {"image": {"type": "image", "help": "What to run."}, "count": 3, "size": {"type": "size"}},
        {"cuont": "4", "db.usr": "x", "bd.user": "x", "size": "many"},
        written={"count": "few"},
        sidecars={"db": store()},
        others=OTHERS,
    )
    said = {(one.source, one.line, one.path): (one.message, one.hint) for one in error.problems}
    assert said[("--set cuont", 0, "cuont")] == (
        "the template `own` has no variable `cuont`",
        "did you mean `count`?",
    )
    assert said[("--set db.usr", 0, "db.usr")][1] == "did you mean `db.user`?"
    assert said[("--set", 0, "")] == ("the stack has no sidecar `bd`", "did you mean `db`?")
    assert said[("", 0, "image")][0] == "the template `own` needs a value: What to run"
    assert "--set image=" in said[("", 0, "image")][1]
    assert said[("stacks/own.yaml", 3, "count")][0].startswith("a whole number was expected")
    assert said[("--set size", 0, "size")][0].startswith("a size such as")
    assert len(error.problems) == 6


def test_a_variable_of_the_stack_file_that_there_is_not() -> None:
    (problem,) = refused(HEAD, {"count": 3}, written={"cuont": 4}).problems
    assert (problem.source, problem.line, problem.path) == ("stacks/own.yaml", 3, "cuont")
    assert problem.hint == "did you mean `count`?"


def test_no_template_of_that_name() -> None:
    error = refused(HEAD, sidecars={"db": SidecarSpec(template="stroe")}, others=OTHERS)
    assert error.problems == (
        Problem(
            source="stacks/own.yaml",
            path="sidecars.db.template",
            message="there is no template `sidecars/stroe`",
            hint="there is `store`",
        ),
    )


def test_a_template_that_is_no_sidecar() -> None:
    plain = {"sidecars/plain": folder("plain", {})}
    error = refused(HEAD, sidecars={"db": SidecarSpec(template="plain")}, others=plain)
    assert "no sidecar template" in error.problems[0].message


def test_a_broken_description_is_said_with_the_rest() -> None:
    error = refused(HEAD, {"v": {"type": "strng"}}, description={"nonsense": 1})
    assert {one.source for one in error.problems} == {"templates/own/template.yaml"}
    assert len(error.problems) == 2


# --- templates that cannot be rendered --------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x: {{ nope }}", "'nope' is undefined"),
        ("x: {{ v.nope }}", "has no attribute 'nope'"),
        ("x: {{ v", "unexpected end of template"),
        ("x: {% if v %}", "unexpected end of template"),
        ("x: {% nope %}", "unknown tag 'nope'"),
        ("x: {{ v|nope }}", "no filter named 'nope'"),
        ("x: {{ 1 / 0 }}", "division by zero"),
        ("x: {{ v + 1 }}", "can only concatenate str"),
        ("x: {{ v|int + v }}", "unsupported operand"),
        ("x: {{ [1] }}", "a list cannot be printed"),
        ("x: {{ {'a': 1} }}", "a dict cannot be printed"),
        ("x: {{ range }}", "cannot be printed"),
        ("x: {{ s }}", "`s` is a secret and is never printed; pass its file, `{{ s.file }}`"),
        ("x: {{ s ~ 'x' }}", "`s` is a secret and is never printed"),
        ("x: {{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("x: {{ v.format(1) }}", "unsafe"),
        ("x: {{ v.format_map({}) }}", "unsafe"),
        ("x: {{ v['format'](1) }}", "unsafe"),
        ("x: {{ v|attr('format') }}", "no filter named 'attr'"),
        ("x: {{ cycler.__init__.__globals__.os.popen('id').read() }}", "unsafe"),
        ("x: {{ self.__init__.__globals__ }}", "unsafe"),
        ("x: {{ lipsum.__globals__ }}", "'lipsum' is undefined"),
        ("x: {{ namespace(a=1).a }}", "'namespace' is undefined"),
        ("x: {{ joiner() }}", "'joiner' is undefined"),
        ("x: {{ dict(a=1) }}", "'dict' is undefined"),
        ("x: {{ [].append(1) }}", "unsafe"),
        ("x: {{ {}.update({}) }}", "unsafe"),
        ("x: {{ 'a' * 10 ** 9 }}", "takes numbers only"),
        ("x: {{ [1] * 3 }}", "takes numbers only"),
        ("x: {{ '%999999999d' % 1 }}", "takes numbers only"),
        ("x: {{ 9 ** 99 }}", "a power is limited"),
        ("x: {{ range(99999)|length }}", "at most 10000 numbers"),
        ("x: {{ 1e999 }}", "inf"),
        ("x: {% include '../../etc/passwd' %}", "neither a file of the template nor a shipped macro"),
        ("x: {% include '/etc/passwd' %}", "neither a file of the template nor a shipped macro"),
        ("x: {% include v %}", "neither a file of the template nor a shipped macro"),
        ("x: {% import 'os' as os %}", "neither a file of the template nor a shipped macro"),
        ("x: {% include 'compose.yaml.j2' %}", "without end"),
        ("{% macro m() %}{{ m() }}{% endmacro %}x: {{ m() }}", "without end"),
        ("x: a: b", "mapping values are not allowed"),
        ("x: [a", "did not find expected"),
        ("x: *nowhere", "names no anchor"),
        ("x: !!python/object:os.system a", "tag"),
        ("image: again", "stands here twice"),
    ],
)
def test_errors_name_file_line_and_text(line: str, message: str) -> None:
    error = refused(f"{HEAD}    {line}\n", {"v": "text", "s": {"type": "secret"}})
    problem = error.problems[0]
    assert isinstance(error, TemplateError)
    assert message in problem.message
    assert problem.source == "templates/own/compose.yaml.j2"
    if "unexpected end" not in message and "expected '" not in problem.message:
        assert problem.line in (4, 5)
        assert "`" in problem.message.rpartition(", in ")[2]
    assert not error.message.endswith(".")


@pytest.mark.parametrize("compose", ["", "a: b", "services: [a]", "- a", "text"])
def test_what_is_no_compose_document_is_refused(compose: str) -> None:
    assert "mapping" in refused(compose).message


def test_an_error_in_an_included_file_names_that_file() -> None:
    error = refused(
        "{% from 'parts/a.j2' import m %}\n" + HEAD + "    x: {{ m() }}\n",
        files={"parts/a.j2": "{% macro m() %}\n{{ nope }}\n{% endmacro %}"},
    )
    assert (error.problems[0].source, error.problems[0].line) == ("templates/own/parts/a.j2", 2)


def test_an_error_of_yaml_in_a_loop_shows_the_rendered_line() -> None:
    text = "services:\n{% for i in [1] %}\n{% if i %}\n  w: {image: a, x: b: c}\n{% endif %}\n{% endfor %}\n"
    problem = refused(text).problems[0]
    assert problem.line == 4
    assert "w: {image: a, x: b: c}" in problem.message


def test_every_problem_of_a_rendered_document_is_said_at_once() -> None:
    error = refused(HEAD + "    {{ v }}: !odd 1\n    image: again\n    image: thrice\n", {"v": "key"})
    assert [one.line for one in error.problems] == [4, 5, 6]
    assert all(one.source == "templates/own/compose.yaml.j2" for one in error.problems)
    assert "\U0010f5c0" not in error.message + "".join(map(str, error.problems))


def test_too_much_output_is_refused() -> None:
    loop = (
        "{% for i in range(1000) %}{% for j in range(1000) %}    x{{ i }}: {{ j }}\n{% endfor %}{% endfor %}"
    )
    assert "larger than 1048576 bytes" in refused(HEAD + loop).message


def test_too_much_output_by_long_values_is_refused() -> None:
    loop = "    x:\n{% for i in range(200) %}\n      - {{ v }}\n{% endfor %}"
    assert "more than the 1048576 allowed" in refused(HEAD + loop, {"v": "x"}, {"v": "y" * 10_000}).message


def test_too_many_files_are_refused() -> None:
    files = {f"files/{number}": "x" * 400_000 for number in range(3)}
    assert "more than 1048576 bytes" in refused(HEAD, files=files).message


def test_a_template_that_is_too_large_is_refused() -> None:
    assert "too large" in refused(HEAD + "#" * (1 << 20)).message


# --- what expressions are ---------------------------------------------------------------------------


def test_macros_of_the_folder_and_the_shipped_ones() -> None:
    made = render(
        "{% import 'macros/shipped.j2' as shipped %}{% from 'own.j2' import image %}"
        "services:\n  {{ shipped.named('web') }}\n    image: {{ image('a') ~ ':2' }}\n",
        files={"own.j2": "{% macro image(name) %}acme/{{ name }}{% endmacro %}"},
        macros={"shipped.j2": "{% macro named(name) %}{{ name }}:{% endmacro %}"},
    )
    assert service(made) == {"image": "acme/a:2"}


def test_dollars_are_text_but_in_declared_holes() -> None:
    made = render(
        HEAD + "    x: $A ${B} $$ ${STACKCTL_PROJECT:?} {{ v }}$ ${STACKCTL_X:-{{ v }}}\n", {"v": "$"}
    )
    assert service(made)["x"] == "$$A $${B} $$$$ ${STACKCTL_PROJECT:?} $$$$ $${STACKCTL_X:-$$}"


def test_what_compose_takes_as_text_only_becomes_text() -> None:
    made = render(
        HEAD + "    environment: {A: {{ yes }}, B: true}\n    labels: {c: {{ yes }}}\n"
        "    ports: [{target: 80, published: {{ port }}}, {target: 81, published: {{ auto }}}, '82']\n",
        {"yes": True, "port": {"type": "port", "default": 8080}, "auto": {"type": "port"}},
    )
    assert service(made)["environment"] == {"A": "true", "B": "true"}
    assert service(made)["labels"] == {"c": "true"}
    assert service(made)["ports"] == [{"target": 80, "published": "8080"}, {"target": 81}, "82"]


def test_an_undefined_value_can_have_a_default() -> None:
    assert service(render(HEAD + "    x: {{ nope|default('y') }}\n"))["x"] == "y"


# --- files and data ---------------------------------------------------------------------------------


def test_mounts_of_files_and_data() -> None:
    made = render(
        HEAD + "    volumes:\n      - ./files/a.conf:/etc/a.conf\n"
        "      - {type: bind, source: ./files/sub, target: /sub}\n"
        "      - ./data/kept:/kept:rw\n      - named:/named\n      - /etc/localtime:/etc/localtime:ro\n",
        {"v": 3},
        description={"data": {"kept": {"uid": 7}}},
        files={"files/a.conf": "n={{ v }}\n", "files/sub/b": "$x"},
    )
    bind = {"type": "bind", "bind": {"create_host_path": False}}
    assert service(made)["volumes"] == [
        {**bind, "source": "${STACKCTL_FILES:?}/a.conf", "target": "/etc/a.conf", "read_only": True},
        {**bind, "source": "${STACKCTL_FILES:?}/sub", "target": "/sub", "read_only": True},
        {**bind, "source": "${STACKCTL_DATA_KEPT:?}", "target": "/kept"},
        "named:/named",
        "/etc/localtime:/etc/localtime:ro",
    ]
    assert made.files == {"a.conf": "n=3\n", "sub/b": "$x"}
    assert [(one.name, one.uid) for one in made.data] == [("kept", 7)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("./files/nope", "no such file"),
        ("./files/../../etc", "cannot be mounted"),
        ("./data/nope", "declares no such folder"),
        ("./data/kept/sub", "declares no such folder"),
        ("./data/../secrets", "cannot be mounted"),
        ("./other", "cannot be mounted"),
        ("../up", "cannot be mounted"),
        (".", "cannot be mounted"),
        ("./data", "declares no such folder"),
    ],
)
def test_mounts_of_what_there_is_not(source: str, message: str) -> None:
    error = refused(
        HEAD + "    volumes: ['{{ v }}:/x']\n",
        {"v": source},
        description={"data": ["kept"]},
        files={"files/a": ""},
    )
    assert message in error.message
    assert "services.web" in error.message


# --- secrets ----------------------------------------------------------------------------------------


def test_secrets_are_attached_where_they_are_used() -> None:
    made = render(
        "services:\n  by_file: {image: a, command: ['{{ s.file }}']}\n"
        "  by_part: {image: a, command: 'cat {{ s.file }}.x'}\n"
        "  by_macro: {image: a, command: {% set x %}{{ s.file }}{% endset %}{{ x }}}\n"
        "  listed: {image: a, secrets: ['{{ s.name }}']}\n"
        "  long: {image: a, secrets: [{source: '{{ s.name }}', target: t}]}\n"
        "  none: {image: a}\n",
        {"s": {"type": "secret"}},
    )
    services = made.document["services"]
    assert {name for name, one in services.items() if "secrets" in one} == services.keys() - {"none"}
    assert services["by_file"]["secrets"] == services["listed"]["secrets"] == ["s"]
    assert services["by_file"]["command"] == ["/run/secrets/s"]
    assert services["long"]["secrets"] == [{"source": "s", "target": "t"}]
    assert made.document["secrets"] == {"s": {"file": "${STACKCTL_SECRETS:?}/s"}}
    assert [(one.name, one.from_file) for one in made.secrets] == [("s", "")]


def test_a_secret_from_a_file_is_named_and_never_read() -> None:
    made = render(HEAD, {"s": {"type": "secret"}}, written={"s": "file:/home/me/token"})
    assert [(one.name, one.from_file) for one in made.secrets] == [("s", "/home/me/token")]


def test_a_secret_written_out_is_refused_and_not_repeated() -> None:
    error = refused(HEAD, {"s": {"type": "secret"}}, {"s": "hunter2"})
    assert "hunter2" not in error.message + error.hint + "".join(map(str, error.problems))


# --- sidecars ---------------------------------------------------------------------------------------


def test_a_sidecar_by_template() -> None:
    made = render(HEAD, sidecars={"db": store()}, others=OTHERS)
    assert service(made, "db") == {
        "image": "store:1",
        "command": ["serve", "/run/secrets/db-password", 5000],
        "healthcheck": {"test": ["CMD", "ok"]},
        "ports": [{"target": 5000}],
        "secrets": ["db-password"],
        "user": "${STACKCTL_USER_DB:?}",
        "volumes": [
            {
                "type": "bind",
                "source": "${STACKCTL_DATA_DB:?}",
                "target": "/data",
                "bind": {"create_host_path": False},
            }
        ],
    }
    (plan,) = made.sidecars
    assert plan.url == "store://app:{secret:db-password}@{host}:{port}/%7Bx"
    assert (plan.port, plan.env, plan.uid, plan.data, plan.reach) == (5000, "STORE_URL", 777, True, ("host",))
    assert service(made)["env_file"] == ["${STACKCTL_SECRETS:?}/web.env"]
    assert service(made)["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert made.connections == {"web": ("db",)}
    assert [(one.name, one.uid) for one in made.data] == [("db", 777)]
    assert set(made.templates) == {"own", "sidecars/store"}


def test_values_in_a_url_are_percent_encoded() -> None:
    made = render(HEAD, {}, {"db.user": "a@b:{host}/%"}, sidecars={"db": store()}, others=OTHERS)
    assert made.sidecars[0].url.startswith("store://a%40b%3A%7Bhost%7D%2F%25:{secret:db-password}@")


def test_a_host_port_that_is_asked_for_is_published() -> None:
    asked = render(HEAD, {}, {"db.host_port": "5433"}, sidecars={"db": store()}, others=OTHERS)
    assert service(asked, "db")["ports"] == [{"target": 5000, "published": "5433"}]


def test_isolated_is_the_same_port_on_the_engines_bridge_too() -> None:
    for reach in (("isolated",), ("host", "isolated"), ("isolated", "host")):
        one = service(render(HEAD, sidecars={"db": store(reach=reach)}, others=OTHERS), "db")
        assert one["ports"] == [{"target": 5000}, {"target": 5000, "host_ip": "${STACKCTL_GATEWAY:?}"}]
    asked = render(
        HEAD, {}, {"db.host_port": "5433"}, sidecars={"db": store(reach=("isolated",))}, others=OTHERS
    )
    assert service(asked, "db")["ports"] == [
        {"target": 5000, "published": "5433"},
        {"target": 5000, "published": "5433", "host_ip": "${STACKCTL_GATEWAY:?}"},
    ]


def test_a_sidecar_written_out() -> None:
    spec = SidecarSpec(
        image="acme/search:2", port=9200, data="/var/lib/search", health="curl $X", env="SEARCH_URL"
    )
    made = render(HEAD, sidecars={"search": spec})
    one = service(made, "search")
    assert one["healthcheck"]["test"] == ["CMD-SHELL", "curl $$X"]
    assert one["cap_drop"] == ["ALL"]
    assert one["user"] == "${STACKCTL_USER_SEARCH:?}"
    assert one["volumes"][0]["target"] == "/var/lib/search"
    assert "ports" not in one
    assert made.sidecars[0].url == "http://{host}:{port}"
    host = SidecarSpec(image="acme/search:2", port=9200, reach=("host",))
    assert service(render(HEAD, sidecars={"search": host}), "search")["ports"] == [{"target": 9200}]


def test_a_sidecar_without_a_check_is_only_waited_for_to_start() -> None:
    made = render(HEAD, sidecars={"q": SidecarSpec(image="q:1", port=1)})
    assert service(made)["depends_on"] == {"q": {"condition": "service_started"}}
    assert "env_file" not in service(made)


def test_what_a_service_says_itself_wins() -> None:
    compose = (
        HEAD + "    env_file: own.env\n    depends_on: {db: {condition: service_started}}\n"
        "  other: {image: a, depends_on: [web]}\n"
    )
    made = render(compose, sidecars={"db": store()}, others=OTHERS)
    assert service(made)["env_file"] == ["own.env", "${STACKCTL_SECRETS:?}/web.env"]
    assert service(made)["depends_on"] == {"db": {"condition": "service_started"}}
    assert service(made, "other")["depends_on"] == {
        "db": {"condition": "service_healthy"},
        "web": {"condition": "service_started"},
    }


@pytest.mark.parametrize("said", ["{A: b}", "[A=b]"])
def test_a_url_by_secret_file(said: str) -> None:
    spec = SidecarSpec(image="q:1", port=1, env="Q_URL_FILE")
    made = render(HEAD + f"    environment: {said}\n", sidecars={"q": spec})
    one = service(made)
    both = ({"A": "b", "Q_URL_FILE": "/run/secrets/q-url"}, ["A=b", "Q_URL_FILE=/run/secrets/q-url"])
    assert one["environment"] in both
    assert one["secrets"] == ["q-url"]
    assert "env_file" not in one
    assert made.document["secrets"] == {"q-url": {"file": "${STACKCTL_SECRETS:?}/q-url"}}
    assert made.secrets == ()


def test_a_url_file_that_a_service_sets_itself_stays() -> None:
    spec = SidecarSpec(image="q:1", port=1, env="Q_URL_FILE")
    for said in ("{Q_URL_FILE: /own}", "[Q_URL_FILE=/own]"):
        environment = service(render(HEAD + f"    environment: {said}\n", sidecars={"q": spec}))[
            "environment"
        ]
        assert environment in ({"Q_URL_FILE": "/own"}, ["Q_URL_FILE=/own"])


def test_a_sidecar_template_can_say_its_own_user() -> None:
    compose = "services: {'{{ sidecar.name }}': {image: a, user: '7:7'}}"
    others = {"sidecars/odd": folder("odd", {"sidecar": {"port": 1, "data": "/d"}}, compose=compose)}
    made = render(HEAD, sidecars={"db": SidecarSpec(template="odd")}, others=others)
    assert service(made, "db")["user"] == "7:7"


def test_only_the_services_that_connect_are_told() -> None:
    compose = HEAD + "  other: {image: a}\n"
    made = render(compose, description={"connects": ["other"]}, sidecars={"db": store()}, others=OTHERS)
    assert made.connections == {"other": ("db",)}
    assert service(made) == {"image": "busybox:1.35"}


def test_sidecars_of_the_template_are_changed_replaced_and_joined() -> None:
    brought = {
        "sidecars": {
            "db": {"template": "store", "variables": {"user": "brought"}},
            "q": {"template": "store", "env": "Q"},
        }
    }
    own = {
        "db": store(variables={"host_port": Setting(7000, "s:1")}, env="OTHER_URL"),
        "q": SidecarSpec(image="q:1", port=1),
        "z": store(env="Z"),
    }
    made = render(HEAD, description=brought, sidecars=own, others=OTHERS)
    plans = {one.name: one for one in made.sidecars}
    assert list(plans) == ["db", "q", "z"]
    assert plans["db"].url.startswith("store://brought:")
    assert plans["db"].env == "OTHER_URL"
    assert service(made, "db")["ports"] == [{"target": 5000, "published": "7000"}]
    assert service(made, "q")["image"] == "q:1"


@pytest.mark.parametrize(
    ("sidecars", "description", "message"),
    [
        ({"a": store(), "b": store()}, {}, "the sidecars `a` and `b` both set `STORE_URL`"),
        ({"web": store()}, {}, "already has a service `web`"),
        ({"a": store()}, {"connects": ["nope"]}, "`connects` names `nope`"),
        ({"kept": store()}, {"data": ["kept"]}, "two parts of the stack have a data folder `kept`"),
    ],
)
def test_parts_that_do_not_fit(sidecars: Any, description: Any, message: str) -> None:
    assert message in str(refused(HEAD, description=description, sidecars=sidecars, others=OTHERS).problems)


@pytest.mark.parametrize(
    "compose",
    [
        "services: {other: {image: a}}",
        "services: {'{{ sidecar.name }}': {image: a}, b: {image: b}}",
        "services: {'{{ sidecar.name }}': {image: a}}\nvolumes: {v: {}}",
    ],
)
def test_a_sidecar_template_renders_one_service(compose: str) -> None:
    others = {"sidecars/odd": folder("odd", {"sidecar": {"port": 1}}, compose=compose)}
    error = refused(HEAD, sidecars={"db": SidecarSpec(template="odd")}, others=others)
    assert "renders one service" in error.message
    assert error.problems[0].source == "templates/odd/compose.yaml.j2"


def test_files_of_a_sidecar_stand_in_a_folder_of_its_own() -> None:
    compose = "services: {'{{ sidecar.name }}': {image: a, volumes: ['./files/a:/a']}}"
    texts = {"files/a": "{{ sidecar.name }}"}
    others = {"sidecars/odd": folder("odd", {"sidecar": {"port": 1}}, compose=compose, **texts)}
    made = render(HEAD, sidecars={"db": SidecarSpec(template="odd")}, others=others, files={"files/a": "own"})
    assert made.files == {"a": "own", "db/a": "db"}
    assert service(made, "db")["volumes"][0]["source"] == "${STACKCTL_FILES:?}/db/a"
    clash = refused(
        HEAD, sidecars={"db": SidecarSpec(template="odd")}, others=others, files={"files/db/a": "own"}
    )
    assert "`db/a` is a file of the template and of the sidecar `db`" in clash.message


def test_a_stack_with_a_document_of_its_own_gets_its_sidecars() -> None:
    stack = Stack(name="own", source="stacks/own.yaml", compose=("c.yaml",), sidecars={"db": store()})
    document = {"services": {"app": {"image": "a"}}, "volumes": {"v": {}}}
    made = render_stack(
        stack, folders=OTHERS, macros={}, given={"db.user": "x"}, configured={}, document=document
    )
    assert set(made.document["services"]) == {"app", "db"}
    assert made.document["volumes"] == {"v": {}}
    assert made.connections == {"app": ("db",)}
    assert document == {"services": {"app": {"image": "a"}}, "volumes": {"v": {}}}
