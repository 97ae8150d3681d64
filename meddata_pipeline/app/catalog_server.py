"""The catalogue on this machine's own address: a read-only server of what is published.

What belongs here: which files may be asked for. What does not: pages (catalog). Served are ``<home>/catalog``, the
folders of committed versions and their attestations; everything else of the home, above all restricted/, does not exist
for it.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

HOST = "127.0.0.1"
_TYPES = {".ttl": "text/turtle", ".jsonld": "application/ld+json", ".parquet": "application/vnd.apache.parquet"}


def published_file(home: Path, address: str) -> Path | None:
    """The file behind an address of the site, or None if nothing published lies there.

    Args:
        home: the home folder.
        address: path of the request, percent-encoded.
    """
    parts = [part for part in unquote(urlsplit(address).path).split("/") if part]
    if any(part in (".", "..") or "\\" in part or "\0" in part or part.startswith(".") for part in parts):
        return None
    match parts:
        case ["catalog", *_]:
            root = home / "catalog"
        case ["products", product, version, *_] if _committed(home, product, version):
            root = home / "products" / product / version
        case ["products", product, "attestations", version, _] if _committed(home, product, version):
            root = home / "products" / product / "attestations" / version
        case _:
            return None
    path = home.joinpath(*parts)
    if path.is_dir():
        path = path / "index.html"
    # Resolved on both sides: a link inside a published folder must not lead out of it.
    if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
        return None
    return path


def _committed(home: Path, product: str, version: str) -> bool:
    number = version.rpartition(".")[2]
    record = home / "products" / product / "commits" / f"{number}.json"
    if not number.isdecimal() or not record.is_file():
        return False
    return bool(json.loads(record.read_bytes())["version"] == version)


def server(home: Path, port: int) -> ThreadingHTTPServer:
    """A server of the catalogue on 127.0.0.1; `serve_forever` starts it.

    Args:
        home: the home folder.
        port: 0 takes any free one.

    Raises:
        OSError: the port is taken.
    """

    class Handler(SimpleHTTPRequestHandler):
        def send_head(self) -> Any:
            # A page elsewhere that resolves its own name to this machine must not read the catalogue through a browser.
            if (self.headers.get("Host") or "").rpartition(":")[0] not in (HOST, "localhost"):
                self.send_error(HTTPStatus.FORBIDDEN)
                return None
            if urlsplit(self.path).path == "/":
                self.send_response(HTTPStatus.FOUND)
                self.send_header("Location", "/catalog/index.html")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None
            path = published_file(home, self.path)
            if path is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return None
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", self.guess_type(path))
            self.send_header("Content-Length", str(path.stat().st_size))
            self.end_headers()
            return path.open("rb")

        def end_headers(self) -> None:
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cache-Control", "no-cache")
            super().end_headers()

        def guess_type(self, path: Any) -> str:
            return _TYPES.get(Path(path).suffix) or super().guess_type(path)

        def log_message(self, *_: Any) -> None:
            """Say nothing: who asked for what is nobody's business."""

    return ThreadingHTTPServer((HOST, port), Handler)
