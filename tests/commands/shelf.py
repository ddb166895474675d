"""A registry of one test's own on a loopback port: what stands under a tag can be changed, or taken away."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def docker(*words: str) -> str:
    """What a docker command prints; it must not fail."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def digest_of(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


@dataclass
class Shelf:
    """The registry: one image, under a name that nobody else uses.

    Args:
        tags: Tag -> the manifest's digest.
        blobs: Digest -> bytes, manifests too.
    """

    port: int
    name: str = field(default_factory=lambda: f"stackctl-test-{uuid4().hex[:12]}")
    tags: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    @property
    def repository(self) -> str:
        return f"127.0.0.1:{self.port}/{self.name}"

    @property
    def tag(self) -> str:
        return f"{self.repository}:1"

    def put(self, word: str) -> str:
        """Put a busybox with the word in `/word` under the tag; its digest."""
        config, layers = busybox()
        layers.append(_layer({"word": f"{word}\n".encode()}))
        config["rootfs"]["diff_ids"] = [digest_of(one) for one in layers]
        config.pop("history", None)
        parts = [(LAYER, gzip.compress(one, mtime=0)) for one in layers]
        described = [self._blob(*one) for one in ((CONFIG, json.dumps(config).encode()), *parts)]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described[0],
            "layers": described[1:],
        }
        self.tags["1"] = self._blob(MANIFEST, json.dumps(manifest).encode())["digest"]
        return self.tags["1"]

    def _blob(self, kind: str, data: bytes) -> dict[str, Any]:
        digest = digest_of(data)
        self.blobs[digest] = data
        return {"mediaType": kind, "size": len(data), "digest": digest}

    def clear(self) -> None:
        """Take all of it from the engine."""
        for one in set(docker("images", "-q", "--no-trunc", self.repository).split()):
            docker("rmi", "-f", one)


def busybox() -> tuple[dict[str, Any], list[bytes]]:
    """The configuration of busybox, and its layers."""
    saved = subprocess.run(["docker", "save", "busybox:1.35"], capture_output=True, timeout=60, check=True)
    with tarfile.open(fileobj=io.BytesIO(saved.stdout)) as archive:

        def read(path: str) -> bytes:
            found = archive.extractfile(path)
            assert found is not None
            return found.read()

        (about,) = json.loads(read("manifest.json"))
        return json.loads(read(about["Config"])), [read(layer) for layer in about["Layers"]]


def _layer(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


@contextmanager
def open_shelf() -> Iterator[Shelf]:
    """A registry that answers until the end of the block, and images that are gone after it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, _, word = self.path.removeprefix(f"/v2/{shelf.name}/").partition("/")
            data = shelf.blobs.get(shelf.tags.get(word, word), b"")
            self.send_response(200 if data or self.path == "/v2/" else 404)
            if data and kind == "manifests":
                self.send_header("Content-Type", MANIFEST)
                self.send_header("Docker-Content-Digest", digest_of(data))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        do_HEAD = do_GET  # noqa: N815 - the library calls it so

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shelf = Shelf(port=server.server_port)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield shelf
    finally:
        server.shutdown()
        server.server_close()
        shelf.clear()
