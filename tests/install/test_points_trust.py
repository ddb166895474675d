"""Points 7 to 14 of docs/installers.md: what is trusted, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from installer import ROOT, Machine, served, tree

import stackctl


def baked(release: Path, **facts: str) -> bytes:
    """The script of a release in which some facts say something else."""
    text = (release / "install.sh").read_text()
    for name, value in facts.items():
        text, count = re.subn(rf"^ *{name}='.*'$", f"    {name}='{value}'", text, flags=re.MULTILINE)
        assert count == 1
    return text.encode()


@pytest.mark.parametrize("wrong", ["0" * 64, "", "0" * 63, "deadbeef"])
def test_point_07_a_wrong_or_missing_sum_installs_nothing(machine: Machine, small: Path, wrong: str) -> None:
    done = machine.pipe(baked(small, BUNDLE_SHA256=wrong), "--from", str(small))
    assert done.returncode == 5
    assert "SHA-256" in done.stderr
    assert tree(machine.home) == {}
    assert tree(machine.temporary) == {}


def test_point_07_without_the_line_of_the_sum_nothing_is_installed(machine: Machine, small: Path) -> None:
    script = re.sub(rb"\n *BUNDLE_SHA256=.*", b"", (small / "install.sh").read_bytes())
    assert machine.pipe(script, "--from", str(small)).returncode != 0
    assert tree(machine.home) == {}


def test_point_07_one_changed_byte_is_refused(machine: Machine, small: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(small, other)
    (bundle,) = other.glob("*.tar.gz")
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    done = machine.install(other)
    assert done.returncode == 5
    assert tree(machine.home) == {}


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["sha256sum", "shasum", "openssl", "python3"])
def test_point_08_any_tool_checks(machine: Machine, small: Path, tool: str) -> None:
    machine.take("sha256sum")
    if tool != "python3":
        machine.give(tool)
    if tool in ("shasum", "openssl") and not shutil.which(tool):
        pytest.fail(f"this test needs {tool}")
    assert machine.pipe(baked(small, BUNDLE_SHA256="0" * 64), "--from", str(small)).returncode == 5
    assert machine.install(small).returncode == 0


@pytest.mark.parametrize("body", ["", "exit 1", "echo nonsense"])
def test_point_08_a_tool_that_does_not_work_is_no_pass(machine: Machine, small: Path, body: str) -> None:
    machine.stand_in("sha256sum", body)
    done = machine.install(small)
    assert done.returncode == 5
    assert machine.calls
    assert tree(machine.home) == {}


def test_point_07_an_answer_of_nothing_is_no_match_for_a_sum_of_nothing(
    machine: Machine, small: Path
) -> None:
    machine.stand_in("sha256sum")
    assert machine.pipe(baked(small, BUNDLE_SHA256=""), "--from", str(small)).returncode == 5
    assert tree(machine.home) == {}


def test_point_08_without_any_tool_it_ends(machine: Machine, small: Path) -> None:
    machine.take("sha256sum", "python3")
    assert machine.install(small).returncode == 3
    assert tree(machine.home) == {}


@pytest.mark.parametrize(
    "url",
    [
        "http://example.test/x",
        "ftp://example.test/x",
        "example.test",
        "http://127.0.0.1@example.test/",
        "http://127.0.0.1:80@example.test/",
        "http://127.0.0.1.example.test/",
        "http://localhost.example.test/",
    ],
)
@pytest.mark.parametrize("options", [(), ("--insecure-test",)])
def test_point_09_a_place_that_is_not_https_is_refused(
    machine: Machine, small: Path, url: str, options: tuple[str, ...]
) -> None:
    machine.stand_in("curl")
    script = (small / "install.sh").read_bytes()
    assert machine.pipe(script, "--base-url", url, *options).returncode == 2
    assert machine.calls == []


def test_point_09_loopback_needs_a_word(machine: Machine, small: Path) -> None:
    done = machine.pipe((small / "install.sh").read_bytes(), "--base-url", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert "--insecure-test" in done.stderr


def test_point_09_curl_may_use_https_only(machine: Machine, small: Path) -> None:
    machine.stand_in("curl", "exit 22")
    done = machine.pipe((small / "install.sh").read_bytes(), "--base-url", "https://example.test")
    assert done.returncode == 4
    assert len(machine.calls) == 1
    for words in ("--proto =https ", "--proto-redir =https ", "--tlsv1.2 ", "-fsSL "):
        assert words in machine.calls[0]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine's loopback that nobody trusts by himself, with its key."""
    path = tmp_path_factory.mktemp("tls") / "pair.pem"
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext"
    argv = [*words.split(), "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(argv, check=True, capture_output=True)
    with path.open("a") as file:
        file.write(Path(f"{path}.crt").read_text())
    return path


@pytest.mark.slow
@pytest.mark.parametrize("client", ["curl", "python"])
def test_point_09_from_https_nothing_leads_back_to_http(
    machine: Machine, small: Path, certificate: Path, client: str
) -> None:
    """By a real server with TLS: it is trusted when it is named so, and may redirect to its like alone."""
    machine.fetch_with(client)
    trust = {"CURL_CA_BUNDLE": f"{certificate}.crt", "SSL_CERT_FILE": f"{certificate}.crt"}
    script = (small / "install.sh").read_bytes()
    with served(small) as plain, served(small, certificate) as server:
        base = ["--base-url", server.url.replace("http:", "https:")]
        target = [plain.url]

        def redirect(answer: object) -> bool:
            path = answer.path  # type: ignore[attr-defined]
            if path.startswith("/there"):
                answer.path = path.removeprefix("/there")  # type: ignore[attr-defined]
                return False
            answer.send_response(302)  # type: ignore[attr-defined]
            answer.send_header("Location", f"{target[0]}/there{path}")  # type: ignore[attr-defined]
            answer.end_headers()  # type: ignore[attr-defined]
            return True

        server.misbehave = redirect
        machine.stand_in("sleep")
        assert machine.pipe(script, *base, env=trust).returncode == 4
        assert plain.asked == []
        target[0] = base[1]
        assert machine.pipe(script, *base).returncode == 4  # without a word nobody trusts it
        assert tree(machine.home) == {}
        done = machine.pipe(script, *base, env=trust)
        assert done.returncode == 0, done.stderr
        assert server.asked[-1][0].startswith("/there")


@pytest.mark.slow
def test_point_09_wget_which_cannot_tell_where_it_is_led_follows_nothing(
    machine: Machine, small: Path, tmp_path: Path
) -> None:
    machine.fetch_with("wget")
    (tmp_path / "nothing").mkdir()
    with served(tmp_path / "nothing") as other, served(small) as server:

        def redirect(answer: object) -> bool:
            answer.send_response(302)  # type: ignore[attr-defined]
            answer.send_header("Location", f"{other.url}/there")  # type: ignore[attr-defined]
            answer.end_headers()  # type: ignore[attr-defined]
            return True

        server.misbehave = redirect
        script = (small / "install.sh").read_bytes()
        done = machine.pipe(script, "--base-url", server.url, "--insecure-test")
    assert done.returncode == 4
    assert "or a redirection" in done.stderr
    assert (len(server.asked), other.asked) == (1, [])


@pytest.mark.slow
def test_point_09_what_has_no_hash_here_comes_by_a_client_that_looks_at_certificates(
    machine: Machine, small: Path, certificate: Path
) -> None:
    """The script of another version, which busybox's wget would take from anybody."""
    machine.fetch_with("busybox")
    machine.stand_in("sleep")
    with served(small, certificate) as server:
        base = ["--base-url", server.url.replace("http:", "https:"), "--version", "2.0.0"]
        done = machine.pipe((small / "install.sh").read_bytes(), *base)
    assert done.returncode == 4
    assert "(python ended with" in done.stderr
    assert server.asked == []


def test_point_10_a_web_page_is_never_installed(machine: Machine, small: Path) -> None:
    with served(small) as server:

        def page(answer: object) -> bool:
            text = b"<!doctype html><html>login</html>"
            answer.send_response(200)  # type: ignore[attr-defined]
            answer.send_header("Content-Length", str(len(text)))  # type: ignore[attr-defined]
            answer.end_headers()  # type: ignore[attr-defined]
            answer.wfile.write(text)  # type: ignore[attr-defined]
            return True

        server.misbehave = page
        script = (small / "install.sh").read_bytes()
        done = machine.pipe(script, "--base-url", server.url, "--insecure-test")
    assert done.returncode == 5
    assert "web page" in done.stderr
    assert tree(machine.home) == {}


@pytest.mark.slow
@pytest.mark.parametrize("code", [404, 504])
@pytest.mark.parametrize("client", ["curl", "wget", "busybox", "python"])
def test_point_10_an_error_of_the_server_is_one_of_ours(
    machine: Machine, small: Path, code: int, client: str
) -> None:
    machine.fetch_with(client)
    with served(small) as server:

        def failing(answer: object) -> bool:
            answer.send_error(code)  # type: ignore[attr-defined]
            return True

        server.misbehave = failing
        script = (small / "install.sh").read_bytes()
        done = machine.pipe(script, "--base-url", server.url, "--insecure-test")
    assert done.returncode == 4, done.stderr
    assert f"({client} ended with" in done.stderr
    assert "ended with 139" not in done.stderr
    assert tree(machine.home) == {}


class TestPoint11:
    def test_point_11_an_unsigned_release_is_refused(self, machine: Machine, small: Path) -> None:
        done = machine.install(small, "--verify-signature")
        assert (done.returncode, "is not signed" in done.stderr) == (5, True)

    def test_point_11_without_the_tool_it_ends(self, machine: Machine, small: Path) -> None:
        done = machine.pipe(baked(small, SIGNING_KEY="RWQx"), "--from", str(small), "--verify-signature")
        assert (done.returncode, "minisign" in done.stderr) == (3, True)
        assert tree(machine.home) == {}

    @pytest.mark.parametrize("code", [0, 1])
    def test_point_11_the_signature_decides(
        self, machine: Machine, small: Path, tmp_path: Path, code: int
    ) -> None:
        signed = tmp_path / "signed"
        shutil.copytree(small, signed)
        (signed / "SHA256SUMS.minisig").write_text("signature\n")
        machine.stand_in("minisign", f"exit {code}")
        script = baked(small, SIGNING_KEY="RWQx")
        done = machine.pipe(script, "--from", str(signed), "--verify-signature")
        assert done.returncode == (5 if code else 0), done.stderr
        assert re.fullmatch(r"minisign -Vqm .*/SHA256SUMS -P RWQx", machine.calls[0])

    def test_point_11_signed_sums_of_another_release_are_refused(
        self, machine: Machine, small: Path, tmp_path: Path
    ) -> None:
        signed = tmp_path / "signed"
        shutil.copytree(small, signed)
        (signed / "SHA256SUMS.minisig").write_text("signature\n")
        machine.stand_in("minisign")
        script = baked(small, SIGNING_KEY="RWQx")
        sums = (small / "SHA256SUMS").read_text().splitlines(keepends=True)
        for line in (one for one in sums if not one.endswith("  install.sh\n")):
            other = [f"{'0' * 64}{one[64:]}" if one == line else one for one in sums]
            (signed / "SHA256SUMS").write_text("".join(other))
            done = machine.pipe(script, "--from", str(signed), "--verify-signature")
            assert done.returncode == 5
            assert f"what was signed is another {line.split()[1]}" in done.stderr
        assert tree(machine.home) == {}


def test_point_12_the_hash_of_the_script_is_committed() -> None:
    """`make format` writes it again; a review then sees that the installer was changed."""
    digest = hashlib.sha256((ROOT / "scripts" / "install.sh").read_bytes()).hexdigest()
    assert (ROOT / "scripts" / "install.sha256").read_text() == f"{digest}  install.sh\n"


@pytest.mark.slow
def test_point_12_the_release_says_the_version_of_its_package(real: Path) -> None:
    text = (real / "install.sh").read_text()
    assert f"  VERSION='{stackctl.__version__}'\n" in text
    assert (real / f"stackctl_compose-{stackctl.__version__}-py3-none-any.whl").is_file()
    sums = dict(reversed(line.split("  ")) for line in (real / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == {path.name for path in real.iterdir()} - {"SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((real / name).read_bytes()).hexdigest() == digest
        assert name in ("install.sh",) or f"='{digest}'\n" in text


@pytest.mark.slow
def test_point_12_the_same_commit_gives_the_same_bytes(real: Path, tmp_path: Path) -> None:
    from installer import build

    build(tmp_path / "again")
    assert tree(tmp_path / "again") == tree(real)


@pytest.mark.slow
def test_point_13_nothing_is_run_from_the_temporary_folder(machine: Machine, small: Path) -> None:
    done = machine.install_with_mount(small, "noexec", machine.temporary)
    assert done.returncode == 0, done.stderr
    assert machine.version() == "1.0.0"


def test_point_13_the_temporary_folder_has_a_name_of_its_own_and_goes(machine: Machine, small: Path) -> None:
    machine.take("mktemp")
    real = shutil.which("mktemp")
    machine.stand_in("mktemp", f'{real} "$@"')
    machine.stand_in("sha256sum", f'ls -ld {machine.temporary}/* >>"{machine.root}/modes"; exit 1')
    machine.give("ls")
    machine.install(small)
    assert machine.calls[0] == f"mktemp -d {machine.temporary}/stackctl.XXXXXX"
    assert (machine.root / "modes").read_text().startswith("drwx------")
    assert tree(machine.temporary) == {}


@pytest.mark.parametrize("kind", ["up", "absolute", "link", "folder", "twice"])
def test_point_14_an_archive_that_reaches_out_is_refused(
    machine: Machine, small: Path, tmp_path: Path, kind: str
) -> None:
    (bundle,) = small.glob("*.tar.gz")
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive, tarfile.open(bundle) as good:
        names = {"up": "../evil", "absolute": str(tmp_path / "evil"), "twice": "requirements.txt"}
        entry = tarfile.TarInfo(names.get(kind, "evil"))
        if kind == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        if kind == "folder":
            entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
        for member in good:
            archive.addfile(member, good.extractfile(member))
    content = gzip.compress(raw.getvalue())
    evil = tmp_path / "release"
    evil.mkdir()
    (evil / bundle.name).write_bytes(content)
    script = baked(small, BUNDLE_SHA256=hashlib.sha256(content).hexdigest())
    done = machine.pipe(script, "--from", str(evil))
    assert done.returncode == 5, done.stderr
    assert "cannot be unpacked" in done.stderr
    assert not list(tmp_path.glob("evil"))
    assert tree(machine.home) == {}
    assert tree(machine.temporary) == {}
