"""The engines that one supervisor watches: the usual one in its own loop, each other one in a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING

from stackctl.core.errors import StackctlError, TimedOut
from stackctl.core.records import LIVE, EnvironmentRecord
from stackctl.ops.watch import Watch

if TYPE_CHECKING:
    from stackctl.core.facts import EngineFacts
    from stackctl.core.supervision import Supervision
    from stackctl.core.world import World
    from stackctl.ops.context import Context
    from stackctl.ops.protocols import Log, Survey

USUAL = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blindness:
    """How often an engine could not be asked in a row, and until when it is not asked again."""

    times: int
    until: float
    frozen: bool


class _Look:
    """A look at one engine in a thread of its own, which may take as long as that engine does."""

    def __init__(
        self, watch: Watch, survey: Survey, busy: frozenset[str], quiet: Mapping[str, float]
    ) -> None:
        self.world: World | None = None
        self.error: StackctlError | None = None
        self._thread = Thread(target=self._run, args=(watch, survey, busy, dict(quiet)), daemon=True)
        self._thread.start()

    def _run(self, watch: Watch, survey: Survey, busy: frozenset[str], quiet: Mapping[str, float]) -> None:
        try:
            self.world = watch.look(survey, busy=busy, quiet=quiet)
        except StackctlError as error:
            self.error = error
        except Exception as error:
            self.error = StackctlError(f"the look itself failed, which is a bug: {error!r}")

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()


class Watches:
    """The watches of one supervisor by address; "" is the engine that its environment chooses.

    Args:
        contexts: Makes a context whose engine belongs to one watch.
        limits: The supervisor's numbers.
        log: Told of engines that cannot be asked, and that answer again.
    """

    def __init__(self, contexts: Callable[[str], Context], limits: Supervision, log: Log) -> None:
        self._contexts, self._limits, self._log = contexts, limits, log
        self.by_host: dict[str, Watch] = {USUAL: Watch(contexts(USUAL), limits)}
        self._blind: dict[str, _Blindness] = {}
        self._looks: dict[str, _Look] = {}
        self._usual: EngineFacts | None = None

    @property
    def blind(self) -> tuple[str, ...]:
        """Addresses of the engines that could not be asked when they were last tried."""
        return tuple(self._blind)

    @property
    def frozen(self) -> bool:
        """Whether one of them accepts questions and never answers."""
        return any(one.frozen for one in self._blind.values())

    def relist_soon(self) -> None:
        """Let every next look list anew."""
        for watch in self.by_host.values():
            watch.relist_soon()

    def choose(self, records: tuple[EnvironmentRecord, ...]) -> None:
        """Watch also the engines that live records name and that are not the usual one; forget the others."""
        usual = self._usual = self.by_host[USUAL].facts or self._usual
        if usual is None and USUAL not in self._blind:
            return  # it was never asked yet
        wanted = {
            record.engine_host: record.project
            for record in records
            if record.phase in LIVE
            and not record.on_swarm
            and record.engine_host
            and (usual is None or (record.engine != usual.id and record.engine_host != usual.host))
        }
        for host in self.by_host.keys() - wanted.keys() - {USUAL}:
            self._looks.pop(host, None)
            self._blind.pop(host, None)
            self.by_host.pop(host)
        for host in wanted.keys() - self.by_host.keys():
            self.by_host[host] = Watch(self._contexts(host), self._limits)
            self._log.write("engine", host=host, words=f"`{wanted[host]}` was made there")

    def look(
        self, survey: Survey, busy: frozenset[str], quiet: Mapping[str, float]
    ) -> Iterator[tuple[str, World]]:
        """Look at each engine that can be asked; of the others, worlds come when they are there.

        Args:
            survey, busy, quiet: As `Watch.look`.
        """
        for host, watch in list(self.by_host.items()):
            now = watch.context.clock.now().boottime
            if host in self._blind and self._blind[host].until > now:
                continue
            if host == USUAL:
                world, error = _looked(watch, survey, busy, quiet)
            else:
                look = self._looks.get(host)
                if look is None:
                    self._looks[host] = _Look(watch, survey, busy, quiet)
                if look is None or not look.done:
                    continue
                del self._looks[host]
                world, error = look.world, look.error
            if error is not None:
                self._cannot_see(host, watch, error)
            elif world is not None:
                self._sees(host)
                yield host, world

    def _cannot_see(self, host: str, watch: Watch, error: StackctlError) -> None:
        times = self._blind[host].times + 1 if host in self._blind else 1
        watch.forget_connection()
        until = watch.context.clock.now().boottime + min(2.0 ** min(times, 5), self._limits.longest_blind)
        self._blind[host] = _Blindness(times=times, until=until, frozen=isinstance(error, TimedOut))
        if times in (1, self._limits.blind_after):
            words = "nothing is deleted, and it is asked again"
            self._log.write("blind", host=host, reason=str(error), times=times, words=words)

    def _sees(self, host: str) -> None:
        if self._blind.pop(host, None) is not None:
            self._log.write("sees", host=host, words="the engine answers again")


def _looked(
    watch: Watch, survey: Survey, busy: frozenset[str], quiet: Mapping[str, float]
) -> tuple[World | None, StackctlError | None]:
    try:
        return watch.look(survey, busy=busy, quiet=quiet), None
    except StackctlError as error:
        return None, error
