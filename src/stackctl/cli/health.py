"""`doctor`: whether this machine can run bounded stacks, and what to do where it cannot."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.cli.command import command
from stackctl.cli.words import plural

if TYPE_CHECKING:
    from stackctl.cli.output import Output
    from stackctl.cli.session import Session
    from stackctl.core.checkup import Finding
    from stackctl.core.checkup_facts import Supervisor
    from stackctl.ops.doctor import Patient

_SYMBOLS = {"passed": ("✓", "+", "green"), "warning": ("!", "!", "yellow"), "failed": ("✗", "x", "red")}
_STATE_WIDTH = 7
_NARROWEST = 60


@command("doctor")
def doctor_command(session: Session) -> int:
    """Check docker, this host and the state directory; each finding has its remedy.

    Ends with 0 when nothing failed (warnings do not count), with 1 otherwise. Docker is only asked.
    """
    from stackctl.core.checkup import judge
    from stackctl.ops.doctor import examine

    findings = judge(examine(_patient(session)))
    counts = Counter(finding.state for finding in findings)
    healthy = not counts["failed"]
    session.output.result(
        {
            "healthy": healthy,
            "counts": {state: counts[state] for state in ("passed", "warning", "failed")},
            "checks": [
                {"check": one.check, "state": one.state, "message": one.message, "remedy": one.remedy}
                for one in findings
            ],
        },
        ok=healthy,
    )
    for line in lines(findings, session.output):
        session.output.line(line)
    words = f"{counts['passed']} passed, {plural(counts['warning'], 'warning')}, {counts['failed']} failed"
    session.output.note(words)
    return 0 if healthy else 1


def _patient(session: Session) -> Patient:
    from stackctl.engine.docker import DockerEngine
    from stackctl.ops.doctor import Patient
    from stackctl.ops.doctor_engine import PATIENCE
    from stackctl.state.home import open_home
    from stackctl.state.layout import home_path
    from stackctl.state.store import FileStore

    home = home_path(session.output.home, os.environ)
    started = sys.argv[0]
    return Patient(
        environ=os.environ,
        engine=DockerEngine(os.environ, patience=PATIENCE),
        clock=session.clock,
        home=home,
        open_store=lambda: FileStore(open_home(home)),
        settings=lambda: (session.configuration, session.machine),
        program=started if Path(started).name != "__main__.py" else "",
        supervisor=lambda: _supervisor(session, home),
    )


def _supervisor(session: Session, home: Path) -> Supervisor | None:
    from stackctl.cli.watchman import automatic
    from stackctl.core.checkup_facts import Supervisor
    from stackctl.core.errors import StackctlError
    from stackctl.ops.standing import standing

    if not home.is_dir():
        return None
    try:
        found = standing(session.store, session.clock)
        return Supervisor(found.alive, found.words, sound=not found.stale, automatic=automatic(session))
    except StackctlError:
        return None  # the checks of the state directory and the configuration say why


def lines(findings: Sequence[Finding], output: Output) -> list[str]:
    """The findings as a table: symbol and word of the state, the check, what was seen, the remedy below it.

    Wrapped at the terminal's width where there is one, one line each where a program reads.
    """
    wide = max((len(one.check) for one in findings), default=0)
    indent = " " * (_STATE_WIDTH + wide + 6)
    found = []
    for one in findings:
        head = f"{_mark(one.state, output)}  {one.check:<{wide}}  "
        found += _wrapped(head, one.message, indent)
        if one.remedy:
            found += _wrapped(indent, f"remedy: {one.remedy}", indent)
    return found


def _mark(state: str, output: Output) -> str:
    import click

    fancy, plain, color = _SYMBOLS[state]
    symbol = fancy if _can_print(fancy) else plain
    words = f"{symbol} {state:<{_STATE_WIDTH}}"
    return click.style(words, fg=color) if output.color and sys.stdout.isatty() else words


def _can_print(symbol: str) -> bool:
    try:
        symbol.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _wrapped(head: str, text: str, indent: str) -> list[str]:
    if not sys.stdout.isatty():
        return [head + text]
    import shutil
    import textwrap

    width = max(shutil.get_terminal_size().columns, _NARROWEST) - len(indent)
    first, *rest = textwrap.wrap(text, max(width, 20), break_long_words=False, break_on_hyphens=False)
    return [head + first, *(indent + line for line in rest)]
