"""`LocalServer`: web server of a page on this machine, protected by a token."""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import secrets
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any, Protocol
from urllib.parse import parse_qs, quote, urlsplit

from desc.errors import ConfigurationError, DescError

logger = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
TOKEN_BYTES = 24
MAX_CONNECTIONS = 32
TIMEOUT_S = 20.0
POLL_S = 0.05
MAX_JSON_BYTES = 1 << 20
MAX_UNREAD_BYTES = 1 << 28
"""Content of a refused request that is read to its end."""
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
JSON, HTML, BINARY = "application/json", "text/html; charset=utf-8", "application/octet-stream"
WAV = "audio/wav"


class Body:
    """Content of a request, read in pieces.

    Parameters
    ----------
    stream : file
        The connection.
    n_bytes : int
        Length of the content.

    Attributes
    ----------
    n_left : int
        Bytes that are not read yet.
    """

    def __init__(self, stream: BufferedIOBase, n_bytes: int) -> None:
        self._stream, self.n_left = stream, n_bytes

    def read(self, n_bytes: int) -> bytes:
        """Return the next bytes, fewer at the end or where the connection breaks off."""
        found = self._stream.read(min(n_bytes, self.n_left))
        self.n_left = self.n_left - len(found) if found else 0
        return found


@dataclass(frozen=True)
class Request:
    """A request to a room.

    Attributes
    ----------
    method : str
        GET or POST.
    path : str
        The path after the token.
    query : dict of str to str
        Values after the question mark; of several with one name, the last.
    body : Body
        Content of a POST.
    """

    method: str
    path: str
    query: dict[str, str]
    body: Body

    def json(self) -> dict[str, Any]:
        """Return the content as a JSON object.

        Raises
        ------
        ConfigurationError
            If it is none.
        """
        try:
            content = json.loads(self.body.read(MAX_JSON_BYTES))
            if not isinstance(content, dict):
                raise ValueError("no object")
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"the request is not a JSON object: {error}") from error
        return content


@dataclass(frozen=True)
class Answer:
    """An answer: content and media type, or a stream of events (server-sent events).

    A sandboxed page has an origin of its own: its scripts cannot make requests to the room.
    """

    body: bytes = b""
    media_type: str = JSON
    file_name: str = ""
    sandboxed: bool = False
    events: Iterator[bytes] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, value: Any) -> Answer:
        """Return a JSON value as an answer."""
        return cls(json.dumps(value, allow_nan=False).encode())


class Room(Protocol):
    """A page and its data."""

    def answer(self, request: Request) -> Answer | None:
        """Return the answer to a request; None if there is no such path."""


class LocalServer(ThreadingHTTPServer):
    """HTTP server of a room on 127.0.0.1.

    Every path starts with a random token. Requests with another host name are refused, because a
    foreign page could point its name to this address (DNS rebinding), and so are requests of pages
    from elsewhere (`Origin`). At most `MAX_CONNECTIONS` are served at once; one that is silent for
    `TIMEOUT_S` is closed.

    Parameters
    ----------
    room : Room
        Answers the requests.
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

    def __init__(self, room: Room, port: int = 0) -> None:
        self.room = room
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"port {port} on {ADDRESS} cannot be used: {error}; 0 takes any free one"
            ) from error
        self.hosts = {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self.url = f"http://{ADDRESS}:{self.server_port}/{self.token}/"

    @contextlib.contextmanager
    def in_background(self) -> Iterator[LocalServer]:
        """Serve in a thread of its own, until the `with` block ends."""
        with self:
            thread = threading.Thread(target=self.serve_forever, args=(POLL_S,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                self.shutdown()
                thread.join()

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


class _Handler(BaseHTTPRequestHandler):
    server: LocalServer
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # 0.9 has no status line, also not for an error
    server_version, sys_version = "desc", ""

    def do_GET(self) -> None:
        """Answer a request for data."""
        self._answer()

    def do_POST(self) -> None:
        """Answer a request that changes something."""
        self._answer()

    def _answer(self) -> None:
        request = self._request()
        if request is None:
            return
        try:
            found = self.server.room.answer(request)
        except DescError as error:
            self._refuse(request, str(error))
            return
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            self._refuse(request, f"{where}{error.strerror or error}")
            return
        except Exception as error:
            logger.warning("a request failed: %r", error)
            self._refuse(request, f"unexpected error: {type(error).__name__}: {error}", 500)
            return
        if found is None:
            self._send(404, Answer())
        elif found.events is not None:
            self._stream(found.events)
        else:
            self._send(200, found)

    def _refuse(self, request: Request, message: str, status: int = 400) -> None:
        """Send an error; a browser reads it only when its own content has been read."""
        for _ in range(MAX_UNREAD_BYTES // MAX_JSON_BYTES):
            if not request.body.read(MAX_JSON_BYTES):
                break
        self._send(status, Answer.of({"error": message}))

    def _request(self) -> Request | None:
        """Return the request if it comes from this machine's page; else refuse it."""
        self.close_connection = self.close_connection or self.command == "POST"
        try:
            parts = urlsplit(self.path)
            _, token, *names = parts.path.split("/")
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            n_bytes = int(self.headers.get("Content-Length", 0))
        except ValueError:
            self._send(400, Answer())
            return None
        host, origin = self.headers.get("Host"), self.headers.get("Origin", "")
        known = host in self.server.hosts and origin in ("", f"http://{host}")
        if not known or not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._send(404, Answer())
            return None
        body = Body(self.rfile, max(0, n_bytes))
        return Request(self.command, "/".join(names), query, body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        headers |= {
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _send(self, status: int, answer: Answer) -> None:
        headers = {"Content-Type": answer.media_type, "Content-Length": str(len(answer.body))}
        if answer.file_name:
            name = quote(answer.file_name)
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
        if answer.sandboxed:
            headers["Content-Security-Policy"] = "sandbox allow-scripts"
        try:
            self._head(status, headers)
            self.wfile.write(answer.body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the page was closed

    def _stream(self, events: Iterator[bytes]) -> None:
        self.close_connection = True
        try:
            self._head(200, {"Content-Type": "text/event-stream"})
            for event in events:
                self.wfile.write(event)
                self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            return  # the page was closed

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal quiet."""
