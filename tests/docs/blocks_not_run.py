"""What the runner of pages leaves out, each with the reason; and what it must know beside the page itself."""

from __future__ import annotations

from collections.abc import Mapping

HOST = "changes the machine it runs on; a bare one is needed"
OWN = "names an image of the reader's own"
PAGES = (
    "README.md",
    "docs/guides/quick-start.md",
    "docs/guides/web-app.md",
    "docs/guides/make.md",
    "docs/guides/own-template.md",
    "docs/guides/several-checkouts.md",
    "docs/guides/ci.md",
)
"""Pages that are run."""

PAGES_NOT_RUN: Mapping[str, str] = {
    "docs/guides/air-gapped.md": "not made to run yet",
    "docs/guides/batch.md": "not made to run yet",
    "docs/guides/compose-files.md": "not made to run yet",
    "docs/guides/crash-recovery.md": "not made to run yet",
    "docs/guides/guard.md": "not made to run yet",
    "docs/guides/locking.md": "not made to run yet",
    "docs/guides/policy.md": "not made to run yet",
    "docs/guides/python-api.md": "not made to run yet",
    "docs/guides/reaching-sidecars.md": "not made to run yet",
    "docs/guides/supervisor-service.md": "not made to run yet",
    "docs/guides/supervisor.md": "not made to run yet",
    "docs/guides/tasks.md": "not made to run yet",
}
"""Pages that are not run, each with the reason."""

NOT_RUN: Mapping[tuple[str, str], str] = {
    ("README.md", "make demo"): HOST,
    ("README.md", "python3 -m venv ~/.stackctl"): "takes minutes; tests/install installs the wheel",
    ("README.md", "$ stackctl why loop"): "needs a service that forks without end; tests/supervisor has one",
    ("docs/guides/quick-start.md", "make demo"): HOST,
    ("docs/guides/web-app.md", "# stacks/shop.yaml"): OWN,
}
"""Page and how a block begins -> why it is not run."""

CODES: Mapping[str, int] = {
    "stackctl purge myenv": 2,  # nobody is there to be asked
    "stackctl purge hello": 2,
    "stackctl diff counter": 1,  # there is a change, as the comment says
}
"""Commands that rightly end with another code than 0 here; comments and spaces behind them left out."""

_WEB = "mkdir -p stacks && printf 'template: hello\\nlimits: {memory: 64m}\\n' > stacks/web.yaml"
_COMMITTED = "git add -A && git -c user.name=a -c user.email=a@b.c commit -qm stacks"
BEFORE: Mapping[tuple[str, str], str] = {
    ("docs/guides/several-checkouts.md", "$ git worktree"): f"{_WEB} && {_COMMITTED}",
    ("docs/guides/several-checkouts.md", "$ stackctl move"): "cd .. && mv shop-fix moved && cd moved",
    ("docs/guides/ci.md", "$ stackctl with web"): _WEB,
    ("README.md", 'eval "$(stackctl env myenv)"'): "stackctl up myenv",
    ("README.md", "stackctl run --sidecar"): (
        """printf '{"image": "acme/web:1.4", "command": ["pytest"]}\\n' > tasks.jsonl"""
    ),
}
"""Page and how a block begins -> what must be done before it, where the page only implies it."""
