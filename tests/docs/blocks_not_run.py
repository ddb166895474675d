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
    "docs/guides/batch.md",
    "docs/guides/compose-files.md",
    "docs/guides/policy.md",
    "docs/guides/tasks.md",
)
"""Pages that are run."""

PAGES_NOT_RUN: Mapping[str, str] = {
    "docs/guides/air-gapped.md": HOST,
    "docs/guides/crash-recovery.md": "its one block needs a command that was killed; tests/faults kills them",
    "docs/guides/installing.md": "needs a release that is served; tests/install serves one",
    "docs/guides/locking.md": "needs a registry; tests/commands/test_lock.py has one",
    "docs/guides/supervisor.md": "needs a service that forks without end, and a supervisor in the foreground",
    "docs/guides/guard.md": "not made to run yet",
    "docs/guides/python-api.md": "its programs are run by tests/api/test_guide.py",
    "docs/guides/reaching-sidecars.md": "not made to run yet",
    "docs/guides/supervisor-service.md": "needs systemd; tests/vm has it",
}
"""Pages that are not run, each with the reason."""

NOT_RUN: Mapping[tuple[str, str], str] = {
    ("README.md", "make demo"): HOST,
    ("README.md", "curl -fsSL"): "needs a release that is served; tests/install serves one",
    ("README.md", "python3 -m venv ~/.stackctl"): "takes minutes; tests/install installs the wheel",
    ("README.md", "$ stackctl why loop"): "needs a service that forks without end; tests/supervisor has one",
    ("docs/guides/quick-start.md", "make demo"): HOST,
    ("docs/guides/compose-files.md", "# stacks/shop.yaml"): OWN,
    ("docs/guides/compose-files.md", "stackctl limits shop"): OWN,
    ("docs/guides/compose-files.md", "docker compose stop"): "needs what plain Compose left before",
    ("docs/guides/policy.md", "# stacks/edge.yaml"): "its template is the reader's own",
    ("docs/guides/policy.md", "$ stackctl lint edge"): "needs a policy in /etc",
    ("docs/guides/tasks.md", "stackctl run --sidecar postgres --sidecar repos"): OWN,
    ("docs/guides/tasks.md", "stackctl run --data-from"): OWN,
    ("docs/guides/tasks.md", "# stacks/myenv.yaml"): "written before, with the shipped image",
    ("docs/guides/tasks.md", "id=$("): OWN,
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
_MYENV = "template: webapp\\ntasks: {test: {image: acme/web:1.4, command: [pytest, -q]}}\\n"
_SERVICE = "image: busybox:1.35\\n    command: [sleep, infinity]\\n"
_PROJECT = f"services:\\n  web:\\n    {_SERVICE}"
BEFORE: Mapping[tuple[str, str], str] = {
    ("docs/guides/tasks.md", "stackctl up myenv"): (
        f"mkdir -p stacks && printf '{_MYENV}' > stacks/myenv.yaml"
    ),
    ("docs/guides/batch.md", "stackctl batch tasks.jsonl -j 8"): (
        """printf '{"image": "acme/web:1.4", "command": ["pytest"]}\\n' > tasks.jsonl"""
    ),
    ("docs/guides/compose-files.md", "cd my-project"): (
        f"mkdir my-project && printf '{_PROJECT}' > my-project/docker-compose.yml && "
        "printf 'services: {}\\n' > my-project/docker-compose.dev.yml"
    ),
    ("docs/guides/policy.md", "$ stackctl lint -f"): (
        r"printf 'services:\n  web:\n    image: a\n    privileged: true\n    volumes:\n"
        r"      - /var/run/docker.sock:/var/run/docker.sock\n' > docker-compose.yml"
    ),
    ("docs/guides/several-checkouts.md", "$ git worktree"): f"{_WEB} && {_COMMITTED}",
    ("docs/guides/several-checkouts.md", "$ stackctl move"): "cd .. && mv shop-fix moved && cd moved",
    ("docs/guides/ci.md", "$ stackctl with web"): _WEB,
    ("README.md", 'eval "$(stackctl env myenv)"'): "stackctl up myenv",
    ("README.md", "stackctl run --sidecar"): (
        """printf '{"image": "acme/web:1.4", "command": ["pytest"]}\\n' > tasks.jsonl"""
    ),
}
"""Page and how a block begins -> what must be done before it, where the page only implies it."""
