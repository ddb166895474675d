"""Policy over generated documents: bounded whatever they say, a fixed point, and never a traceback."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stackctl.core.allow import ALLOW
from stackctl.core.errors import PolicyError
from stackctl.core.holes import HOLE, strays, strings
from stackctl.core.limits import Setting, effective
from stackctl.core.policy import SERVICE, Rules, bound, problems
from stackctl.core.units import parse_size

SIZES = st.sampled_from(["6m", "64m", "512m", 1 << 30, "16g", "1.5g", "2GiB"])
CPUS = st.sampled_from([0.01, "0.5", 1, 3, "64", 0.333333333])
PIDS = st.sampled_from([1, "50", 256, 5000])
PORTS = st.lists(
    st.sampled_from([80, "81", "8080:80", "0.0.0.0:9000:90", "9100-9102:91-93", {"target": 94}, "53:53/udp"]),
    unique_by=str,
)
MOUNTS = st.lists(
    st.sampled_from(
        ["./a:/a", "data:/d:ro", "/anonymous", "${STACKCTL_DATA_DB:?}:/x", {"type": "tmpfs", "target": "/t"}]
    ),
    unique_by=str,
)


def fits(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


DEPLOY = fits(
    resources=fits(limits=fits(cpus=CPUS, memory=SIZES, pids=PIDS), reservations=fits(memory=SIZES)),
    restart_policy=fits(condition=st.sampled_from(["any", "none", "on-failure"])),
    labels=st.just({"a": "b"}),
)
SERVICES = st.fixed_dictionaries(
    {"image": st.just("acme/web:1.4")},
    optional={
        "pids_limit": PIDS,
        "mem_limit": SIZES,
        "memswap_limit": SIZES,
        "cpus": CPUS,
        "cpu_quota": st.sampled_from([50000, 1000000]),
        "mem_reservation": SIZES,
        "deploy": DEPLOY,
        "ports": PORTS,
        "volumes": MOUNTS,
        "restart": st.sampled_from(["no", "always", "on-failure:3", False]),
        "labels": st.sampled_from([{"x": "y"}, ["x=y", "z"]]),
        "init": st.booleans(),
        "logging": st.sampled_from(
            [{"driver": "local"}, {"options": {"max-size": "1m", "max-file": 2}}, None]
        ),
        "security_opt": st.lists(
            st.sampled_from(["no-new-privileges", "seccomp=unconfined", "label:level:s0"]), unique=True
        ),
        "networks": st.sampled_from([["default"], ["back"], {"back": {"aliases": ["x"]}, "default": None}]),
        "privileged": st.booleans(),
        "cap_drop": st.just(["NET_RAW"]),
        "build": st.sampled_from(["./web", {"context": "."}]),
        "environment": st.just({"A": "costs $$5"}),
    },
)
DOCUMENTS = st.builds(
    lambda services, networks: {"services": services, "networks": networks, "volumes": {"data": None}},
    st.dictionaries(st.sampled_from(["web", "my_db", "a.b"]), SERVICES, min_size=1),
    st.sampled_from([{"back": None}, {"back": {"internal": True}, "default": {"labels": ["a=b"]}}]),
)
LIMITS = st.sampled_from(
    [
        {},
        {"": effective()[0]},
        {"": effective({"memory": Setting(1 << 30, "stack:1"), "pids": Setting(100, "--limit")})[0]},
        {
            "": effective({"swap": Setting(12 << 30, "stack:1")})[0],
            "web": effective({"cpus": Setting(1.5, "stack:2")})[0],
        },
    ]
)
RULES = st.builds(
    lambda limits, hardened, words: Rules(
        stack="demo",
        root="/srv/app",
        limits=limits,
        hardened=hardened,
        allow=dict.fromkeys(("web", "my_db", "a.b"), words),
    ),
    LIMITS,
    st.booleans(),
    st.lists(st.sampled_from(sorted(ALLOW))).map(tuple),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["host", "${", "²", "a:b", "/etc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def in_force(service: dict[str, Any]) -> tuple[int, int, int, float]:
    said = service.get("deploy", {}).get("resources", {}).get("limits") or {
        "pids": service.get("pids_limit"),
        "memory": service.get("mem_limit"),
        "cpus": service.get("cpus"),
    }
    cpus = HOLE.fullmatch(said["cpus"])
    assert cpus
    return int(said["pids"]), parse_size(said["memory"]), parse_size(service["memswap_limit"]), float(cpus[3])


@SLOWLY
@given(DOCUMENTS, RULES)
def test_every_service_ends_bounded_or_the_document_is_refused(document, rules):
    before = deepcopy(document)
    found = problems(document, rules)
    if found:
        with pytest.raises(PolicyError) as caught:
            bound(document, rules)
        assert caught.value.problems == found
        return
    result = bound(document, rules)
    assert document == before
    for name, service in result.document["services"].items():
        pids, memory, swap, cpus = in_force(service)
        record = result.services[name]
        assert (record.pids, record.memory, record.swap, record.cpus) == (pids, memory, swap, cpus)
        given = rules.limits_for(name)
        if given.origins["pids"] != "default":
            assert pids <= given.limits.pids
        if given.origins["swap"] != "default":
            assert swap <= given.limits.swap
        assert pids > 0
        assert 6 << 20 <= memory <= swap
        assert cpus > 0
        assert service["restart"] == "no"
        assert service["labels"]["stackctl.generation"] == "${STACKCTL_GENERATION:?}"
        assert not {"cpu_quota", "cpu_period"} & set(service)
    assert not any(strays(text) for text in strings(result.document))


@SLOWLY
@given(DOCUMENTS, RULES)
def test_a_bounded_document_is_a_fixed_point(document, rules):
    if not problems(document, rules):
        once = bound(document, rules).document
        assert bound(once, rules).document == once


@settings(SLOWLY, max_examples=max(300, settings.default.max_examples))
@given(st.dictionaries(st.sampled_from(sorted(SERVICE)), JSON, max_size=3), st.booleans(), st.booleans())
def test_no_value_of_any_key_gives_a_traceback_or_escapes_its_bounds(service, hardened, everything):
    words = tuple(ALLOW) if everything else ()
    rules = Rules(stack="demo", root="/srv/app", hardened=hardened, allow={"web": words})
    document = {"services": {"web": {"image": "i:1", **service}}}
    if problems(document, rules):
        return
    result = bound(document, rules)
    assert min(in_force(result.document["services"]["web"])) > 0
    assert bound(result.document, rules).document == result.document


@SLOWLY
@given(
    st.dictionaries(
        st.sampled_from(
            ["name", "version", "services", "networks", "volumes", "secrets", "configs", "include", "x-a"]
        ),
        JSON,
    )
)
def test_no_value_at_the_top_gives_a_traceback(document):
    rules = Rules(stack="demo", root="/srv/app")
    assert isinstance(problems(document, rules), tuple)
    whole = {
        "services": {"web": {"image": "i:1", "volumes": ["a:/a"]}},
        **{k: v for k, v in document.items() if k != "services"},
    }
    assert isinstance(problems(whole, rules), tuple)
    for key in ("networks", "volumes", "secrets", "configs"):
        if key in document:
            entry = {
                "services": {"web": {"image": "i:1", "volumes": ["a:/a"], "secrets": ["a"], "configs": ["a"]}}
            }
            assert isinstance(problems({**entry, key: {"a": document[key]}}, rules), tuple)
