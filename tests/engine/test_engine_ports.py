"""Ports that are taken, from the kernel's own tables."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from stackctl.core.facts import Container, PublishedPort
from stackctl.engine.ports import port_holder, ports_in_use

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue\n"


def _tables(proc: Path, **tables: str) -> Path:
    (proc / "net").mkdir()
    for name, rows in tables.items():
        (proc / "net" / name).write_text(HEAD + rows)
    return proc


def test_listeners_of_both_families_and_protocols(tmp_path: Path) -> None:
    proc = _tables(
        tmp_path,
        tcp="   0: 0100007F:1538 00000000:0000 0A 0 0\n   1: 0100007F:A000 0100007F:1538 01 0 0\n",
        tcp6="   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0\n",
        udp="   0: 00000000:0035 00000000:0000 07 0 0\nbroken\n",
    )
    assert ports_in_use(proc=proc) == {5432, 8080, 53}
    assert ports_in_use(("udp",), proc=proc) == {53}


def test_a_port_of_our_own_is_seen_and_let_go() -> None:
    for kind, protocol in ((socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")):
        with socket.socket(socket.AF_INET, kind) as one:
            one.bind(("127.0.0.1", 0))
            if protocol == "tcp":
                one.listen()
            port = one.getsockname()[1]
            assert port in ports_in_use((protocol,))
            assert f"(pid {os.getpid()})" in port_holder(port, (), protocol)
        assert port not in ports_in_use((protocol,))
        assert port_holder(port, (), protocol) == ""


def test_a_running_container_holds_a_port_and_a_stopped_one_does_not() -> None:
    def container(name: str, state: str, protocol: str = "tcp") -> Container:
        port = PublishedPort(container_port=80, host_port=1, protocol=protocol)
        return Container(id=name, name=name, image="x", state=state, ports=(port,))

    stopped, other, holder = (
        container("a", "exited"),
        container("b", "running", "udp"),
        container("c", "running"),
    )
    assert port_holder(1, (stopped, other, holder)) == "container `c`"
    assert port_holder(1, (stopped, other), "udp") == "container `b`"
