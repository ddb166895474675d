"""What is expected of each project: how it is used, what is read from it, what of its files must hold."""

from __future__ import annotations

import json
import os
from typing import Any

from project_site import Inspected, Project, Site
from waiting import until


def after(services: Inspected, later: str, earlier: str) -> None:
    """Every container of one service was started after those of another had ended."""
    started = [one["State"]["StartedAt"] for one in services[later]]
    ended = [one["State"]["FinishedAt"] for one in services[earlier]]
    assert min(started) >= max(ended), f"{later} did not wait for {earlier}"
    assert [one["State"]["ExitCode"] for one in services[earlier]] == [0] * len(ended)


def networks(one: dict[str, Any]) -> set[str]:
    """The short names of a container's networks."""
    project = one["Config"]["Labels"]["com.docker.compose.project"]
    return {name.removeprefix(f"{project}_") for name in one["NetworkSettings"]["Networks"]}


def data(site: Site, service: str, path: str = "/", port: int = 80) -> Any:
    return json.loads(site.get(service, path, port))


# --- guestbook: a proxy, an application, Redis; fixed container names and a fixed port ------------


def use_guestbook(site: Site) -> None:
    before = data(site, "web")["entries"]
    line = f"line {len(before)} über alles"
    assert json.loads(site.post("web", "/", line))["entries"] == [*before, line]


def guestbook_holds(site: Site, services: Inspected) -> None:
    assert set(services) == {"web", "app", "store"}
    assert data(site, "web")["greeting"] == "Welcome, stranger"
    assert site.address("web", 80).endswith(":" + site.env["GUESTBOOK_PORT"])
    assert site.inside("web", "curl", "-s", "http://guestbook-app:8000/health")


GUESTBOOK = Project(
    name="guestbook",
    use=use_guestbook,
    read=lambda site: data(site, "web"),
    holds=guestbook_holds,
    ports=("GUESTBOOK_PORT",),
    rest=("entries",),
    watched=True,
)


# --- shop: PostgreSQL, migrations, a queue with two workers, secrets, an internal network ----------


def use_shop(site: Site) -> None:
    order = json.loads(site.post("proxy", "/orders", "a pot, 'blue'"))["id"]

    def packed() -> bool:
        orders = {one["id"]: one for one in data(site, "proxy", "/orders")}
        return orders[order]["item"] == "a pot, 'blue'" and bool(orders[order]["packed_by"])

    until(packed, 30, f"packing of order {order}")


def shop_holds(site: Site, services: Inspected) -> None:
    assert len(services["worker"]) == 2
    after(services, "app", "migrate")
    after(services, "worker", "migrate")
    (db,), (proxy,) = services["db"], services["proxy"]
    assert (networks(db), networks(proxy)) == ({"back"}, {"front"})
    assert db["HostConfig"]["ShmSize"] == 64 << 20
    assert site.inside("app", "cat", "/run/secrets/db_password") == "correct-horse-42\n"
    assert site.inside("proxy", "getent", "hosts", "app")
    assert all(one["HostConfig"]["LogConfig"]["Config"]["max-size"] == "5m" for one in services["worker"])


SHOP = Project(
    name="shop",
    use=use_shop,
    read=lambda site: data(site, "proxy", "/orders"),
    holds=shop_holds,
    ports=("SHOP_PORT",),
    once=frozenset({"migrate"}),
    watched=True,
    limits={"worker": {"Memory": 96 << 20, "NanoCpus": 500_000_000}},
)


# --- blog: MariaDB, env_file, a template of nginx, limits in the older dialect, a backup on demand --


def use_blog(site: Site) -> None:
    before = data(site, "nginx")["posts"]
    body = f"it's \\ post {len(before)}: größer"
    posts = json.loads(site.post("nginx", "/", body))["posts"]
    assert [one["body"] for one in posts] == [*(one["body"] for one in before), body]
    site.post("nginx", f"/files/picture{len(before)}", "x" * 5000)
    assert site.get("nginx", f"/uploads/picture{len(before)}") == "x" * 5000


def blog_holds(site: Site, services: Inspected) -> None:
    assert set(services) == {"nginx", "app", "uploads-owner", "db"}
    after(services, "app", "uploads-owner")
    assert data(site, "nginx")["title"] == "100 $ a day, Jo Doe"
    (app,), (nginx,), (db,) = (services[name] for name in ("app", "nginx", "db"))
    assert app["Config"]["User"] == "1000:1000"
    assert db["Config"]["StopTimeout"] == 30
    labels = nginx["Config"]["Labels"]
    assert (labels["org.example.team"], labels["org.example.public"]) == ("web", "yes")
    assert (
        site.inside("app", "getent", "hosts", "mysql").split()[0]
        == next(iter(db["NetworkSettings"]["Networks"].values()))["IPAddress"]
    )


BLOG = Project(
    name="blog",
    use=use_blog,
    read=lambda site: [data(site, "nginx"), site.get("nginx", "/uploads/picture0")],
    holds=blog_holds,
    ports=("BLOG_PORT",),
    rest=("uploads",),
    once=frozenset({"uploads-owner"}),
    limits={
        "nginx": {"Memory": 64 << 20, "NanoCpus": 500_000_000},
        "app": {"Memory": 128 << 20, "PidsLimit": 64, "NanoCpus": 1_000_000_000},
    },
    watched=True,
)


# --- orders: RabbitMQ, three consumers, an internal network, a book in a folder of the checkout -----


def use_orders(site: Site) -> None:
    book = site.get("desk", port=8000).splitlines()
    orders = [f"order {len(book) + number}" for number in range(6)]
    for order in orders:
        site.post("desk", "/", order, port=8000)
    until(
        lambda: sorted(site.get("desk", port=8000).splitlines()) == sorted([*book, *orders]),
        60,
        f"{orders} in the book",
    )


def orders_hold(site: Site, services: Inspected) -> None:
    assert len(services["clerk"]) == 3
    assert {len(one["HostConfig"]["Tmpfs"]) for one in services["clerk"]} == {1}
    assert all(one["HostConfig"]["ReadonlyRootfs"] for one in [*services["clerk"], *services["desk"]])
    (rabbit,) = services["rabbit"]
    assert rabbit["Config"]["Hostname"] == "rabbit"
    assert {"Name": "nofile", "Soft": 4096, "Hard": 8192} in rabbit["HostConfig"]["Ulimits"]
    assert networks(services["desk"][0]) == {"bus", "public"}
    assert site.inside("clerk", "getent", "hosts", "broker")
    assert (site.folder / "book" / "orders.txt").exists()


ORDERS = Project(
    name="orders",
    use=use_orders,
    read=lambda site: sorted(site.get("desk", port=8000).splitlines()),
    holds=orders_hold,
    rest=("./book",),
)


# --- telemetry: NATS, sensors, a collector that is read-only, another service on its network --------


def use_telemetry(site: Site) -> None:
    before = data(site, "collector", port=9100)

    def more() -> bool:
        now = data(site, "collector", port=9100)
        return len(now) >= 2 and all(
            len(now[sensor]) > len(before.get(sensor, ())) for sensor in sensors(site)
        )

    until(more, 40, "readings of every sensor")


def sensors(site: Site) -> list[str]:
    return [one["Config"]["Hostname"] for one in site.services()["sensor"]]


def telemetry_holds(site: Site, services: Inspected) -> None:
    (collector,), (metrics,), (nats,) = (services[name] for name in ("collector", "metrics", "nats"))
    assert metrics["HostConfig"]["NetworkMode"] == f"container:{collector['Id']}"
    assert collector["HostConfig"]["ReadonlyRootfs"]
    assert collector["HostConfig"]["CapDrop"] == ["ALL"]
    assert collector["Config"]["StopSignal"] == "SIGINT"
    assert len(services["sensor"]) == 2
    assert services["sensor"][0]["HostConfig"]["MemoryReservation"] == 8 << 20
    assert "max_payload: 64KB" in site.inside("nats", "cat", "/etc/telemetry/nats.conf")
    assert nats["State"]["Health"]["Status"] == "healthy"
    assert site.address("collector", 9100).endswith(":" + site.env["METRICS_PORT"])


def first_readings(site: Site) -> object:
    """Of the sensors there were first, the readings there were first: more come at any time."""
    if not (site.folder / "seen.json").exists():
        (site.folder / "seen.json").write_text(json.dumps(data(site, "collector", port=9100)))
    seen, now = json.loads((site.folder / "seen.json").read_text()), data(site, "collector", port=9100)
    return {sensor: now.get(sensor, [])[: len(numbers)] for sensor, numbers in seen.items()}


TELEMETRY = Project(
    name="telemetry",
    use=use_telemetry,
    read=first_readings,
    holds=telemetry_holds,
    ports=("METRICS_PORT",),
    limits={"sensor": {"Memory": 32 << 20, "PidsLimit": 20, "NanoCpus": 250_000_000}},
    watched=True,
)


# --- gallery: uploads that become pictures, in folders of the checkout, as a user without rights ----


def use_gallery(site: Site) -> None:
    name = f"picture{len(list((site.folder / 'pictures').glob('[!.]*')))}"
    assert site.post("front", f"/{name}", "aabb\nccdd") == "thank you\n"
    until((site.folder / "pictures" / name).exists, 30, f"the small {name}")
    assert site.get("front", f"/pictures/{name}") == "aa\ncc"


def gallery_holds(site: Site, services: Inspected) -> None:
    (worker,), (upload,) = services["worker"], services["upload"]
    assert worker["HostConfig"]["NetworkMode"] == "none"
    assert worker["Config"]["User"] == upload["Config"]["User"] == f"{os.getuid()}:{os.getgid()}"
    assert (worker["Config"]["StopSignal"], worker["Config"]["StopTimeout"]) == ("SIGINT", 5)
    assert upload["HostConfig"]["Sysctls"] == {"net.core.somaxconn": "256"}
    assert upload["HostConfig"]["GroupAdd"] == ["100"]
    assert worker["HostConfig"]["MemoryReservation"] == 16 << 20
    assert (site.folder / "pictures" / "picture0").stat().st_uid == os.getuid()


def pictures(site: Site) -> list[str]:
    names = sorted(path.name for path in (site.folder / "pictures").glob("[!.]*"))
    return [site.get("front", f"/pictures/{name}") for name in names]


GALLERY = Project(
    name="gallery",
    use=use_gallery,
    read=pictures,
    holds=gallery_holds,
    rest=("./pictures", "./inbox"),
    env={"UID": str(os.getuid()), "GID": str(os.getgid())},
    limits={"worker": {"Memory": 96 << 20}},
    watched=True,
)


# --- pages: three replicas behind nginx, memcached, a file format of years ago, links -----------------


def use_pages(site: Site) -> None:
    path = f"/page/{len(visits(site))}"
    first, second = data(site, "balancer", path), data(site, "balancer", path)
    assert (first["cached"], second["cached"]) == (False, True)
    assert first["text"] == second["text"] == f"made by {first['by']}"
    assert visits(site)[-2:] == [path, path]


def visits(site: Site) -> list[str]:
    found: list[str] = data(site, "balancer", "/visits")["visits"]
    return found


def pages_hold(site: Site, services: Inspected) -> None:
    assert len(services["page"]) == 3
    seen: set[str] = set()

    def all_seen() -> bool:
        seen.add(data(site, "balancer", "/page/0")["by"])
        return len(seen) == 3

    until(all_seen, 60, "an answer of each replica")
    labels = services["balancer"][0]["Config"]["Labels"]
    assert (labels["com.example.role"], labels["com.example.weight"]) == ("balancer", "3")
    assert services["page"][0]["HostConfig"]["CpuShares"] == 512
    assert site.inside("balancer", "getent", "hosts", "pages.internal")


PAGES = Project(
    name="pages",
    use=use_pages,
    read=visits,
    holds=pages_hold,
    rest=("visits",),
    limits={"page": {"Memory": 64 << 20}},
    watched=True,
)


# --- monorepo: included and extended files of several folders, and images that are built -------------


def use_monorepo(site: Site) -> None:
    before = data(site, "gateway", "/accounts")["accounts"]
    owner = f"owner {len(before)}"
    after_it = json.loads(site.post("gateway", "/accounts", owner))["accounts"]
    assert after_it == [*before, {"id": len(before) + 1, "owner": owner}]


def monorepo_holds(site: Site, services: Inspected) -> None:
    assert set(services) == {"gateway", "accounts", "catalog"}
    assert site.get("gateway") == "hello from the gateway\n"
    assert data(site, "gateway", "/catalog")[0] == {"item": "pot", "price": 12, "currency": "EUR"}
    assert data(site, "gateway", "/accounts")["level"] == "debug"
    assert networks(services["gateway"][0]) == {"default", "accounts", "catalog"}
    assert services["accounts"][0]["Config"]["User"] == "accounts"
    assert services["gateway"][0]["Config"]["Labels"]["org.example.part"] == "gateway"


MONOREPO = Project(
    name="monorepo",
    use=use_monorepo,
    read=lambda site: data(site, "gateway", "/accounts"),
    holds=monorepo_holds,
    ports=("GATEWAY_PORT",),
    rest=("accounts",),
    limits={name: {"PidsLimit": 100} for name in ("accounts", "catalog")},
    watched=True,
    stack="compose: ../compose.yaml\n",
)


# --- notes: three files over each other, with !override and !reset -----------------------------------


def use_notes(site: Site) -> None:
    name = f"note{len(data(site, 'notes', port=8000)['notes'])}"
    body = json.loads(site.post("notes", f"/{name}", f"remember {name}", port=8000))
    assert body["indexed"] is True
    assert body["notes"][name] == f"remember {name}"


def notes_hold(site: Site, services: Inspected) -> None:
    expected = {"MODE": "development", "TOKEN": "t0k3n", "PEPPER": None, "COMMON": "one", "SHARED": "dev"}
    assert data(site, "notes", port=8000)["setup"] == expected
    (notes,), (mail,), (search,) = (services[name] for name in ("notes", "mail", "search"))
    bindings = notes["HostConfig"]["PortBindings"]
    assert [one["HostPort"] for one in bindings["8000/tcp"]] == [site.env["NOTES_PORT"]]
    assert mail["HostConfig"]["PortBindings"] == {}
    assert "nc -l" in mail["Config"]["Cmd"][-1]
    assert search["Config"]["Cmd"] == ["-m", "8"]
    assert notes["Config"]["Labels"]["tier"] == "dev"
    assert notes["Config"]["StopSignal"] == "SIGINT"
    assert notes["State"]["StartedAt"] > mail["State"]["StartedAt"]


NOTES = Project(
    name="notes",
    use=use_notes,
    read=lambda site: data(site, "notes", port=8000)["notes"],
    holds=notes_hold,
    up=tuple(word for name in ("", ".dev", ".limits") for word in ("-f", f"docker-compose{name}.yml")),
    ports=("NOTES_PORT",),
    rest=("notes",),
    limits={
        "notes": {"NanoCpus": 500_000_000},
        "search": {"Memory": 40 << 20, "PidsLimit": 32},
    },
)


# --- handbook: a chain of steps that run once, and a site that is made of them ------------------------


def use_handbook(site: Site) -> None:
    assert site.get("site", "/index.txt").split() == ["1-beginning.html", "2-growth.html"]
    assert site.get("site", "/2-growth.html") == "<h1>2-growth</h1>\n<p>And then there were two.</p>\n"


def handbook_holds(site: Site, services: Inspected) -> None:
    assert set(services) == {"lint", "html", "index", "site"}
    for later, earlier in (("html", "lint"), ("index", "html"), ("site", "index")):
        after(services, later, earlier)
    assert services["site"][0]["HostConfig"]["ReadonlyRootfs"]
    assert set(services["site"][0]["HostConfig"]["Tmpfs"]) == {"/run", "/var/cache/nginx", "/var/log/nginx"}
    assert services["lint"][0]["HostConfig"]["LogConfig"]["Config"]["max-size"] == "1m"


HANDBOOK = Project(
    name="handbook",
    use=use_handbook,
    read=lambda site: site.get("site", "/1-beginning.html"),
    holds=handbook_holds,
    rest=("./site", "build"),
    once=frozenset({"lint", "html", "index"}),
)


# --- sessions: Redis with replicas, networks' aliases, the newer dialect of limits ----------------------


def use_sessions(site: Site) -> None:
    before = int(data(site, "web", "/jo") or 0)
    site.post("web", "/jo", "in")
    until(lambda: int(data(site, "web", "/jo") or 0) == before + 1, 20, "the session on a replica")


def every_session(site: Site) -> object:
    return data(site, "web")


def sessions_hold(site: Site, services: Inspected) -> None:
    assert len(services["replica"]) == 2
    (api,) = services["api"]
    assert networks(api) == {"data", "web"}
    assert "legacy.example:192.0.2.7" in api["HostConfig"]["ExtraHosts"]
    assert api["HostConfig"]["DnsSearch"] == ["example.internal"]
    assert services["primary"][0]["Config"]["Hostname"] == "primary"
    assert len(site.inside("api", "getent", "ahostsv4", "sessions-read").split("STREAM")) >= 2
    health = services["primary"][0]["Config"]["Healthcheck"]
    assert (health["Interval"], health["Retries"]) == (1_000_000_000, 30)


SESSIONS = Project(
    name="sessions",
    use=use_sessions,
    read=every_session,
    holds=sessions_hold,
    ports=("SESSIONS_PORT",),
    limits={name: {"Memory": 64 << 20, "NanoCpus": 500_000_000} for name in ("primary", "replica")},
    watched=True,
)


# --- voting: two fixed ports, fixed names, PostgreSQL with its schema, a worker in bash, a profile -------


def use_voting(site: Site) -> None:
    before = votes(site)
    site.post("vote", "/", f"voter{sum(before.values())} cats")
    until(lambda: votes(site).get("cats", 0) == before.get("cats", 0) + 1, 40, "the vote's count")


def votes(site: Site) -> dict[str, int]:
    lines = [line.split() for line in site.get("result").splitlines()]
    return {choice: int(count) for choice, count in lines}


def voting_holds(site: Site, services: Inspected) -> None:
    assert set(services) == {"vote", "result", "worker", "redis", "db"}
    assert site.get("vote") == "cats or dogs"
    assert any("`redis`: redis:7.0 keeps data in /data" in one for one in site.warnings)
    assert site.address("result", 80).endswith(":" + site.env["RESULT_PORT"])
    assert networks(services["vote"][0]) == {"front-tier", "back-tier"}


VOTING = Project(
    name="voting",
    use=use_voting,
    read=votes,
    holds=voting_holds,
    ports=("VOTE_PORT", "RESULT_PORT"),
    watched=True,
)


EVERY = (
    *(GUESTBOOK, SHOP, BLOG, ORDERS, TELEMETRY, GALLERY),
    *(PAGES, MONOREPO, NOTES, HANDBOOK, SESSIONS, VOTING),
)
