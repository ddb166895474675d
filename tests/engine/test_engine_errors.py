"""What docker writes, word for word, and the error that it must become."""

from __future__ import annotations

import pytest

from stackctl.core.errors import (
    ComposeMissing,
    DaemonDown,
    EngineForbidden,
    EngineRefused,
    ImageMissing,
    LimitsUnenforced,
    PortTaken,
    ServiceFailed,
    StackctlError,
)
from stackctl.engine.errors import explain, last_line, redact

START = "Error response from daemon: driver failed programming external connectivity on endpoint x (0a1b): "


@pytest.mark.parametrize(
    ("text", "error", "part"),
    [
        (
            "Error response from daemon: unable to find user nobody9: no matching entries in passwd file",
            EngineRefused,
            "no user or group `nobody9`",
        ),
        (
            "Error response from daemon: No such image: nope:1",
            ImageMissing,
            "`nope:1`",
        ),
        (
            "Error response from daemon: No such image: localhost:1/none:1.",
            ImageMissing,
            "`localhost:1/none:1`",
        ),
        (
            (
                "Error response from daemon: pull access denied for acme/web, repository does not "
                "exist or may require 'docker login': denied: requested access to the resource is "
                "denied"
            ),
            ImageMissing,
            "`acme/web`",
        ),
        (
            "Error response from daemon: manifest for x:9 not found: manifest unknown",
            ImageMissing,
            "`x:9`",
        ),
        (
            'failed to resolve reference "docker.io/x:9": not found',
            ImageMissing,
            "x:9",
        ),
        (
            START + "Bind for 127.0.0.1:5432 failed: port is already allocated",
            PortTaken,
            "port 5432 is taken",
        ),
        (
            START + "Error starting userland proxy: listen tcp4 127.0.0.1:8080: bind: address already in use",
            PortTaken,
            "port 8080 is taken",
        ),
        (
            (
                "Error response from daemon: failed to set up container networking: driver failed "
                "programming external connectivity on endpoint x (0a): failed to bind host port for "
                "127.0.0.1:8081:172.18.0.2:80/tcp: address already in use"
            ),
            PortTaken,
            "port 8081 is taken",
        ),
        (
            START + "failed to bind host port 0.0.0.0:8082/tcp: address already in use",
            PortTaken,
            "port 8082 is taken",
        ),
        (
            (
                "Error response from daemon: Ports are not available: exposing port TCP 127.0.0.1:80 "
                "-> 0.0.0.0:0"
            ),
            PortTaken,
            "a port is taken",
        ),
        (
            (
                "failed to create network x: Error response from daemon: could not find an available,"
                " non-overlapping IPv4 address pool among the defaults to assign to the network"
            ),
            EngineRefused,
            "no address range left",
        ),
        (
            "Error response from daemon: all predefined address pools have been fully subnetted",
            EngineRefused,
            "no address range left",
        ),
        (
            "Error response from daemon: Pool overlaps with other one on this address space",
            EngineRefused,
            "overlaps with one in use",
        ),
        (
            "docker: 'compose' is not a docker command.\nSee 'docker --help'",
            ComposeMissing,
            "no compose plugin",
        ),
        (
            "docker: unknown command: docker compose\n\nRun 'docker --help' for more",
            ComposeMissing,
            "no compose",
        ),
        (
            "unknown flag: --project-name\nSee 'docker --help'.",
            ComposeMissing,
            "no compose plugin",
        ),
        (
            "unknown shorthand flag: 'f' in -f",
            ComposeMissing,
            "no compose plugin",
        ),
        (
            (
                "permission denied while trying to connect to the Docker daemon socket at "
                'unix:///var/run/docker.sock: Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.24/info": '
                "dial unix: connect: permission denied"
            ),
            EngineForbidden,
            "no right",
        ),
        (
            "Cannot connect to the Docker daemon at tcp://127.0.0.1:1. Is the docker daemon running?",
            DaemonDown,
            "no docker daemon answers",
        ),
        (
            "failed to connect to the docker API at unix:///x; check if the path is correct",
            DaemonDown,
            "no docker",
        ),
        (
            "write /var/lib/docker/tmp/x: no space left on device",
            EngineRefused,
            "disk is full",
        ),
        (
            "Your kernel does not support memory limit capabilities or the cgroup is not mounted",
            LimitsUnenforced,
            "memory",
        ),
        (
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler",
            LimitsUnenforced,
            "CPU CFS",
        ),
        (
            "dependency failed to start: container p-db-1 is unhealthy",
            ServiceFailed,
            "p-db-1 is unhealthy",
        ),
        (
            'service "once" didn\'t complete successfully: exit 4',
            ServiceFailed,
            "`once`",
        ),
        (
            (
                'Error response from daemon: invalid mount config for type "bind": bind source path '
                "does not exist: /x"
            ),
            EngineRefused,
            "bind source path does not exist: /x",
        ),
        (
            "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
            EngineRefused,
            "Range of CPUs",
        ),
        (
            "",
            EngineRefused,
            "said nothing",
        ),
    ],
)
def test_docker_words_become_the_right_error(text: str, error: type[StackctlError], part: str) -> None:
    found = explain(text, doing="`docker compose up`")
    assert type(found) is error
    assert part in found.message
    assert "\n" not in found.message
    assert not found.message.endswith(".")
    assert found.hint or error is EngineRefused


def test_the_last_line_that_says_something_is_kept() -> None:
    progress = (
        ' Network p_default  Creating\n time="2026-01-01T00:00:00Z" level=warning msg="a, b"\n'
        "Error response from daemon: it is broken.\n Container p-a-1  Starting\n"
    )
    assert last_line(progress) == "it is broken"
    assert (
        last_line("Error response from daemon: network f not found\nexit status 1\n") == "network f not found"
    )
    assert last_line(" Container p-a-1  Starting\n") == "Container p-a-1  Starting"
    assert last_line("") == ""


def test_escapes_and_carriage_returns_do_not_reach_a_terminal() -> None:
    found = explain("\x1b[2Jone\rtwo\x07\x1b[1m", doing="x")
    assert found.message == "x failed: two"


def test_secrets_are_masked_wherever_they_stand() -> None:
    found = explain("No such image: x:hunter2 at hunter2", doing="y", secrets=["hunter2"])
    assert "hunter2" not in found.message + found.hint
    text = "a p/w+1 b p%2Fw%2B1 c longer-p/w+1"
    assert redact(text, ["p/w+1", "longer-p/w+1", ""]) == "a *** b *** c ***"
    assert redact("abc", ["abc", "", "a"]) == "abc"
