"""What docker's last words on stderr mean: the right error, with what to do next and without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from stackctl.core.errors import (
    ComposeMissing,
    DaemonDown,
    EngineForbidden,
    EngineRefused,
    ImageMissing,
    LimitsUnenforced,
    PortTaken,
    ServiceFailed,
    StackctlError,
)

_SHORTEST_SECRET = 4
MASK = "***"
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_NOISE = re.compile(
    r"^\s*(?:(?:Network|Container|Volume|Image)\s+\S+\s+[A-Z][a-z]+|\S+ (?:Pulling|Pulled|Waiting)|"
    r"time=\"\S+\" level=(?:warning|info|debug).*|"
    r"WARN\[\d+\].*|exit status \d+|Usage:.*|See '.*'.*|Run 'docker .*|#\d+ .*)\s*$"
)
_PREFIX = re.compile(r"^(?:Error response from daemon|Error|error|docker|failed to solve):\s*")


@dataclass(frozen=True, slots=True)
class Meaning:
    """One way in which docker says something: the pattern, and the error that it is.

    Args:
        pattern: Searched in everything that docker wrote, case aside.
        error: The error's class.
        message: The sentence; `{0}` is what the pattern's group holds, `{last}` docker's last line.
        hint: What to do next.
    """

    pattern: str
    error: type[StackctlError]
    message: str
    hint: str = ""


_POOL = "`stackctl down` what is no longer used, or widen `subnets` in the configuration"

# the first that fits wins, so causes stand before the consequences that docker reports after them
MEANINGS: tuple[Meaning, ...] = (
    Meaning(
        r"permission denied while trying to connect|got permission denied .*docker|"
        r"permission denied.*docker\.sock",
        EngineForbidden,
        "no right to use the docker socket",
        "add yourself to the group that owns it (`sudo usermod -aG docker $USER`, then log in again) or use "
        "rootless docker",
    ),
    Meaning(
        r"http request to an https server",
        DaemonDown,
        "the engine's port wants TLS, and was asked without it",
        "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the folder of ca.pem, cert.pem and key.pem",
    ),
    Meaning(
        r"cannot connect to the docker daemon|is the docker daemon running|"
        r"failed to connect to the docker api|error during connect",
        DaemonDown,
        "no docker daemon answers: {last}",
        "start the daemon (`sudo systemctl start docker`), or set DOCKER_HOST",
    ),
    Meaning(
        r"'compose' is not a docker command|unknown command: docker compose|"
        r"unknown (?:shorthand )?flag: (?:'f' in -f|--(?:file|project-name|project-directory|env-file))",
        ComposeMissing,
        "docker has no compose plugin",
        "install Compose 2.20 or newer (Debian 13: `docker-compose`, Ubuntu: `docker-compose-v2`)",
    ),
    Meaning(
        r"no space left on device|disk quota exceeded",
        EngineRefused,
        "the engine's disk is full: {last}",
        "`docker system df` shows what takes the space",
    ),
    Meaning(
        r"(?::(\d+)(?:[:/]\S+)?(?: failed)?:? (?:failed: )?(?:bind: )?"
        r"(?:port is already allocated|address already in use|only one usage of each socket address))",
        PortTaken,
        "port {0} is taken",
        "ask for another port, or leave the choice to stackctl",
    ),
    Meaning(
        r"port is already allocated|address already in use|ports are not available",
        PortTaken,
        "a port is taken: {last}",
        "ask for another port, or leave the choice to stackctl",
    ),
    Meaning(
        r"could not find an available.*address pool|all predefined address pools have been fully subnetted",
        EngineRefused,
        "the engine has no address range left for another network",
        _POOL,
    ),
    Meaning(
        r"pool overlaps with other one",
        EngineRefused,
        "the network's address range overlaps with one in use",
        _POOL,
    ),
    Meaning(
        r"kernel does not support (?:.*limit|.*cfs|.*cgroup)|nanocpus can not be set|"
        r"(?:memory|pids|cpu) limit.*(?:not supported|discarded)",
        LimitsUnenforced,
        "the engine cannot enforce a limit: {last}",
        "`stackctl doctor` says which controller is missing",
    ),
    Meaning(
        r"no such image: ?(\S+)|pull access denied for ([^\s,]+)|manifest for (\S+) not found|"
        r"unable to find image '([^']+)'",
        ImageMissing,
        "the image `{0}` is neither on the engine nor in a registry it reaches",
        "check its name and tag, `docker login` if it is private, or build it",
    ),
    Meaning(
        r"manifest unknown|no such image|image .*not found|repository does not exist|"
        r"failed to resolve reference|name unknown|not found: manifest",
        ImageMissing,
        "an image is neither on the engine nor in a registry it reaches: {last}",
        "check its name and tag, `docker login` if it is private, or build it",
    ),
    Meaning(
        r"unable to find (?:user|group) ([^\s:]+)",
        EngineRefused,
        "the image knows no user or group `{0}`",
        "name one that its /etc/passwd has, or a number such as 1000:1000",
    ),
    Meaning(
        r"dependency failed to start: (.+)",
        ServiceFailed,
        "a service that others wait for failed: {0}",
        "`stackctl logs` shows its last words",
    ),
    Meaning(
        r"service \"([^\"]+)\" didn't complete successfully",
        ServiceFailed,
        "the service `{0}`, which others wait for, failed: {last}",
        "`stackctl logs` shows its last words",
    ),
)


def explain(text: str, *, doing: str, secrets: Iterable[str] = ()) -> StackctlError:
    """The error that docker's stderr means.

    Args:
        text: What docker wrote on stderr.
        doing: What was asked of it, for the message when nothing better is known ("`docker compose up`").
        secrets: Texts that must not appear in the error.
    """
    clean = redact(_ESCAPE.sub("", text.replace("\r", "\n")), secrets)
    last = last_line(clean)
    for meaning in MEANINGS:
        if match := re.search(meaning.pattern, clean, re.IGNORECASE):
            subject = next((group for group in match.groups() if group), "").strip().rstrip(".,:")
            return meaning.error(meaning.message.format(subject, last=last), hint=meaning.hint)
    if not last:
        return EngineRefused(f"{doing} failed and said nothing")
    return EngineRefused(f"{doing} failed: {last}")


def last_line(text: str) -> str:
    """The last line that says something: no progress, no warnings, no advice about usage."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not _NOISE.match(line)]
    line = (telling or lines or [""])[-1]
    return _PREFIX.sub("", line).rstrip(".")[:500]


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with each secret masked, as it is and percent-encoded; those under 4 characters cannot be."""
    known = {form for one in secrets for form in (one, quote(one, safe="")) if len(one) >= _SHORTEST_SECRET}
    for form in sorted(known, key=len, reverse=True):
        text = text.replace(form, MASK)
    return text
