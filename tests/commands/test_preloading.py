"""A supervisor loads at its start what it may need later: the package may be replaced under it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from commandline import Cli

WATCH = """
import sys, time
from stackctl.cli.output import Output
from stackctl.cli.preloading import preload
from stackctl.cli.session import Session
from stackctl.cli.supervising import _limits, _supervisor
from stackctl.state.journal import Journal

session = Session(Output())
supervisor = _supervisor(session, _limits(session, None), Journal(None, form="text", echo=None), False)
preload()
before = set(sys.modules)
until = time.monotonic() + 60
while time.monotonic() < until and any(one.phase != "expired" for one in session.store.records()):
    supervisor.tick()
    supervisor.finish(30)
    time.sleep(0.2)
print([one.phase for one in session.store.records()], sorted(set(sys.modules) - before))
"""


@pytest.mark.engine
def test_looking_and_acting_load_nothing_more(cli: Cli) -> None:
    cli.template("hello")
    cli.stack("app", "template: hello\n")
    cli("up", "app", "--lifetime", "1s").ok()
    done = subprocess.run(
        [sys.executable, "-c", WATCH],
        env=cli.environment(),
        cwd=cli.checkout,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.stdout.strip() == "['expired'] []", done.stdout + done.stderr
    assert cli.containers() == ()
