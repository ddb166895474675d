"""Objects of one test run carry one label, and are removed by id when it ends."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stackctl.core.deployment import Deployment
from stackctl.engine.docker import DockerEngine

LABEL = "stackctl-test.run"
IMAGE = "busybox:1.35"


@pytest.fixture
def engine() -> DockerEngine:
    return DockerEngine()


@pytest.fixture(scope="session")
def run_label() -> Iterator[str]:
    """The value of the label that everything of this run carries."""
    run = uuid.uuid4().hex
    yield run
    engine = DockerEngine()
    engine.kill([one.id for one in engine.containers({LABEL: run})])
    engine.remove_containers([one.id for one in engine.containers({LABEL: run})])
    engine.remove_networks([one.id for one in engine.networks({LABEL: run})])


@pytest.fixture
def start(run_label: str) -> Callable[..., str]:
    """Run one detached container: `start("sleep", "60", options=["--init"])` gives its id."""

    def run(*command: str, options: list[str] | None = None, image: str = IMAGE) -> str:
        argv = ["docker", "run", "-d", "--label", f"{LABEL}={run_label}", *(options or []), image, *command]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    return run


@pytest.fixture
def deploy(run_label: str, tmp_path: Path) -> Iterator[Callable[..., Deployment]]:
    """Write a compose document of the services given; what it makes is removed after the test."""
    project = f"st-{uuid.uuid4().hex[:10]}"

    def write(services: dict[str, dict[str, Any]], placement: str = "") -> Deployment:
        labels = {LABEL: run_label}
        document = {
            "services": {name: {"image": IMAGE, "labels": labels, **one} for name, one in services.items()},
            "networks": {"default": {"labels": labels}},
        }
        folder = tmp_path / "environment"
        folder.mkdir(exist_ok=True)
        (folder / "compose.yaml").write_text(json.dumps(document))
        (folder / "placement.env").write_text(placement)
        return Deployment(
            project=project,
            folder=folder,
            document=folder / "compose.yaml",
            placement=folder / "placement.env",
        )

    yield write
    engine, mine = DockerEngine(), {"com.docker.compose.project": project}
    engine.kill([one.id for one in engine.containers(mine)])
    engine.remove_containers([one.id for one in engine.containers(mine)])
    engine.remove_networks([one.id for one in engine.networks(mine)])
