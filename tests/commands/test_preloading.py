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

SWEEP = """
import sys, time
from stackctl.cli.output import Output
from stackctl.cli.preloading import preload
from stackctl.cli.session import Session
from stackctl.cli.supervising import _limits, _supervisor
from stackctl.state.journal import Journal

class Log:
    def __init__(self):
        self.lines = []
    def write(self, event, /, **fields):
        self.lines.append((event, fields.get("words", "")))

session, log = Session(Output()), Log()
supervisor = _supervisor(session, _limits(session, None), Journal(None, form="text", echo=None), False)
supervisor.log = log
preload()
before = set(sys.modules)
until = time.monotonic() + 60
while time.monotonic() < until and "done" not in [event for event, _ in log.lines]:
    supervisor.tick()
    supervisor.finish(30)
    time.sleep(0.2)
print([words for event, words in log.lines if event == "done"], sorted(set(sys.modules) - before))
"""


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.engine
def test_sweeping_loads_nothing_more(cli: Cli) -> None:
    cli.template("hello")
    guard = "{patterns: [sleep 3001], after: never, older_than: 100ms}"
    cli.stack("app", f"template: hello\nservices: {{web: {{guard: {guard}}}}}\n")
    cli("up", "app", STACKCTL_SUPERVISOR="manual").ok()
    cli("exec", "-T", "app", "web", "sh", "-c", "(setsid sleep 3001 &)").ok()
    done = subprocess.run(
        [sys.executable, "-c", SWEEP],
        env=cli.environment(),
        cwd=cli.checkout,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.stdout.strip() == "['swept 1 orphan of `web`: sleep 3001'] []", done.stdout + done.stderr
