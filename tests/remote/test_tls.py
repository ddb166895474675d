"""An engine behind TLS, as docker's documentation has it: each side shows a certificate that both trust."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from far import FarEngine
from far_command import FarCli

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def openssl(words: str, folder: Path) -> None:
    subprocess.run(["openssl", *words.split()], check=True, capture_output=True, cwd=folder, timeout=60)


def authority(folder: Path) -> None:
    """Who is trusted."""
    folder.mkdir()
    openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca-key.pem -out ca.pem", folder)


def certificate(folder: Path, name: str, use: str, key: str) -> None:
    """What one side shows, of that authority.

    Args:
        name: Of the side: an address.
        use: clientAuth or serverAuth.
        key: Name of the key's file; the certificate's has `cert` where this has `key`.
    """
    (folder / "extensions").write_text(f"subjectAltName=IP:{name}\nextendedKeyUsage={use}\n")
    openssl(f"req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {key} -out request", folder)
    shown = {"key.pem": "cert.pem", "server-key.pem": "server.pem"}[key]
    signed = "-CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile extensions"
    openssl(f"x509 -req -in request {signed} -out {shown}", folder)


@pytest.fixture
def secured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FarCli]:
    """The command line on such an engine, with the certificates in its environment."""
    archive = tmp_path / "images.tar"
    subprocess.run(["docker", "save", "-o", str(archive), "busybox:1.35"], check=True, timeout=120)
    engine = FarEngine(images=archive, secured=True)
    try:
        authority(engine.tls)
        certificate(engine.tls, engine.address, "serverAuth", "server-key.pem")
        certificate(engine.tls, "127.0.0.1", "clientAuth", "key.pem")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(engine.tls))
        engine.start()
        (tmp_path / "checkout" / ".git").mkdir(parents=True)
        command = FarCli(home=tmp_path / "home", checkout=tmp_path / "checkout", far=engine)
        yield command
        command.end_all()
    finally:
        engine.close()


def test_an_engine_behind_tls_is_used_and_who_has_no_certificate_is_told_so(
    secured: FarCli, tmp_path: Path
) -> None:
    up = secured("up", "hello", "--json").ok().data
    assert up["engine_host"] == secured.far.host
    assert secured("status", "hello").ok().out
    assert secured("exec", "-T", "hello", "web", "echo", "there").ok().out == "there\n"
    assert secured("run", "busybox:1.35", "--", "sh", "-c", "exit 5").code == 5
    found = {one["check"]: one for one in secured("doctor", "--json").data["checks"]}
    assert found["remote engine"]["state"] == "passed"
    secured("down", "hello").ok()
    secured("purge", "hello", "--yes").ok()

    plain = secured("up", "hello", DOCKER_TLS_VERIFY="")
    assert plain.code == 4
    assert "DOCKER_TLS_VERIFY" in plain.err
    other = tmp_path / "other"
    authority(other)
    certificate(other, "127.0.0.1", "clientAuth", "key.pem")
    unknown = secured("up", "hello", DOCKER_CERT_PATH=str(other))
    assert unknown.code == 4
    assert "certificate" in unknown.err
    shutil.rmtree(other)
    missing = secured("up", "hello", DOCKER_CERT_PATH=str(other))
    assert missing.code == 4
    assert str(other) in missing.err
