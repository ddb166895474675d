"""The command line on an engine of another host."""

from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from commandline import Cli, Done
from far import FarEngine

from stackctl.core.labels import PREFIX
from stackctl.state.home import open_home


@dataclass(frozen=True)
class FarCli(Cli):
    """`stackctl` whose engine is the far one, unless a call says another."""

    far: FarEngine

    def environment(self, **env: str) -> dict[str, str]:
        return super().environment(**{"DOCKER_HOST": self.far.host, **env})

    def here(self, *arguments: str, **env: str) -> Done:
        """A command on this machine's own engine."""
        return self(
            *arguments, DOCKER_HOST=os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"), **env
        )

    def end_all(self) -> None:
        mine = {f"{PREFIX}home": open_home(self.home).identity}
        with closing(self.far.engine) as engine:
            if engine.containers(mine):
                self("cancel", "--all")
                self("down", "--all")
            left = engine.containers(mine)
            engine.kill([one.id for one in left])
            engine.remove_containers([one.id for one in left])
            networks = engine.networks(mine)
            engine.remove_networks([one.id for one in networks])
        assert not left, f"left behind: {[one.name for one in left]}"
        assert not networks, f"left behind: {[one.name for one in networks]}"

    def inspect(self, container: str) -> dict[str, object]:
        """What the far engine says of a container."""
        return dict(json.loads(self.far.docker("inspect", container))[0])

    def write(self, name: str, text: str) -> Path:
        """Write a file into the checkout."""
        path = self.checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path
