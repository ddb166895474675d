"""What a `build` section may ask for: a folder of the stack's own, built without the host's rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackctl.core.mounts import classify
from stackctl.core.rules import Case, entries, says_no
from stackctl.core.stamping import own_labels

KEPT = frozenset(
    (
        *(
            "args",
            "cache_from",
            "dockerfile_inline",
            "extra_hosts",
            "no_cache",
            "platforms",
            "provenance",
            "pull",
        ),
        *("sbom", "secrets", "shm_size", "tags", "target", "ulimits", "isolation", "no_cache_filter"),
    )
)
NEEDS: Mapping[str, tuple[str, str]] = {
    "privileged": ("privileged", "a privileged build is root on the host"),
    "entitlements": ("privileged", "a build with entitlements leaves its sandbox"),
    "ssh": ("ssh-keys", "a build would use the caller's ssh keys"),
    "cache_to": ("outside-build", "a build cache is written outside the engine"),
}
"""Key of a build -> the word of `allow:` that lets it stand, and why it needs one."""
_REMOTE = ("http://", "https://", "git://", "ssh://", "git@", "github.com/", "oci://")
_NETWORKS = frozenset({"default", "none"})


def judge_build(case: Case, value: Any) -> Any:
    """Judge a `build` section; a text is its context."""
    section = {"context": value} if isinstance(value, str) else value
    if not isinstance(section, dict):
        case.refuse("build", "`build` must be a folder or a mapping")
        return value
    context = section.get("context", ".")
    _judge_folder(case, "build.context", context)
    for key, given in section.items():
        _judge_key(case, key, given, context)
    return value


def _judge_key(case: Case, key: str, given: Any, context: Any) -> None:
    at = f"build.{key}"
    if key in NEEDS:
        word, reason = NEEDS[key]
        if not says_no(given) and given not in ([], {}):
            case.needs(word, at, reason)
    elif key == "network":
        if not says_no(given) and str(given) not in _NETWORKS:
            case.needs("host-network", at, f"the network `{given}` reaches the host from within a build")
    elif key == "labels":
        own_labels(case.findings, f"{case.path}.{at}", given)
    elif key == "dockerfile":
        _judge_dockerfile(case, at, given, context)
    elif key == "additional_contexts":
        _judge_contexts(case, at, given)
    elif key not in KEPT and key != "context" and not key.startswith("x-"):
        case.refuse(at, f"Compose has no key `{key}` for a build", "check its spelling and indentation")


def _judge_folder(case: Case, at: str, folder: Any) -> None:
    if not isinstance(folder, str):
        case.refuse(at, "it must be the path of a folder")
    elif "://" in folder or folder.startswith(_REMOTE):
        case.needs("outside-build", at, f"`{folder}` is fetched from elsewhere")
    elif classify(folder, case.rules.root) != "inside":
        case.needs("outside-build", at, f"`{folder}` lies outside the stack's own root")


def _judge_dockerfile(case: Case, at: str, given: Any, context: Any) -> None:
    if not isinstance(given, str) or not isinstance(context, str):
        case.refuse(at, "it must be the path of a file")
        return
    _judge_folder(case, at, given if given.startswith(("/", "~")) else f"{context}/{given}")


def _judge_contexts(case: Case, at: str, given: Any) -> None:
    pairs = (
        given.items() if isinstance(given, dict) else [str(e).partition("=")[::2] for _, e in entries(given)]
    )
    for name, source in pairs:
        if not str(source).startswith(("docker-image://", "service:", "target:")):
            _judge_folder(case, f"{at}.{name}", source)
