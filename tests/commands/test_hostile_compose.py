"""Compose files that mean harm: bounded time and memory, a clear error with its place, nothing fetched."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commandline import Cli

pytestmark = pytest.mark.engine

PATIENCE = 100
"""Seconds; what never ends is ended after 30, on a busy machine a good deal later."""
MEMORY = 3 << 19
"""KiB that one process may take at most: Compose's bound of 1 GiB, and what it reserves beside."""
HERE = "services: {a: {image: 'busybox:1.35'}}\n"
DEEP = "services: {a: {image: b, x-a: " + "[" * 10_000 + "]" * 10_000 + "}}\n"


def bombs() -> dict[str, str]:
    laughs = "x-0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    merges = "x-0: &a0 {k: v}\n"
    for level in range(1, 9):
        many = ",".join([f"*a{level - 1}"] * 9)
        laughs += f"x-{level}: &a{level} [{many}]\n"
        merges += f"x-{level}: &a{level} {{<<: [{many}], k{level}: 1}}\n"
    return {"laughs.yaml": laughs + HERE, "merges.yaml": merges + HERE}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


REFUSED: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({"a.yaml": "services:\n  a: {image: x}\n  a: {image: y}\n"}, ("a.yaml", "line 3", "already defined")),
    ({"a.yaml": 'services:\n  a: {image: "x\0y"}\n'}, ("a.yaml", "control characters")),
    ({"a.yaml": DEEP}, ("a.yaml", "max depth")),
    (
        {"a.yaml": f"include: [b.yaml]\n{HERE}", "b.yaml": "include: [a.yaml]\n"},
        ("cycle", "a.yaml", "b.yaml"),
    ),
    ({"a.yaml": "services: {a: {extends: b}, b: {extends: a}}\n"}, ("Circular", "a.yaml", "extends b")),
    ({"a.yaml": "services: {a: {image: x, ports: ['${P']}}\n"}, ("a.yaml", "services.a.ports", "${P")),
    ({"a.yaml": "services: {a: {image: '${I:?say it}'}}\n"}, ("a.yaml", "services.a.image", "say it")),
    ({"a.yaml": "services: {'${S}': {image: x}}\n"}, ("a.yaml", "${S}")),
    ({"a.yaml": "services: {a: {image: x, depends_on: {'$$': {}}}}\n"}, ("a.yaml", "depends_on")),
    ({"a.yaml": "services: {a: {image: x, env_file: /dev/zero}}\n"}, ("a.yaml", "more than 1 GiB")),
    ({"a.yaml": f"include: [/dev/zero]\n{HERE}"}, ("a.yaml", "more than 1 GiB")),
    ({"a.yaml": "- a\n- b\n"}, ("a.yaml", "mapping")),
    ({"a.yaml": ""}, ("a.yaml", "empty")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("files", "words"), REFUSED, ids=[" ".join(words[1:]) for _, words in REFUSED])
def test_a_clear_error_with_its_place(cli: Cli, files: dict[str, str], words: tuple[str, ...]) -> None:
    write(cli.checkout, files)
    done = cli("bound", "a.yaml", "--allow-all", timeout=PATIENCE)
    assert done.code in (2, 5), done.err
    assert "Traceback" not in done.err
    assert len(done.err) < 2000
    assert [word for word in words if word not in done.err] == []
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < MEMORY


@pytest.mark.slow
def test_what_never_ends_is_ended_and_said(cli: Cli) -> None:
    os.mkfifo(cli.checkout / "pipe")
    write(cli.checkout, {**bombs(), "pipe.yaml": f"include: [./pipe]\n{HERE}"})
    names = ("laughs.yaml", "merges.yaml", "pipe.yaml")
    running = {name: cli.start("bound", name, "--allow-all") for name in names}
    for name, child in running.items():
        said = child.communicate(timeout=PATIENCE)[1]
        assert child.returncode in (5, 6), said
        assert "did not end within 30s" in said or "more than 1 GiB" in said
        assert name in said
        assert "Traceback" not in said
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < MEMORY


@pytest.mark.slow
def test_what_is_no_file_or_too_large_is_not_read(cli: Cli) -> None:
    os.mkfifo(cli.checkout / "pipe.yaml")
    (cli.checkout / "folder.yaml").mkdir()
    with (cli.checkout / "large.yaml").open("w") as stream:
        stream.write(HERE)
        stream.truncate(100 << 20)
    for name, word in (
        ("pipe.yaml", "pipe.yaml"),
        ("folder.yaml", "folder.yaml"),
        ("/dev/zero", "/dev/zero"),
        ("none.yaml", "none.yaml"),
        ("large.yaml", "larger than 8 MiB"),
    ):
        done = cli("bound", name, timeout=20)
        assert done.code == 2, done.err
        assert word in done.err
        assert "Traceback" not in done.err


@pytest.mark.slow
def test_ten_thousand_services_are_bounded(cli: Cli) -> None:
    lines = [f"  s{number}: {{image: 'busybox:1.35', ports: ['80']}}\n" for number in range(10_000)]
    write(cli.checkout, {"a.yaml": "services:\n" + "".join(lines)})
    services = cli("bound", "a.yaml", "--json", timeout=280).ok().data["document"]["services"]
    assert len(services) == 10_000
    assert all(one["pids_limit"] == 256 and one["mem_limit"] == "8g" for one in services.values())
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < MEMORY


@contextmanager
def listening() -> Iterator[tuple[int, list[bytes]]]:
    """A port of this machine, and what was said to it."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    heard.append(connection.recv(100))

        listener = threading.Thread(target=accept, daemon=True)
        listener.start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)
        listener.join(5)


@pytest.mark.parametrize(
    "scheme", ["http://127.0.0.1:{}/a.git", "git://127.0.0.1:{}/a.git", "oci://127.0.0.1:{}/a/b:1"]
)
@pytest.mark.parametrize("key", ["include", "extends"])
def test_nothing_is_fetched_whatever_env_says(cli: Cli, scheme: str, key: str) -> None:
    switches = "COMPOSE_EXPERIMENTAL_GIT_REMOTE=true\nCOMPOSE_EXPERIMENTAL_OCI_REMOTE=true\n"
    with listening() as (port, heard):
        address = scheme.format(port)
        extends = f"services:\n  a:\n    extends: {{file: '{address}', service: a}}\n"
        write(
            cli.checkout,
            {
                ".env": switches,
                "a.yaml": extends if key == "extends" else f"{HERE}\ninclude: ['{address}']\n",
            },
        )
        done = cli(
            *("bound", "a.yaml", "--allow-all"),
            timeout=60,
            COMPOSE_EXPERIMENTAL_GIT_REMOTE="true",
            COMPOSE_EXPERIMENTAL_OCI_REMOTE="true",
        )
        assert heard == []
    assert done.code == 5
    assert "a.yaml:3 includes or extends what is fetched from elsewhere" in done.err
    assert "Traceback" not in done.err


def test_a_remote_in_an_included_file_is_told_where_it_stands(cli: Cli) -> None:
    write(
        cli.checkout,
        {
            "a.yaml": f"include: [sub/b.yaml]\n{HERE}",
            "sub/b.yaml": "services:\n  b: {extends: {file: c.yaml, service: c}}\n",
            "sub/c.yaml": "services:\n  c: {extends: {file: 'https://127.0.0.1:1/y.git', service: a}}\n",
        },
    )
    done = cli("bound", "a.yaml")
    assert done.code == 5
    assert "sub/c.yaml:2 includes or extends what is fetched from elsewhere" in done.err


def test_links_out_of_the_repository_are_judged_where_they_lead(cli: Cli) -> None:
    (cli.checkout / ".git").mkdir(exist_ok=True)
    for name, led in (
        ("system", "/etc"),
        ("sources", "/usr/share"),
        ("key", "/etc/hostname"),
        ("fine", "own"),
    ):
        (cli.checkout / name).symlink_to(led)
    (cli.checkout / "own").mkdir()
    write(
        cli.checkout,
        {
            "a.yaml": "services:\n"
            "  a.b: {image: x, volumes: ['./system/ssl:/x', './fine:/y'], secrets: [key]}\n"
            "  c: {build: {context: ./sources}}\n"
            "secrets: {key: {file: ./key}}\n"
        },
    )
    done = cli("bound", "a.yaml")
    assert done.code == 3
    assert "`/etc/ssl` belongs to the host's system" in done.err
    assert "`/usr/share` lies outside" in done.err
    assert "`/etc/hostname` belongs to the host's system" in done.err
    data = cli("bound", "a.yaml", "--allow-all", "--json").ok().data
    assert data["allow"] == {"a.b": ["sensitive-mount"], "c": ["outside-build"]}
    sources = [one["source"] for one in data["document"]["services"]["a.b"]["volumes"]]
    assert sources == ["/etc/ssl", "${STACKCTL_ROOT:?}/fine"]


@pytest.mark.slow
def test_files_from_outside_the_repository_are_read_for_nobody_without_its_word(cli: Cli) -> None:
    (cli.checkout / ".git").mkdir(exist_ok=True)
    elsewhere = cli.checkout.parent / "elsewhere"
    write(
        elsewhere,
        {
            "some.env": "A=stolen\n",
            "base.yaml": "services:\n  b: {image: x, env_file: deep.env}\n"
            "  other: {image: x, env_file: no.env}\n",
            "deep.env": "B=stolen\n",
            "more.yaml": "services: {m: {image: x}}\n",
        },
    )
    (cli.checkout / "link.env").symlink_to(elsewhere / "some.env")
    write(
        cli.checkout,
        {
            ".env": "WHERE=../elsewhere\n",
            "own.env": "OWN=fine\n",
            "sub/inside.yaml": "services: {i: {image: x, env_file: [../own.env, '${WHAT}']}}\n",
            "sub/.env": "WHAT=../../elsewhere/some.env\n",
            "a.yaml": f"""include: [sub/inside.yaml, '${{WHERE}}/more.yaml']
services:
  plain: {{image: x, env_file: own.env}}
  link: {{image: x, env_file: ./link.env}}
  optional: {{image: x, env_file: [{{path: /nonexistent/x.env, required: false}}]}}
  "esc\\x61ped": {{image: x, "env\\x5ffile": ["{elsewhere}/some.env"]}}
  extending: {{extends: {{file: "$WHERE/base.yaml", service: b}}}}
""",
        },
    )
    done = cli("lint", "-f", "a.yaml", "--json")
    assert done.code == 3, done.err
    told = {(one["path"], one["message"].split("`")[1]) for one in json.loads(done.out)["error"]["problems"]}
    assert told == {
        ("services.link.env_file", f"{elsewhere}/some.env"),
        ("services.optional.env_file", "/nonexistent/x.env"),
        ("services.escaped.env_file", f"{elsewhere}/some.env"),
        ("services.extending.extends", f"{elsewhere}/base.yaml"),
        ("services.extending", f"{elsewhere}/deep.env"),
        ("services.m", f"{elsewhere}/more.yaml"),
        ("services.i.env_file", f"{elsewhere}/some.env"),
    }
    assert "a.yaml:4: services.link.env_file" in cli("lint", "-f", "a.yaml").err
    assert cli("up", "-f", "a.yaml").code == 3
    data = cli("bound", "a.yaml", "--allow-all", "--json").ok().data
    assert set(data["allow"]) == {"link", "optional", "escaped", "extending", "m", "i"}
    cli("lint", "-f", "a.yaml", "--write-allow").ok()
    cli("lint", cli.checkout.name).ok()


def test_a_file_that_only_compose_can_read_is_no_way_round_it(cli: Cli) -> None:
    """Tags, several documents and more aliases than our own files may have."""
    missing = "env_file: [{path: /nonexistent/x.env, required: false}]"
    many = "".join(f"  s{number}: {{<<: *common}}\n" for number in range(600))
    write(
        cli.checkout,
        {
            "a.yaml": f"services: {{a: {{image: x, x-y: !own z}}}}\n---\nservices: {{a: {{{missing}}}}}\n",
            "b.yaml": f"x-common: &common {{image: x, {missing}}}\nservices:\n{many}",
            "c.yaml": f"x-common: &common {{image: x, env_file: [own.env]}}\nservices:\n{many}",
            "own.env": "A=1\n",
        },
    )
    done = cli("bound", "a.yaml")
    assert done.code == 3, done.err
    assert "services.a.env_file: `/nonexistent/x.env` lies outside" in done.err
    done = cli("bound", "b.yaml")
    assert done.code == 3, done.err
    assert "services.s599.env_file: `/nonexistent/x.env` lies outside" in done.err
    cli("bound", "c.yaml").ok()


def test_dollars_mean_what_they_mean_to_compose_and_never_a_hole_of_ours(cli: Cli) -> None:
    write(
        cli.checkout,
        {
            ".env": "A=from-dotenv\n",
            "a.yaml": """
x-a: ${A}
services:
  a:
    image: "busybox:${TAG:-${OTHER:-1.35}}"
    ports: ["${PORT:-8080}:80"]
    labels: {"$A": "${A}", "b": "${NONE}"}
    environment:
      - PLAIN=$$A
      - NESTED=${NONE:-${A:-x}}
      - HOLE=$${STACKCTL_ROOT:?}
      - DEFAULT=${STACKCTL_PROJECT:-mine}
      - MORE=$$$${STACKCTL_SUBNET:?}
      - REPLACED=${A:+b}
    command: ["echo", "$$(id)", "$$$$"]
""",
        },
    )
    service = cli("bound", "a.yaml", "--json").ok().data["document"]["services"]["a"]
    assert service["image"] == "busybox:1.35"
    assert service["ports"][0]["published"] == "8080"
    assert (service["labels"]["b"], service["command"]) == ("", ["echo", "$$(id)", "$$$$"])
    assert service["environment"] == {
        "PLAIN": "$$A",
        "NESTED": "from-dotenv",
        "HOLE": "$${STACKCTL_ROOT:?}",
        "DEFAULT": "mine",
        "MORE": "$$$${STACKCTL_SUBNET:?}",
        "REPLACED": "b",
    }
