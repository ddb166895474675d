"""`supervise --node`: the agent of one node of a Swarm, and what runs one on each."""

from __future__ import annotations

import faulthandler
import os
import sys
from contextlib import closing
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from stackctl import __version__
from stackctl.core.agent_files import HOME, SAID, SAID_FILE, agent_unit, reader_text, service_text
from stackctl.core.errors import EngineRefused, StateError, UsageError
from stackctl.core.supervision import DEFAULT_SUPERVISION

if TYPE_CHECKING:
    from pathlib import Path

    from stackctl.cli.session import Session
    from stackctl.cli.supervising import WatchOptions
    from stackctl.ops.node_agent import NodeAgent
    from stackctl.state.journal import Journal


_SAYING = Lock()
_OF_IMAGES = {
    "service": (service_text, "`make image` in stackctl's repository builds one"),
    "reader": (reader_text, "any that has `tail` will do"),
}
HANGS_S = 120.0
"""Without a look for so long, an agent ends itself with its traces on stderr, and is started anew."""


def live_in_its_home(session: Session) -> None:
    """Let a session have the agent's state directory, where no other is named."""
    if session.output.home is None and "STACKCTL_HOME" not in os.environ:
        session.output.home = HOME


def run_agent(session: Session, options: WatchOptions) -> int:
    """Watch this node's part of a Swarm.

    Raises:
        EngineRefused: The engine is in no Swarm.
        Busy: Another agent of this state directory watches.
        StateError: The state directory cannot be used.
    """
    from stackctl.state.journal import Journal

    echo = None if session.output.json else sys.stderr
    log = Journal(None, form="json" if options.form == "json" else "text", echo=echo)
    found = _agent(session, log, options)
    if options.once:
        return _once(session, found)
    from stackctl.cli.watchman import Watchman
    from stackctl.ops.node_watch import OURS
    from stackctl.state.notify import Notifier

    return Watchman(
        session=session,
        supervisor=found,
        log=log,
        notifier=Notifier(os.environ),
        interval=options.interval,
        ours=OURS,
        begin=found.begin,
    ).watch()


def _agent(session: Session, log: Journal, options: WatchOptions) -> NodeAgent:
    from stackctl.cli.watchman import contexts, hook
    from stackctl.ops.node_agent import NodeAgent

    with closing(session.engine.lead()) as lead:
        standing = lead.standing()
    if not standing.cluster.node:
        raise EngineRefused(
            "the engine is in no Swarm, so that there is no node to be the agent of",
            hint="`docker swarm join` makes it one; without --node its own environments are watched",
        )
    return NodeAgent(
        contexts=contexts(session),
        limits=DEFAULT_SUPERVISION,
        log=log,
        say=partial(_say, None if options.dry else _file(session, log), log),
        told=hook(session, log),
        node=standing.hostname,
        alive=lambda: _beat(options.interval),
        dry=options.dry,
    )


def _file(session: Session, log: Journal) -> Path:
    """The file for who runs no service; its folder, which a reader needs, is made before anything is said."""
    from stackctl.state.folders import make_folder

    folder = session.store.home / SAID
    try:
        make_folder(folder)
    except StateError as error:  # no reason not to watch
        log.write("failed", words=f"what is said stays on this node's output: {error}")
    return folder / SAID_FILE


def _beat(interval: float) -> None:
    """Begin anew the time within which the next look must come; a thread of the interpreter counts it.

    Args:
        interval: Seconds between two looks, where that was asked for.
    """
    faulthandler.dump_traceback_later(HANGS_S + interval, exit=True)


def _say(file: Path | None, log: Journal, line: str) -> None:
    """Say a line on the output, which managers read of a service, and in a file, for who runs no service."""
    from stackctl.state.journal import append_line

    with _SAYING:  # threads say what they have done; a line is one
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        if file is None:
            return
        try:
            append_line(file, f"{line}\n")
        except (OSError, StateError) as error:
            log.write("failed", words=f"`{file}` was not written: {error}")


def _once(session: Session, found: NodeAgent) -> int:
    """One look, and the end of what it began; 1 where something could not be seen or done.

    Raises:
        Busy: An agent of this state directory watches, and does all of it.
    """
    from stackctl.ops.standing import LOCK

    with session.store.lock(LOCK, command=session.command("supervise", "--node"), wait=0):
        _, _, plan = found.tick()
        lifetimes = found.look_after_swarm()
        found.finish(DEFAULT_SUPERVISION.once)
    faulthandler.cancel_dump_traceback_later()
    acts, reports = ([one.plain() for one in some] for some in (plan.acts, plan.reports))
    good = lifetimes is not None and not found.acting
    if session.output.json:
        ended = list(lifetimes or ())
        session.output.result({"acts": acts, "reports": reports, "lifetimes": ended}, ok=good)
    if lifetimes is None:
        session.output.warn(
            "the managers of the Swarm could not be asked; lifetimes are ended by whoever leads"
        )
    return 0 if good else 1


def print_agent(session: Session, show: str, image: str | None) -> None:
    """Print the compose file of a service, or a unit for systemd, for the agents of a Swarm.

    Raises:
        UsageError: An image is missing, or not needed.
    """
    if show == "unit":
        if image:
            raise UsageError("--image goes with --print service and reader", hint="leave it out")
        text = agent_unit(sys.executable, __version__, os.environ)
    else:
        write, images = _OF_IMAGES[show]
        if not image:
            raise UsageError(f"--print {show} needs --image IMAGE", hint=f"for the {show}, {images}")
        text = write(image)
    session.output.result({"kind": show, "text": text})
    session.output.line(text.rstrip("\n"))
