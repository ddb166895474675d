"""`supervise --node`: the agent of one node of a Swarm, and what runs one on each."""

from __future__ import annotations

import faulthandler
import os
import sys
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from stackctl import __version__
from stackctl.core.errors import EngineRefused, UsageError
from stackctl.core.supervision import DEFAULT_SUPERVISION

if TYPE_CHECKING:
    from stackctl.cli.session import Session
    from stackctl.ops.node_agent import NodeAgent
    from stackctl.state.journal import Journal


_SAYING = Lock()
HANGS_S = 120.0
"""Without a look for so long, an agent ends itself with its traces on stderr, and is started anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """What was asked for, as `supervise --node` has it."""

    once: bool = False
    dry: bool = False
    interval: float = 0.0
    form: str = "text"


def run_agent(session: Session, options: AgentOptions) -> int:
    """Watch this node's part of a Swarm.

    Raises:
        EngineRefused: The engine is in no Swarm.
        Busy: Another agent of this state directory watches.
        StateError: The state directory cannot be used.
    """
    from stackctl.core.agent_files import HOME
    from stackctl.state.journal import Journal

    if session.output.home is None and "STACKCTL_HOME" not in os.environ:
        session.output.home = HOME
    echo = None if session.output.json else sys.stderr
    log = Journal(None, form="json" if options.form == "json" else "text", echo=echo)
    found = _agent(session, log, options.dry)
    if options.once:
        return _once(session, found)
    from stackctl.cli.watchman import Watchman
    from stackctl.ops.node_watch import OURS
    from stackctl.state.notify import Notifier

    found.begin()
    return Watchman(
        session=session,
        supervisor=found,
        log=log,
        notifier=Notifier(os.environ),
        interval=options.interval,
        ours=OURS,
    ).watch()


def _agent(session: Session, log: Journal, dry: bool) -> NodeAgent:
    from stackctl.cli.watchman import contexts, hook
    from stackctl.ops.node_agent import NodeAgent

    lead = session.engine.lead()
    try:
        standing = lead.standing()
    finally:
        lead.close()
    if not standing.cluster.node:
        raise EngineRefused(
            "the engine is in no Swarm, so that there is no node to be the agent of",
            hint="`docker swarm join` makes it one; without --node its own environments are watched",
        )
    return NodeAgent(
        contexts=contexts(session),
        limits=DEFAULT_SUPERVISION,
        log=log,
        say=_say,
        told=hook(session, log),
        node=standing.hostname,
        alive=_beat,
        dry=dry,
    )


def _beat() -> None:
    """Begin anew the time within which the next look must come; a thread of the interpreter counts it."""
    faulthandler.dump_traceback_later(HANGS_S, exit=True)


def _say(line: str) -> None:
    with _SAYING:  # threads say what they have done; a line is one
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _once(session: Session, found: NodeAgent) -> int:
    """One look, and the end of what it began."""
    _, _, plan = found.tick()
    found.look_after_swarm()
    found.finish(DEFAULT_SUPERVISION.once)
    faulthandler.cancel_dump_traceback_later()
    acts, reports = ([one.plain() for one in some] for some in (plan.acts, plan.reports))
    if session.output.json:
        session.output.result({"acts": acts, "reports": reports})
    return 0


def print_agent(session: Session, show: str, image: str | None) -> None:
    """Print the compose file of a global service, or a unit for systemd, that runs an agent.

    Raises:
        UsageError: An image is missing, or not needed.
    """
    from stackctl.core.agent_files import agent_unit, service_text

    if show == "service":
        if not image:
            hint = "`make image` in stackctl's repository builds one"
            raise UsageError("--print service needs --image IMAGE", hint=hint)
        text = service_text(image)
    else:
        if image:
            raise UsageError("--image goes with --print service", hint="leave it out")
        text = agent_unit(sys.executable, __version__, os.environ)
    session.output.result({"kind": show, "text": text})
    session.output.line(text.rstrip("\n"))
