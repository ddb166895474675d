"""Drives Compose; every call is bounded in time, dies with us, and sees no environment but the scrubbed one.

`up` goes through python-on-whales, which knows its flags; `driver` imports it, when something has to start.
It has no timeout and hands our whole environment down, so the command it calls is a chain that bounds it and
drops what must not reach compose. `pull`, `build` and `config` we start ourselves: their progress has
to be read line by line with the child owned and reaped, and the library's typed `config` drops `pids_limit`
and `mem_limit`. `logs` and `exec` pass the terminal through.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackctl.core.errors import ComposeMissing, EngineRefused, ImageMissing, StackctlError, TimedOut
from stackctl.core.units import show_duration
from stackctl.engine import compose_config, driver, process
from stackctl.engine.endpoint import Endpoint, find_program
from stackctl.engine.errors import explain

if TYPE_CHECKING:
    from stackctl.core.deployment import Deployment
    from stackctl.engine.driving import Driver

MINIMUM = (2, 20)  # the first whose `depends_on` and `up` conditions hold for all that policy relies on
MUTATION_LOCK = ".mutation.lock"
TIMED_OUT = frozenset({124, 137, -9})
"""How a command ends that its bound ended."""
_SECRET_LIMIT = 64 << 10
_CLEAR_LINE = b"\x1b[2K"  # compose 2.26 begins each line of a log with it, whatever `--ansi` says
_ANSWER = 15.0  # seconds to import the library and to tell how the command ended


def up(
    deployment: Deployment,
    *,
    endpoint: Endpoint,
    environ: Mapping[str, str],
    build: bool,
    timeout: float,
    services: Sequence[str] = (),
    beside: Driver | None = None,
) -> None:
    """Create and start what the document says, detached; images are there already, nothing is pulled.

    Args:
        deployment: The files.
        endpoint: The engine.
        environ: The caller's environment; it is scrubbed on the way.
        build: Build images first.
        timeout: Seconds for all of it.
        services: Only these, all where it is empty.
        beside: The process that drives it; this one where there is none.

    Raises:
        TimedOut: It took longer.
        EngineRefused, ImageMissing, PortTaken, ServiceFailed, EngineUnavailable: As docker says.
    """
    called = chain(deployment.folder, environ, timeout)
    client = {
        **client_of(endpoint, environ, called),
        "compose_files": [str(deployment.document)],
        "compose_env_files": [str(deployment.placement)],
        "compose_project_name": deployment.project,
        "compose_project_directory": str(deployment.folder),
    }
    job: dict[str, Any] = {"client": client, "services": list(services), "build": build}
    # the command is bounded by itself; what drives it only has to answer then
    told = beside.drive(job, timeout + _ANSWER) if beside else driver.drive(**job)
    if told["code"] in TIMED_OUT:
        raise _late("up", timeout)
    if told["code"]:
        raise _refusal(told["stderr"], "up", deployment)


def client_of(endpoint: Endpoint, environ: Mapping[str, str], called: Sequence[str]) -> dict[str, Any]:
    """What python-on-whales takes to reach an engine.

    Args:
        endpoint: The engine.
        environ: The environment that says where docker's configuration is.
        called: The docker command, see `chain`.
    """
    by_context = bool(endpoint.context and not endpoint.socket)
    return {
        "client_call": list(called),
        "client_type": "docker",
        "config": environ.get("DOCKER_CONFIG") or None,
        "host": None if by_context else endpoint.host,
        "context": endpoint.context if by_context else None,
    }


def chain(folder: Path, environ: Mapping[str, str], timeout: float, *, mute: bool = False) -> list[str]:
    """The docker command with its leash, its bound, and a lock that is held until compose has ended.

    Args:
        folder: Where the lock lies.
        environ: The caller's environment.
        timeout: Seconds for all of it.
        mute: What it writes to stdout is dropped, where python-on-whales would let it through to ours.
    """
    docker = find_program("docker", environ)
    if not docker:
        raise process.docker_missing()
    kept = process.scrubbed_environment(os.environ)
    scrub = [word for name in sorted(set(os.environ) - set(kept)) for word in ("-u", name)]
    # we run in the background of a terminal, where a question would stop compose until its bound
    quiet = " >/dev/null" if mute else ""
    command = ["sh", "-c", f'exec "$@" </dev/null{quiet}', "sh", *(["env", *scrub] if scrub else []), docker]
    flock = find_program("flock", environ)
    if flock and Path(flock).resolve().name == "flock":
        command = [flock, "--no-fork", str(folder / MUTATION_LOCK), *command]
    return process.bounded(command, timeout, environ)


def _late(verb: str, timeout: float) -> TimedOut:
    return TimedOut(
        f"`docker compose {verb}` did not end within {show_duration(timeout) or '1s'}",
        hint="`stackctl logs` shows what started; a longer `--wait-timeout` gives it more time",
    )


def _refusal(stderr: str, verb: str, deployment: Deployment) -> StackctlError:
    return explain(stderr, doing=f"`docker compose {verb}`", secrets=_secrets(deployment.folder))


def _secrets(folder: Path) -> Iterator[str]:
    """What the environment keeps secret, so that no error repeats it."""
    try:
        files = sorted((folder / "secrets").iterdir())
    except OSError:
        return
    for file in files:
        if file.is_file() and file.stat().st_size <= _SECRET_LIMIT:
            yield file.read_text(errors="replace").strip()


def arguments(deployment: Deployment) -> list[str]:
    """`docker compose` with everything said that a `.env` or COMPOSE_* could else say for us."""
    return [
        *("docker", "compose", "--file", str(deployment.document)),
        *("--env-file", str(deployment.placement)),
        *("--project-name", deployment.project, "--project-directory", str(deployment.folder)),
    ]


def build(
    deployment: Deployment, *, environ: Mapping[str, str], progress: Callable[[str], None], timeout: float
) -> None:
    """Build the document's images.

    Args:
        deployment: The files.
        environ: The scrubbed environment with the engine pinned.
        progress: Receives each line that the build writes.
        timeout: Seconds for all of it.

    Raises:
        TimedOut: It took longer.
        EngineRefused: It failed; the message has its last line.
    """
    argv = [*arguments(deployment), "build"]
    with process.stream(argv, timeout=timeout, env=environ, both=True) as lines:
        for line in lines:
            progress(line)
        ended = lines.ended()
    if ended.code:
        raise _refusal(ended.stderr, "build", deployment)


def pull(
    reference: str, *, environ: Mapping[str, str], progress: Callable[[str], None], timeout: float
) -> None:
    """Pull one image.

    Args:
        reference: The image, by name and tag or digest.
        environ: The scrubbed environment with the engine pinned.
        progress: Receives each line that docker writes.
        timeout: Seconds for all of it.

    Raises:
        TimedOut: It took longer.
        ImageMissing: No registry that the engine reaches has it, or none is reached.
        EngineRefused, EngineUnavailable: As docker says.
    """
    with process.stream(["docker", "pull", "--", reference], timeout=timeout, env=environ) as lines:
        for line in lines:
            progress(line)
        ended = lines.ended()
    if not ended.code:
        return
    error = explain(ended.stderr, doing=f"pulling `{reference}`")
    if type(error) is not EngineRefused or "disk is full" in error.message:
        raise error
    raise ImageMissing(
        error.message, hint="the engine reaches no registry that has it; check its name, or build or load it"
    )


def config(
    files: Sequence[Path],
    *,
    project: str,
    directory: Path,
    environ: Mapping[str, str],
    variables: Mapping[str, str],
    env_files: Sequence[Path] = (),
    profiles: Sequence[str] = (),
    dotenv: bool = False,
    text: str = "",
    timeout: float = 30.0,
) -> dict[str, Any]:
    """People's own compose files as one document: merged, interpolated and normalised by Compose itself.

    Args:
        files: The compose files, later ones over earlier ones.
        project: Compose project name.
        directory: What relative paths are relative to.
        environ: The scrubbed environment with the engine pinned; of it only PATH, HOME and DOCKER_* reach
            the files, so that they mean the same in every shell.
        variables: What the files interpolate.
        env_files: Files of further variables, under `variables`.
        profiles: Profiles to include, `*` for all.
        dotenv: Without `env_files`, read the `.env` of the directory, as Compose does by itself.
        text: What the file `-` says.
        timeout: Seconds for all of it; an alias bomb keeps Compose busy for long.

    Raises:
        EngineRefused: Compose does not accept the files; the message has its reason.
        TimedOut: It took longer.
        ComposeMissing, DockerMissing: There is no Compose.
    """
    argv = ["docker", "compose", "--project-name", project, "--project-directory", str(directory)]
    argv += _each("--file", files) + _each("--env-file", env_files or (() if dotenv else (os.devnull,)))
    argv += _each("--profile", profiles)
    kept = {name: value for name, value in environ.items() if name.startswith(("PATH", "HOME", "DOCKER_"))}
    return compose_config.read(argv, files, env={**kept, **variables}, text=text, timeout=timeout)


def _each(option: str, values: Iterable[object]) -> list[str]:
    return [word for value in values for word in (option, str(value))]


def version(environ: Mapping[str, str], timeout: float) -> str:
    """Compose's version, such as "2.26.1".

    Raises:
        ComposeMissing: There is none, or it is older than 2.20.
        DockerMissing, TimedOut: As `process.run`.
    """
    ended = process.run(["docker", "compose", "version", "--short"], timeout=timeout, env=environ)
    found = ended.stdout.strip().removeprefix("v")
    hint = "install Compose 2.20 or newer (Debian 13: `docker-compose`, Ubuntu: `docker-compose-v2`)"
    if ended.code or not found:
        raise ComposeMissing("docker has no compose plugin", hint=hint)
    numbers = tuple(int(part) for part in found.split("-")[0].split(".")[:2] if part.isdigit())
    if numbers and numbers < MINIMUM:
        raise ComposeMissing(f"the compose plugin is version {found}, older than 2.20", hint=hint)
    return found


def logs(
    project: str,
    services: Sequence[str] = (),
    *,
    environ: Mapping[str, str],
    follow: bool = False,
    tail: str = "all",
    since: str = "",
) -> int:
    """Show a project's logs on our terminal, return the exit code; labels suffice, files may be gone."""
    terminal = sys.stdout.isatty()
    ansi = "auto" if terminal else "never"
    argv = ["docker", "compose", "--ansi", ansi, "--project-name", project, "logs", "--tail", tail]
    argv += ["--follow"] if follow else []
    argv += ["--since", since] if since else []
    without = b"" if terminal else _CLEAR_LINE
    return process.interactive([*argv, "--", *services], env=environ, without=without)


def container_logs(
    container: str, *, environ: Mapping[str, str], follow: bool = False, tail: str = "all", since: str = ""
) -> int:
    """Show one container's logs on our terminal, each stream where it belongs; the exit code."""
    argv = ["docker", "logs", "--tail", tail, *(["--follow"] if follow else [])]
    argv += ["--since", since] if since else []
    return process.interactive([*argv, container], env=environ)


def execute(
    container: str,
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    terminal: bool = True,
    user: str = "",
    workdir: str = "",
    variables: Mapping[str, str] | None = None,
) -> int:
    """Run a command in a container by its id, on our terminal, and return its exit code.

    Args:
        container: Full id.
        command: The command and its arguments.
        environ: The scrubbed environment with the engine pinned.
        terminal: Give it a terminal; only where stdin is one.
        user: As in `docker exec --user`, empty for the container's.
        workdir: Its working directory, empty for the container's.
        variables: Passed by name, so that no value stands in an argument vector.
    """
    argv = ["docker", "exec", "--interactive", *(["--tty"] if terminal else [])]
    argv += ["--user", user] if user else []
    argv += ["--workdir", workdir] if workdir else []
    argv += [word for name in variables or {} for word in ("--env", name)]
    return process.interactive([*argv, container, *command], env={**environ, **(variables or {})})
