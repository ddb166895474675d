"""What people install is what is tested: every shipped stack renders the same from an installed package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STACKS = sorted(path.stem for path in (ROOT / "stacks").glob("*.yaml"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package was installed into, as `pip install .` does it: compiled."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    plain = ["--no-deps", "--no-build-isolation", "--compile", "--target", str(target), str(ROOT)]
    subprocess.run([*pip, *plain], check=True, capture_output=True, timeout=120)
    return target


def render(stack: str, package: Path, folder: Path) -> str:
    """What `stackctl render` prints with the package of that folder, outside every checkout."""
    env = {**os.environ, "PYTHONPATH": str(package), "STACKCTL_HOME": str(folder / "home")}
    argv = [sys.executable, "-m", "stackctl", "render", stack]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_templates_carry_python_that_is_compiled_when_installed(installed: Path) -> None:
    assert list((installed / "stackctl" / "shipped").rglob("*.pyc"))


def test_a_program_is_checked_against_the_installed_package(installed: Path, tmp_path: Path) -> None:
    """Type checkers take the types of an installed package only where it has the marker for that."""
    (tmp_path / "program.py").write_text("from stackctl import Client\nClient().run(1)\n")
    env = {**os.environ, "PYTHONPATH": str(installed), "MYPY_CACHE_DIR": str(tmp_path / "cache")}
    argv = [sys.executable, "-m", "mypy", "--strict", "program.py"]
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=200)
    assert (installed / "stackctl" / "py.typed").is_file()
    assert "[arg-type]" in done.stdout
    assert "import-untyped" not in done.stdout


@pytest.mark.parametrize("stack", STACKS)
def test_a_shipped_stack_renders_the_same_from_the_installed_package(
    installed: Path, tmp_path: Path, stack: str
) -> None:
    assert render(stack, installed, tmp_path) == render(stack, ROOT / "src", tmp_path)
