"""Points 30 to 35 of docs/installers.md: networks, distributions, machines and Docker as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from installer import FAILING, Machine, served, shell_words, small_release, tree

CLIENTS = ("curl", "wget", "busybox", "python")
TOOLS_OF_DISTRIBUTIONS = {
    "apt-get": "sudo apt-get install -y python3",
    "dnf": "sudo dnf install -y python3",
    "apk": "sudo apk add python3",
    "pacman": "sudo pacman -S python",
    "zypper": "sudo zypper in python3",
    "brew": "brew install python@3.13",
}


@pytest.mark.slow
class TestPoint30:
    @pytest.mark.parametrize("client", CLIENTS)
    def test_point_30_any_client_will_do(self, machine: Machine, small: Path, client: str) -> None:
        machine.fetch_with(client)
        with served(small) as server:
            script = (small / "install.sh").read_bytes()
            done = machine.pipe(script, "-v", "--base-url", server.url, "--insecure-test")
        assert done.returncode == 0, done.stderr
        assert f"with {client}\n" in done.stderr

    @pytest.mark.parametrize("client", ["curl", "wget"])
    def test_point_30_what_was_cut_off_goes_on(self, machine: Machine, small: Path, client: str) -> None:
        machine.fetch_with(client)
        with served(small) as server:

            def cut(answer: Any) -> bool:
                if len(server.asked) > 1:
                    return False
                content = (small / answer.path.lstrip("/")).read_bytes()
                answer.send_response(200)
                answer.send_header("Content-Length", str(len(content)))
                answer.end_headers()
                answer.wfile.write(content[: len(content) // 2])
                answer.wfile.flush()
                answer.connection.shutdown(2)
                return True

            server.misbehave = cut
            script = (small / "install.sh").read_bytes()
            done = machine.pipe(script, "--base-url", server.url, "--insecure-test")
            asked = server.asked
        assert done.returncode == 0, done.stderr
        assert len(asked) == 2
        assert asked[1][1].startswith("bytes=")

    @pytest.mark.parametrize("other", ["wget", "python"])
    def test_point_30_a_curl_that_cannot_write_is_left_out(
        self, machine: Machine, small: Path, other: str
    ) -> None:
        """Snap's curl is known by its place, for which a folder of the test stands."""
        machine.stand_in("curl", "exit 23")
        (machine.root / "snap").mkdir()
        (machine.tools / "curl").rename(machine.root / "snap" / "curl")
        if other == "wget":
            machine.give("wget")
        script = (small / "install.sh").read_bytes()
        assert script.count(b"/snap/") == 1
        script = script.replace(b"/snap/", f"{machine.root}/snap/".encode())
        with served(small) as server:
            path = f"{machine.root}/snap:{machine.tools}"
            options = ("-v", "--base-url", server.url, "--insecure-test")
            done = machine.pipe(script, *options, env={"PATH": path})
        assert done.returncode == 0, done.stderr
        assert f"with {other}\n" in done.stderr
        assert machine.calls == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "word"),
    [
        (5, "proxy"),
        (6, "DNS"),
        (7, "proxy"),
        (22, "no such file"),
        (28, "too long"),
        (35, "TLS"),
        (60, "CURL_CA_BUNDLE"),
    ],
)
def test_point_31_each_trouble_of_curl_has_its_remedy(
    machine: Machine, small: Path, code: int, word: str
) -> None:
    machine.stand_in("sleep")
    machine.stand_in("curl", f'echo "$https_proxy $HOME" >>"{machine.root}/seen"; exit {code}')
    environ = {"https_proxy": "http://proxy.test:1"}
    script = (small / "install.sh").read_bytes()
    done = machine.pipe(script, "--base-url", "https://example.test", env=environ)
    assert (done.returncode, word in done.stderr.splitlines()[-1]) == (4, True), done.stderr
    assert set((machine.root / "seen").read_text().splitlines()) == {f"http://proxy.test:1 {machine.home}"}
    assert not [call for call in machine.calls if " -q" in call]
    tries = 1 if code in (22, 60) else 3
    assert [call for call in machine.calls if call.startswith("sleep")] == ["sleep 1", "sleep 2"][: tries - 1]
    assert len([call for call in machine.calls if call.startswith("curl")]) == tries
    assert tree(machine.home) == {}


class TestPoint32:
    @pytest.mark.slow
    @pytest.mark.parametrize("way", ["folder", "bundle", "url", "environment", "beside", "inside"])
    def test_point_32_no_network_is_needed(
        self, machine: Machine, small: Path, way: str, tmp_path: Path
    ) -> None:
        for name in ("curl", "wget"):
            machine.stand_in(name, "exit 1")
        (bundle,) = small.glob("*.tar.gz")
        elsewhere = tmp_path / "else where"
        elsewhere.mkdir()
        shutil.copy(bundle, elsewhere)
        options = {
            "folder": ["--from", str(elsewhere)],
            "bundle": ["--from", str(elsewhere / bundle.name)],
            "url": ["--base-url", f"file://{elsewhere}"],
        }.get(way, [])
        script = (small / "install.sh").read_bytes()
        if way in ("beside", "inside"):
            (elsewhere / "install.sh").write_bytes(
                script.replace(b"BASE_URL=''", b"BASE_URL='https://a.test'")
            )
            here = elsewhere if way == "inside" else None
            child = machine.start(Path("install.sh") if here else elsewhere / "install.sh", cwd=here)
            stderr = child.communicate(timeout=120)[1]
            assert child.returncode == 0, stderr
        else:
            env = {"STACKCTL_BASE_URL": f"file://{elsewhere}"} if way == "environment" else {}
            done = machine.pipe(script, *options, env=env)
            assert done.returncode == 0, done.stderr
        assert machine.version() == "1.0.0"
        assert machine.calls == []

    def test_point_32_a_bundle_from_elsewhere_is_checked_too(
        self, machine: Machine, small: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "bundle.tar.gz").write_bytes(b"something else")
        done = machine.install(small, "--from", str(tmp_path / "bundle.tar.gz"))
        assert done.returncode == 5

    @pytest.mark.parametrize("options", [(), ("--dry-run",)])
    def test_point_32_a_folder_without_a_release_says_what_writes_one(
        self, machine: Machine, small: Path, options: tuple[str, ...]
    ) -> None:
        script = (small / "install.sh").read_bytes()
        done = machine.pipe(script, "--from", str(machine.work), *options)
        assert done.returncode == 4
        (bundle,) = small.glob("*.tar.gz")
        said = f"error: there is no {bundle.name} in {machine.work}\nhint: make dist writes it\n"
        assert done.stderr == said

    @pytest.mark.slow
    def test_point_32_the_real_release_needs_no_network(self, machine: Machine, real: Path) -> None:
        """In a network name space without any network."""
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        argv = [str(shutil.which("unshare")), *user, "--net", *shell_words("dash"), str(real / "install.sh")]
        done = subprocess.run(
            [*argv, "--from", str(real)], env=machine.env(), capture_output=True, text=True, timeout=250
        )
        assert done.returncode == 0, done.stderr
        templates = subprocess.run(
            [str(machine.launcher), "templates"], env=machine.env(), capture_output=True, text=True
        )
        assert "hello" in templates.stdout


class TestPoint33:
    @pytest.mark.parametrize("tool", TOOLS_OF_DISTRIBUTIONS)
    def test_point_33_what_is_missing_comes_with_the_command(
        self, machine: Machine, small: Path, tool: str
    ) -> None:
        machine.take("python3")
        machine.stand_in(tool)
        done = machine.install(small)
        assert done.returncode == 3
        assert done.stderr.splitlines()[-1] == f"hint: {TOOLS_OF_DISTRIBUTIONS[tool]}"
        assert machine.calls == []
        assert tree(machine.home) == {}

    def test_point_33_an_old_python_is_none(self, machine: Machine, small: Path) -> None:
        machine.stand_in("python3", "exit 1")
        assert machine.install(small).returncode == 3
        assert machine.install(small, "--python", str(machine.tools / "python3")).returncode == 3

    def test_point_33_without_venv_its_package_is_named(self, machine: Machine, small: Path) -> None:
        python = (machine.tools / "python3").readlink()
        machine.stand_in("apt-get")
        body = f'case $* in *"import venv"*) exit 1 ;; esac; exec {python} "$@"'
        machine.stand_in("python3", body)
        done = machine.install(small)
        assert done.returncode == 3
        assert "sudo apt-get install -y python3-venv" in done.stderr

    @pytest.mark.slow
    def test_point_33_what_the_environment_wants_of_python_is_not_done(
        self, machine: Machine, small: Path
    ) -> None:
        """Folders of modules, places for packages, files that everybody may write."""
        (machine.work / "modules").mkdir()
        for name in ("shlex", "zipfile", "json"):
            (machine.work / "modules" / f"{name}.py").write_text("raise SystemExit('not this one')\n")
        machine.environ |= {"PYTHONPATH": str(machine.work / "modules"), "PYTHONHOME": "/nonexistent"}
        before = os.umask(0)
        try:
            done = machine.install(small, "--modify-path")
        finally:
            os.umask(before)
        assert done.returncode == 0, done.stderr
        loose = [
            path for path in machine.home.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o22
        ]
        assert loose == []

    @pytest.mark.slow
    def test_point_33_without_ensurepip_it_installs(self, machine: Machine, real: Path) -> None:
        """As on Debian without python3-venv: the module that brings pip is hidden."""
        python = str((machine.tools / "python3").readlink())
        words = [python, "-c", "import ensurepip; print(ensurepip.__path__[0])"]
        hidden = subprocess.run(words, capture_output=True, text=True).stdout.strip()
        if hidden:
            machine.give("mount")
            user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
            line = f'mount -t tmpfs tmpfs "{hidden}" && ! {python} -m ensurepip --version && exec "$@"'
            argv = [str(shutil.which("unshare")), *user, "--mount", "sh", "-c", line, "sh"]
        else:
            argv = []
        done = subprocess.run(
            [*argv, *shell_words("dash"), str(real / "install.sh"), "--from", str(real)],
            env=machine.env(),
            capture_output=True,
            text=True,
            timeout=250,
        )
        assert done.returncode == 0, done.stderr


MACHINES = [
    ("Linux x86_64", "5.15", "", "", "bundle"),
    ("Linux aarch64", "5.15", "", "", "index"),
    ("Linux armv7l", "5.15", "", "", "index"),
    ("Linux riscv64", "5.15", "", "", "index"),
    ("Linux x86_64", "5.15", "musl libc (x86_64)", "", "index"),
    ("Linux x86_64", "5.15", "", "32", "index"),
    ("Linux x86_64", "5.15.90.1-microsoft-standard-WSL2", "", "", "bundle"),
    ("Linux x86_64", "4.4.0-19041-Microsoft", "", "", "WSL 1"),
    ("Linux sparc64", "5.15", "", "", "knows no sparc64"),
    ("Darwin arm64", "22.1", "", "", "index"),
    ("Darwin x86_64", "22.1", "", "", "index"),
    ("FreeBSD amd64", "13.2", "", "", "not on FreeBSD"),
    ("SunOS i86pc", "5.11", "", "", "knows no i86pc"),
    ("Android aarch64", "5.15", "", "", "does not run on Android"),
    ("MINGW64_NT-10.0 x86_64", "3.4", "", "", "not on MINGW64"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kernel", "libc", "bits", "expected"), MACHINES)
def test_point_34_every_machine_is_known_or_refused(
    machine: Machine, small: Path, name: str, kernel: str, libc: str, bits: str, expected: str
) -> None:
    system, _, hardware = name.partition(" ")
    says = "Linux" if system == "Android" else system
    android = "Android" if system == "Android" else "GNU/Linux"
    answers = {"-s": says, "-m": hardware, "-r": kernel, "-o": android}
    cases = " ".join(f"{option}) echo {word} ;;" for option, word in answers.items())
    machine.stand_in("uname", f"case $1 in {cases} esac")
    machine.stand_in("ldd", f'echo "{libc or "ldd (GNU libc) 2.36"}" >&2')
    machine.stand_in("getconf", f"echo {bits or 64}")
    machine.stand_in("sysctl", "echo 1")
    done = machine.install(small, "--dry-run")
    assert done.returncode == (0 if expected in ("bundle", "index") else 3)
    words = {"bundle": "take stackctl-1.0.0-linux", "index": "from the index that pip or uv is set up with"}
    assert words.get(expected, expected) in done.stderr


@pytest.mark.slow
class TestPoint35:
    def test_point_35_what_doctor_finds_is_said_and_the_rest_done(
        self, machine: Machine, tmp_path: Path
    ) -> None:
        release = small_release(tmp_path / "release", "1.0.0", checks=FAILING)
        done = machine.install(release)
        assert done.returncode == 0
        assert "warning: daemon: no daemon answers\nhint: start it\n" in done.stderr

    @pytest.mark.parametrize("docker", ["absent", "down", "no compose"])
    def test_point_35_the_real_doctor_looks(self, machine: Machine, real: Path, docker: str) -> None:
        if docker != "absent":
            machine.give("docker")
        environ = {"DOCKER_HOST": f"unix://{machine.root}/none.sock"} if docker == "down" else {}
        if docker == "no compose":
            machine.stand_in("docker", f'[ "$1" != compose ] || exit 1; exec {shutil.which("docker")} "$@"')
        before = tree(machine.root)
        done = machine.install(real, env=environ)
        assert done.returncode == 0, done.stderr
        words = {"absent": "docker command: ", "down": "daemon: ", "no compose": "compose: "}[docker]
        assert f"warning: {words}" in done.stderr
        assert machine.install(real, "--uninstall").returncode == 0
        (machine.root / "calls").unlink(missing_ok=True)
        assert tree(machine.root) == before
