"""Compose's own reader gives every value back exactly, as `env_file` and as `--env-file`."""

import itertools
import json
import random
import subprocess
from pathlib import Path

import pytest

from stackctl.core.dotenv import dotenv

pytestmark = pytest.mark.engine

PIECES = [
    "'",
    '"',
    "\\",
    "$",
    "\n",
    "\r",
    "\t",
    " ",
    "#",
    "=",
    "`",
    "{",
    "}",
    ":",
    "a",
    "n",
    "é",
    "日",
    "export ",
]


def values() -> dict[str, str]:
    chance = random.Random(20240)
    texts = ["".join(some) for length in (0, 1, 2, 3) for some in itertools.product(PIECES, repeat=length)]
    texts += ["".join(chance.choices(PIECES, k=chance.randint(4, 30))) for _ in range(500)]
    texts += ["postgres://app:p$$w'\"\\@db:5432/app?x=${HOME}", "x" * 20_000]
    return {f"V{number}": text for number, text in enumerate(texts)}


def config(folder: Path, document: dict[str, object], env_file: str) -> dict[str, str]:
    (folder / "compose.yaml").write_text(json.dumps(document))
    command = [
        "docker",
        "compose",
        "-p",
        "dotenv",
        "-f",
        str(folder / "compose.yaml"),
        "--env-file",
        env_file,
    ]
    done = subprocess.run(
        [*command, "config", "--format", "json"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["services"]["one"]["environment"]
    return {name: value.replace("$$", "$") for name, value in found.items() if name.startswith("V")}


def test_a_services_env_file_is_read_back_exactly(tmp_path: Path) -> None:
    wanted = values()
    (tmp_path / "one.env").write_bytes(dotenv(wanted).encode())
    document = {"services": {"one": {"image": "busybox:1.35", "env_file": ["one.env"]}}}
    assert config(tmp_path, document, "/dev/null") == wanted


def test_a_placement_is_read_back_exactly(tmp_path: Path) -> None:
    wanted = values()
    (tmp_path / "placement.env").write_bytes(dotenv(wanted).encode())
    environment = {name: f"${{{name}}}" for name in wanted}
    document = {"services": {"one": {"image": "busybox:1.35", "environment": environment}}}
    assert config(tmp_path, document, str(tmp_path / "placement.env")) == wanted
