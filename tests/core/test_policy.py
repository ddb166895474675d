"""Policy: a row for each key, everything refused at once, and bounds that hold whatever the document says."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from stackctl.core import policy_rows
from stackctl.core.allow import ALLOW
from stackctl.core.errors import PolicyError
from stackctl.core.limits import Effective, Limits, Setting, effective
from stackctl.core.policy import SERVICE, Rules, bound, judge, problems
from stackctl.core.rules import OutsideFile
from stackctl.core.stack import MachinePolicy

ROOT = "/srv/app"


def rules(*words: str, **more: Any) -> Rules:
    return Rules(**{"stack": "demo", "root": ROOT, "source": "demo.yaml", "allow": {"web": words}, **more})


def document(top: dict[str, Any] | None = None, /, **service: Any) -> dict[str, Any]:
    return {
        "services": {"web": {"image": "acme/web:1.4", **service}, "db": {"image": "acme/db:2.0"}},
        **(top or {}),
    }


def laid(top: dict[str, Any] | None = None, /, *, by: Rules | None = None, **service: Any) -> dict[str, Any]:
    result = bound(document(top, **service), by or rules())
    return dict(result.document["services"]["web"])


def refused(top: dict[str, Any] | None = None, /, *, by: Rules | None = None, **service: Any) -> list[str]:
    return [problem.path for problem in problems(document(top, **service), by or rules())]


def stack_limits(origin: str = "stacks/demo.yaml:3", **values: Any) -> dict[str, Effective]:
    found, wrong = effective({name: Setting(value, origin) for name, value in values.items()})
    assert not wrong
    return {"": found}


# what is laid over a service that says nothing


def test_a_bare_service_is_bounded_in_everything():
    service = laid()
    assert service["pids_limit"] == 256
    assert service["mem_limit"] == service["memswap_limit"] == "8g"
    assert service["cpus"] == "${STACKCTL_CPUS_WEB:-2}"
    assert service["init"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
    assert service["restart"] == "no"
    assert service["labels"] == {
        "stackctl.project": "${STACKCTL_PROJECT:?}",
        "stackctl.stack": "demo",
        "stackctl.instance": "${STACKCTL_INSTANCE:-}",
        "stackctl.generation": "${STACKCTL_GENERATION:?}",
        "stackctl.home": "${STACKCTL_HOME_ID:?}",
        "stackctl.user": "${STACKCTL_USER_ID:?}",
        "stackctl.engine": "${STACKCTL_ENGINE_ID:?}",
        "stackctl.schema": "1",
    }
    assert "cap_drop" not in service


def test_the_top_has_the_projects_name_and_a_labelled_default_network():
    found = bound({**document(), "name": "mine", "version": "3.8"}, rules()).document
    assert found["name"] == "${STACKCTL_PROJECT:?}"
    assert "version" not in found
    default = found["networks"]["default"]
    assert default["ipam"] == {"config": [{"subnet": "${STACKCTL_SUBNET:?}"}]}
    assert default["labels"]["stackctl.generation"] == "${STACKCTL_GENERATION:?}"


def test_no_default_network_where_nobody_joins_it():
    services = {"web": {"image": "i:1", "network_mode": "none"}, "db": {"image": "i:1", "networks": ["back"]}}
    found = bound({"services": services, "networks": {"back": None}}, rules()).document
    assert list(found["networks"]) == ["back"]
    assert found["networks"]["back"]["ipam"]["config"] == [{"subnet": "${STACKCTL_SUBNET_BACK:?}"}]


def test_the_input_is_never_changed():
    given = document(ports=["80"], deploy={"resources": {"limits": {"memory": "1g"}}}, labels={"a": "b"})
    before = deepcopy(given)
    bound(given, rules())
    assert given == before


def test_any_mapping_is_taken_and_the_result_shares_nothing_with_it():
    plain = document(
        {"networks": {"default": {"ipam": {"driver": "default"}}}}, ports=["80"], environment={"A": "b"}
    )
    frozen = MappingProxyType({**plain, "services": MappingProxyType(plain["services"])})
    result = bound(frozen, rules())
    assert result.document == bound(plain, rules()).document
    assert result.document["services"]["web"]["ports"][0]["target"] == 80
    before = deepcopy(plain)
    result.document["services"]["web"]["environment"]["A"] = "changed"
    result.document["networks"]["default"]["ipam"]["driver"] = "changed"
    assert plain == before


def test_changes_say_where_what_and_why():
    changes = bound(document(restart="always"), rules()).changes
    found = {change.path: (change.what, change.reason) for change in changes}
    assert found["services.web.pids_limit"][0] == "set to 256"
    assert "`always`" in found["services.web.restart"][0]
    assert all(what and reason for what, reason in found.values())


# the table itself

SPECIFICATION = [
    "annotations",
    "attach",
    "build",
    "blkio_config",
    "cap_add",
    "cap_drop",
    "cgroup",
    "cgroup_parent",
    "command",
    "configs",
    "container_name",
    "cpu_count",
    "cpu_percent",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "cpu_shares",
    "cpus",
    "cpuset",
    "credential_spec",
    "depends_on",
    "deploy",
    "develop",
    "device_cgroup_rules",
    "devices",
    "dns",
    "dns_opt",
    "dns_search",
    "domainname",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "extends",
    "external_links",
    "extra_hosts",
    "gpus",
    "group_add",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "ipc",
    "isolation",
    "label_file",
    "labels",
    "links",
    "logging",
    "mac_address",
    "mem_limit",
    "mem_reservation",
    "mem_swappiness",
    "memswap_limit",
    "models",
    "network_mode",
    "networks",
    "oom_kill_disable",
    "oom_score_adj",
    "pid",
    "pids_limit",
    "platform",
    "ports",
    "post_start",
    "pre_stop",
    "privileged",
    "profiles",
    "provider",
    "pull_policy",
    "pull_refresh_after",
    "read_only",
    "restart",
    "runtime",
    "scale",
    "secrets",
    "security_opt",
    "shm_size",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "storage_opt",
    "sysctls",
    "tmpfs",
    "tty",
    "ulimits",
    "use_api_socket",
    "user",
    "userns_mode",
    "uts",
    "volumes",
    "volumes_from",
    "working_dir",
]


def test_there_is_a_row_for_each_key_of_the_specification_and_no_other():
    assert sorted(SERVICE) == sorted(SPECIFICATION)


def test_every_row_gives_a_reason_and_every_word_can_be_allowed():
    assert all(row.reason for row in SERVICE.values())
    assert {row.word for row in SERVICE.values() if row.word} <= set(ALLOW)
    assert all(row.word for row in SERVICE.values() if row.way == "allow")


def test_every_word_that_can_be_allowed_is_asked_for_somewhere():
    core = Path(policy_rows.__file__).parent
    source = "".join(path.read_text() for path in core.glob("*.py") if path.name != "allow.py")
    assert [word for word in ALLOW if f'"{word}"' not in source] == []


KEPT = {
    "annotations": {"a": "b"},
    "attach": False,
    "blkio_config": {"weight": 300},
    "cap_add": ["NET_BIND_SERVICE", "CAP_CHOWN"],
    "cap_drop": ["NET_RAW"],
    "cgroup": "private",
    "command": ["run", "--fast"],
    "cpu_shares": 512,
    "cpuset": "0",
    "develop": {"watch": []},
    "dns": ["1.1.1.1"],
    "dns_opt": ["use-vc"],
    "dns_search": "example.org",
    "domainname": "example.org",
    "entrypoint": "/run.sh",
    "environment": {"A": "costs $$5", "B": None},
    "expose": ["8080"],
    "extra_hosts": ["host.docker.internal:host-gateway"],
    "group_add": ["video"],
    "healthcheck": {"test": ["CMD", "true"], "interval": "200ms"},
    "hostname": "web",
    "image": "acme/web@sha256:" + "0" * 64,
    "ipc": "shareable",
    "links": ["db:database"],
    "mac_address": "02:42:ac:11:65:43",
    "network_mode": "none",
    "oom_score_adj": 500,
    "oom_kill_disable": False,
    "pid": "service:db",
    "platform": "linux/amd64",
    "post_start": [{"command": "true"}],
    "pre_stop": [{"command": "true", "privileged": False}],
    "privileged": False,
    "profiles": ["debug"],
    "pull_policy": "missing",
    "pull_refresh_after": "1d",
    "read_only": True,
    "runtime": "runc",
    "scale": 2,
    "shm_size": "64m",
    "stdin_open": True,
    "stop_grace_period": "5s",
    "stop_signal": "SIGINT",
    "storage_opt": {"size": "1G"},
    "sysctls": {"net.core.somaxconn": 1024},
    "tmpfs": ["/run"],
    "tty": True,
    "ulimits": {"nofile": 1024},
    "user": "0",
    "volumes_from": ["db:ro"],
    "working_dir": "/src",
    "env_file": ["./web.env", {"path": "${STACKCTL_SECRETS:?}/web.env", "required": False}],
    "depends_on": {"db": {"condition": "service_started"}},
    "build": {"context": "./web", "dockerfile": "Dockerfile.dev", "args": {"A": "1"}, "network": "none"},
    "x-mine": {"any": "thing"},
}


@pytest.mark.parametrize("key", KEPT)
def test_kept_as_it_is(key):
    assert laid(**{key: KEPT[key]})[key] == KEPT[key]


REFUSED_UNLESS_ALLOWED = [
    ("privileged", {"privileged": True}),
    ("privileged", {"privileged": "true"}),
    ("privileged", {"privileged": "${STACKCTL_PROJECT:?}"}),
    ("privileged", {"post_start": [{"command": "x", "privileged": True}]}),
    ("host-network", {"network_mode": "host"}),
    ("host-network", {"network_mode": "container:other"}),
    ("host-network", {"network_mode": "service:nobody"}),
    ("host-network", {"network_mode": "no"}),
    ("host-network", {"network_mode": "${STACKCTL_INSTANCE:-}"}),
    ("host-pid", {"pid": "host"}),
    ("host-pid", {"pid": "container:other"}),
    ("host-ipc", {"ipc": "host"}),
    ("host-uts", {"uts": "host"}),
    ("host-userns", {"userns_mode": "host"}),
    ("cgroup-parent", {"cgroup": "host"}),
    ("cgroup-parent", {"cgroup_parent": "/mine"}),
    ("docker-socket", {"volumes": ["/var/run/docker.sock:/var/run/docker.sock:ro"]}),
    ("docker-socket", {"volumes": [{"type": "bind", "source": "//var//run/docker.sock", "target": "/s"}]}),
    ("docker-socket", {"use_api_socket": True}),
    ("sensitive-mount", {"volumes": ["/etc:/host/etc:ro"]}),
    ("sensitive-mount", {"volumes": ["/:/host"]}),
    ("sensitive-mount", {"volumes": ["../../etc/shadow:/s"]}),
    ("sensitive-mount", {"volumes": ["/etc/localtime:/etc/localtime"]}),
    ("outside-mount", {"volumes": ["../other:/other"]}),
    ("outside-mount", {"volumes": ["/srv/application:/x"]}),
    ("outside-mount", {"volumes": ["~/x:/x"]}),
    ("outside-mount", {"volumes": ["${STACKCTL_DATA_DB:?}/../../x:/x"]}),
    ("outside-mount", {"volumes_from": ["container:other"]}),
    ("shared-propagation", {"volumes": ["./x:/x:rshared"]}),
    (
        "shared-propagation",
        {"volumes": [{"type": "bind", "source": "./x", "target": "/x", "bind": {"propagation": "slave"}}]},
    ),
    ("outside-build", {"build": "https://example.org/repo.git"}),
    ("outside-build", {"build": {"context": "git@example.org:repo.git"}}),
    ("outside-build", {"build": "github.com/acme/web"}),
    ("outside-build", {"build": ".."}),
    ("outside-build", {"build": {"context": ".", "dockerfile": "../../Dockerfile"}}),
    ("host-network", {"build": {"context": ".", "network": "host"}}),
    ("privileged", {"build": {"context": ".", "privileged": True}}),
    ("privileged", {"build": {"context": ".", "entitlements": ["network.host"]}}),
    ("ssh-keys", {"build": {"context": ".", "ssh": ["default"]}}),
    ("outside-build", {"build": {"context": ".", "cache_to": ["type=local,dest=/etc"]}}),
    ("outside-build", {"build": {"context": ".", "additional_contexts": {"a": "https://example.org/x"}}}),
    ("outside-build", {"build": {"context": ".", "additional_contexts": ["a=/etc"]}}),
    ("devices", {"devices": ["/dev/kvm"]}),
    ("devices", {"device_cgroup_rules": ["c 1:3 mr"]}),
    ("devices", {"gpus": "all"}),
    ("devices", {"deploy": {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"]}]}}}}),
    ("devices", {"deploy": {"resources": {"reservations": {"generic_resources": [{}]}}}}),
    *(
        ("capabilities", {"cap_add": [name]})
        for name in ("ALL", "SYS_ADMIN", "cap_net_admin", "SYS_PTRACE", "MKNOD", "BPF", "NEW_IN_2030")
    ),
    *(
        ("unconfined", {"security_opt": [option]})
        for option in (
            "seccomp:unconfined",
            "seccomp=unconfined",
            "seccomp=./profile.json",
            "apparmor:unconfined",
            "label:disable",
            "label=type:spc_t",
            "systempaths=unconfined",
        )
    ),
    ("new-privileges", {"security_opt": ["no-new-privileges:false"]}),
    ("log-driver", {"logging": {"driver": "syslog"}}),
    ("container-name", {"container_name": "web"}),
    ("runtime", {"runtime": "kata"}),
    ("sysctls", {"sysctls": {"kernel.shmmax": 1}}),
    ("sysctls", {"sysctls": ["kernel.msgmax=1"]}),
]


def test_files_from_outside_need_a_word_of_the_service_that_is_made_of_them():
    own = OutsideFile(service="web", path="services.web.env_file", file="/srv/x.env")
    other = OutsideFile(service="inactive", path="services.inactive.env_file", file="/srv/y.env")
    anyone = OutsideFile(service="", path="include[0]", file="/srv/z.yml", readable=False)
    found = problems(document(), Rules(stack="demo", root=ROOT, outside=(own, other, anyone)))
    assert [(one.service, one.path) for one in found] == [
        ("web", "services.web.env_file"),
        ("web", "include[0]"),
        ("db", "include[0]"),
    ]
    assert {one.word for one in found} == {"outside-file"}
    assert "cannot be told" in found[1].message
    granted = Rules(stack="demo", root=ROOT, outside=(own, anyone), allow={"web": ("outside-file",)})
    assert [one.service for one in problems(document(), granted)] == ["db"]


@pytest.mark.parametrize(("word", "service"), REFUSED_UNLESS_ALLOWED)
def test_refused_unless_allowed_by_name(word, service):
    found = problems(document(**service), rules())
    assert len(found) == 1
    assert found[0].path.startswith(f"services.web.{next(iter(service))}")
    assert f"allow: {{web: [{word}]}}" in found[0].hint
    assert not refused(by=rules(word), **service)
    assert refused(by=Rules(stack="demo", root=ROOT, allow={"db": (word,)}), **service)
    machine = MachinePolicy(source="/etc/stackctl/policy.yaml", forbidden=frozenset({word}))
    forbidden = problems(document(**service), rules(word, machine=machine))
    assert "forbids" in forbidden[0].hint
    assert "/etc/stackctl/policy.yaml" in forbidden[0].hint


REFUSED_ALWAYS = [
    {"extends": {"service": "db"}},
    {"external_links": ["other"]},
    {"label_file": "./labels"},
    {"models": ["llm"]},
    {"provider": {"type": "x"}},
    {"credential_spec": {"file": "x"}},
    {"cpu_count": 2},
    {"cpu_percent": 10},
    {"cpu_rt_period": 1000},
    {"cpu_rt_runtime": 1000},
    {"isolation": "hyperv"},
    {"mem_swappiness": 60},
    {"oom_kill_disable": True},
    {"oom_score_adj": -500},
    {"healthcheck": {"tests": "true"}},
    {"env_file": "../secrets.env"},
    {"env_file": ["/etc/environment"]},
    {"build": {"context": ".", "labels": {"stackctl.project": "x"}}},
    {"build": {"context": ".", "contxt": "x"}},
    {"labels": {"stackctl.project": "other"}},
    {"labels": ["stackctl.generation=forged"]},
    {"labels": {"com.docker.compose.project": "other"}},
    {"labels": "a=b"},
    {"deploy": {"labels": {"stackctl.stack": "x"}}},
    {"deploy": {"replica": 2}},
    {"deploy": {"resources": {"limits": {"gpu": 1}}}},
    {"deploy": "x"},
    {"restart": "sometimes"},
    {"scale": -1},
    {"scale": 100000},
    {"scale": 2, "ports": ["8080:80"]},
    {"scale": 2, "ports": ["8080-8081:80-81"]},
    {"scale": 2, "ports": [{"target": 80, "published": "${STACKCTL_PORT_WEB_80:?}"}]},
    {"depends_on": ["nobody"]},
    {"depends_on": {"db": {"condition": "service_happy"}}},
    {"depends_on": ["web"]},
    {"links": ["nobody"]},
    {"networks": ["nowhere"]},
    {"networks": {"default": {"ipv4_address": "10.0.0.5"}}},
    {"secrets": ["undeclared"]},
    {"configs": [{"source": "undeclared"}]},
    {"volumes": ["undeclared:/x"]},
    {"volumes": ["a:b:c:d"]},
    {"volumes": ["./x:/x:rx"]},
    {"volumes": [{"type": "npipe", "source": "x", "target": "/x"}]},
    {"volumes": [{"type": "bind", "target": "/x"}]},
    {"volumes": "./x:/x"},
    {"ports": ["eighty"]},
    {"ports": ["0"]},
    {"ports": ["70000"]},
    {"ports": ["9000-8000:80"]},
    {"ports": ["8000-8002:80-81"]},
    {"ports": ["1-1000:1-1000"]},
    {"ports": ["8080:80", "8080:81"]},
    {"ports": ["localhost:8080:80"]},
    {"ports": [{"target": 80, "publish": 8080}]},
    {"ports": ["80/icmp"]},
    {"ports": 80},
    {"commnad": "x"},
    {"image": ""},
    {"environment": {"A": "$HOME"}},
    {"environment": ["A=${B}"]},
    {"environment": ["A=${STACKCTL_B:-/etc}"]},
    {"logging": "none"},
]


@pytest.mark.parametrize("service", REFUSED_ALWAYS, ids=str)
def test_refused_whatever_is_allowed(service):
    everything = rules(*ALLOW)
    found = problems(document(**service), everything)
    assert found
    assert all(problem.message and not problem.message.endswith(".") for problem in found)
    with pytest.raises(PolicyError):
        bound(document(**service), everything)


def test_all_problems_at_once_each_with_path_reason_and_line():
    lines = {"services.web.privileged": 4, "services.web": 2}
    given = document(privileged=True, pid="host", ports=["x"], unknown=1)
    with pytest.raises(PolicyError) as caught:
        bound(given, rules(lines=lines))
    found = {problem.path: problem for problem in caught.value.problems}
    assert set(found) == {f"services.web.{key}" for key in ("privileged", "pid", "ports[0]", "unknown")}
    assert str(found["services.web.privileged"]).startswith("demo.yaml:4: services.web.privileged: ")
    assert found["services.web.pid"].line == 2
    assert caught.value.exit_code == 3
    assert problems(given, rules(lines=lines)) == caught.value.problems


def test_what_is_copied_into_a_container_does_not_fit_a_read_only_one():
    for top in ({"configs": {"c": {"content": "x"}}}, {"secrets": {"c": {"environment": "X"}}}):
        key = next(iter(top))
        assert refused(top, read_only=True, **{key: ["c"]}) == [f"services.web.{key}[0]"]
        assert not refused(top, **{key: ["c"]})
    assert not refused({"configs": {"c": {"file": "./c"}}}, read_only=True, configs=["c"])


# limits


def numbers(service: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(service.get(key) for key in ("pids_limit", "mem_limit", "memswap_limit", "cpus"))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"pids_limit": 50, "mem_limit": "1g", "cpus": 0.5}, (50, "1g", "1g", "${STACKCTL_CPUS_WEB:-0.5}")),
        ({"pids_limit": "500", "mem_limit": "16g"}, (500, "16g", "16g", "${STACKCTL_CPUS_WEB:-2}")),
        ({"mem_limit": 67108864, "memswap_limit": "128m"}, (256, "64m", "128m", "${STACKCTL_CPUS_WEB:-2}")),
        ({"mem_limit": "64MiB", "cpus": "1.50"}, (256, "64m", "64m", "${STACKCTL_CPUS_WEB:-1.5}")),
        ({"cpu_quota": 50000}, (256, "8g", "8g", "${STACKCTL_CPUS_WEB:-0.5}")),
        ({"cpu_quota": 30000, "cpu_period": 20000}, (256, "8g", "8g", "${STACKCTL_CPUS_WEB:-1.5}")),
        ({"cpu_period": 20000}, (256, "8g", "8g", "${STACKCTL_CPUS_WEB:-2}")),
    ],
)
def test_a_documents_own_limits_beat_the_defaults(given, found):
    service = laid(**given)
    assert numbers(service) == found
    assert "cpu_quota" not in service
    assert "cpu_period" not in service


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, (100, "1g", "1g", "${STACKCTL_CPUS_WEB:-1}")),
        ({"pids_limit": 50, "mem_limit": "512m"}, (50, "512m", "512m", "${STACKCTL_CPUS_WEB:-1}")),
        ({"pids_limit": 500, "mem_limit": "2g", "cpus": 8}, (100, "1g", "1g", "${STACKCTL_CPUS_WEB:-1}")),
        ({"mem_limit": "512m", "memswap_limit": "4g"}, (100, "512m", "1g", "${STACKCTL_CPUS_WEB:-1}")),
        ({"mem_limit": "2g", "memswap_limit": "2g"}, (100, "1g", "1g", "${STACKCTL_CPUS_WEB:-1}")),
    ],
)
def test_the_stacks_limits_beat_the_documents(given, found):
    by = rules(limits=stack_limits(pids=100, memory=1 << 30, cpus=1.0))
    assert numbers(laid(by=by, **given)) == found


def test_swap_that_a_stack_gives_follows_the_memory():
    by = rules(limits=stack_limits(memory=2 << 30, swap=3 << 30))
    assert numbers(laid(by=by))[1:3] == ("2g", "3g")
    assert numbers(laid(by=by, mem_limit="1g"))[1:3] == ("1g", "2g")
    alone = rules(limits=stack_limits(swap=4 << 30))
    assert numbers(laid(by=alone, mem_limit="6g"))[1:3] == ("4g", "4g")


def test_limits_by_service():
    own, everyone = stack_limits(pids=33)[""], stack_limits(pids=44)[""]
    found = bound(document(), rules(limits={"web": own, "": everyone}))
    assert found.document["services"]["web"]["pids_limit"] == 33
    assert found.document["services"]["db"]["pids_limit"] == 44
    assert found.services["web"].pids == 33


@pytest.mark.parametrize(
    "given",
    [
        *({"pids_limit": value} for value in (-1, 0, "-1", "unlimited", "max", True, 1.5, "many")),
        *({"mem_limit": value} for value in (-1, 0, "0", "lots", "1k", "99999999t", [], True)),
        *({"memswap_limit": value} for value in (-1, "-1", 0)),
        *({"cpus": value} for value in (0, "0.0", -1, "all", "${STACKCTL_CPUS_DB:-4}", "nan", "inf")),
        *({"cpu_quota": value} for value in (-1, 0, "x", True)),
        {"mem_limit": "1g", "memswap_limit": "512m"},
        {"mem_limit": "1g", "deploy": {"resources": {"limits": {"memory": "2g"}}}},
        {"cpus": 1, "deploy": {"resources": {"limits": {"cpus": "2"}}}},
        {"deploy": {"resources": {"limits": {"pids": -1}}}},
        {"mem_reservation": "x"},
    ],
    ids=str,
)
def test_no_limit_at_all_and_no_contradiction(given):
    assert len(refused(**given)) == 1


def test_above_the_machines_ceiling_is_an_error_and_a_default_is_lowered():
    ceilings = {
        name: Setting(value, "/etc/stackctl/policy.yaml:2")
        for name, value in (("memory", 1 << 30), ("pids", 64))
    }
    machine = MachinePolicy(ceilings=ceilings)
    by = rules(machine=machine, limits={"": effective(ceilings=ceilings)[0]})
    assert numbers(laid(by=by))[:3] == (64, "1g", "1g")
    assert numbers(laid(by=by, mem_limit="512m"))[1] == "512m"
    found = problems(document(mem_limit="2g", pids_limit=65), by)
    assert {problem.path for problem in found} == {"services.web.pids_limit", "services.web.mem_limit"}
    assert "ceiling of 1g (/etc/stackctl/policy.yaml:2)" in "".join(p.message for p in found)
    assert numbers(laid(by=rules(machine=machine)))[:3] == (64, "1g", "1g")


@pytest.mark.parametrize(
    "given", [{"memory": "64m"}, {"cpus": "0.5"}, {"pids": 10}, {"memory": "64m", "pids": 10}]
)
def test_limits_are_written_in_the_dialect_that_a_service_speaks(given):
    service = laid(deploy={"resources": {"limits": given}, "replicas": 1})
    limits = service["deploy"]["resources"]["limits"]
    assert set(limits) == {"pids", "memory", "cpus"}
    assert limits["memory"] == given.get("memory", "8g")
    assert limits["pids"] == given.get("pids", 256)
    assert limits["cpus"] == f"${{STACKCTL_CPUS_WEB:-{given.get('cpus', 2)}}}"
    assert service["memswap_limit"] == limits["memory"]
    assert not {"pids_limit", "mem_limit", "cpus"} & set(service)


def test_the_same_limit_in_both_dialects_is_said_once():
    service = laid(mem_limit="64m", deploy={"resources": {"limits": {"memory": "65536k"}}})
    assert "mem_limit" not in service
    assert service["deploy"]["resources"]["limits"]["memory"] == "64m"


def test_a_reservation_is_lowered_to_the_limit():
    assert laid(mem_limit="64m", mem_reservation="1g")["mem_reservation"] == "64m"
    deploy = {"resources": {"limits": {"memory": "64m"}, "reservations": {"memory": "32m"}}}
    assert laid(deploy=deploy)["deploy"]["resources"]["reservations"]["memory"] == "32m"
    deploy["resources"]["reservations"]["memory"] = "128m"
    assert laid(deploy=deploy)["deploy"]["resources"]["reservations"]["memory"] == "64m"


# records


def test_the_record_holds_what_was_asked():
    services = {
        "web": {
            "image": "i:1",
            "restart": "on-failure:3",
            "depends_on": {"job": {"condition": "service_completed_successfully"}},
        },
        "job": {"image": "i:1", "restart": False},
        "keep": {"image": "i:1", "restart": "always", "scale": 3},
        "some": {
            "image": "i:1",
            "restart": "no",
            "deploy": {"replicas": 2, "restart_policy": {"condition": "any"}},
        },
        "none": {"image": "i:1", "deploy": {"restart_policy": {"condition": "none"}}},
        "db": {"image": "i:1", "restart": "unless-stopped", "mem_limit": "1g", "cpus": 0.25, "pids_limit": 9},
    }
    result = bound({"services": services}, rules(sidecars=("db",)))
    found = {
        name: (one.restart, one.one_shot, one.replicas, one.sidecar) for name, one in result.services.items()
    }
    assert found == {
        "web": ("on-failure", False, 1, False),
        "job": ("no", True, 1, False),
        "keep": ("always", False, 3, False),
        "some": ("always", False, 2, False),
        "none": ("no", False, 1, False),
        "db": ("unless-stopped", False, 1, True),
    }
    db = result.services["db"]
    assert (db.pids, db.memory, db.swap, db.cpus) == (9, 1 << 30, 1 << 30, 0.25)
    assert all(service["restart"] == "no" for service in result.document["services"].values())
    assert result.document["services"]["some"]["deploy"] == {"replicas": 2}
    assert "deploy" not in result.document["services"]["none"]


@pytest.mark.parametrize(
    ("restart", "one_shot"),
    [("no", True), ("on-failure:2", True), ("always", False), ("unless-stopped", False)],
)
def test_one_shot_is_what_is_awaited_and_not_kept_alive(restart, one_shot):
    given = document(depends_on={"db": {"condition": "service_completed_successfully"}})
    given["services"]["db"]["restart"] = restart
    assert bound(given, rules()).services["db"].one_shot is one_shot


# init, privileges, logs, labels


def test_own_init_is_left_alone_where_it_is_allowed():
    assert laid(init=False)["init"] is True
    assert laid(by=rules("own-init"), init=False)["init"] is False
    assert "init" not in laid(by=rules("own-init"))


@pytest.mark.parametrize("option", ["no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"])
def test_no_new_privileges_stands_once(option):
    given = [option, "label:level:s0:c1", "apparmor=docker-default"]
    assert laid(security_opt=given)["security_opt"] == [*given[1:], "no-new-privileges:true"]


def test_new_privileges_are_left_alone_where_they_are_allowed():
    by = rules("new-privileges")
    assert laid(by=by, security_opt=["no-new-privileges:false"])["security_opt"] == [
        "no-new-privileges:false"
    ]
    assert "security_opt" not in laid(by=by)


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (
            {"driver": "json-file", "options": {"max-size": "1m", "max-file": 2}},
            {"max-size": "1m", "max-file": "2"},
        ),
        ({"options": {"max-size": "-1"}}, {"max-size": "10m", "max-file": "3"}),
        ({"options": {"max-size": "1m"}}, {"max-size": "10m", "max-file": "3"}),
        ({"options": {"max-size": "900m", "max-file": "900"}}, {"max-size": "10m", "max-file": "3"}),
        (
            {"options": {"tag": "x", "compress": True}},
            {"max-size": "10m", "max-file": "3", "tag": "x", "compress": "true"},
        ),
        ({"driver": None}, {"max-size": "10m", "max-file": "3"}),
    ],
)
def test_logs_are_always_bounded(given, options):
    assert laid(logging=given)["logging"] == {
        "driver": given.get("driver") or "json-file",
        "options": options,
    }


def test_another_log_driver_is_left_alone_where_it_is_allowed():
    given = {"driver": "syslog", "options": {"syslog-address": "udp://127.0.0.1:514"}}
    assert laid(by=rules("log-driver"), logging=given)["logging"] == given


@pytest.mark.parametrize("labels", [{"a": "b", "n": 1, "e": None}, ["a=b", "c=d=e", "f"]])
def test_labels_of_the_users_own_stay_and_the_stamp_comes_last(labels):
    found = laid(labels=labels)["labels"]
    assert found["a"] == "b"
    assert list(found)[-8:] == [name for name in found if name.startswith("stackctl.")]
    if isinstance(labels, list):
        assert found["c"] == "d=e"
        assert found["f"] == ""


# ports


def port(target: int, published: str, **more: Any) -> dict[str, Any]:
    return {"target": target, "host_ip": "127.0.0.1", "published": published, "protocol": "tcp", **more}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([80], [port(80, "${STACKCTL_PORT_WEB_80:?}")]),
        (["80"], [port(80, "${STACKCTL_PORT_WEB_80:?}")]),
        (["0:80"], [port(80, "${STACKCTL_PORT_WEB_80:?}")]),
        (["8080:80"], [port(80, "8080")]),
        (["127.0.0.1:8080:80"], [port(80, "8080")]),
        (["127.0.0.1::80"], [port(80, "${STACKCTL_PORT_WEB_80:?}")]),
        (["127.0.0.5:8080:80"], [port(80, "8080", host_ip="127.0.0.5")]),
        (["[::1]:8080:80"], [port(80, "8080", host_ip="::1")]),
        (["0.0.0.0:8080:80"], [port(80, "8080")]),
        (["[::]:8080:80"], [port(80, "8080")]),
        (["192.168.1.5:8080:80"], [port(80, "8080")]),
        (["53:53/udp"], [port(53, "53", protocol="udp")]),
        (["53/udp"], [port(53, "${STACKCTL_PORT_WEB_53_UDP:?}", protocol="udp")]),
        (["8000-8001:80-81"], [port(80, "8000"), port(81, "8001")]),
        (["80-81"], [port(80, "${STACKCTL_PORT_WEB_80:?}"), port(81, "${STACKCTL_PORT_WEB_81:?}")]),
        (["8000-8010:80"], [port(80, "8000-8010")]),
        ([80, "80", "80/tcp"], [port(80, "${STACKCTL_PORT_WEB_80:?}")]),
        ([{"target": 80}], [port(80, "${STACKCTL_PORT_WEB_80:?}")]),
        ([{"target": "80", "published": "auto"}], [port(80, "${STACKCTL_PORT_WEB_80:?}")]),
        ([{"target": 80, "published": 8080, "mode": "host"}], [port(80, "8080", mode="host")]),
        ([{"target": 80, "published": "${STACKCTL_PORT_WEB_80:?}"}], [port(80, "${STACKCTL_PORT_WEB_80:?}")]),
    ],
    ids=str,
)
def test_ports_in_long_form_on_loopback(given, found):
    assert laid(ports=given)["ports"] == found


def test_replicas_have_a_port_of_a_range_each_or_one_that_the_engine_chooses():
    free = {"target": 81, "host_ip": "127.0.0.1", "protocol": "tcp"}
    for asked in ({"scale": 3}, {"deploy": {"replicas": 3}}):
        found = laid(ports=["8000-8010:80", "81"], **asked)["ports"]
        assert found == [port(80, "8000-8010"), free]
        assert laid(ports=found, **asked)["ports"] == found


def test_a_label_without_a_name_is_left_out_and_said():
    result = bound(document(labels={"": "true", "a": "b"}), rules())
    labels = result.document["services"]["web"]["labels"]
    assert "" not in labels
    assert labels["a"] == "b"
    assert ("services.web.labels", "one without a name left out") in {
        (c.path, c.what) for c in result.changes
    }


def test_a_judgement_stands_with_what_is_refused_in_it_but_no_limit_above_a_ceiling():
    ceilings = {"memory": Setting(1 << 30, ""), "pids": Setting(100, "")}
    by = rules(machine=MachinePolicy(ceilings=ceilings))
    given = document(mem_limit="4g", pids_limit=-1, cpus=0, oom_kill_disable=True)
    result, problems_found = judge(given, by)
    service = result.document["services"]["web"]
    assert service["oom_kill_disable"] is True
    limits = {key: service[key] for key in ("mem_limit", "memswap_limit", "pids_limit", "cpus")}
    assert limits == {
        "mem_limit": "1g",
        "memswap_limit": "1g",
        "pids_limit": 100,
        "cpus": "${STACKCTL_CPUS_WEB:-2}",
    }
    assert {one.path.removeprefix("services.web.") for one in problems_found} == {
        *("oom_kill_disable", "mem_limit", "pids_limit", "cpus")
    }


def test_a_public_address_is_an_error_for_templates_and_moved_for_others():
    hardened = rules(hardened=True)
    assert refused(by=hardened, ports=["0.0.0.0:8080:80"]) == ["services.web.ports[0]"]
    assert refused(by=hardened, ports=["192.168.1.5:8080:80"]) == ["services.web.ports[0]"]
    assert not refused(by=hardened, ports=["8080:80", "127.0.0.1:8081:80"])


def test_public_ports_where_they_are_allowed():
    by = rules("public-ports", hardened=True)
    found = laid(by=by, ports=["8080:80", "0.0.0.0:8081:81", "82"])["ports"]
    assert [one.get("host_ip") for one in found] == [None, "0.0.0.0", None]
    machine = MachinePolicy(forbidden=frozenset({"public-ports"}))
    assert refused(by=rules("public-ports", machine=machine), ports=["8080:80"]) == ["services.web.ports[0]"]


BRIDGED = [80, {"target": 80, "host_ip": "${STACKCTL_GATEWAY:?}"}]


def test_a_sidecar_may_be_on_the_engines_bridge_by_the_same_host_port_and_nobody_else():
    by = rules(hardened=True, sidecars=("web",))
    both = [
        port(80, "${STACKCTL_PORT_WEB_80:?}"),
        port(80, "${STACKCTL_PORT_WEB_80:?}", host_ip="${STACKCTL_GATEWAY:?}"),
    ]
    assert laid(by=by, ports=BRIDGED)["ports"] == both
    assert laid(by=by, ports=both)["ports"] == both
    changes = {(one.path, one.what) for one in bound(document(ports=BRIDGED), by).changes}
    assert ("services.web.ports[1]", "kept on the engine's bridge") in changes
    for other in (rules(), rules(hardened=True, sidecars=("db",)), rules("public-ports")):
        assert refused(by=other, ports=BRIDGED) == ["services.web.ports[1]"]


def test_a_port_on_every_address_is_on_the_engines_bridge_already():
    by = rules("public-ports", hardened=True, sidecars=("web",))
    gateway = "${STACKCTL_GATEWAY:?}"
    given = ["8080:80", {"target": 80, "published": 8080, "host_ip": gateway}]
    assert [one.get("host_ip") for one in laid(by=by, ports=given)["ports"]] == [None]
    given = ["0.0.0.0:8080:80", {"target": 80, "published": 8081, "host_ip": gateway}]
    assert [one["host_ip"] for one in laid(by=by, ports=given)["ports"]] == ["0.0.0.0", gateway]


# mounts


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("./x:/x", {"type": "bind", "source": "./x", "target": "/x", "bind": {"create_host_path": True}}),
        (
            "/srv/app/x:/x:ro",
            {
                "type": "bind",
                "source": "/srv/app/x",
                "target": "/x",
                "read_only": True,
                "bind": {"create_host_path": True},
            },
        ),
        (
            "./x:/x:rw,z,rprivate,cached",
            {
                "type": "bind",
                "source": "./x",
                "target": "/x",
                "consistency": "cached",
                "bind": {"create_host_path": True, "selinux": "z", "propagation": "rprivate"},
            },
        ),
        (
            "${STACKCTL_DATA_DB:?}:/data",
            {
                "type": "bind",
                "source": "${STACKCTL_DATA_DB:?}",
                "target": "/data",
                "bind": {"create_host_path": False},
            },
        ),
        (
            "${STACKCTL_FILES:?}/a.conf:/a.conf:ro",
            {
                "type": "bind",
                "source": "${STACKCTL_FILES:?}/a.conf",
                "target": "/a.conf",
                "read_only": True,
                "bind": {"create_host_path": False},
            },
        ),
        (
            "data:/data:nocopy",
            {"type": "volume", "source": "data", "target": "/data", "volume": {"nocopy": True}},
        ),
        ("/data", {"type": "volume", "target": "/data"}),
        ({"type": "tmpfs", "target": "/tmp"}, {"type": "tmpfs", "target": "/tmp"}),
        (
            "/etc/localtime:/etc/localtime:ro",
            {
                "type": "bind",
                "source": "/etc/localtime",
                "target": "/etc/localtime",
                "read_only": True,
                "bind": {"create_host_path": True},
            },
        ),
    ],
    ids=str,
)
def test_mounts_in_long_form(given, found):
    assert laid({"volumes": {"data": None}}, volumes=[given])["volumes"] == [found]


def test_volumes_from_a_service_bring_its_words_along():
    given = document(volumes_from=["db"])
    given["services"]["db"]["volumes"] = ["/var/run/docker.sock:/s"]
    assert [p.path for p in problems(given, rules(allow={"db": ("docker-socket",)}))] == [
        "services.web.volumes_from[0]"
    ]
    assert not problems(given, rules(allow={"db": ("docker-socket",), "web": ("docker-socket",)}))


@pytest.mark.parametrize(
    ("key", "word"), [("network_mode", "host-network"), ("pid", "host-pid"), ("ipc", "host-ipc")]
)
def test_a_namespace_shared_with_a_service_brings_its_word_along(key, word):
    given = document(**{key: "service:db"})
    given["services"]["db"][key] = "host"
    assert [p.path for p in problems(given, rules(allow={"db": (word,)}))] == [f"services.web.{key}"]
    assert not problems(given, rules(allow={"db": (word,), "web": (word,)}))


# the top


@pytest.mark.parametrize(
    "top",
    [
        {"include": ["other.yaml"]},
        {"models": {"llm": {}}},
        {"servcies": {}},
        {"networks": []},
        {"networks": {"back": "x"}},
        {"networks": {"back": {"drvier": "x"}}},
        {"networks": {"default": {"labels": {"stackctl.stack": "x"}}}},
        {"networks": {"default": {"ipam": ["x"]}}},
        {"volumes": {"data": {"labels": ["stackctl.stack=x"]}}},
        {"volumes": {"data": {"type": "x"}}},
        {"secrets": {"s": {"path": "x"}}},
        {"secrets": "x"},
        {"services": {}},
        {"services": None},
        {"services": {"web": None}},
        {"services": {"a b": {"image": "i:1"}}},
        {
            "services": {
                "a": {"image": "i:1", "depends_on": ["b"]},
                "b": {"image": "i:1", "depends_on": ["a"]},
            }
        },
        {"x-mine": "${HOME}"},
    ],
    ids=str,
)
def test_refused_at_the_top(top):
    assert problems({**document(), **top}, rules(*ALLOW))


@pytest.mark.parametrize(
    ("top", "word"),
    [
        ({"networks": {"default": {"driver": "macvlan"}}}, "host-network"),
        ({"networks": {"default": {"driver": "host"}}}, "host-network"),
        ({"networks": {"default": {"external": True, "name": "host"}}}, "host-network"),
        ({"networks": {"default": {"external": True, "name": "${STACKCTL_INSTANCE:-}"}}}, "host-network"),
        ({"volumes": {"data": {"driver": "nfs"}}}, "outside-mount"),
        (
            {"volumes": {"data": {"driver_opts": {"type": "nfs", "device": ":/x", "o": "addr=1.2.3.4"}}}},
            "outside-mount",
        ),
        (
            {"volumes": {"data": {"driver_opts": {"type": "none", "device": "/mnt/x", "o": "bind"}}}},
            "outside-mount",
        ),
        (
            {"volumes": {"data": {"driver_opts": {"type": "none", "device": "x", "o": "bind"}}}},
            "outside-mount",
        ),
        (
            {"volumes": {"data": {"driver_opts": {"type": "none", "device": "/etc", "o": "bind"}}}},
            "sensitive-mount",
        ),
        (
            {"volumes": {"data": {"driver_opts": {"type": "tmpfs", "device": "/etc", "o": "rbind"}}}},
            "sensitive-mount",
        ),
        (
            {"volumes": {"data": {"driver_opts": {"type": "tmpfs", "o": "${STACKCTL_INSTANCE:-}"}}}},
            "outside-mount",
        ),
        ({"volumes": {"data": {"driver_opts": {"type": "ext4", "device": "/dev/sda1"}}}}, "sensitive-mount"),
        ({"secrets": {"s": {"file": "/etc/shadow"}}}, "sensitive-mount"),
        ({"secrets": {"s": {"file": "../s"}}}, "outside-mount"),
        ({"configs": {"c": {"file": "/var/run/docker.sock"}}}, "docker-socket"),
    ],
    ids=str,
)
def test_what_stands_at_the_top_is_judged_for_the_services_that_use_it(top, word):
    given = {
        "services": {
            "web": {"image": "i:1", "volumes": ["data:/data"], "secrets": ["s"], "configs": [{"source": "c"}]}
        },
        "volumes": {"data": None},
        "secrets": {"s": {"file": "./s"}},
        "configs": {"c": {"content": "text"}},
        **top,
    }
    found = problems(given, rules())
    assert len(found) == 1
    assert f"[{word}]" in found[0].hint
    assert not problems(given, rules(word))


def test_a_network_driver_that_nobody_uses_is_refused_all_the_same():
    top = {"networks": {"spare": {"driver": "ipvlan"}}}
    assert refused(top, by=rules(*ALLOW)) == ["networks.spare.driver"]


def test_networks_and_volumes_of_others_are_kept_as_they_are():
    top = {
        "networks": {"proxy": {"external": True}, "own": {"ipam": {"config": [{"subnet": "10.1.0.0/24"}]}}},
        "volumes": {"theirs": {"external": True, "name": "x"}, "ours": {"driver_opts": {"type": "tmpfs"}}},
    }
    networks = {"default": None, "proxy": None, "own": {"ipv4_address": "10.1.0.9"}}
    found = bound(document(top, networks=networks, volumes=["theirs:/t", "ours:/o"]), rules()).document
    assert found["networks"]["proxy"] == {"external": True}
    assert found["networks"]["own"]["ipam"] == {"config": [{"subnet": "10.1.0.0/24"}]}
    assert found["networks"]["own"]["labels"]["stackctl.stack"] == "demo"
    assert found["volumes"]["theirs"] == {"external": True, "name": "x"}
    assert found["volumes"]["ours"]["labels"]["stackctl.schema"] == "1"


# hardened


def test_hardened_documents_drop_capabilities_and_refuse_root():
    by = rules(hardened=True)
    assert laid(by=by)["cap_drop"] == ["ALL"]
    assert laid(by=by, cap_drop=None)["cap_drop"] == laid(by=by, cap_drop=[])["cap_drop"] == ["ALL"]
    assert laid(by=by, cap_drop=["NET_RAW"])["cap_drop"] == ["NET_RAW"]
    for user in (
        0,
        "0",
        "root",
        "00",
        "0:1000",
        "root:root",
        "${STACKCTL_USER_ID:?}",
        "${STACKCTL_INSTANCE:-}",
    ):
        assert refused(by=by, user=user) == ["services.web.user"]
        assert not refused(user=user)
    for user in ("1000:0", "${STACKCTL_USER_WEB:?}", "10", "postgres"):
        assert not refused(by=by, user=user)


def test_hardened_documents_wait_only_for_what_has_a_health_check():
    waits = {"db": {"condition": "service_healthy"}}
    by = rules(hardened=True)
    assert refused(by=by, depends_on=waits) == ["services.web.depends_on.db"]
    assert not refused(depends_on=waits)
    for check, well in (
        ({"test": ["CMD", "true"]}, True),
        ({"disable": True}, False),
        ({"test": ["NONE"]}, False),
    ):
        given = document(depends_on=waits)
        given["services"]["db"]["healthcheck"] = check
        assert (not problems(given, by)) is well


def test_hardened_documents_share_no_names_and_no_environment():
    by = rules(hardened=True)
    assert refused({"volumes": {"data": {"name": "data"}}}, by=by) == ["volumes.data.name"]
    assert not refused({"volumes": {"data": {"name": "${STACKCTL_PROJECT:?}_x"}}}, by=by)
    assert not refused({"volumes": {"data": {"name": "data"}}})
    assert refused({"secrets": {"s": {"environment": "S"}}}, by=by) == ["secrets.s.environment"]


@pytest.mark.parametrize(
    ("image", "noted"), [("web", True), ("h:5000/web", True), ("web:latest", True), ("web:1", False)]
)
def test_hardened_documents_are_told_of_images_without_a_version(image, noted):
    changes = bound(document(image=image), rules(hardened=True)).changes
    assert ("services.web.image" in [change.path for change in changes]) is noted


def test_limits_are_not_needed_to_be_given():
    assert Rules(stack="s").limits_for("web").limits == Limits()
