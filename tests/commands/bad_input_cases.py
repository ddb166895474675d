"""What users get wrong, as one table: the files, the command, the exit code, and what must be said about it.

None of these may need an engine: the tests give them an address where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

IMAGE = "busybox:1.35"
STACK = "checkout/stacks/s.yaml"
SMALL = "template: t\n"
MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """One mistake.

    Args:
        says: Fragments that must all stand in what is written on stderr.
        hint: A fragment of one of the hints; empty where the general advice is enough.
        files: Path below the test's folder -> content; `checkout/` is the working directory's repository,
            `config/` the user's configuration.
        env: The environment; `{root}` is the test's folder.
    """

    name: str
    argv: tuple[str, ...]
    code: int
    says: tuple[str, ...]
    hint: str
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


def template(compose: str, head: str = "description: for a test\n") -> dict[str, str | bytes]:
    """A stack `s` of a template `t`."""
    return {
        STACK: SMALL,
        "checkout/templates/t/template.yaml": head,
        "checkout/templates/t/compose.yaml.j2": compose,
    }


def services(*lines: str) -> dict[str, str | bytes]:
    """A stack `s` of one service `web` with these keys besides its image."""
    body = "".join(f"    {line}\n" for line in (f"image: {IMAGE}", *lines))
    return template(f"services:\n  web:\n{body}")


def cast(name: str, argv: str, says: str, hint: str, code: int = 2) -> Case:
    """A mistake in the words of a command."""
    return Case(name, tuple(argv.split()), code, (says,), hint)


def wrong(name: str, text: str | bytes, says: str | tuple[str, ...], hint: str) -> Case:
    """A mistake in a stack file."""
    return Case(name, ("up", "s"), 2, (says,) if isinstance(says, str) else says, hint, {STACK: text})


def refused(name: str, files: Mapping[str, str | bytes], says: str, hint: str) -> Case:
    """A thing that policy refuses."""
    return Case(name, ("up", "s"), 3, (says,), hint, files)


def spoilt(name: str, compose: str, says: str, hint: str, head: str = "description: for a test\n") -> Case:
    """A mistake in a template."""
    return Case(name, ("up", "s"), 2, (says,), hint, template(compose, head))


def configured(name: str, text: str, says: str, hint: str) -> Case:
    """A mistake in the user's configuration."""
    return Case(name, ("up", "hello"), 2, (says,), hint, {"config/stackctl/config.yaml": text})


def ruled(
    name: str, policy: str, says: str, hint: str, files: Mapping[str, str | bytes], code: int = 3
) -> Case:
    """A thing that the machine's policy, or a mistake in it, stands against."""
    more = {**files, "policy.yaml": policy}
    return Case(name, ("up", "s"), code, (says,), hint, more, {"STACKCTL_POLICY": "{root}/policy.yaml"})


WORDS = (
    cast("unknown command", "uo hello", "no such command `uo`: did you mean `up`?", "--help"),
    cast("unknown option", "up hello --forse", "no such option", "stackctl up --help"),
    cast("missing name", "with", "missing argument", "stackctl with --help"),
    cast("one word too many", "up hello again", "unexpected extra argument", "stackctl up --help"),
    cast("bad duration", "up hello --wait-timeout soon", "--wait-timeout", "such as 30s"),
    cast("negative duration", "up hello --lifetime -5m", "--lifetime", "such as 30s"),
    cast("endless lifetime", "up hello --lifetime unlimited", "--lifetime", "such as 30s"),
    cast(
        "limit without a value",
        "up hello --limit memory",
        "`memory` does not set a limit",
        "--limit memory=2g",
    ),
    cast("unknown limit", "up hello --limit memry=1g", "memry", "memory=2g"),
    cast("limit of nothing", "up hello --limit memory=0", "memory", ""),
    cast("endless limit", "up hello --limit pids=-1", "pids", ""),
    cast("limit that is no size", "up hello --limit memory=lots", "lots", ""),
    cast("set twice", "up hello --set port=1 --set port=2", "--set port stands twice", "once"),
    cast("set without a value", "up hello --set port", "NAME=VALUE", "--set version=15"),
    cast("set of an unknown variable", "up hello --set greting=x", "greting", "greeting"),
    cast("set of an unknown sidecar", "up hello --set db.version=15", "no sidecar `db`", "sidecars"),
    cast("set to no port", "up hello --set port=99999", "99999", ""),
    cast("path as a name", "up ../x", "'../x' cannot be the name of a stack", "48"),
    cast("option as a name", "up -- -x", "'-x' cannot be the name of a stack", "48"),
    cast("capitals in a name", "up A", "'A' cannot be the name of a stack", "48"),
    cast("no ascii in a name", "up sch\u00f6n", "cannot be the name of a stack", "48"),
    cast("a long name", f"up {'a' * 300}", "...' cannot be the name of a stack", "48"),
    Case("an empty name", ("up", ""), 2, ("'' cannot be the name of a stack",), "48"),
    Case("a path as a name", ("up", "/etc"), 2, ("'/etc' cannot be the name of a stack",), "48"),
    Case("a line feed in a name", ("up", "a\nb"), 2, (r"'a\nb' cannot be the name of a stack",), "48"),
    cast("path as an instance", "up hello --instance ../../x", "cannot be the name of an instance", "48"),
    cast("unknown stack", "up helo", "there is no stack `helo`", "hello"),
    cast(
        "new of an unknown template", "new x --template weebapp", "there is no template `weebapp`", "webapp"
    ),
    cast("path as a template", "new x --template ../../etc", "there is no template `../../etc`", "webapp"),
    cast("unknown shell", "completion tcsh", "`tcsh` is no shell", "bash"),
    cast("status of nothing", "status nothing", "nothing", "stackctl list"),
    cast("down of nothing", "down nothing", "nothing", "stackctl list"),
    cast("down of neither", "down", "no compose file in this folder; name one", "stackctl list"),
    cast("logs of neither", "logs", "there is no compose file in this folder", "stackctl list"),
    cast("extend by a time alone", "extend 2h", "there is no stack `2h`", "stackctl list"),
    Case(
        "down of a compose file that is not up",
        ("down",),
        2,
        ("not up as `checkout`", "--all"),
        "stackctl up",
        {"checkout/compose.yaml": f"services: {{web: {{image: '{IMAGE}'}}}}\n"},
    ),
    Case(
        "exec in a service of what is not up",
        ("exec", "web", "true"),
        2,
        ("there is no environment `web`",),
        "did you mean webapp",
        {"checkout/compose.yaml": f"services: {{web: {{image: '{IMAGE}'}}}}\n"},
    ),
    cast("down of both", "down hello --all", "--all", "stackctl list"),
    cast("logs of nothing", "logs nothing", "nothing", "stackctl list"),
    cast("exec in nothing", "exec nothing web true", "nothing", "stackctl list"),
    cast("url of nothing", "url nothing", "nothing", "stackctl list"),
    cast("extend of nothing", "extend nothing 1h", "nothing", "stackctl list"),
    cast("purge of nothing", "purge nothing --yes", "nothing", "stackctl list"),
    cast("lint of both", "lint hello -f x.yaml", "name a stack, or a compose file with -f", "--stacks"),
    cast("lint of a missing file", "lint -f x.yaml", "there is no compose file `x.yaml`", "-f"),
    cast("lint of nothing", "lint", "there is no compose file in this folder", "-f"),
    cast(
        "lint of what came along",
        "lint hello --write-allow",
        "came with stackctl",
        "copy it to `stacks/hello",
    ),
    cast(
        "volumes of no project", "up hello --use-volumes-of ../x", "--use-volumes-of: the name", "_<volume>"
    ),
    Case(
        "volumes of nothing",
        ("up", "hello", "--use-volumes-of", ""),
        2,
        ("--use-volumes-of: the name of a Compose project was expected",),
        "docker volume ls",
    ),
    cast("suggesting without a name", "limits --suggest", "no compose file in this folder", "-f"),
    cast("writing what is not suggested", "limits hello --write", "--write goes with --suggest", "--suggest"),
    cast("suggesting for nothing", "limits nothing --suggest", "no stack `nothing`", "stackctl list"),
    cast("new from a missing file", "new x --from x.yaml", "there is no compose file `x.yaml`", "--from"),
    cast("init from a missing file", "init --from x.yaml", "there is no compose file `x.yaml`", "--from"),
    cast("targets of no name", "make --prefix A", "'A' cannot begin the name of a target", "small letters"),
    cast("targets for no stack", "make --stack helo", "there is no stack `helo`", "hello"),
    cast("a schema of nothing", "schema stak", "there is no schema `stak`", "stack"),
    cast("targets checked and printed", "make --check --stdout", "do not go together", "choose one"),
    Case(
        "targets over a file by hand",
        ("make",),
        2,
        ("was edited by hand",),
        "--force",
        {"checkout/stackctl.mk": "all:\n"},
    ),
    cast("new from both", "new x --template webapp --from x.yaml", "either a template or", "--from"),
    cast("new with a profile alone", "new x --profile debug", "--profile goes with --from", "--from"),
    cast("new from files with a value", "new x --from x.yaml --set a=1", "--set goes without", "variables:"),
    cast("path as a new stack", "new ../x --from x.yaml", "'../x' cannot be the name of a stack", "48"),
    Case(
        "new from files over a stack",
        ("new", "s", "--from", "c.yaml"),
        2,
        ("is there already",),
        "--force",
        {STACK: "compose: ../c.yaml\n", "checkout/c.yaml": f"services: {{web: {{image: '{IMAGE}'}}}}\n"},
    ),
)

STACK_FILES = (
    wrong("broken yaml", "template: [t\n", "stacks/s.yaml:", ""),
    wrong("tabs", "template: t\nlimits:\n\tmemory: 1g\n", "stacks/s.yaml:3", ""),
    wrong("a list", "- template\n", "stacks/s.yaml", ""),
    wrong("an empty file", "", "template", "template: NAME"),
    wrong("duplicate keys", "template: t\ntemplate: u\n", "stacks/s.yaml:2", ""),
    wrong("two documents", "template: t\n---\ntemplate: u\n", "stacks/s.yaml", ""),
    wrong("a tag", "template: !!python/object/apply:os.system [id]\n", "stacks/s.yaml:1", ""),
    wrong("no utf-8", b"template: t\xff\n", "stacks/s.yaml is not UTF-8", ""),
    wrong("a huge file", "#" * (MIB + 1), "larger than 1 MiB", ""),
    wrong(
        "an alias bomb",
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "stacks/s.yaml",
        "",
    ),
    wrong("deep nesting", "variables: " + "[" * 5000 + "]" * 5000, "stacks/s.yaml", ""),
    wrong("an unknown key", "template: t\nlimts: {memory: 1g}\n", ("stacks/s.yaml:2", "limts"), "limits"),
    wrong("both origins", "template: t\ncompose: c.yaml\n", "either a template or compose files", "remove"),
    wrong("description of no text", "template: t\ndescription: [a]\n", "description", ""),
    wrong("template of no text", "template: {a: b}\n", "template", ""),
    wrong("template by a path", "template: ../../etc\n", "template", ""),
    wrong("compose of no text", "compose: 5\n", "compose", ""),
    wrong("variables of a list", "template: t\nvariables: [a]\n", "variables", ""),
    wrong("profiles of a mapping", "compose: c\nprofiles: {a: b}\n", "profiles", ""),
    wrong("env_file of a number", "compose: c\nenv_file: 7\n", "env_file", ""),
    wrong("sidecars of text", "template: t\nsidecars: db\n", "sidecars", ""),
    wrong("limits of text", "template: t\nlimits: small\n", "limits", ""),
    wrong("a limit of true", "template: t\nlimits: {memory: true}\n", "limits.memory", ""),
    wrong("watchdog of a list", "template: t\nwatchdog: []\n", "watchdog", ""),
    wrong("services of a list", "template: t\nservices: [web]\n", "services", ""),
    wrong("tasks of text", "template: t\ntasks: test\n", "tasks", ""),
    wrong("allow of a list", "template: t\nallow: [privileged]\n", "allow", ""),
    wrong("an unknown allow", "template: t\nallow: {web: [privilege]}\n", "privilege", "privileged"),
    wrong("engine of another kind", "template: t\nengine: podman\n", "engine", ""),
    wrong(
        "a threshold above its limit",
        "template: t\nlimits: {pids: 100}\nwatchdog: {pids: 100}\n",
        "watchdog.pids",
        "",
    ),
    wrong(
        "several at once",
        "templat: t\nlimits: {memory: lots, pids: 0}\nengine: podman\n",
        ("templat", "limits.memory", "limits.pids", "engine"),
        "",
    ),
    wrong("a template that is not there", "template: weebapp\n", "there is no template `weebapp`", "webapp"),
    wrong(
        "a sidecar that is not there",
        "template: hello\nsidecars: {db: {template: postgrse}}\n",
        "there is no sidecar template",
        "postgres",
    ),
    wrong(
        "a variable that the template lacks",
        "template: hello\nvariables: {greting: x}\n",
        ("stacks/s.yaml:2", "greting"),
        "greeting",
    ),
)

NEEDY = """
variables:
  image: {type: image, help: What the web service runs}
  key: {type: secret, help: Signs the sessions}
  mode: {choices: [fast, slow], default: fast}
"""
ANY = "services:\n  web: {image: busybox:1.35}\n"

TEMPLATES = (
    Case(
        "a required variable",
        ("up", "s"),
        2,
        ("image", "What the web service runs"),
        "--set",
        template(ANY, NEEDY),
    ),
    Case(
        "a secret in plain text",
        ("up", "s", "--set", "image=a:1", "--set", "key=hunter2hunter2"),
        2,
        ("a secret is generated, or read from a file",),
        "lint",
        template(ANY, NEEDY),
    ),
    Case(
        "another choice",
        ("up", "s", "--set", "image=a:1", "--set", "mode=medium"),
        2,
        ("mode", "medium"),
        "",
        template(ANY, NEEDY),
    ),
    Case(
        "an image that is none",
        ("up", "s", "--set", "image=a b"),
        2,
        ("image", "a b"),
        "",
        template(ANY, NEEDY),
    ),
    spoilt(
        "an undefined variable",
        "services:\n  web: {image: '{{ imagge }}'}\n",
        "compose.yaml.j2:2: 'imagge' is undefined",
        "render",
    ),
    spoilt("broken jinja", "services:\n  web: {image: '{{ a'}\n", "compose.yaml.j2:2", ""),
    spoilt("an unknown filter", "services:\n  web: {image: '{{ 1|nope }}'}\n", "nope", ""),
    spoilt(
        "a door in the sandbox", "services:\n  web: {image: '{{ ().__class__ }}'}\n", "compose.yaml.j2:2", ""
    ),
    spoilt(
        "a file of the machine",
        "services:\n  web: {image: x}\n{% include '/etc/passwd' %}\n",
        "/etc/passwd",
        "",
    ),
    spoilt(
        "an endless loop",
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}"
        "{% endfor %}{% endfor %}{% endfor %}",
        "did not finish within",
        "loops without end",
    ),
    spoilt("an endless range", "{% for a in range(10**9) %}{% endfor %}", "range", ""),
    spoilt("an endless recursion", "{% include 'compose.yaml.j2' %}", "without end", ""),
    spoilt(
        "a huge output", "{% for a in range(9999) %}" + "# " + "x" * 500 + "\n{% endfor %}", "larger than", ""
    ),
    spoilt(
        "text that doubles",
        "{% set ns = ['x'] %}{% macro m(t, n) %}{% if n %}{{ m(t ~ t, n - 1) }}"
        "{% endif %}{% endmacro %}{{ m('x' , 60) }}",
        "of memory",
        "grows",
    ),
    spoilt("output that is no yaml", "services: [\n", "compose.yaml.j2", ""),
    spoilt("output without services", "volumes: {}\n", "services", ""),
    spoilt("output with duplicate keys", "services:\n  web: {image: a}\n  web: {image: b}\n", "web", ""),
    spoilt(
        "output with an alias bomb",
        "x-a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"x-{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        )
        + ANY,
        "compose.yaml.j2",
        "",
    ),
    spoilt("a broken description", ANY, "template.yaml:2", "close the bracket", head="variables: [a\n"),
    spoilt("an unknown type", ANY, "variables.a.type", "string", head="variables: {a: {type: strng}}\n"),
    spoilt(
        "a default of another type",
        ANY,
        "variables.a.default",
        "",
        head="variables: {a: {type: integer, default: many}}\n",
    ),
    spoilt(
        "a secret with a default",
        ANY,
        "a secret has no default",
        "generated",
        head="variables: {a: {type: secret, default: hunter2}}\n",
    ),
    Case(
        "a template that is not utf-8",
        ("up", "s"),
        2,
        ("compose.yaml.j2 is not UTF-8",),
        "",
        {**template(ANY), "checkout/templates/t/compose.yaml.j2": b"services: \xff\n"},
    ),
    Case(
        "a template without compose text",
        ("up", "s"),
        2,
        ("compose.yaml.j2",),
        "",
        {STACK: SMALL, "checkout/templates/t/template.yaml": "description: x\n"},
    ),
)

ALL_AT_ONCE = services(
    "privileged: true",
    "network_mode: host",
    "pid: host",
    "cap_add: [SYS_ADMIN]",
    "devices: [/dev/kvm]",
    "security_opt: [seccomp=unconfined]",
    "volumes: [/var/run/docker.sock:/var/run/docker.sock, /etc:/host]",
)

POLICY = (
    Case(
        "all refusals at once",
        ("up", "s"),
        3,
        (
            "services.web.privileged",
            "services.web.network_mode",
            "services.web.pid",
            "services.web.cap_add",
            "services.web.devices",
            "services.web.security_opt",
            "docker.sock",
            "services.web.volumes[1]",
        ),
        "allow",
        ALL_AT_ONCE,
    ),
    refused("privileged", services("privileged: true"), "services.web.privileged", "allow"),
    refused("host network", services("network_mode: host"), "services.web.network_mode", "allow"),
    refused("docker.sock", services("volumes: [/var/run/docker.sock:/s]"), "services.web.volumes", "allow"),
    refused("a bind outside", services("volumes: [/opt/somebody:/host]"), "services.web.volumes", "allow"),
    spoilt(
        "a climbing bind",
        "services:\n  web: {image: x, volumes: ['../../../..:/host']}\n",
        "`../../../..` cannot be mounted",
        "render",
    ),
    refused("a device", services("devices: [/dev/kvm]"), "services.web.devices", "allow"),
    refused("an administrator", services("cap_add: [SYS_ADMIN]"), "SYS_ADMIN", "allow"),
    refused("no seccomp", services("security_opt: ['seccomp:unconfined']"), "security_opt", "allow"),
    refused("an unknown key of a service", services("privilegd: true"), "privilegd", "spelling"),
    refused("a dependency on nothing", services("depends_on: [db]"), "depends_on", ""),
    refused(
        "a cycle",
        template("services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n"),
        "in a circle: a -> b -> a",
        "lint",
    ),
    refused("no image", template("services:\n  web: {command: x}\n"), "services.web", ""),
    spoilt(
        "a service of text",
        "services:\n  web: nginx\n",
        "services.web: must be a mapping, not text",
        "render",
    ),
    refused("endless memory", services("mem_limit: -1"), "mem_limit", ""),
    refused("endless pids", services("pids_limit: -1"), "pids_limit", ""),
    Case(
        "a compose file of its own",
        ("lint", "-f", "compose.yaml"),
        3,
        ("services.a.privileged", "services.a.volumes[0]"),
        "",
        {"checkout/compose.yaml": "services:\n  a: {image: x, privileged: true, volumes: ['../..:/x']}\n"},
    ),
    ruled(
        "public ports where they are forbidden",
        "forbid: [public-ports]\n",
        "services.web.ports[0]",
        "forbids",
        {**services("ports: ['0.0.0.0:8080:80']"), STACK: "template: t\nallow: {web: [public-ports]}\n"},
    ),
    ruled(
        "memory over the ceiling",
        "ceilings: {memory: 1g}\n",
        "memory",
        "",
        {**services(), STACK: "template: t\nlimits: {memory: 2g}\n"},
    ),
    ruled(
        "lifetime over the ceiling",
        "ceilings: {lifetime: 1h}\n",
        "lifetime",
        "",
        {**services(), STACK: "template: t\nlimits: {lifetime: 8h}\n"},
    ),
    ruled("a service over the ceiling", "ceilings: {pids: 100}\n", "pids", "", services("pids_limit: 200")),
    ruled(
        "a forbidden allow",
        "forbid: [privileged]\n",
        "privileged",
        "",
        {**services("privileged: true"), STACK: "template: t\nallow: {web: [privileged]}\n"},
    ),
    ruled("a broken policy", "forbid: [privileged\n", "policy.yaml:", "", services(), code=2),
    ruled("an unknown ceiling", "ceilings: {memry: 1g}\n", "there are pids, memory", "", services(), code=2),
    Case(
        "a policy that is not there",
        ("up", "hello"),
        2,
        ("no-such.yaml",),
        "",
        env={"STACKCTL_POLICY": "{root}/no-such.yaml"},
    ),
    Case(
        "a lifetime over the ceiling",
        ("up", "hello", "--lifetime", "4h"),
        3,
        ("lifetime 4h (--lifetime) is above",),
        "ceiling",
        {"policy.yaml": "ceilings: {lifetime: 1h}\n"},
        {"STACKCTL_POLICY": "{root}/policy.yaml"},
    ),
    Case(
        "a limit over the ceiling",
        ("up", "hello", "--limit", "memory=4g"),
        3,
        ("memory 4g (--limit) is above",),
        "ceiling",
        {"policy.yaml": "ceilings: {memory: 1g}\n"},
        {"STACKCTL_POLICY": "{root}/policy.yaml"},
    ),
)

CONFIGURATION = (
    configured("a broken configuration", "limits: {memory: 1g\n", "config.yaml:", ""),
    configured("an unknown setting", "limts: {}\n", "limts", "limits"),
    configured("a bad port range", "ports: 5-1\n", "ports", ""),
    configured("a public subnet", "subnets: 8.8.0.0/16\n", "subnets", ""),
    configured("a mark above", "limits: {pids: 100}\nwatchdog: {pids: 150}\n", "watchdog.pids", ""),
)

BATCH = "checkout/b.jsonl"
TASKS = (
    cast("a task without an image", "run", "missing argument", "", code=125),
    cast("an image of a task that is none", "run Bad//Image", "is not an image", "", code=125),
    cast(
        "a sidecar of no template",
        "run --sidecar nothing busybox:1.35",
        "no sidecar template `nothing`",
        "there are",
        code=125,
    ),
    cast(
        "two sidecars of one name",
        "run --sidecar redis --sidecar redis busybox:1.35",
        "two sidecars",
        "second=",
        code=125,
    ),
    cast(
        "a sidecar called task",
        "run --sidecar task=redis busybox:1.35",
        "cannot be called `task`",
        "",
        code=125,
    ),
    cast(
        "sidecars without a network",
        "run --network none --sidecar redis busybox:1.35",
        "cannot reach",
        "leave out",
        code=125,
    ),
    cast(
        "a reach of nobody", "run --reach db=isolated busybox:1.35", "no such sidecar", "--sidecar", code=125
    ),
    cast("a mount without a target", "run --mount /tmp busybox:1.35", "is no mount", "SRC:DST", code=125),
    cast("a mount of nothing", "run --mount /no/such:/x busybox:1.35", "no file or folder", "", code=125),
    cast("a limit of a sidecar of nobody", "run --limit db.memory=1g busybox:1.35", "db", "", code=125),
    cast("a limit of a task that is none", "run --limit memry=1g busybox:1.35", "memry", "", code=125),
    cast("a variable of a task that is none", "run --env 1A=b busybox:1.35", "1A", "", code=125),
    cast(
        "an env file that is not there",
        "run --env-file no.env busybox:1.35",
        "no.env",
        "NAME=VALUE lines",
        code=125,
    ),
    cast(
        "a word of allow that is none",
        "run --allow priviledged busybox:1.35",
        "no word `priviledged`",
        "`privileged`",
        code=125,
    ),
    cast(
        "what policy refuses a task",
        "run --mount /etc:/x busybox:1.35",
        "the task asks for what policy refuses",
        "`--allow sensitive-mount`",
        code=125,
    ),
    cast("an instance of nothing", "run --instance two busybox:1.35", "--instance", "--in myenv", code=125),
    cast("no room for a process", "run --limit pids=1 busybox:1.35", "pids: with 1", "pids=64", code=125),
    cast(
        "a lifetime of a sidecar",
        "run --sidecar redis --limit redis.lifetime=1h busybox:1.35",
        "redis.lifetime",
        "--lifetime 1h",
        code=125,
    ),
    cast(
        "logs of what is not there",
        "logs nothing-here",
        "there is no stack `nothing-here`, and no task",
        "tasks --all",
    ),
    cast("a command in nobody", "exec 0123456789ab ls", "there is no task `0123456789ab`", "tasks --all"),
    cast("a guard without a command", "guard", "needs a command: run or sweep", "guard --help"),
    cast("a folder that is not absolute", "run -w here busybox:1.35", "not absolute", "", code=125),
    cast(
        "a lifetime of a task that is none", "run --lifetime soon busybox:1.35", "--lifetime", "30s", code=125
    ),
    cast("an environment that is none", "run --in nothing test", "nothing", "", code=125),
    Case("no environment", ("run", "--in", "", "test"), 125, ("--in needs the name",), "STACK=NAME"),
    cast("data of nobody", "run --data-from 0123456789ab busybox:1.35", "0123456789ab", "", code=125),
    cast("waiting for nobody", "wait 0123456789ab", "there is no task", "tasks --all"),
    cast("cancelling nobody", "cancel 0123456789ab", "there is no task", "tasks --all"),
    cast("cancelling nothing", "cancel", "name tasks", "tasks"),
    cast("inspecting nobody", "inspect 0123456789ab", "there is no task", "tasks --all"),
    cast("forgetting nobody", "rm 0123456789ab", "there is no task", "tasks --all"),
    cast("pruning without an age", "tasks prune", "--older-than", "7d"),
    cast("data without pruning", "tasks --data", "go with prune", ""),
    cast("an agent's file of no image", "supervise --node --print service", "needs --image", "make image"),
    cast("a reader of no image", "supervise --node --print reader", "needs --image", "tail"),
    cast("an image for a unit", "supervise --node --print unit --image a:1", "--image goes with", ""),
    cast("an agent's file of no agent", "supervise --print unit", "about the agent of a node", "--node"),
    cast("an agent that leaves", "supervise --node --leave-after 5s", "does not leave by itself", "leave"),
    cast("a batch of no file", "batch no.jsonl", "no.jsonl", "JSON lines or YAML"),
    Case(
        "a batch that is no JSON",
        ("batch", "b.jsonl"),
        2,
        ("b.jsonl:2",),
        "",
        {BATCH: '{"image": "a:1"}\n{"image\n'},
    ),
    Case(
        "a task of a batch without an image",
        ("batch", "b.jsonl"),
        2,
        ("b.jsonl:1", "image"),
        "",
        {BATCH: "{}\n"},
    ),
    Case(
        "an unknown key in a batch",
        ("batch", "b.jsonl"),
        2,
        ("b.jsonl:1", "imge"),
        "",
        {BATCH: '{"image": "a:1", "imge": 1}\n'},
    ),
    cast("no compose file here", "bound", "no compose file in this folder", "-f"),
    cast("a compose file that is not there", "up -f no.yml", "no.yml", ""),
    cast("a name and a file", "up s -f no.yml", "--file goes without", "compose:"),
)

DIGEST = f"sha256:{'a' * 64}"
GOOD_LOCK = f"schema: 1\nof: s.yaml\ntool: 0.1.0\ndocument: {DIGEST}\n"


def locked(name: str, text: str, says: str, hint: str, argv: str = "up s") -> Case:
    """A mistake in the lock of a stack `s` that is right."""
    files = {**services("command: [sleep, '1']"), "checkout/stacks/s.lock.yaml": text}
    return Case(name, tuple(argv.split()), 2, (says, "stacks/s.lock.yaml"), hint, files)


LOCKS = (
    cast("an action on itself that is none", "self improve", "'uninstall', 'doctor'\n", ""),
    cast("an option of another action", "self doctor --force", "--force does not go with `doctor`", ""),
    cast("an update of a checkout", "self update", "was not installed by install.sh", "pull"),
    cast("lock of an unknown stack", "lock helo", "there is no stack `helo`", "hello"),
    cast("lock of what came along", "lock hello", "`hello` comes with stackctl", "stackctl new hello"),
    cast("lock of nothing", "lock", "there is no compose file in this folder", "-f"),
    cast("lock of a missing file", "lock -f x.yaml", "there is no compose file `x.yaml`", "-f"),
    cast("lock of both", "lock -f x.yaml hello", "`hello` goes with --update", "--update IMAGE"),
    cast("an image that is not updated", "lock hello redis", "`redis` goes with --update", "--update IMAGE"),
    cast("a check that updates", "lock hello --check --update", "--check goes without --update", "nothing"),
    cast("frozen without a lock", "up hello --frozen", "is missing, and --frozen", "stackctl lock hello", 3),
    cast("eject of an unknown stack", "eject helo", "there is no stack `helo`", "hello"),
    cast("eject into a file", "eject hello --to /dev/null", "`/dev/null` is no folder", "--to"),
    cast("eject into nowhere", "eject hello --to no/such", "there is no folder", "make it first"),
    locked("a newer lock", GOOD_LOCK.replace("schema: 1", "schema: 9"), "schema 9", "update stackctl"),
    locked("a digest by hand", GOOD_LOCK.replace("aaa", "AAA"), "is no digest", "move it away"),
    locked("a lock of another", GOOD_LOCK.replace("s.yaml", "t.yaml"), "is the lock of t.yaml", "move it"),
    locked("no lock at all", "services: {}\n", "no lock of stackctl", "move it away", "render s"),
    locked("a lock cut off", GOOD_LOCK.partition("document")[0], "is damaged", "move it away", "lock s"),
    locked("a lock with more", f"{GOOD_LOCK}also: 1\n", "a lock has no such key", "move it", "lint s"),
)

CASES = (*WORDS, *TASKS, *STACK_FILES, *TEMPLATES, *POLICY, *CONFIGURATION, *LOCKS)
