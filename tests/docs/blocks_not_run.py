"""What the runner of pages leaves out, each with the reason; and what it must know beside the page itself."""

from __future__ import annotations

from collections.abc import Mapping

HOST = "changes the machine it runs on; a bare one is needed"
OWN = "names an image of the reader's own"
MOMENTS = "its commands belong to several moments of a task; tests/tasks runs each"
SCENES = "tests/docs/scenes"
"""Folders of stacks and templates that pages speak of, in the checkout of the page's reader."""
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
    "docs/guides/reaching-sidecars.md",
    "docs/guides/guard.md",
    "docs/guides/locking.md",
    "docs/guides/crash-recovery.md",
    "docs/guides/supervisor.md",
    "docs/guides/supervisor-service.md",
    "docs/guides/air-gapped.md",
    "docs/guides/installing.md",
)
"""Pages that are run."""

PAGES_NOT_RUN: Mapping[str, str] = {
    "docs/guides/python-api.md": "its programs are run by tests/api/test_guide.py",
    "docs/guides/remote-engines.md": "needs an engine on another host; tests/remote has one",
    "docs/guides/swarm.md": "needs a Swarm; tests/swarm has one",
}
"""Pages that are not run, each with the reason."""

NOT_RUN: Mapping[tuple[str, str], str] = {
    ("README.md", "make demo"): HOST,
    ("README.md", "python3 -m venv ~/.stackctl"): "takes minutes; tests/install installs the wheel",
    (
        "README.md",
        "$ stackctl why loop",
    ): "the guide of the supervisor runs it; both show the same",
    ("docs/guides/quick-start.md", "make demo"): HOST,
    ("docs/guides/compose-files.md", "stackctl limits shop"): (
        "proposes what was seen of a stack that ran for a while; tests/commands does it"
    ),
    ("docs/guides/compose-files.md", "docker compose stop"): (
        "its project may be somebody's on this engine; tests/commands/test_compose_commands.py does it"
    ),
    ("docs/guides/tasks.md", "stackctl run --sidecar postgres --sidecar repos"): (
        "needs the image of gitea, which scripts/images.sh does not make"
    ),
    ("docs/guides/tasks.md", "stackctl run --data-from"): "names a task of the reader's; tests/tasks runs it",
    ("docs/guides/tasks.md", "id=$("): MOMENTS,
    ("docs/guides/batch.md", '{"key"'): "the second needs tests in the checkout; tests/tasks runs such files",
    ("docs/guides/supervisor-service.md", "stackctl service install"): "needs systemd; tests/vm has it",
    (
        "docs/guides/installing.md",
        "make dist",
    ): "takes long; tests/install builds by what it calls",
    (
        "docs/guides/installing.md",
        "usage:",
    ): "point 40 of tests/install compares it with the script's",
}
"""Page and how a block begins -> why it is not run."""

CODES: Mapping[str, int] = {
    "stackctl purge myenv": 2,  # nobody is there to be asked
    "stackctl purge hello": 2,
    "stackctl diff counter": 1,  # there is a change, as the comment says
}
"""Commands that rightly end with another code than 0 here; comments and spaces behind them left out."""

UNTIL: Mapping[str, str] = {"stackctl supervise": "stackctl supervise --status"}
"""Commands that stay in the foreground, and what succeeds when they have done what they are for."""

SAME: Mapping[tuple[str, str], str] = {
    ("docs/guides/reaching-sidecars.md", '{"host"'): "stackctl url shop db --from isolated --json",
}
"""Blocks of JSON, and the command whose output has an object of the same keys and kinds of values."""

LINTED: Mapping[tuple[str, str], str] = {
    ("docs/guides/tasks.md", "# stacks/myenv.yaml"): "",
    ("docs/guides/web-app.md", "# stacks/shop.yaml"): "",
    ("docs/guides/compose-files.md", "# stacks/shop.yaml"): (
        "db: {image: b}\n  proxy: {image: c, ports: ['0.0.0.0:80:80'], "
        "volumes: ['/var/run/docker.sock:/s.sock']}"
    ),
}
"""Stack files that name an image of the reader's: they are judged in a folder of their own, not run; with the
services of the compose file beside them, where there is one."""

AFTER: Mapping[str, str] = {
    "docs/guides/locking.md": "docker compose --project-directory shop-alone down",
}
"""What ends what a page left that stackctl knows nothing of; run in the checkout, whatever happened."""

_WEB = "mkdir -p stacks && printf 'template: hello\\nlimits: {memory: 64m}\\n' > stacks/web.yaml"
_COMMITTED = "git add -A && git -c user.name=a -c user.email=a@b.c commit -qm stacks"
_MYENV = "template: webapp\\ntasks: {test: {image: acme/web:1.4, command: [pytest, -q]}}\\n"
_SERVICE = "image: busybox:1.35\\n    command: [sleep, infinity]\\n"
_PROJECT = f"services:\\n  web:\\n    {_SERVICE}"
_KILLED = "STACKCTL_TEST=1 STACKCTL_FAILPOINT=record:stopping#1:after:kill9"


def _scene(name: str) -> str:
    return f'cp -r "$ROOT/{SCENES}/{name}/." .'


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
    ("docs/guides/policy.md", "# stacks/edge.yaml"): _scene("policy"),
    ("docs/guides/reaching-sidecars.md", "$ stackctl url shop db"): "stackctl up shop",
    ("docs/guides/guard.md", "$ stackctl exec"): f"{_scene('guard')} && stackctl up myenv",
    ("docs/guides/locking.md", "stackctl lock shop"): (
        "mkdir -p stacks && printf 'template: hello\\n' > stacks/shop.yaml"
    ),
    ("docs/guides/crash-recovery.md", "$ stackctl up web"): (
        f"{_WEB} && export STACKCTL_SUPERVISOR=manual && stackctl up web && ! {_KILLED} stackctl down web"
    ),
    ("docs/guides/supervisor.md", "$ stackctl supervise --status"): (
        "stackctl up hello && until stackctl supervise --status | grep 'watches 1'; do sleep 0.2; done"
    ),
    ("docs/guides/supervisor.md", "$ stackctl why loop"): (
        f"{_scene('loop')} && stackctl up loop && "
        "until stackctl status loop --json | grep '\"killed\"'; do sleep 0.3; done"
    ),
    ("docs/guides/air-gapped.md", "sh install.sh"): 'cd "$SMALL"',
    ("docs/guides/air-gapped.md", "scripts/engine.sh"): 'cd "$ROOT"',
    ("docs/guides/installing.md", "stackctl self update"): (
        'PATH="$HOME/.local/bin:$PATH" && sh "$SMALL/install.sh" && '
        'curl -fsSL "$SERVED/install.sh" | sh -s -- --base-url "$SERVED" --insecure-test'
    ),
    ("README.md", "curl -fsSL"): 'export URL="file://$SMALL" STACKCTL_BASE_URL="file://$SMALL"',
    ("README.md", 'eval "$(stackctl env myenv)"'): "unset URL STACKCTL_BASE_URL && stackctl up myenv",
    ("README.md", "stackctl run --sidecar"): (
        """printf '{"image": "acme/web:1.4", "command": ["pytest"]}\\n' > tasks.jsonl"""
    ),
}
"""Page and how a block begins -> what must be done before it, where the page only implies it."""
