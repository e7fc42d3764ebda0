"""A local server with enough of W&B's API for the real client, over HTTP.

It answers the GraphQL operations, `file_stream`, and the PUT and GET of files that `wandb.init`,
`run.log`, `run.save`, `run.finish`, `wandb sync` and `wandb.Api` use. An operation it does not
know fails by name and is kept in `unknown`, so that a test can say which. What it cannot tell:
the schema, permissions and quotas of the real server.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

API_KEY = "0123456789abcdef0123456789abcdef01234567"
ENTITY = "composer"


@dataclass
class StubRun:
    """One run as the server keeps it."""

    entity: str
    project: str
    name: str
    config: str = "{}"
    summary: str = "{}"
    notes: str = ""
    history: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    finished: bool = False
    exit_code: int | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The run's config without W&B's own key."""
        config = json.loads(self.config)
        return {key: value["value"] for key, value in config.items() if key != "_wandb"}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The logged rows without W&B's own columns."""
        rows = [json.loads(line) for line in self.history]
        return [
            {k: v for k, v in row.items() if k == "_step" or not k.startswith("_")} for row in rows
        ]


class WandbStub:
    """The server, as a context manager; attributes set how it misbehaves.

    Attributes
    ----------
    refuse_uploads : bool
        PUT answers 500.
    hang : bool
        Nothing is answered until the server is closed.
    corrupt : bool
        GET of a file sends all bytes of it but the last.
    fail_downloads : bool
        GET of a file answers 500.
    """

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str, str], StubRun] = {}
        self.operations: list[str] = []
        self.unknown: list[str] = []
        self.refuse_uploads = self.hang = self.corrupt = self.fail_downloads = False
        self.closing = threading.Event()
        self.lock = threading.RLock()

    def __enter__(self) -> WandbStub:
        handler = type("Handler", (_Handler,), {"stub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def run(self, run_id: str, project: str = "descriptor_model") -> StubRun:
        """Return the run of the default entity with this id."""
        return self.runs[ENTITY, project, run_id]

    def answer(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Answer one GraphQL operation; KeyError where it is unknown."""
        answers = {
            "Viewer": self._viewer,
            "GetDefaultEntity": self._viewer,
            "GetViewer": self._viewer,
            "ServerFeaturesQuery": lambda _: {"serverInfo": {"features": []}},
            "RunResumeStatus": self._resume_status,
            "OrganizationCoreWeaveOrganizationID": lambda _: {"entity": {"organization": None}},
            "UpsertBucket": self._upsert,
            "CreateRunFiles": self._create_files,
            "MarkRunFilesUploaded": lambda _: {"markRunFilesUploaded": {"success": True}},
            "Run": self._run,
            "RunState": self._run,
            "RunFiles": self._files,
        }
        return answers[operation](variables)

    def _viewer(self, _: dict[str, Any]) -> dict[str, Any]:
        teams = {"edges": [{"node": {"name": ENTITY}}]}
        viewer = {"id": "VXNlcjox", "entity": ENTITY, "username": ENTITY, "email": "a@b.c"}
        return {"viewer": viewer | {"flags": "{}", "teams": teams, "admin": False}}

    def _find(self, v: dict[str, Any]) -> StubRun | None:
        name = v.get("name") or v.get("run")
        return self.runs.get((v.get("entity") or ENTITY, v["project"], str(name)))

    def _resume_status(self, v: dict[str, Any]) -> dict[str, Any]:
        run = self._find(v)
        bucket = None
        if run is not None:
            bucket = self._bucket(run) | {
                "summaryMetrics": run.summary,
                "logLineCount": 0,
                "eventsLineCount": 0,
                "historyTail": json.dumps(run.history[-1:]),
                "eventsTail": "[]",
                "tags": [],
                "notes": run.notes,
                "wandbConfig": json.dumps({"t": json.loads(run.config)["_wandb"]["value"]["t"]}),
            }
        entity = {"id": "RW50aXR5OjE=", "name": v.get("entity") or ENTITY}
        return {
            "model": {"id": "UHI6MQ==", "name": v["project"], "entity": entity, "bucket": bucket}
        }

    def _bucket(self, run: StubRun) -> dict[str, Any]:
        entity = {"id": "RW50aXR5OjE=", "name": run.entity}
        return {
            "id": base64.b64encode(f"Run:{run.name}".encode()).decode(),
            "name": run.name,
            "displayName": run.name,
            "description": None,
            "config": run.config,
            "sweepName": None,
            "project": {"id": "UHI6MQ==", "name": run.project, "entity": entity},
            "historyLineCount": len(run.history),
        }

    def _upsert(self, v: dict[str, Any]) -> dict[str, Any]:
        key = (v.get("entity") or ENTITY, v["project"], v["name"])
        inserted = key not in self.runs
        run = self.runs.setdefault(key, StubRun(*key))
        run.config = v.get("config") or run.config
        run.summary = v.get("summaryMetrics") or run.summary
        run.notes = v.get("notes") or run.notes
        return {"upsertBucket": {"bucket": self._bucket(run), "inserted": inserted}}

    def _url(self, run: StubRun, name: str) -> str:
        return f"{self.url}/storage/{run.entity}/{run.project}/{run.name}/{quote(name)}"

    def _create_files(self, v: dict[str, Any]) -> dict[str, Any]:
        run = self._find(v)
        assert run is not None
        files = [{"name": name, "uploadUrl": self._url(run, name)} for name in v["files"]]
        return {
            "createRunFiles": {
                "runID": self._bucket(run)["id"],
                "uploadHeaders": [],
                "files": files,
            }
        }

    def _run(self, v: dict[str, Any]) -> dict[str, Any]:
        run = self._find(v)
        if run is None:
            return {"project": None}
        attributes = self._bucket(run) | {
            "projectId": "1",
            "tags": [],
            "state": "finished" if run.finished else "running",
            "group": None,
            "jobType": None,
            "commit": None,
            "readOnly": False,
            "createdAt": "2026-01-01T00:00:00Z",
            "heartbeatAt": "2026-01-01T00:00:00Z",
            "notes": run.notes,
            "systemMetrics": "{}",
            "summaryMetrics": run.summary,
            "user": {"name": ENTITY, "username": ENTITY},
            "historyKeys": {},
        }
        return {"project": {"run": attributes}}

    def _files(self, v: dict[str, Any]) -> dict[str, Any]:
        run = self._find(v)
        if run is None:
            return {"project": {"internalId": "1", "run": None}}
        names = v.get("fileNames") or sorted(run.files)
        edges = [
            {"node": self._file(run, name), "cursor": name} for name in names if name in run.files
        ]
        page = {"endCursor": "", "hasNextPage": False}
        files = {"edges": edges, "pageInfo": page}
        return {"project": {"internalId": "1", "run": {"fileCount": len(edges), "files": files}}}

    def _file(self, run: StubRun, name: str) -> dict[str, Any]:
        content = run.files[name]
        return {
            "id": base64.b64encode(f"File:{name}".encode()).decode(),
            "name": name,
            "url": self._url(run, name),
            "directUrl": self._url(run, name),
            "sizeBytes": str(len(content)),
            "mimetype": "application/octet-stream",
            "updatedAt": "2026-01-01T00:00:00Z",
            "md5": base64.b64encode(hashlib.md5(content).digest()).decode(),
        }

    def stream(self, path: list[str], body: dict[str, Any]) -> None:
        """Take what `file_stream` sends: rows at their offset, the summary, the end."""
        run = self.runs[path[0], path[1], path[2]]
        files = body.get("files") or {}
        if "wandb-history.jsonl" in files:
            chunk = files["wandb-history.jsonl"]
            run.history[chunk["offset"] :] = chunk["content"]
        if "wandb-summary.json" in files:
            run.summary = files["wandb-summary.json"]["content"][-1]
        if body.get("complete"):
            run.finished, run.exit_code = True, body.get("exitcode")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: WandbStub

    def log_message(self, *args: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _json(self, value: object, status: int = 200) -> None:
        self._reply(status, json.dumps(value).encode())

    def _stopped(self) -> bool:
        if self.stub.hang:
            self.stub.closing.wait()
            self.close_connection = True
        return self.stub.hang

    def _allowed(self) -> bool:
        """Return whether the key is right; wandb sends it as basic authentication, user `api`."""
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        allowed = base64.b64decode(given).decode().endswith(":" + API_KEY)
        if not allowed:
            self._json({"errors": [{"message": "invalid API key"}]}, 401)
        return allowed

    def do_POST(self) -> None:
        body = self._body()
        if self._stopped() or not self._allowed():
            return
        if self.path == "/graphql":
            self._graphql(json.loads(body))
        elif self.path.endswith("/file_stream"):
            with self.stub.lock:
                self.stub.operations.append("file_stream")
                self.stub.stream([unquote(p) for p in self.path.split("/")[2:]], json.loads(body))
            self._json({})
        else:
            self.stub.unknown.append(f"POST {self.path}")
            self._json({"error": f"stub: unknown path POST {self.path}"}, 404)

    def _graphql(self, request: dict[str, Any]) -> None:
        found = re.search(r"\b(?:query|mutation)\s+(\w+)", request["query"])
        operation = found.group(1) if found else "(nameless)"
        with self.stub.lock:
            self.stub.operations.append(operation)
            try:
                data = self.stub.answer(operation, request.get("variables") or {})
            except KeyError as error:
                self.stub.unknown.append(f"{operation} ({error})")
                message = f"stub: unknown operation {operation} ({error})"
                self._json({"errors": [{"message": message}]})
                return
        self._json({"data": data})

    def _stored(self) -> tuple[StubRun, str]:
        _, _, entity, project, run_id, name = unquote(self.path).split("/", 5)
        return self.stub.runs[entity, project, run_id], name

    def do_PUT(self) -> None:
        body = self._body()
        if self._stopped():
            return
        with self.stub.lock:
            run, name = self._stored()
            self.stub.operations.append(f"PUT {name}")
            if self.stub.refuse_uploads:
                self._json({"error": "no room"}, 500)
                return
            run.files[name] = body
        self._json({})

    def do_GET(self) -> None:
        if self._stopped():
            return
        with self.stub.lock:
            run, name = self._stored()
            self.stub.operations.append(f"GET {name}")
            content = run.files.get(name)
        if self.stub.fail_downloads or content is None:
            self._json({"error": "stub"}, 500 if self.stub.fail_downloads else 404)
            return
        self._reply(200, content[:-1] if self.stub.corrupt else content)
