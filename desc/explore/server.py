"""`ExploreServer`: local web server of the map, protected by a token."""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import secrets
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from desc.errors import ConfigurationError, DescError
from desc.explore.atlas import Atlas
from desc.report.page import fill, template

logger = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
TOKEN_BYTES = 24
MAX_CONNECTIONS = 32
TIMEOUT_S = 20.0
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
SCRIPTS = (
    ("common.js", "desc.report"),
    ("cloud.js", "desc.explore"),
    ("explore.js", "desc.explore"),
)
BINARY = "application/octet-stream"


class ExploreServer(ThreadingHTTPServer):
    """HTTP server of one atlas on 127.0.0.1; it reads only files that the database names.

    Every path starts with a random token. Requests with another host name are refused, because a
    foreign page could point its name to this address (DNS rebinding), and so are requests of pages
    from elsewhere (`Origin`). At most `MAX_CONNECTIONS` are served at once; one that is silent for
    `TIMEOUT_S` is closed.

    Parameters
    ----------
    atlas : Atlas
        The map.
    port : int
        0: any free port.

    Attributes
    ----------
    url : str
        Address of the page.

    Raises
    ------
    ConfigurationError
        If the port is taken.
    """

    daemon_threads = True
    allow_reuse_address = False

    def __init__(self, atlas: Atlas, port: int = 0) -> None:
        self.atlas = atlas
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigurationError(f"port={port} cannot be used: {error}") from error
        self.hosts = {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self.url = f"http://{ADDRESS}:{self.server_port}/{self.token}/"
        self.page = fill(
            template("explore.html", "desc.explore"),
            title=f"{atlas.database.root.name} – desc explore",
            scripts=[template(name, package) for name, package in SCRIPTS],
            data=atlas.about(),
            policy="; connect-src 'self'",
        ).encode()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own; refuse it if there are too many."""
        request.settimeout(TIMEOUT_S)
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            with contextlib.suppress(OSError):
                request.send(BUSY)
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection until it is closed."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log a request that failed in one line; a connection that breaks off is no failure."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            logger.warning("a request failed: %r", error)

    def answer(self, name: str, query: dict[str, str]) -> tuple[bytes, str] | None:
        """Return body and media type of a path after the token, None if there is no such path.

        Raises
        ------
        DescError
            If the query is wrong, or a file cannot be read.
        """
        if name == "":
            return self.page, "text/html; charset=utf-8"
        if name == "points":
            return self.atlas.points(), BINARY
        if name == "column":
            return self.atlas.column(query.get("name", "")), BINARY
        if name == "grain":
            try:
                numbers = [int(query[key]) for key in ("file", "centre", "ms")]
            except (KeyError, ValueError) as error:
                raise ConfigurationError(f"grain needs file, centre and ms: {error}") from error
            return self.atlas.grain(*numbers), "audio/wav"
        return None


class _Handler(BaseHTTPRequestHandler):
    server: ExploreServer
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # 0.9 has no status line, also not for an error
    server_version, sys_version = "desc", ""

    def do_GET(self) -> None:
        """Answer a request."""
        try:
            parts = urlsplit(self.path)
            _, token, *names = parts.path.split("/")
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        except ValueError:
            self._send(400, b"", "text/plain")
            return
        host, origin = self.headers.get("Host"), self.headers.get("Origin", "")
        known = host in self.server.hosts and origin in ("", f"http://{host}")
        if not known or not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._send(404, b"", "text/plain")
            return
        try:
            found = self.server.answer("/".join(names), query)
        except DescError as error:
            self._send(400, json.dumps({"error": str(error)}).encode(), "application/json")
            return
        if found is None:
            self._send(404, b"", "text/plain")
        else:
            self._send(200, *found)

    def _send(self, status: int, body: bytes, media_type: str) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": media_type,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the page was closed

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal quiet."""
